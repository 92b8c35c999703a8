"""What may stand in each place of a magic's line, by what is known of a store and an engine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from .. import backends
from ..config import NAMES, setting, user_path
from ..errors import LaunchError
from ..job import NO_PROJECT, JobRef, parse_ref
from ..redact import secret_like
from ..runs import Queue
from ..spec import PRIORITIES
from ..stores import open_store
from ..stores.base import Store
from ..stores.queue_verbs import FIRST_QUEUE
from .known import Known
from .typed_line import Line


class Candidate(NamedTuple):
    """Text that may stand there, and what kind of thing it is."""

    text: str
    kind: str


class Source:
    """Where candidates come from: settings, variables, and what a store and an engine have.

    Parameters
    ----------
    settings : callable
        Gives what ``%config`` says.
    shell : InteractiveShell
        Whose variables may stand for values.
    """

    def __init__(self, settings: Callable[[], Mapping[str, str | None]], shell: Any) -> None:
        self._settings = settings
        self._shell = shell
        self._url = self.setting("store")
        self._known = Known(self._open)

    @property
    def known(self) -> Known:
        """What the store of the settings has; another one if they changed."""
        url = self.setting("store")
        if url != self._url:
            self._known.close()
            self._url, self._known = url, Known(self._open)
        return self._known

    def setting(self, name: str) -> str:
        """Look a setting up; what is malformed says nothing here."""
        try:
            return setting(name, given=self._settings().get(name)).value or ""
        except LaunchError:
            return ""

    def variables(self) -> list[str]:
        """Name the notebook's variables that can be values."""
        hidden = self._shell.user_ns_hidden
        return [
            name
            for name, value in list(self._shell.user_ns.items())
            if not (name.startswith("_") or name in hidden or callable(value))
            and not isinstance(value, ModuleType)
        ]

    def _open(self) -> Store | None:
        if self._url.startswith("sqlite:///"):
            from ..stores.sqlite_file import path_of  # noqa: PLC0415

            if not path_of(self._url).exists():
                return None  # pressing Tab makes no store
        return open_store(self._url)


def paths(typed: str) -> Iterator[Candidate]:
    """Name the files and folders that a path may go on with."""
    head, slash, name = typed.rpartition("/")
    folder = user_path(head + slash) if slash else Path()
    try:
        with os.scandir(folder) as entries:
            found = sorted(islice(entries, 2000), key=lambda entry: entry.name)
    except (OSError, ValueError):  # a NUL character is no part of a path
        return
    for entry in found:
        if entry.name.startswith(".") <= name.startswith("."):
            end = "/" if entry.is_dir() else ""
            yield Candidate(f"{head}{slash}{entry.name}{end}", "path")


def _entity(source: Source, line: Line) -> str:
    return (line.given.get("entity") or [source.setting("entity")])[-1]


def _queues(source: Source, line: Line, _typed: str) -> Iterator[Candidate]:
    entity = _entity(source, line)
    for queue in source.known.queues():
        if queue.entity == entity:
            yield Candidate(queue.name, "queue")
    yield Candidate(FIRST_QUEUE, "queue")


def _entities(source: Source, _line: Line, _typed: str) -> Iterator[Candidate]:
    known = source.known
    names = {source.setting("entity")} | {queue.entity for queue in known.queues()}
    names |= {run.entity for run in known.runs() if run.entity}
    names |= {job.name.entity for job in known.jobs()}
    yield from (Candidate(name, "entity") for name in sorted(filter(None, names)))


def _projects(source: Source, _line: Line, _typed: str) -> Iterator[Candidate]:
    names = {source.setting("project")} | {run.project for run in source.known.runs()}
    names |= {job.name.project for job in source.known.jobs()}
    yield from (Candidate(name, "project") for name in sorted(filter(None, names)))


def _jobs(source: Source, line: Line, typed: str) -> Iterator[Candidate]:
    """Name jobs; behind a colon, their aliases and versions. The own entity may be left out."""
    name, colon, _ = typed.partition(":")
    entity = _entity(source, line)
    for job in source.known.jobs():
        full = str(job.name)
        short = full.partition("/")[2] if job.name.entity == entity else full
        if colon and name in (full, short, job.name.name):
            yield from (Candidate(f"{name}:{a}", "job") for a in (*job.aliases, job.ref.alias))
        elif not colon:
            if typed and short.startswith(typed):
                yield Candidate(short, "job")
            yield Candidate(full, "job")


def _runs(source: Source, _line: Line, _typed: str) -> Iterator[Candidate]:
    for run in source.known.runs():
        yield Candidate(run.id, f"run, {run.state}")


def _images(source: Source, _line: Line, _typed: str) -> Iterator[Candidate]:
    yield from (Candidate(name, "image") for name in source.known.images())


def _resources(_source: Source, _line: Line, _typed: str) -> Iterator[Candidate]:
    yield from (Candidate(name, "resource") for name in (backends.AUTO, *backends.names()))


def _priorities(_source: Source, _line: Line, _typed: str) -> Iterator[Candidate]:
    yield from (Candidate(name, "priority") for name in PRIORITIES)


def _environment(_source: Source, _line: Line, _typed: str) -> Iterator[Candidate]:
    yield from (Candidate(name, "variable") for name in sorted(os.environ))


def _config_keys(source: Source, line: Line, typed: str) -> Iterator[Candidate]:
    """Name keys of the run config: those of the job's inputs, or of what was launched before."""
    ref = _job_asked_for(source, line)
    if ref is None:
        last = source.known.last_config().items()
        shown = {k: {} if secret_like(k, str(v)) else {"default": v} for k, v in last}
        yield from _pairs(shown, typed)
        return
    for job in source.known.jobs():
        if job.name == ref.job and ref.alias in (*job.aliases, job.ref.alias):
            yield from _pairs(job.inputs.get("properties") or {}, typed)


def _job_asked_for(source: Source, line: Line) -> JobRef | None:
    given = (line.given.get("job") or [""])[-1]
    project = source.setting("project") or NO_PROJECT
    try:
        return parse_ref(given, _entity(source, line), project) if given else None
    except LaunchError:
        return None


def _template_keys(source: Source, line: Line, typed: str) -> Iterator[Candidate]:
    name = (line.given.get("queue") or [source.setting("queue")])[-1]
    queue = Queue(_entity(source, line), name)
    if queue in source.known.queues():
        variables = source.known.queue_config(queue).get("template_variables") or {}
        yield from _pairs({n: v.get("schema") or {} for n, v in variables.items()}, typed)


def _pairs(schemas: Mapping[str, Any], typed: str) -> Iterator[Candidate]:
    key, equals, _ = typed.partition("=")
    for name, schema in schemas.items():
        if not equals:
            yield Candidate(f"{name}=", "key")
        elif name == key:
            yield from (Candidate(f"{key}={value}", "value") for value in examples_of(schema))


def examples_of(schema: Mapping[str, Any]) -> list[str]:
    """Write values that a JSON schema suggests, as they are typed behind ``KEY=``."""
    if schema.get("enum"):
        values = list(schema["enum"])
    elif schema.get("type") == "boolean":
        values = [True, False]
    else:
        values = [schema["default"]] if "default" in schema else []
    return [value if isinstance(value, str) else json.dumps(value) for value in values]


def _settings(_source: Source, _line: Line, _typed: str) -> Iterator[Candidate]:
    yield from (Candidate(name, "setting") for name in NAMES)


PATHS = {
    "path", "uri", "include", "requirements", "resource_args", "overrides.run_config",
    "overrides.dockerfile", "overrides.working_dir",
}  # fmt: skip

VALUES: dict[str, Callable[[Source, Line, str], Iterator[Candidate]]] = {
    "queue": _queues,
    "entity": _entities,
    "project": _projects,
    "job": _jobs,
    "run": _runs,
    "docker.docker_image": _images,
    "builder.base_image": _images,
    "resource": _resources,
    "priority": _priorities,
    "secrets": _environment,
    "git.token": _environment,
    "set": _config_keys,
    "template_variables": _template_keys,
    "setting": _settings,
}
"""For each place of a line, who knows what may stand there."""
