"""Making jobs, and W&B's documented `Job`: the same for Python and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..config import setting
from ..errors import SpecError
from ..job import NO_PROJECT, Job, JobName, check_alias, check_name, content_of, job_name
from ..resolve import resolve
from ..sources.code import from_path
from ..spec import LaunchSpec, merge
from ..stores.base import Store

KINDS = ("git", "code", "image")
"""What a job can be made of, in W&B's words."""


def create_job(
    store: Store, kind: str, path: str, spec: Mapping[str, Any], job: Mapping[str, Any]
) -> Job:
    """Make a version of a job.

    Parameters
    ----------
    store : Store
        Where it is kept.
    kind : str
        ``git``, ``code`` or ``image``.
    path : str
        The repository's URI, the script or folder, or the image.
    spec : mapping
        What else is known of how it is run, as launch-spec fields.
    job : mapping
        ``entity``, ``project``, ``name``, ``aliases``, ``description``, and ``inputs``, the JSON
        schema of the run config; each may be missing.

    Raises
    ------
    SpecError, Unsupported
        When it cannot be launched as it is.
    """
    asked = LaunchSpec.from_dict(merge(spec, _source(kind, path, store)))
    aliases = [check_alias(alias) for alias in job.get("aliases") or ()]
    entity = setting("entity", given=job.get("entity")).value
    project = setting("project", given=job.get("project")).value
    found, _ = resolve(asked.evolve(entity=entity, project=project), store, store)
    name = JobName(
        entity or "", project or NO_PROJECT, check_name(job.get("name") or job_name(found))
    )
    inputs = job.get("inputs")
    if inputs is not None:
        _check_inputs(inputs)
    content = content_of(found, inputs=inputs, description=job.get("description") or "")
    return store.put_job(name, content, _with_tag(kind, path, aliases))


def _source(kind: str, path: str, store: Store) -> dict[str, Any]:
    if kind == "image":
        return {"docker": {"docker_image": path}}
    if kind == "git":
        return {"uri": path}
    if kind == "code":
        return {"source": from_path(path, (), store).model_dump(mode="json")}
    raise SpecError(f"A job is made of {', '.join(KINDS)}, not of {kind!r}.", field="job_type")


def _with_tag(kind: str, path: str, aliases: Sequence[str]) -> list[str]:
    """Make the tag of an image an alias of its job, as W&B does."""
    name = path.partition("@")[0].rpartition("/")[2]
    tag = name.partition(":")[2] if kind == "image" else ""
    return list(dict.fromkeys([*aliases, *([tag] if tag and tag != "latest" else [])]))


def _check_inputs(schema: Mapping[str, Any]) -> None:
    import jsonschema  # noqa: PLC0415 - not light

    try:
        jsonschema.validators.validator_for(schema).check_schema(dict(schema))
    except jsonschema.SchemaError as error:
        raise SpecError(
            f"The schema of the job's inputs is no JSON schema: {error.message}.", field="inputs"
        ) from error
