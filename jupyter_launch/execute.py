"""Execute: the one path from a held run to its result, for every front end and the agent."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from . import backends, environment, sources
from .backends.base import Backend, Result
from .builds.recipes import asked_for, refuse_images, with_build
from .collecting import collect
from .errors import (
    BackendError,
    BackendUnavailable,
    IllegalTransition,
    ImageNotFound,
    LaunchError,
    LeaseLost,
    RunStopped,
    StoreError,
)
from .job import NO_PROJECT, JobName, content_of, job_name, launch_of
from .lease import Claim
from .multiplex import LogMerger, unfinished_stream
from .preparation import Preparation
from .program import Program
from .report import Report, Silent
from .resolve import resolve
from .runs import Run
from .sampling import sampled
from .sources.base import Snapshots
from .sources.code import PYTHON
from .spec import LaunchSpec, merge
from .states import State
from .stores.base import Change, Store


def execute(store: Store, run: Run, owner: str, claim: Claim) -> None:
    """Take a run from where it is to its end. Never raises for what is wrong with the run.

    Parameters
    ----------
    store : Store
        Where the run is recorded; everything that happens is.
    run : Run
        Held by `owner`.
    claim : Claim
        Says when to stop.

    Notes
    -----
    If the store cannot be written, or another process has taken over, this simply returns: the run
    is as the store last knew it, and the lease decides who goes on.
    """
    try:
        fresh = run.handle is None
        if fresh:
            if not _begin(store, run, owner, claim):
                return
            run = store.get(run.id)
        _follow(store, run, owner, claim, fresh=fresh)
    except StoreError:
        return
    except LaunchError as error:
        with contextlib.suppress(StoreError):
            _give_up(store, store.get(run.id), owner, error)
    except BaseException as error:
        reason = f"jupyter_launch itself failed ({type(error).__name__}: {error}): please report it"
        with contextlib.suppress(StoreError):
            store.move(run.id, owner, State.CRASHED, Change(reason))
        raise
    clear(store, run.id)


def _give_up(store: Store, run: Run, owner: str, error: LaunchError) -> None:
    """Record an error, as mildly as the truth allows: a program that may live is not ended."""
    reason = str(error)
    if isinstance(error, RunStopped):
        store.move(run.id, owner, State.STOPPED, Change("stopped before it started"))
    elif isinstance(error, BackendUnavailable) and run.state is State.LEASED and run.queue:
        store.move(run.id, owner, State.PENDING, Change(reason))
    elif isinstance(error, BackendUnavailable) and run.state in {State.RUNNING, State.STOPPING}:
        store.append_event(run.id, "notice", {"text": f"{reason}\nTrying again."})
    else:
        store.move(run.id, owner, State.FAILED, Change(reason, type(error).__name__))


def _begin(store: Store, run: Run, owner: str, claim: Claim) -> bool:
    """Start a run's program. False if the run went back to its queue instead, as a job."""
    if claim.adopted:
        reason = "the process that launched it ended before the program started; launch it again"
        store.move(run.id, owner, State.CRASHED, Change(reason=reason))
        raise LeaseLost
    claim.check()
    spec = sources.applied(run.spec, store)
    backend, program = place(store, run, spec, Preparation(store, run.id, owner, claim))
    claim.check()
    launch = (
        _make_job(store, run, content_of(_built(spec, program)))
        if run.spec.build or run.spec.job_name or (program.built and not run.spec.job)
        else None
    )
    if launch and run.queue:
        store.move(run.id, owner, State.PENDING, Change(spec_json=launch))
        return False
    surroundings = environment.of_this_host(os.environ, _python(run)) if backend.inherits else {}
    variables = {
        **surroundings,
        **program.env,
        **environment.with_secrets(spec, os.environ),
    }
    handle = backend.handle(run)
    store.move(
        run.id,
        owner,
        State.STARTING,
        Change(handle=handle, resource=backend.name, spec_json=launch),
    )
    claim.check()
    backend.start(program, run, variables)
    store.move(run.id, owner, State.RUNNING, Change())
    return True


def _built(spec: LaunchSpec, program: Program) -> LaunchSpec:
    """Let a spec say that its image is there, if everybody can pull it from a registry."""
    if spec.repository is None or not program.image:
        return spec
    left = {"requirements", "builder", "registry", "image_uri"}
    data = {name: value for name, value in spec.to_dict().items() if name not in left}
    data.get("overrides", {}).pop("dockerfile", None)
    whole: dict[str, Any] = {"docker": {"docker_image": program.image}}
    whole["builder"] = {"type": "noop"}
    if program.archive is None:  # the code is in the image
        data = {name: value for name, value in data.items() if name not in {"source", "uri", "git"}}
        whole["overrides"] = {"entry_point": list(program.command)}
    return LaunchSpec.from_dict(merge(data, whole))


def _make_job(store: Store, run: Run, content: Mapping[str, Any]) -> str | None:
    """Make the job that a launch asked for; for a build, give the launch of that job."""
    spec = run.spec
    name = JobName(run.entity or "", run.project or NO_PROJECT, spec.job_name or job_name(spec))
    job = store.put_job(name, content, ())
    asked = spec.build or spec.job_name
    told = {"text": f"This is the job {job.ref}."}
    store.append_event(run.id, "notice" if asked else "progress", told)
    return launch_of(job, spec).to_json() if spec.build else None


def place(store: Store, run: Run, spec: LaunchSpec, report: Report) -> tuple[Backend, Program]:
    """Decide where a run's program runs, and make ready what it needs there.

    ``auto`` is a container where the engine answers and has, or can pull, the image; otherwise a
    process on this host, with a notice. Foreign code gets a container or an error.
    """
    program = sources.program(spec, store, report)
    queued = store.queue(run.queue).resource if run.queue else None
    name = spec.resource or queued or "local-container"
    backend = backends.backend("local-container" if name == backends.AUTO else name)
    try:
        if reason := backend.available():
            why, _, what_to_do = reason.partition("\n")
            raise BackendUnavailable(why, hint=what_to_do)
        program = dress(store, run, spec, backend, program)
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
        return backend, dress(store, run, spec, backend, program)


def dress(store: Store, run: Run, spec: LaunchSpec, backend: Backend, program: Program) -> Program:
    """Give a program its environment, its interpreter, its image and the options of its place."""
    args = spec.resource_args
    if run.queue is not None:
        from .templates import fill  # noqa: PLC0415 - a launch now needs none of it

        defaults = store.queue(run.queue).config.get("resource_args", {})
        args = merge(fill(defaults, spec.template_variables), args)
    options = dict(args.get(backend.name, {}))
    builder = options.pop("builder", {})
    backend.check(options)
    if backend.inherits:
        refuse_images(spec, backend.name)
    else:
        under = LaunchSpec.from_dict({"builder": builder}).to_dict()
        program = with_build(LaunchSpec.from_dict(merge(under, spec.to_dict())), program)
    python = _python(run) if backend.inherits else "python3"
    return program.evolve(
        command=tuple(python if word == PYTHON else word for word in program.command),
        env=environment.variables(run, program.image),
        options=environment.substitute(options, run, program.image),
        secrets=spec.secrets,
    )


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


def _follow(store: Store, run: Run, owner: str, claim: Claim, *, fresh: bool) -> None:
    assert run.handle is not None
    assert run.resource is not None
    handle, backend = run.handle, backends.backend(run.resource)
    if not fresh and not backend.find(handle):
        reason = "its program is gone, and with it the exit code; the log is as far as it was read"
        store.move(run.id, owner, State.CRASHED, Change(reason=reason))
        return
    if run.state is State.STARTING:
        run = store.move(run.id, owner, State.RUNNING, Change())

    def stop() -> None:
        with contextlib.suppress(IllegalTransition, StoreError):
            store.move(run.id, owner, State.STOPPING, Change())
        try:
            backend.stop(handle, 0 if claim.killing else run.spec.grace_s)
        except BackendError as error:
            with contextlib.suppress(StoreError):
                store.append_event(run.id, "notice", {"text": f"Stopping failed: {error}"})

    claim.stop_with(stop)
    append = partial(store.append_log, run.id, owner)
    unfinished = 0 if fresh else unfinished_stream(store, run.id)
    look = partial(backend.stats, handle)
    with sampled(store, run, owner, look, fresh=fresh), LogMerger(append, unfinished) as log:
        for frames in backend.attach(handle, store.log_position(run.id)):
            log.add(frames)
    result = backend.result(handle)
    state, reason = _outcome(result, claim)
    collect(store, run, owner, backend)
    store.move(run.id, owner, state, Change(reason=reason, exit_code=result.exit_code))


def _outcome(result: Result, claim: Claim) -> tuple[State, str]:
    if claim.stopping:
        return State.STOPPED, f"{'killed' if claim.killing else 'stopped'} on request"
    if result.exit_code is None:
        return State.CRASHED, result.reason
    if result.exit_code == 0:
        return State.FINISHED, result.reason
    return State.FAILED, result.reason or f"the program ended with exit code {result.exit_code}"


def clear(store: Store, run_id: str) -> None:
    """Remove what an ended run left at its backend. What cannot be removed now is tried later."""
    run = store.find(run_id)
    if run and run.state.terminal and run.handle and run.resource:
        with contextlib.suppress(BackendError, StoreError):
            backends.backend(run.resource).remove(run.handle)
            store.clear_handle(run_id, run.handle)


def _python(run: Run) -> str:
    """Give the submitter's own interpreter where this host has it, otherwise this process's."""
    source = run.spec.source
    asked = source.python if source else None
    return asked if asked and Path(asked).exists() else sys.executable
