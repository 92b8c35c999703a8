"""Placing: where a run's program runs, and what it is made of there."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import backends, environment, sources
from .backends.base import Backend
from .builds.recipes import asked_for, refuse_images, with_build
from .errors import BackendUnavailable, ImageNotFound
from .policy import Allow
from .program import Program
from .report import Report, Silent
from .resolve import resolve
from .runs import Run
from .sources.base import Snapshots
from .sources.code import PYTHON
from .spec import LaunchSpec, merge
from .states import State
from .stores.base import Store

_PART = re.compile(r"[\w .@+-]*")
"""A text that, put into a path or an option, is one name and nothing more."""


def place(
    store: Store, run: Run, spec: LaunchSpec, report: Report, allow: Allow | None = None
) -> tuple[Backend, Program]:
    """Decide where a run's program runs, and make ready what it needs there.

    ``auto`` is a container where the engine answers and has, or can pull, the image; otherwise a
    process on this host, with a notice. Foreign code gets a container or an error.

    Parameters
    ----------
    allow : Allow, optional
        What a run may ask for here; without it, anything.
    """
    if allow is not None:
        allow.check_source(spec)
    program = sources.program(spec, store, report)
    queued = store.queue(run.queue).resource if run.queue else None
    name = spec.resource or queued or "local-container"
    backend = backends.backend("local-container" if name == backends.AUTO else name)
    try:
        if reason := backend.available():
            why, _, what_to_do = reason.partition("\n")
            raise BackendUnavailable(why, hint=what_to_do)
        program = dress(store, run, spec, backend, program)
        if allow is not None:
            allow.check(backend.name, program, _trusted(store, run, spec, backend.name))
        if spec.image and backend.inherits:
            text = f"The image {spec.image} has no effect: {backend.name} runs no images."
            store.append_event(run.id, "notice", {"text": text})
        return backend, backend.prepare(program, report)
    except (BackendUnavailable, ImageNotFound) as error:
        options = spec.resource_args.get(backend.name)
        if name != backends.AUTO or options or asked_for(spec):
            raise  # options of a container mean that it is to be one
        if program.foreign:
            error.hint += "\nCode that is not your own runs in a container only."
            raise
        notice = f"No container: {error.message} This runs as a process on this machine instead."
        store.append_event(run.id, "notice", {"text": notice})
    backend = backends.backend(backends.FALLBACK)
    program = dress(store, run, spec, backend, program)
    if allow is not None:
        allow.check(backend.name, program, {})
    return backend, program


def dress(store: Store, run: Run, spec: LaunchSpec, backend: Backend, program: Program) -> Program:
    """Give a program its environment, its interpreter, its image and the options of its place."""
    args = merge(_defaults(store, run, spec), spec.resource_args)
    options = dict(args.get(backend.name, {}))
    builder = options.pop("builder", {})
    backend.check(options)
    if backend.inherits:
        refuse_images(spec, backend.name)
    else:
        under = LaunchSpec.from_dict({"builder": builder}).to_dict()
        program = with_build(LaunchSpec.from_dict(merge(under, spec.to_dict())), program)
    python = python_of(run) if backend.inherits else "python3"
    return program.evolve(
        command=tuple(python if word == PYTHON else word for word in program.command),
        env=environment.variables(run, program.image),
        options=environment.substitute(options, run, program.image),
        secrets=spec.secrets,
    )


def _defaults(store: Store, run: Run, spec: LaunchSpec) -> dict[str, Any]:
    """Give what the queue's config says about resources, with the template variables' values."""
    if run.queue is None:
        return {}
    from .templates import fill  # noqa: PLC0415 - a launch now needs none of it

    defaults = store.queue(run.queue).config.get("resource_args", {})
    filled: dict[str, Any] = fill(defaults, spec.template_variables)
    return filled


def _trusted(store: Store, run: Run, spec: LaunchSpec, name: str) -> Mapping[str, Any]:
    """Give the options that the queue's config, and nothing a submitter wrote, decides."""
    if run.queue is None:
        return {}
    config = store.queue(run.queue).config
    written = dict(config.get("resource_args", {}).get(name, {}))
    meant = environment.substitute(_defaults(store, run, spec).get(name, {}), run, spec.image)
    if meant != written:
        chosen = [run.name, run.project, run.entity, spec.author]
        variables = config.get("template_variables", {})
        for variable, value in spec.template_variables.items():
            if "enum" not in variables.get(variable, {}).get("schema", {}):
                chosen.append(str(value))
        if any(".." in text or not _PART.fullmatch(text) for text in chosen if text):
            return {}  # such a text could make another path of one in the config
    return {option: value for option, value in meant.items() if option != "builder"}


def preview(store: Store, spec: LaunchSpec, keep: Snapshots) -> dict[str, Any]:
    """Give exactly what executing a spec would start here now, doing none of it.

    Parameters
    ----------
    keep : Snapshots
        Where the spec's files are kept.

    Raises
    ------
    SpecError, Unsupported
    """
    spec, _ = resolve(spec, store, keep)
    whole = sources.applied(spec, store)
    program = sources.program(whole, keep, Silent())
    run = Run(
        id=spec.run_id or "dry-run",
        spec_json=spec.to_json(),
        state=State.LEASED,
        created=0.0,
        entity=spec.entity,
        project=spec.project,
        name=spec.name,
    )
    name = spec.resource or "local-container"
    backend = backends.backend("local-container" if name == backends.AUTO else name)
    if name == backends.AUTO and backend.available():
        backend = backends.backend(backends.FALLBACK)
    return backend.describe(dress(store, run, whole, backend, program), run)


def python_of(run: Run) -> str:
    """Give the submitter's own interpreter where this host has it, otherwise this process's."""
    source = run.spec.source
    asked = source.python if source else None
    return asked if asked and Path(asked).exists() else sys.executable
