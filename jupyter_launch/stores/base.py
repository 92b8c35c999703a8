"""The seam to the places where runs are recorded.

Public verbs are what every store promises; one contract-test class holds all of them to it.
"""

from __future__ import annotations

import difflib
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from ..bell import Listener
from ..errors import RunNotFound
from ..runs import NO_ROOM, Event, LogPiece, LogPosition, Queue, Room, Run, Sample
from ..spec import LaunchSpec
from ..states import State
from .artifact_verbs import ArtifactVerbs
from .job_verbs import JobVerbs
from .queue_verbs import QueueVerbs
from .upkeep_verbs import UpkeepVerbs

LEASE_S = 15.0
"""How long a lease lasts without being renewed, in seconds."""

RECENT = 200
"""How many runs, the newest, are looked at for one whose id is like one that is not there."""

NEW_WORK = "queue"
"""The topic that rings when an item was put on any queue."""

ANY_RUN = "runs"
"""The topic that rings when a run was recorded, got into another state, or was deleted."""


def log_of(run_id: str) -> str:
    """Name the topic that rings when a run's log has grown: far more often than its own."""
    return f"{run_id}.log"


class Offer(NamedTuple):
    """The room of an owner who claims: what is free now, and when nothing runs."""

    free: Room
    whole: Room


@dataclass(frozen=True)
class Change:
    """What changes with a run's state, or not (``None``); `error` is the kind of the reason.

    `retry_in` is for a run that goes back to be tried once more, in so many seconds at the
    earliest: the next time it starts is its next attempt.
    """

    reason: str = ""
    error: str | None = None
    handle: str | None = None
    resource: str | None = None
    exit_code: int | None = None
    spec_json: str | None = None
    retry_in: float | None = None


class Store(QueueVerbs, JobVerbs, ArtifactVerbs, UpkeepVerbs):
    """Runs, their events and logs, and queues. Safe to use from several threads and processes.

    Every verb raises `StoreUnavailable` when the store cannot be reached or written.

    `url` is for people and `address` what to open it by: it may hold a password, and goes to other
    processes through the environment alone.
    """

    url: str
    address: str
    id: str
    private: ClassVar[bool] = False
    """Whether all that is in it comes from the one user whose file it is."""

    # -- runs ----------------------------------------------------------------------------------

    @abstractmethod
    def submit(
        self,
        spec: LaunchSpec,
        *,
        queue: Queue | None = None,
        owner: str | None = None,
        parent: str | None = None,
        room: Room = NO_ROOM,
    ) -> Run:
        """Record a run, durably: pending on `queue`, or leased by `owner` from the start.

        It is claimed only by who offers the `room` that it asks for.

        Raises
        ------
        QueueNotFound
            When there is no such queue.
        StoreError
            When the queue takes nothing more, because it is drained.
        SpecError
            When the spec's `run_id` is taken.
        """

    @abstractmethod
    def claim(
        self, queues: Sequence[Queue], owner: str, names: Iterable[str], offer: Offer | None = None
    ) -> Run | None:
        """Lease the next run of the first of the queues that has one: never to two owners.

        Within a queue, the lowest priority number goes first, then who was submitted first. A queue
        that is paused, or has as many runs at work as it may, gives none. Left to others are runs
        that ask for a secret that is not among the environment `names` of the owner, and those that
        ask for more than it has.

        A run that must wait for room holds back those behind it, in all queues: otherwise small
        ones could pass it for ever.

        Parameters
        ----------
        queues : sequence of Queue
            Those that do not exist are passed over.
        owner : str
            Who claims.
        names : iterable of str
            What is in its environment.
        offer : Offer, optional
            Its room; without it, all there is.
        """

    @abstractmethod
    def renew(self, owner: str) -> list[Run]:
        """Renew all leases of an owner and give the runs it still holds."""

    @abstractmethod
    def sweep(self, owner: str) -> list[Run]:
        """Take over runs whose owner is gone; give the ones `owner` now holds.

        A queued run that never started goes back to its queue instead. A program on another machine
        is left to the owners there for one more lease. Runs that waited on their queue for longer
        than their `max_wait_time` fail.
        """

    @abstractmethod
    def move(self, run_id: str, owner: str | None, state: State, change: Change) -> Run:
        """Put a run into another state, with an event, in one step.

        Raises
        ------
        IllegalTransition
            When the run cannot go there from where it is.
        LeaseLost
            When `owner` does not hold the run any more.
        """

    @abstractmethod
    def leftovers(self, before: float, host: str) -> list[Run]:
        """Give runs of a machine that ended before a Unix time and still have a handle."""

    @abstractmethod
    def clear_handle(self, run_id: str, handle: str) -> None:
        """Record that nothing is left of an ended run, or attempt, at its backend."""

    @abstractmethod
    def request_stop(self, run_id: str, *, kill: bool = False) -> Run:
        """Ask for a run to be stopped. One that nobody holds is stopped at once.

        `kill`: the program gets no grace, or no more of it.
        """

    @abstractmethod
    def find(self, run_id: str) -> Run | None:
        """Give a run, or ``None``."""

    def get(self, run_id: str) -> Run:
        """Give a run. Raises `RunNotFound`."""
        run = self.find(run_id)
        if run is None:
            known = [one.id for one in self.runs(limit=RECENT)]
            begun = [one for one in known if one.startswith(run_id)]
            raise self._unknown(run_id, begun[:3] or difflib.get_close_matches(run_id, known))
        return run

    def _unknown(self, run_id: str, alike: Sequence[str] = ()) -> RunNotFound:
        meant = f"Did you mean {' or '.join(alike)}? " if alike else ""
        return RunNotFound(
            f"There is no run {run_id!r} in {self.url}.",
            hint=f"{meant}`jupyter launch list` shows the runs there are.",
        )

    @abstractmethod
    def runs(
        self,
        *,
        states: Iterable[State] = (),
        queue: Queue | None = None,
        notebook: str | None = None,
        text: str | None = None,
        limit: int = 50,
    ) -> list[Run]:
        """Give runs, newest first: of a notebook, with a text in their id, name or program."""

    @abstractmethod
    def places(self) -> Mapping[str, int]:
        """Count, for every pending run on a queue, those that will be claimed before it."""

    @abstractmethod
    def attempts(self, run_id: str) -> list[Run]:
        """Give a run with all that it was launched again from, or as: oldest first."""

    @abstractmethod
    def ahead(self, run: Run) -> int:
        """Count the pending runs that will be claimed before this pending one."""

    @abstractmethod
    def requeue(self, run: Run) -> Run:
        """Record another queue, priority, spec or room of a pending run. Its place is by its age.

        Raises
        ------
        QueueNotFound
        IllegalTransition
            When it is not pending any more.
        """

    @abstractmethod
    def delete(self, run_id: str) -> bool:
        """Take a pending run off its queue, leaving no trace. False if it is not pending."""

    # -- events and logs -----------------------------------------------------------------------

    @abstractmethod
    def append_event(self, run_id: str, kind: str, data: Mapping[str, Any]) -> Event:
        """Record that something happened to a run."""

    @abstractmethod
    def events(self, run_id: str, after: int = 0) -> list[Event]:
        """Give a run's events with a number above `after`, in order."""

    @abstractmethod
    def append_log(self, run_id: str, owner: str, frames: Iterable[tuple[int, bytes]]) -> None:
        """Add what the program wrote: (stream, bytes) in order. Raises `LeaseLost`."""

    @abstractmethod
    def read_log(self, run_id: str, offset: int = 0, limit: int = 1 << 20) -> bytes:
        """Give at most `limit` bytes of the log from a byte offset; empty at its end."""

    @abstractmethod
    def log_position(self, run_id: str) -> LogPosition:
        """Say how much of each stream is stored."""

    @abstractmethod
    def log_pieces(self, run_id: str, start: int = 0, limit: int = 4096) -> list[LogPiece]:
        """Give at most `limit` of the pieces the log was written in, from number `start` on.

        They are recorded before their bytes: the newest may claim more than is there (yet). If
        their writer died in between, the next one changes them to what is there.
        """

    @abstractmethod
    def append_sample(self, run_id: str, owner: str, sample: Sample) -> None:
        """Add what the program uses at a moment. Raises `LeaseLost`. Wakes nobody up."""

    @abstractmethod
    def samples(self, run_id: str, after: float = 0.0) -> list[Sample]:
        """Give the samples taken after a Unix time, in order."""

    # -- waking up -----------------------------------------------------------------------------

    @abstractmethod
    def listen(self, *topics: str) -> Listener:
        """Listen to run ids, logs (`log_of`), owners or topics; enter it *before* looking."""

    def wait(
        self, run_id: str, until: Callable[[Run], bool], timeout: float | None = None
    ) -> Run | None:
        """Sleep until `until` holds for the run, and give it; ``None`` after `timeout` seconds.

        Looks again every two seconds besides, so that a lost wake-up costs no more than that.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self.listen(run_id) as listener:
            while not until(run := self.get(run_id)):
                left = 2.0 if deadline is None else min(2.0, deadline - time.monotonic())
                if left <= 0:
                    return None
                listener.wait(left)
        return run

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections."""
