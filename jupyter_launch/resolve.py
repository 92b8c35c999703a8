"""Resolve: what was asked for becomes a spec that means the same tomorrow, or is refused.

Branches become commits, aliases of jobs become versions, files of requirements become their lines,
before anything is recorded: so that launching a recorded spec again runs the same.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from . import backends, sources
from .builds.recipes import refuse_images
from .config import YES, setting, user_path
from .environment import with_secrets
from .errors import SpecError
from .job import NO_PROJECT, Job, JobName, parse_ref
from .report import Silent
from .runs import Queue
from .sources.base import Snapshots
from .sources.code import from_path
from .spec import LaunchSpec, merge
from .spec_parts import Overrides
from .stores.base import Store
from .validation import check_schema

INHERIT = "build.inherit_pip_config"
LIMIT_BYTES = 1_000_000
"""How large run config and files may be: systems limit a program's whole environment."""


def resolve(spec: LaunchSpec, store: Store, keep: Snapshots) -> tuple[LaunchSpec, list[str]]:
    """Pin down and complete a spec, and refuse what cannot work.

    Parameters
    ----------
    spec : LaunchSpec
        As somebody asked for it.
    store : Store
        Where jobs and queues are.
    keep : Snapshots
        Where files are kept that only this machine has.

    Returns
    -------
    tuple
        The spec to record, and what the user must be told.

    Raises
    ------
    SpecError, Unsupported
        Naming the field that is wrong.
    """
    notices = _strangers(spec)
    spec = _with_owner(spec)
    _ = spec.kind  # raises unless there is exactly one source
    if spec.uri is not None and _is_folder(spec.uri):
        spec = spec.evolve(uri=None, source=from_path(spec.uri, (), keep))
    job = None if spec.job is None else find_job(store, spec.job, spec.entity, spec.project)
    if job is not None:
        spec = _of_job(spec, job)
    if spec.uri is not None or (job and spec.git.version):
        spec, more = _pinned(spec, job.launched(spec) if job else spec, keep)
        notices += more
    if spec.requirements:
        from .builds.requirements import read_requirements  # noqa: PLC0415 - as below

        spec = spec.evolve(requirements=read_requirements(spec.requirements))
    if spec.builder.inherit_pip_config is None and setting(INHERIT).value in YES:
        builder = {**spec.builder.model_dump(exclude_none=True), "inherit_pip_config": True}
        spec = spec.evolve(builder=builder)
    _check(spec, job.launched(spec) if job else spec)
    return spec, notices


def _of_job(spec: LaunchSpec, job: Job) -> LaunchSpec:
    """Name the very version of a job that is launched, which must fit its inputs."""
    check_schema(spec.overrides.run_config, job.inputs, f"the inputs of the job {job.ref}")
    # An agent must see which names it needs, without looking the job up.
    needs = {"git": {"token": job.spec.git.token}} if job.spec.git.token else {}
    return LaunchSpec.from_dict(merge(needs, {**spec.to_dict(), "job": str(job.ref)}))


def _check(spec: LaunchSpec, whole: LaunchSpec) -> None:
    """Refuse what cannot work: in the spec, and in `whole`, which has its job laid under it."""
    sources.check(whole)
    if whole.repository:
        from .builds.push import check_repository  # noqa: PLC0415 - brings docker's client along

        check_repository(whole.repository)
    _check_size(spec)
    _check_place(spec)
    with_secrets(whole, os.environ)


def queue_of(spec: LaunchSpec) -> Queue:
    """Name the queue a spec goes to."""
    owner = spec.queue_entity or spec.entity or setting("entity").value
    name = setting("queue", given=spec.queue).value
    assert owner is not None
    assert name is not None
    return Queue(owner, name)


def with_template(spec: LaunchSpec, store: Store, queue: Queue) -> LaunchSpec:
    """Complete the values for a queue's template variables.

    Raises
    ------
    QueueNotFound
    SpecError
        Naming a variable whose value is missing, unknown or not allowed.
    """
    from .templates import template_values  # noqa: PLC0415 - as below

    store.ensure_queue(queue)
    variables = store.queue(queue).config.get("template_variables", {})
    return spec.evolve(template_variables=template_values(variables, spec.template_variables))


def _strangers(spec: LaunchSpec) -> list[str]:
    if not spec.unknown:
        return []
    known = {name: name for name in LaunchSpec.model_fields}
    known |= {name: f"overrides.{name}" for name in Overrides.model_fields}
    told = []
    for name in spec.unknown:
        close = difflib.get_close_matches(name, known, n=1)
        told.append(f"{name} (did you mean {known[close[0]]}?)" if close else name)
    return [f"Nobody here knows these fields of the launch spec, which are kept: {', '.join(told)}"]


def _with_owner(spec: LaunchSpec) -> LaunchSpec:
    defaults = {
        name: setting(name).value for name in ("entity", "project") if getattr(spec, name) is None
    }
    return spec.evolve(**{name: value for name, value in defaults.items() if value})


def find_job(store: Store, text: str, entity: str | None, project: str | None) -> Job:
    """Find the version of a job that a reference means.

    Parameters
    ----------
    store : Store
        Where jobs are.
    text : str
        ``entity/project/name:alias``, or a part of it.
    entity, project : str, optional
        What is filled in.

    Raises
    ------
    SpecError
        With the names that come nearest, when there is none.
    """
    ref = parse_ref(text, entity, project or NO_PROJECT)
    job = store.find_job(ref)
    if job is not None:
        return job
    versions = [other for other in store.jobs() if other.name == ref.job]
    if versions:
        known = [f"v{version.version}" for version in versions]
        known += [alias for version in versions for alias in version.aliases]
        raise SpecError(
            f"The job {ref.job} has no version {ref.alias!r}.",
            hint=f"It has: {', '.join(known)}.",
            field="job",
        )
    raise SpecError(f"There is no job {str(ref.job)!r}.", hint=_near(store, ref.job), field="job")


def _near(store: Store, wanted: JobName) -> str:
    names = {str(job.name): job.name for job in store.jobs()}
    close = difflib.get_close_matches(str(wanted), names, n=3)
    close += [full for full, name in names.items() if name.name == wanted.name]
    if close:
        return f"Did you mean {' or '.join(repr(name) for name in dict.fromkeys(close))}?"
    if names:
        return "There are: " + ", ".join(sorted(names)[:10])
    return "Make one: jupyter launch job create code FOLDER -n NAME"


def _pinned(
    spec: LaunchSpec, whole: LaunchSpec, keep: Snapshots
) -> tuple[LaunchSpec, Sequence[str]]:
    """Replace what names a commit by the commit, and take along what only this machine has."""
    # What few launches need is not paid for by all: each import takes milliseconds.
    from .sources import git, repository  # noqa: PLC0415

    uri = whole.uri
    if uri is None:
        raise SpecError(
            f"The job {spec.job} is not of a git repository: it has no version "
            f"{spec.git.version!r}.",
            hint="Its own versions are named behind a colon, such as name:v2.",
            field="version",
        )
    if repository.kept(spec.git):
        return spec, ()  # launched again: the files are here
    found = git.resolve(uri, whole.git.version, whole.git.token)
    pinned: dict[str, Any] = {
        "version": found.commit,
        "ref": found.ref or _ref(whole, found.commit),
    }
    if found.local:
        files = git.archive(uri, found.commit, ref=found.ref, report=Silent())
        pinned["snapshot"] = repository.keep(found.commit, files, keep)
    if whole.git.token:  # an agent must see that it needs it
        pinned["token"] = whole.git.token
    given = {**spec.git.model_dump(exclude_none=True), **pinned}
    changes: dict[str, Any] = {"git": {name: item for name, item in given.items() if item}}
    if spec.uri is not None:
        changes["uri"] = found.uri
    return spec.evolve(**changes), found.notices


def _ref(spec: LaunchSpec, commit: str) -> str | None:
    """Keep what a commit was called when it was pinned before."""
    return spec.git.ref if spec.git.version == commit else None


def _check_size(spec: LaunchSpec) -> None:
    given = {"run_config": spec.overrides.run_config, "files": spec.overrides.files}
    sizes = {
        name: len(json.dumps(value, ensure_ascii=False).encode()) for name, value in given.items()
    }
    size, largest = sum(sizes.values()), max(sizes, key=sizes.__getitem__)
    if size > LIMIT_BYTES:
        raise SpecError(
            f"The {largest.replace('_', ' ')} is {size / 1e6:.1f} MB: more than "
            f"{LIMIT_BYTES / 1e6:.0f} MB do not reach a program through its environment.",
            hint="Put it into a file, and bring that along: --include FILE",
            field=f"overrides.{largest}",
        )


def _check_place(spec: LaunchSpec) -> None:
    if spec.resource and spec.resource != backends.AUTO:
        backends.check_name(spec.resource)
        place = backends.backend(spec.resource)
        if place.inherits:
            refuse_images(spec, place.name)
    for name, given in spec.resource_args.items():
        backends.backend(name).check(_without_builder(given))


def _without_builder(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "builder"}


def _is_folder(uri: str) -> bool:
    """Say whether a uri is a folder or script of this machine that is no git repository."""
    from .sources.git_uri import is_repository  # noqa: PLC0415 - as above

    return user_path(uri).exists() and not is_repository(uri)
