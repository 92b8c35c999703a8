"""The agent: a process that claims runs from queues and executes them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence

from .errors import SpecError, StoreError
from .runs import Agent, Queue, new_id
from .stores.base import LEASE_S, NEW_WORK
from .submit import Launcher

TRY_AGAIN_S = 5.0
"""How long the agent waits for a store that does not answer, in seconds."""


class Serving:
    """One agent at work.

    Parameters
    ----------
    launcher : Launcher
        Claims and executes.
    queues : sequence of Queue
        Where from. They must exist, except for an entity's first queue.
    max_jobs : int
        How many runs at once.
    idle_s : float, optional
        Seconds without work after which the agent ends; without it, never.
    say : callable
        Takes one line about what the agent does.

    Raises
    ------
    QueueNotFound, SpecError
    """

    def __init__(
        self,
        launcher: Launcher,
        queues: Sequence[Queue],
        *,
        max_jobs: int = 1,
        idle_s: float | None = None,
        say: Callable[[str], object] = len,
    ) -> None:
        if max_jobs < 1:
            raise SpecError(f"max_jobs must be at least 1, not {max_jobs}.", field="max_jobs")
        now = time.time()
        self.record = Agent(
            new_id(), launcher.keeper.owner, tuple(queues), max_jobs, now, now, "running"
        )
        self._launcher = launcher
        self._idle_s = idle_s
        self._say = say
        self._draining = threading.Event()
        self._turn = list(dict.fromkeys(queues))  # who was served last is served last
        for queue in queues:
            launcher.store.ensure_queue(queue)
        self._listener = launcher.store.listen(NEW_WORK)
        launcher.on_free = self._listener.ring

    def drain(self) -> None:
        """Take nothing new; `run` returns once what runs has ended."""
        self._draining.set()
        self._listener.ring()

    def run(self) -> None:
        """Claim and execute until drained or idle for too long."""
        with self._listener:
            while True:
                self._serve()
                with contextlib.suppress(StoreError):
                    self._launcher.store.drop_agent(self.record.id)
                # Somebody may have counted on this agent in the moment before it was dropped.
                if not self._fill():
                    return

    def _serve(self) -> None:
        busy_at, beat_at = time.monotonic(), float("-inf")
        while not self._over(busy_at):
            with contextlib.suppress(StoreError):
                if time.monotonic() - beat_at >= LEASE_S or self._draining.is_set():
                    self._launcher.store.put_agent(self._now())
                    beat_at = time.monotonic()
                self._fill()
            if self._launcher.keeper.held():
                busy_at = time.monotonic()
            self._listener.wait(self._pause(busy_at))

    def _fill(self) -> bool:
        """Take as many runs as there is room for; say whether there was any."""
        found = False
        while not self._draining.is_set() and self._launcher.keeper.held() < self.record.max_jobs:
            run = self._launcher.claim(self._turn)
            if run is None:
                break
            if run.queue in self._turn:
                self._turn.remove(run.queue)
                self._turn.append(run.queue)
            found = True
            self._say(f"run {run.id} claimed from {run.queue}")
        return found

    def _over(self, busy_at: float) -> bool:
        if self._launcher.keeper.held():
            return False
        idle = self._idle_s is not None and time.monotonic() - busy_at >= self._idle_s
        return idle or self._draining.is_set()

    def _pause(self, busy_at: float) -> float:
        if self._idle_s is None or self._launcher.keeper.held():
            return TRY_AGAIN_S
        return min(TRY_AGAIN_S, max(0.0, busy_at + self._idle_s - time.monotonic()))

    def _now(self) -> Agent:
        status = "draining" if self._draining.is_set() else "running"
        return Agent(**{**vars(self.record), "heartbeat": time.time(), "status": status})
