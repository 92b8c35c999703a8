"""`LaunchSpec`: what to run, in the field names of W&B's launch spec.

The metadata on the fields (`Option`) is the one table from which the magics, the command line and
the forms make their arguments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError, field_validator

from .errors import SpecError
from .option import opt
from .spec_parts import Builder, Docker, Git, Origin, Overrides, Part, Registry, Retry, Source
from .validation import spec_error, without_nulls

ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What may stand for a run's id: it becomes part of file, container and process names."""

PRIORITIES = {"critical": 0, "high": 1, "medium": 2, "low": 3}
"""W&B's words for the priority of a queued run; a lower number is taken first."""


MEDIUM = PRIORITIES["medium"]

KEY = "_wandb_api_key"
"""A field of W&B's that must not be kept."""


class LaunchSpec(Part):
    """What to run. Frozen; JSON in, JSON out.

    Fields that nobody here knows are kept as they are: see `unknown`.

    Errors: `SpecError`, naming the field, from every constructor.
    """

    model_config = ConfigDict(extra="allow")

    origin: Origin = Origin()
    source: Source | None = None
    uri: Annotated[str | None, opt("-u", "--uri", metavar="URI")] = Field(
        None, description="git repository to run"
    )
    job: Annotated[str | None, opt("-j", "--job", metavar="JOB")] = Field(
        None, description="job to run: entity/project/name:alias"
    )
    docker: Docker = Docker()
    image_uri: str | None = None
    overrides: Overrides = Overrides()
    git: Git = Git()
    queue: Annotated[str | None, opt("-q", "--queue", metavar="NAME")] = Field(
        None, description="queue to put the run on"
    )
    queue_entity: str | None = None
    priority: Annotated[
        int, opt("-P", "--priority", metavar="|".join(PRIORITIES), read="priority")
    ] = Field(MEDIUM, ge=0, le=3, description="how soon the run is taken from its queue")
    name: Annotated[str | None, opt("-n", "--name")] = Field(
        None, description="name of the run, for people"
    )
    entity: Annotated[str | None, opt("-e", "--entity", metavar="NAME")] = Field(
        None, description="user or team the run belongs to"
    )
    project: Annotated[str | None, opt("-p", "--project", metavar="NAME")] = Field(
        None, description="project the run belongs to"
    )
    resource: Annotated[str | None, opt("-r", "--resource", metavar="NAME")] = Field(
        None, description="where to run: auto, local-container, local-process"
    )
    resource_args: Annotated[
        dict[str, dict[str, Any]],
        opt("-R", "--resource-args", metavar="FILE|JSON|$VAR", read="mapping"),
    ] = Field(
        default_factory=dict,
        description="options of the resource, such as {local-container: {memory: 2g}}",
    )
    template_variables: Annotated[
        dict[str, Any], opt("-v", "--set-var", metavar="KEY=VALUE", read="pairs")
    ] = Field(default_factory=dict, description="values for the queue's template variables")
    env: Annotated[dict[str, str], opt("--env", metavar="NAME=VALUE", read="strings")] = Field(
        default_factory=dict, description="environment of the program; for secrets use --secret"
    )
    secrets: Annotated[tuple[str, ...], opt("--secret", metavar="NAME", read="list")] = Field(
        (), description="environment variables to hand over at start, by name, never stored"
    )
    requirements: Annotated[
        tuple[str, ...], opt("--requirements", metavar="REQUIREMENT", read="list")
    ] = Field((), description="Python packages the program needs")
    outputs: Annotated[tuple[str, ...], opt("--output", metavar="PATH", read="list")] = Field(
        (), description="files and folders the program leaves behind, which are kept as artifacts"
    )
    build: Annotated[bool, opt("-b", "--build", read="flag")] = Field(
        False, description="build an image, make a job of it, and launch that job"
    )
    job_name: Annotated[str | None, opt("-J", "--job-name", metavar="NAME")] = Field(
        None, description="make a job of that name out of the source"
    )
    registry: Registry = Registry()
    builder: Builder = Builder()
    python_version: str | None = None
    run_id: Annotated[str | None, opt("--run-id", metavar="ID")] = Field(
        None, description="id of the run; default: eight random letters and digits"
    )
    author: str | None = None
    sweep_id: str | None = None
    grace_s: Annotated[float, opt("--grace", metavar="SECONDS", read="number")] = Field(
        10.0,
        ge=0,
        allow_inf_nan=False,
        description="seconds between asking a stopped program to end and killing it",
    )

    retry: Retry = Retry()
    max_run_time: Annotated[
        float | None, opt("--max-run-time", metavar="SECONDS", read="number")
    ] = Field(None, gt=0, allow_inf_nan=False, description="seconds after which it is stopped")
    max_wait_time: Annotated[
        float | None, opt("--max-wait-time", metavar="SECONDS", read="number")
    ] = Field(None, gt=0, allow_inf_nan=False, description="seconds it may wait on its queue")

    @field_validator("run_id")
    @classmethod
    def _check_run_id(cls, value: str | None) -> str | None:
        if value is not None and not ID_PATTERN.fullmatch(value):
            raise ValueError("a run id is 1 to 64 letters, digits, '-' or '_'")
        return value

    @field_validator("python_version")
    @classmethod
    def _check_python_version(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"3\.\d+", value):
            raise ValueError("a version of Python is written 3.11")
        return value

    @field_validator("name", "uri", "job", "job_name")
    @classmethod
    def _check_text(cls, value: str | None) -> str | None:
        if value is not None and "\0" in value:
            raise ValueError("a NUL character cannot be part of it")
        return value

    @field_validator("env", "secrets")
    @classmethod
    def _check_names(cls, value: Any) -> Any:
        for name in value:
            if not name or "=" in name or "\0" in name:
                raise ValueError(f"{name!r} cannot be the name of an environment variable")
            if isinstance(value, dict) and "\0" in value[name]:
                raise ValueError(f"the value of {name} has a NUL character")
        return value

    @field_validator("outputs")
    @classmethod
    def _check_outputs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for path in value:
            parts = path.split("/")
            if not path or parts[0] == "" or ".." in parts or "\0" in path:
                raise ValueError(f"{path!r} is no path in the folder the program runs in")
        return value

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LaunchSpec:
        """Make a spec from a mapping, which is not kept and not changed.

        Parameters
        ----------
        data : mapping
            Field names and values as in the JSON form.

        Raises
        ------
        SpecError
            Naming the first field that is wrong.
        """
        try:
            text = json.dumps(data, ensure_ascii=False)
            text.encode()  # raises where a surrogate stands alone
        except (TypeError, ValueError) as error:
            raise SpecError(f"The launch spec has a value that is no JSON: {error}.") from error
        return cls.from_json(text)

    @classmethod
    def from_json(cls, text: str) -> LaunchSpec:
        """Make a spec from its JSON text. Raises `SpecError`."""
        if "null" in text:  # which W&B writes for what was not given
            text = without_nulls(text, cls)
        try:
            made = cls.model_validate_json(text)
        except ValidationError as error:
            raise spec_error(error, cls) from error
        if KEY in made.unknown:
            raise SpecError(
                f"The launch spec has an API key in it ({KEY}), which would be stored.",
                hint="Leave it out: WANDB_API_KEY is handed over from the environment.",
                field=KEY,
            )
        return made

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form as a new mapping, without the fields that have their default."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def to_json(self) -> str:
        """Give the JSON form as text; `from_json` makes an equal spec of it."""
        return self._json

    @cached_property
    def _json(self) -> str:
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def evolve(self, **changes: Any) -> LaunchSpec:
        """Return a copy with some fields changed, checked anew."""
        if stray := changes.keys() - type(self).model_fields.keys():
            raise TypeError(f"A launch spec has no {', '.join(sorted(stray))}.")
        return self.from_dict({**self.to_dict(), **_plain(changes)})

    @property
    def unknown(self) -> tuple[str, ...]:
        """The names of the fields that nobody here knows."""
        return tuple(self.model_extra or {})

    @property
    def needed_names(self) -> tuple[str, ...]:
        """Environment variables that whoever executes it must have: secrets, a token for git."""
        return (*self.secrets, *([self.git.token] if self.git.token else []))

    @property
    def repository(self) -> str | None:
        """Where a built image is pushed to, if anywhere."""
        return self.registry.url or self.registry.uri or self.builder.destination

    @property
    def image(self) -> str | None:
        """The image the spec names, if it does."""
        return self.docker.docker_image or self.image_uri

    @property
    def kind(self) -> str:
        """Where the program comes from: ``cell``, ``path``, ``git``, ``job`` or ``image``.

        Raises
        ------
        SpecError
            When the spec names no source, or two that exclude each other.
        """
        named = {
            "cell": self.source is not None and self.source.kind == "cell",
            "path": self.source is not None and self.source.kind == "path",
            "git": self.uri is not None,
            "job": self.job is not None,
        }
        kinds = [kind for kind, given in named.items() if given]
        if self.image and "job" in kinds:
            raise SpecError(
                "Exactly one of job and docker_image can be launched, and both were given: "
                f"job {self.job!r} and image {self.image!r}.",
                hint="Leave one of them out; a job knows its own image.",
                field="job",
            )
        if len(kinds) > 1:
            raise SpecError(
                f"Exactly one source can be launched, and {' and '.join(kinds)} were given.",
                hint="Leave out all but one of them.",
                field="source",
            )
        if not kinds and not self.image:
            raise SpecError(
                "There is nothing to launch: exactly one of job and docker_image (or a cell, a "
                "script, a uri) must be given, and none was.",
                hint="Name an image with -d IMAGE, a script by its path, or launch a cell with "
                "%%launch.",
                field="docker_image",
            )
        return kinds[0] if kinds else "image"


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one nested mapping over another; neither is changed."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value
