"""Following: what a started program writes goes to the store, until it has ended or is stopped."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from functools import partial

from . import backends
from .backends.base import Result
from .errors import BackendError, IllegalTransition, StoreError
from .lease import Claim, Ending
from .multiplex import LogMerger, unfinished_stream
from .retries import Outcome
from .runs import Run
from .sampling import sampled
from .states import State
from .stores.base import Change, Store

AGAIN_S = 5.0
"""How long after a stop that did not work it is tried again, in seconds."""


def follow(store: Store, run: Run, owner: str, claim: Claim, *, fresh: bool) -> Outcome:
    """Follow a run's program to its end, and say how it ended.

    Parameters
    ----------
    store, run, owner, claim
        As for `execute`; the run has a handle.
    fresh : bool
        Whether this process started the program just now.
    """
    assert run.handle is not None
    assert run.resource is not None
    handle, backend = run.handle, backends.backend(run.resource)
    append = partial(store.append_log, run.id, owner)
    unfinished = 0 if fresh else unfinished_stream(store, run.id)
    look = partial(backend.stats, handle)
    with _stoppable(store, run, owner, claim), _limited(run, claim, fresh=fresh):
        with sampled(store, run, owner, look, fresh=fresh), LogMerger(append, unfinished) as log:
            for frames in backend.attach(handle, store.log_position(run.id)):
                log.add(frames)
        result = backend.result(handle)
    return _outcome(result, claim)


@contextlib.contextmanager
def _stoppable(store: Store, run: Run, owner: str, claim: Claim) -> Iterator[None]:
    """Stop the program when that is asked for, until the context is left."""
    assert run.resource is not None
    handle, backend = run.handle or "", backends.backend(run.resource)
    over = threading.Event()

    def stop() -> None:
        with contextlib.suppress(IllegalTransition, StoreError):
            store.move(run.id, owner, State.STOPPING, Change())
        told = ""
        while (failed := try_to_stop()) and not over.is_set():
            if failed != told:
                text = f"Stopping failed: {failed}\nTrying again."
                with contextlib.suppress(StoreError):
                    store.append_event(run.id, "notice", {"text": text})
                    told = failed
            over.wait(AGAIN_S)

    def try_to_stop() -> str:
        try:
            backend.stop(handle, 0 if claim.killing else run.spec.grace_s)
        except BackendError as error:
            return str(error)
        return ""

    claim.stop_with(stop)
    try:
        yield
    finally:
        over.set()
        claim.stop_with(None)


@contextlib.contextmanager
def _limited(run: Run, claim: Claim, *, fresh: bool) -> Iterator[None]:
    """Stop the program when it has run for as long as it may, whoever started it."""
    limit = run.spec.max_run_time
    if limit is None:
        yield
        return
    gone = 0.0 if fresh else time.time() - (run.started or time.time())
    left = min(max(0.0, limit - gone), limit, threading.TIMEOUT_MAX)
    ending = Ending(State.FAILED, f"ran longer than its max_run_time of {limit:g} s")
    timer = threading.Timer(left, claim.stop, [ending])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _outcome(result: Result, claim: Claim) -> Outcome:
    code = result.exit_code
    if claim.ending is not None:
        state, why = claim.ending
        if state is State.STOPPED:
            why = f"{'killed' if claim.killing else 'stopped'} {why}"
        return Outcome(state, code, why)
    if code is None:
        return Outcome(State.CRASHED, None, result.reason)
    if code == 0:
        return Outcome(State.FINISHED, 0, result.reason)
    return Outcome(State.FAILED, code, result.reason or f"the program ended with exit code {code}")
