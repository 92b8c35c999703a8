"""The states of a run, and the one table of legal moves between them."""

from __future__ import annotations

from enum import Enum


class State(str, Enum):
    """Where a run is in its life. Compares equal to W&B's lower-case word for it."""

    PENDING = "pending"
    LEASED = "leased"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    PREEMPTED = "preempted"
    CRASHED = "crashed"

    def __str__(self) -> str:
        return self.value

    @property
    def terminal(self) -> bool:
        """Whether nothing more can happen to the run."""
        return self in TERMINAL


S = State
TERMINAL = frozenset({S.FINISHED, S.FAILED, S.STOPPED, S.PREEMPTED, S.CRASHED})
OWNED = frozenset({S.LEASED, S.STARTING, S.RUNNING, S.STOPPING})
"""States in which exactly one process holds the run's lease."""

RETRIED = frozenset({S.PENDING, S.LEASED})
"""Where a run goes whose program is tried once more: on its queue, or with who launched it."""

TRANSITIONS: dict[State, frozenset[State]] = {
    S.PENDING: frozenset({S.LEASED, S.FAILED, S.STOPPED}),
    S.LEASED: frozenset({S.PENDING, S.STARTING, S.FAILED, S.STOPPED, S.CRASHED}),
    S.STARTING: RETRIED | {S.RUNNING, S.STOPPING, S.FAILED, S.STOPPED, S.PREEMPTED, S.CRASHED},
    S.RUNNING: RETRIED | {S.STOPPING, S.FINISHED, S.FAILED, S.STOPPED, S.PREEMPTED, S.CRASHED},
    S.STOPPING: frozenset({S.FINISHED, S.FAILED, S.STOPPED, S.PREEMPTED, S.CRASHED}),
    **{state: frozenset() for state in TERMINAL},
}


def legal(before: State, after: State) -> bool:
    """Say whether a run may go from `before` to `after`."""
    return after in TRANSITIONS[before]
