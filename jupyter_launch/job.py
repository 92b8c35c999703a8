"""Jobs in W&B's sense: a named, versioned, aliased source, with how it is run."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from .errors import SpecError
from .spec import LaunchSpec, merge

LATEST = "latest"
NO_PROJECT = "uncategorized"
"""W&B's word for the project of what has none."""

VERSION = re.compile(r"v(0|[1-9]\d*)")
_NAME = re.compile(r"[^/:\s][^/:\n\r\t\0]{0,126}[^/:\s]|[^/:\s]")
_SOURCE = (
    "source", "uri", "git", "docker", "image_uri", "requirements", "builder", "registry",
    "python_version",
)  # fmt: skip
_OF_OVERRIDES = ("entry_point", "dockerfile", "working_dir")
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}


class JobName(NamedTuple):
    """The name of a job: whose it is, in which project, and what it is called."""

    entity: str
    project: str
    name: str

    def __str__(self) -> str:
        return "/".join(self)


class JobRef(NamedTuple):
    """One version of a job, by an alias: ``latest``, ``v3``, or one of its own."""

    job: JobName
    alias: str

    def __str__(self) -> str:
        return f"{self.job}:{self.alias}"


def parse_ref(text: str, entity: str | None, project: str | None) -> JobRef:
    """Read ``entity/project/name:alias``; what is left out on either side is filled in.

    Parameters
    ----------
    text : str
        ``name``, ``name:alias``, ``project/name:alias`` or all of it.
    entity, project : str, optional
        Whose and which project's job is meant if it is not said.

    Raises
    ------
    SpecError
        When it is no reference, or something is missing.
    """
    path, colon, alias = text.partition(":")
    *above, name = path.split("/")
    whose = [*[entity, project][: 2 - len(above)], *above] if len(above) < 3 else []
    if len(whose) != 2 or not _NAME.fullmatch(name) or (colon and not _NAME.fullmatch(alias)):
        raise SpecError(
            f"{text!r} names no job.",
            hint="A job is named entity/project/name:alias, such as me/vision/train:latest.",
            field="job",
        )
    for what, given in zip(("entity", "project"), whose, strict=True):
        if not given:
            raise SpecError(
                f"The job {text!r} names no {what}, and there is no default one.",
                hint=f"Write it in front (entity/project/name), or set the {what} (--{what}).",
                field=what,
            )
    return JobRef(JobName(str(whose[0]), str(whose[1]), name), alias or LATEST)


def check_name(name: str) -> str:
    """Give back what a job can be called. Raises `SpecError` for anything else."""
    if not _NAME.fullmatch(name):
        raise SpecError(
            f"A job cannot be called {name!r}.",
            hint="Its name has 1 to 128 characters, no '/' and no ':', and no space at its ends.",
            field="job_name",
        )
    return name


def check_alias(alias: str) -> str:
    """Give back what can be an alias of one's own. Raises `SpecError` for anything else."""
    if alias == LATEST or VERSION.fullmatch(alias) or not _NAME.fullmatch(alias):
        raise SpecError(
            f"{alias!r} cannot be given as an alias.",
            hint="latest and v0, v1... are given by themselves; an alias has no '/' and no ':'.",
            field="alias",
        )
    return alias


@dataclass(frozen=True)
class Job:
    """One version of a job, as the store records it. Times are Unix seconds.

    `content_json` holds ``spec``, the part of a launch spec that says what is run, the JSON schema
    ``inputs`` of its run config, and a ``description``.
    """

    name: JobName
    version: int
    aliases: tuple[str, ...]
    created: float
    content_json: str

    @property
    def ref(self) -> JobRef:
        """The reference to this very version."""
        return JobRef(self.name, f"v{self.version}")

    @cached_property
    def content(self) -> Mapping[str, Any]:
        """What the job says."""
        content: dict[str, Any] = json.loads(self.content_json)
        return content

    @property
    def spec(self) -> LaunchSpec:
        """The source of the job, as a launch spec. Raises `SpecError`."""
        return LaunchSpec.from_dict(self.content["spec"])

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The JSON schema of the run config; empty if anything goes."""
        schema: Mapping[str, Any] = self.content.get("inputs") or {}
        return schema

    def launched(self, spec: LaunchSpec) -> LaunchSpec:
        """Lay a launch of this job over what the job says: the spec that is executed."""
        said = spec.to_dict()
        said.pop("job", None)
        return LaunchSpec.from_dict(merge(self.content["spec"], said))


def content_of(
    spec: LaunchSpec, *, inputs: Mapping[str, Any] | None = None, description: str = ""
) -> dict[str, Any]:
    """Make a job's content of a resolved launch: what is run, but not how this once.

    Parameters
    ----------
    spec : LaunchSpec
        Names a source; arguments, run config, environment and place are left out.
    inputs : mapping, optional
        JSON schema of the run config; default: the types of the values in this one.
    description : str
        For people.
    """
    data = spec.to_dict()
    kept = {name: data[name] for name in _SOURCE if name in data}
    overrides = data.get("overrides", {})
    if of_source := {name: overrides[name] for name in _OF_OVERRIDES if name in overrides}:
        kept["overrides"] = of_source
    schema = types_of(spec.overrides.run_config) if inputs is None else dict(inputs)
    content = {"spec": kept, "inputs": schema, "description": description}
    return {name: value for name, value in content.items() if value}


def job_name(spec: LaunchSpec) -> str:
    """Make up a job's name, as W&B does: after its source and what is run of it."""
    source, words = spec.source, []
    if spec.uri is not None:
        words = [posixpath.basename(spec.uri.partition("#")[0].rstrip("/")).removesuffix(".git")]
    elif source is not None and source.kind == "path":
        words = [posixpath.basename((source.path or "").rstrip("/")), source.main or ""]
        words = words[:1] if words[0] == words[1] else words
    elif source is not None:
        words = [posixpath.basename(spec.origin.notebook or ""), spec.origin.cell or "cell"]
    else:
        words = [posixpath.basename((spec.image or "").partition("@")[0]).partition(":")[0]]
    name = "-".join(["job", *(re.sub(r"[^\w.]+", "_", word).strip("_.") for word in words)])
    return name.rstrip("-")[:128]


def launch_of(job: Job, spec: LaunchSpec) -> LaunchSpec:
    """Make the launch of a job out of the launch that the job was made of."""
    data = spec.to_dict()
    overrides = data.get("overrides", {})
    kept = {name: value for name, value in data.items() if name not in _SOURCE}
    kept["overrides"] = {n: value for n, value in overrides.items() if n not in _OF_OVERRIDES}
    for name in ("build", "job_name"):
        kept.pop(name, None)
    return LaunchSpec.from_dict({**kept, "job": str(job.ref)})


def types_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Make the JSON schema that a run config's values imply: their types."""
    found = {name: _schema(value) for name, value in config.items()}
    return {"type": "object", "properties": found} if found else {}


def _schema(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return types_of(value) or {"type": "object"}
    return {"type": _TYPES[type(value)]} if type(value) in _TYPES else {}


def digest(content: Mapping[str, Any]) -> str:
    """Hash what a job says: equal for what would make no new version."""
    said = {name: value for name, value in content.items() if name != "description"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
