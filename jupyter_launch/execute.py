"""Execute: the one path from a held run to its result, for every front end and the agent."""

from __future__ import annotations

import contextlib
import os
from functools import partial

from . import backends, environment, retries, sources
from .backends.base import Backend
from .collecting import collect
from .errors import (
    BackendError,
    BackendUnavailable,
    LaunchError,
    LeaseLost,
    QueueNotFound,
    RunStopped,
    StoreError,
)
from .following import follow
from .job_making import job_of
from .lease import ON_REQUEST, Claim
from .owner import host_of
from .placing import place, python_of
from .policy import Allow
from .preparation import Preparation
from .retries import Outcome
from .runs import ATTEMPT, Run
from .spec_parts import Retry
from .states import State
from .stores.base import Change, Store


def execute(store: Store, run: Run, owner: str, claim: Claim, allow: Allow | None = None) -> None:
    """Take a run from where it is to its end. Never raises for what is wrong with the run.

    Parameters
    ----------
    store : Store
        Where the run is recorded; everything that happens is.
    run : Run
        Held by `owner`.
    claim : Claim
        Says when to stop.
    allow : Allow, optional
        What the run may ask for here; without it, anything.

    Notes
    -----
    What an ended run left at its backend is for the caller to clear away.

    If the store cannot be written, or another process has taken over, this simply returns: the run
    is as the store last knew it, and the lease decides who goes on.
    """
    work = _Execution(store, owner, claim, allow)
    try:
        while True:
            run = work.attempt(run)
            if run.state is not State.LEASED:  # which it is if it is tried again, and by us
                break
    except LeaseLost:
        work.let_go(run)
        return
    except StoreError:
        return
    except LaunchError as error:
        with contextlib.suppress(StoreError):
            work.give_up(store.get(run.id), error)
    except BaseException as error:
        reason = f"jupyter_launch itself failed ({type(error).__name__}: {error}): please report it"
        with contextlib.suppress(StoreError):
            store.move(run.id, owner, State.CRASHED, Change(reason))
        raise


class _Execution:
    """What one process does for one run it holds. The state of the run decides what comes next.

    Parameters are those of `execute`.
    """

    def __init__(self, store: Store, owner: str, claim: Claim, allow: Allow | None) -> None:
        self._store, self._owner, self._claim, self._allow = store, owner, claim, allow
        self._host = host_of(owner)
        self._started: tuple[Backend, str, int] | None = None
        """What this process started last: where, its handle, and which attempt that is."""

    def attempt(self, run: Run) -> Run:
        """Take a run on from where it is, through one attempt; give it as it is then."""
        fresh = run.state is State.LEASED
        if fresh:
            run = self._begin(run)
            if run.state is not State.RUNNING:
                return run
        elif reason := self._lost(run):
            return self._end(run, Outcome(State.CRASHED, None, reason), lost=True)
        elif not self._found(run):
            if run.state is State.STARTING and run.queue:
                reason = "its agent ended before it started; waiting for another"
                return self._move(run, State.PENDING, Change(reason))
            reason = "its program is gone, and with it the exit code; the log is as far as it was"
            return self._end(run, Outcome(State.CRASHED, None, f"{reason} read"), lost=True)
        if run.state is State.STARTING:
            run = self._move(run, State.RUNNING, Change())
        return self._end(run, follow(self._store, run, self._owner, self._claim, fresh=fresh))

    def give_up(self, run: Run, error: LaunchError) -> None:
        """Record an error, as mildly as the truth allows: a program that may live is not ended."""
        reason, away = str(error), isinstance(error, BackendUnavailable)
        if isinstance(error, RunStopped):
            before = "its next attempt" if run.attempt else "it started"
            ending = self._claim.ending or ON_REQUEST
            why = "" if ending is ON_REQUEST else f", {ending.why}"
            self._move(run, State.STOPPED, Change(f"stopped before {before}{why}"))
        elif away and run.state is State.LEASED and run.queue:
            self._move(run, State.PENDING, Change(reason))
        elif away and (run.state in {State.RUNNING, State.STOPPING} or self._may_live(run)):
            text = f"{reason}\nTrying again."
            self._store.append_event(run.id, "notice", {"text": text})
        elif not away or not self._again(run, Outcome(State.CRASHED, None, reason)):
            self._move(run, State.FAILED, Change(reason, type(error).__name__))

    def let_go(self, run: Run) -> None:
        """End what this process started of an attempt that others have given up meanwhile.

        What they have not given up, they follow.
        """
        if self._started is None:
            return
        backend, handle, attempt = self._started
        with contextlib.suppress(BackendError, StoreError):
            now = self._store.find(run.id)
            if now is None or now.attempt != attempt or now.state.terminal:
                backend.stop(handle, 0)
                backend.remove(handle)

    def _may_live(self, run: Run) -> bool:
        """Say whether somebody else began to start a run's program."""
        return run.state is State.STARTING and self._started is None

    def _move(self, run: Run, state: State, change: Change) -> Run:
        return self._store.move(run.id, self._owner, state, change)

    # -- starting ------------------------------------------------------------------------------

    def _begin(self, run: Run) -> Run:
        """Start a run's program. It goes back to its queue instead if it became a job."""
        store, claim = self._store, self._claim
        if claim.adopted and not self._ours(run):
            before = "its next attempt" if run.attempt else "the program started"
            reason = f"the process that launched it ended before {before}; launch it again"
            return self._move(run, State.CRASHED, Change(reason))
        claim.check()
        if run.attempt:
            self._prepare_again(run)
        spec = sources.applied(run.spec, store)
        report = Preparation(store, run.id, self._owner, claim)
        backend, program = place(store, run, spec, report, self._allow)
        claim.check()
        launch = job_of(store, run, spec, program)
        if launch and run.queue:
            return self._move(run, State.PENDING, Change(spec_json=launch))
        surroundings = environment.of_this_host(os.environ, python_of(run))
        variables = {
            **(surroundings if backend.inherits else {}),
            **program.env,
            **environment.with_secrets(spec, os.environ),
        }
        handle = backend.handle(run)
        where = Change(handle=handle, resource=backend.name, spec_json=launch)
        self._move(run, State.STARTING, where)
        self._started = backend, handle, run.attempt
        claim.when_lost = partial(self.let_go, run)
        claim.check()
        backend.start(program, run, variables)
        return self._move(run, State.RUNNING, Change())

    def _clear_before(self, run: Run) -> None:
        """Remove what the attempt before left here: it may even live, if its start was cut short.

        Nothing starts while its backend is away. What cannot be removed is tried again later.
        """
        if run.handle and run.resource and run.host == self._host:
            try:
                backends.backend(run.resource).remove(run.handle)
            except BackendUnavailable:
                raise
            except BackendError:
                return
            self._store.clear_handle(run.id, run.handle)

    def _ours(self, run: Run) -> bool:
        """Say whether this process may go on with the attempts at a run that another one launched.

        Items of queues are for every agent; what somebody launched now is for nobody else.
        """
        if run.queue:
            return True
        names = run.spec.needed_names
        return bool(run.attempt) and self._store.private and all(n in os.environ for n in names)

    def _prepare_again(self, run: Run) -> None:
        """Do what comes before each further attempt: waiting, clearing away, a line in the log."""
        policy = self._policy(run)
        if not run.queue:  # an item waited on its queue
            self._claim.pause(retries.backoff(run.attempt - 1, policy))
        self._clear_before(run)
        size = self._store.log_position(run.id).size
        whole = (policy.max_retries or 0) + 1
        line = f"--- attempt {run.attempt + 1} of {whole} ---\n".encode()
        if self._store.read_log(run.id, max(0, size - len(line))) == line:
            return  # whoever wrote it ended before the program started
        unfinished = size and self._store.read_log(run.id, size - 1) != b"\n"
        end = b"\n" if unfinished else b""
        self._store.append_log(run.id, self._owner, [(ATTEMPT, end + line)])

    def _lost(self, run: Run) -> str:
        """Say why a program cannot be found from here; empty if it may."""
        if run.host in {None, self._host}:
            return ""
        return f"the machine {run.host} that it ran on is not heard of any more"

    def _found(self, run: Run) -> bool:
        assert run.handle is not None
        assert run.resource is not None
        return backends.backend(run.resource).find(run.handle)

    # -- ending --------------------------------------------------------------------------------

    def _end(self, run: Run, outcome: Outcome, *, lost: bool = False) -> Run:
        """Record how an attempt ended: it is the run's end, or there is another one."""
        if again := self._again(run, outcome):
            return again
        if not lost and run.resource:
            collect(self._store, run, self._owner, backends.backend(run.resource))
        change = Change(reason=outcome.reason, exit_code=outcome.exit_code)
        return self._move(run, outcome.state, change)

    def _again(self, run: Run, outcome: Outcome) -> Run | None:
        """Have a run tried once more, if its policy says so; ``None`` if this is its end."""
        if self._claim.stopping or run.state not in {State.STARTING, State.RUNNING}:
            return None
        if self._claim.adopted and not self._ours(run.evolve(attempt=run.attempt + 1)):
            return None
        policy = self._policy(run)
        wait_s = retries.pause(outcome, run.attempt, policy)
        if wait_s is None:
            return None
        reason = retries.told(outcome, run.attempt, policy, wait_s)
        change = Change(reason, exit_code=outcome.exit_code, retry_in=wait_s)
        return self._move(run, State.PENDING if run.queue else State.LEASED, change)

    def _policy(self, run: Run) -> Retry:
        queue = None
        if run.queue:
            with contextlib.suppress(QueueNotFound):
                queue = self._store.queue(run.queue)
        return retries.policy_of(run.spec, queue)
