"""Retries: whether a program that ended badly is tried once more, and when. All of it is pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pydantic import ValidationError

from .runs import Event, QueueRecord, Run
from .spec import LaunchSpec
from .spec_parts import Retry
from .states import State

_BAD = frozenset({State.FAILED, State.CRASHED, State.PREEMPTED})


class Outcome(NamedTuple):
    """How an attempt ended; without an exit code where none is known."""

    state: State
    exit_code: int | None = None
    reason: str = ""


class Attempt(NamedTuple):
    """One attempt at a run, numbered from 1: when (Unix times), and what came of it so far."""

    number: int
    started: float | None
    ended: float | None
    outcome: str


def policy_of(spec: LaunchSpec, queue: QueueRecord | None) -> Retry:
    """Give the policy that counts for a run: its own, else that of the queue it stood on."""
    if spec.retry.max_retries is not None or queue is None or queue.retry is None:
        return spec.retry
    try:
        return Retry.model_validate(queue.retry)
    except ValidationError:  # recorded by another version; a program's result is not lost by it
        return spec.retry


def pause(outcome: Outcome, attempt: int, policy: Retry) -> float | None:
    """Say in how many seconds a run is tried once more; ``None`` if that is its end.

    Parameters
    ----------
    outcome : Outcome
        How the attempt ended.
    attempt : int
        Which it was, counted from 0.
    policy : Retry
        What counts.
    """
    if outcome.state not in _BAD or attempt >= (policy.max_retries or 0):
        return None
    codes = {int(word) for word in policy.on if word.isdecimal()}
    code = outcome.exit_code if outcome.state is State.FAILED else None
    return backoff(attempt, policy) if outcome.state in policy.on or code in codes else None


def backoff(attempt: int, policy: Retry) -> float:
    """Give the seconds between the end of an attempt, counted from 0, and the next one."""
    return min(policy.max_backoff_s, policy.backoff_s * 2.0**attempt)


def told(outcome: Outcome, attempt: int, policy: Retry, wait_s: float) -> str:
    """Say in a line what became of an attempt, and when the next one is."""
    how = f"{outcome.state}"
    if outcome.exit_code is not None:
        how += f" with exit code {outcome.exit_code}"
    if outcome.reason and str(outcome.exit_code) not in outcome.reason:
        how += f" ({outcome.reason.partition(chr(10))[0]})"
    whole = (policy.max_retries or 0) + 1
    return f"attempt {attempt + 1} of {whole} {how}; the next one in {wait_s:g} s"


def attempts(run: Run, events: Iterable[Event]) -> list[Attempt]:
    """Tell the attempts at a run apart, oldest first; the last one is that of now.

    Parameters
    ----------
    run : Run
        The run as it is.
    events : iterable of Event
        All of its events, in order.
    """
    found: list[Attempt] = []
    started: float | None = None
    for event in events:
        if event.data.get("state") == State.RUNNING:
            started = started or event.at
        elif "retry_in" in event.data:
            outcome = event.data["reason"].rpartition("; ")[0]
            found.append(Attempt(len(found) + 1, started, event.at, outcome))
            started = None
    now = f"{run.state}" + (f": {run.reason}" if run.reason else "")
    return [*found, Attempt(run.attempt + 1, run.started, run.ended, now)]
