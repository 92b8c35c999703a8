"""The seam to the places where runs are recorded.

Public verbs are what every store promises; one contract-test class holds all of them to it.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..bell import Listener
from ..errors import QueueNotFound, RunNotFound
from ..job import Job, JobName, JobRef
from ..runs import Agent, Event, LogPiece, LogPosition, Queue, Run, Sample
from ..spec import LaunchSpec
from ..states import State
from .artifact_verbs import ArtifactVerbs

LEASE_S = 15.0
"""How long a lease lasts without being renewed, in seconds."""

NEW_WORK = "queue"
"""The topic that rings when an item was put on any queue."""

ANY_RUN = "runs"
"""The topic that rings when a run was recorded, got into another state, or was deleted."""

FIRST_QUEUE = "default"
"""The queue that needs no creating: every entity has it."""


@dataclass(frozen=True)
class Change:
    """What changes with a run's state, or not (``None``); `error` is the kind of the reason."""

    reason: str = ""
    error: str | None = None
    handle: str | None = None
    resource: str | None = None
    exit_code: int | None = None
    spec_json: str | None = None


class Store(ArtifactVerbs):
    """Runs, their events and logs, and queues. Safe to use from several threads and processes.

    Every verb raises `StoreUnavailable` when the store cannot be reached or written.
    """

    url: str
    id: str

    # -- runs ----------------------------------------------------------------------------------

    @abstractmethod
    def submit(
        self,
        spec: LaunchSpec,
        *,
        queue: Queue | None = None,
        owner: str | None = None,
        parent: str | None = None,
    ) -> Run:
        """Record a run, durably: pending on `queue`, or leased by `owner` from the start.

        Raises
        ------
        QueueNotFound
            When there is no such queue.
        SpecError
            When the spec's `run_id` is taken.
        """

    @abstractmethod
    def claim(self, queues: Sequence[Queue], owner: str, names: Iterable[str]) -> Run | None:
        """Lease the next pending run: lowest priority number first, then in order of submission.

        `names` are the environment names the owner has: a run that asks for a secret the owner
        cannot give is left to others. Never gives one run to two owners.
        """

    @abstractmethod
    def renew(self, owner: str) -> list[Run]:
        """Renew all leases of an owner and give the runs it still holds."""

    @abstractmethod
    def sweep(self, owner: str) -> list[Run]:
        """Take over runs whose owner is gone; give the ones `owner` now holds.

        A queued run that never started goes back to its queue instead.
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
    def leftovers(self, before: float) -> list[Run]:
        """Give runs that ended before a Unix time and still have a handle: see `clear_handle`."""

    @abstractmethod
    def clear_handle(self, run_id: str) -> None:
        """Record that nothing is left of an ended run at its backend."""

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
            raise RunNotFound(
                f"There is no run {run_id!r} in {self.url}.",
                hint="`jupyter launch list` shows the runs there are.",
            )
        return run

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

    # -- queues and agents ---------------------------------------------------------------------

    @abstractmethod
    def create_queue(self, queue: Queue, resource: str, config: Mapping[str, Any]) -> bool:
        """Make a queue; False if there is one of that name, which stays as it is.

        ``config["resource_args"]`` is laid under the resource_args of the queue's items.
        """

    @abstractmethod
    def queue_config(self, queue: Queue) -> tuple[str, dict[str, Any]]:
        """Give a queue's resource and default config. Raises `QueueNotFound`."""

    def ensure_queue(self, queue: Queue) -> None:
        """Make the queue if it is an entity's first one. Raises `QueueNotFound` for others."""
        try:
            self.queue_config(queue)
        except QueueNotFound:
            if queue.name != FIRST_QUEUE:
                raise
            self.create_queue(queue, "local-container", {})

    @abstractmethod
    def queues(self) -> list[Queue]:
        """Give all queues."""

    @abstractmethod
    def put_agent(self, agent: Agent) -> None:
        """Record an agent, or its heartbeat."""

    @abstractmethod
    def drop_agent(self, agent_id: str) -> None:
        """Forget an agent that ended."""

    @abstractmethod
    def agents(self) -> list[Agent]:
        """Give the agents that are alive."""

    # -- jobs and snapshots --------------------------------------------------------------------

    @abstractmethod
    def put_job(self, name: JobName, content: Mapping[str, Any], aliases: Sequence[str]) -> Job:
        """Make a version of a job, and let ``latest`` and the aliases point to it.

        Where its newest version says the same already (see `digest`), that one is given.
        """

    @abstractmethod
    def find_job(self, ref: JobRef) -> Job | None:
        """Give the version of a job that an alias points to, or ``None``."""

    @abstractmethod
    def jobs(self, entity: str | None = None, project: str | None = None) -> list[Job]:
        """Give all versions of all jobs, or of an entity's or project's: newest version first."""

    @abstractmethod
    def delete_job(self, job: Job) -> None:
        """Delete a version of a job; ``latest`` then points to the newest that is left.

        Raises
        ------
        StoreError
            Naming the runs that have not ended and need it: then nothing is deleted.
        """

    @abstractmethod
    def put_snapshot(self, chunks: bytes | Iterable[bytes]) -> str:
        """Keep a tar archive and give its name, which follows from its content alone."""

    @abstractmethod
    def get_snapshot(self, name: str) -> bytes:
        """Give back a tar archive. Raises `StoreError` if it is not there."""

    # -- waking up -----------------------------------------------------------------------------

    @abstractmethod
    def listen(self, topic: str) -> Listener:
        """Listen to a run id, an owner or a topic; enter it *before* looking."""

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
