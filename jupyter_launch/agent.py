"""The agent: a process that claims runs from queues and executes them."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Sequence

from .errors import SpecError, StoreError, StoreUnavailable
from .lease import AGENT_ENDS
from .leftovers import clear_strays
from .rooms import machine_room
from .runs import DRAINING, RUNNING, Agent, Queue, Room, new_id
from .stores.base import LEASE_S, NEW_WORK
from .submit import Launcher

TRY_AGAIN_S = 5.0
"""How long the agent waits for a store that does not answer, in seconds."""

MOST_JOBS = 10_000
"""How many runs one agent has at once at most: each has threads of its own."""

TIDY_S = 60.0
"""How often it clears away what runs of its machine left behind, in seconds."""

STOPPING = "stopping"
"""What an agent is asked for that is to stop its runs at once, and its status then."""


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
    room : Room, optional
        What it offers to them together; default: what the machine has.
    idle_s : float, optional
        Seconds without work after which the agent ends; without it, never.

    Raises
    ------
    QueueNotFound, SpecError
    """

    say: Callable[[str], object] = len
    """Takes one line about what the agent does."""

    def __init__(
        self,
        launcher: Launcher,
        queues: Sequence[Queue],
        *,
        max_jobs: int = 1,
        room: Room | None = None,
        idle_s: float | None = None,
    ) -> None:
        if not 1 <= max_jobs <= MOST_JOBS:
            raise SpecError(
                f"max_jobs must be from 1 to {MOST_JOBS:,}, not {max_jobs}.", field="max_jobs"
            )
        now, room = time.time(), machine_room() if room is None else room
        owner = launcher.keeper.owner
        self.record = Agent(new_id(), owner, tuple(queues), max_jobs, now, now, RUNNING, room=room)
        self._launcher = launcher
        self._idle_s = idle_s
        self._draining, self._ended = threading.Event(), threading.Event()
        self._status, self._recording = RUNNING, threading.Lock()
        self._turn = list(dict.fromkeys(queues))  # who was served last is served last
        for queue in queues:
            launcher.store.ensure_queue(queue)
        self._listener = launcher.store.listen(NEW_WORK)
        launcher.on_free = self._listener.ring
        launcher.keeper.on_ring = self._report
        self._report()

    def drain(self) -> None:
        """Take nothing new; `run` returns once what runs has ended."""
        self._become(DRAINING)

    def stop(self) -> None:
        """Take nothing new and stop what runs; `run` returns once that has ended."""
        self._become(STOPPING)
        self._launcher.keeper.stop_all(AGENT_ENDS)

    def run(self) -> None:
        """Claim and execute until drained or idle for too long."""
        threading.Thread(target=self._tidy, name="launch-tidy", daemon=True).start()
        try:
            with self._listener:
                while True:
                    self._serve()
                    self._drop()
                    # Somebody may have counted on this agent in the moment before it was dropped.
                    if not self._fill():
                        return
        finally:
            self._ended.set()
            self._drop()

    def _drop(self) -> None:
        with self._recording, contextlib.suppress(StoreError):
            self._launcher.store.drop_agent(self.record.id)

    def _serve(self) -> None:
        busy_at, beat_at, lost = time.monotonic(), float("-inf"), False
        while not self._over(busy_at):
            try:
                if time.monotonic() - beat_at >= LEASE_S:
                    self._report()
                    beat_at = time.monotonic()
                    if lost:
                        self.say("the store answers again")
                    lost = False
                self._fill()
            except StoreUnavailable as error:
                if not lost:
                    self.say(f"{error.message} What runs goes on; trying again.")
                lost, beat_at = True, float("-inf")
            except StoreError:
                pass  # the next round asks again
            if self._launcher.keeper.held():
                busy_at = time.monotonic()
            self._listener.wait(self._pause(busy_at))

    def _fill(self) -> bool:
        """Take as many runs as there is room for; say whether there was any."""
        found = False
        while not self._draining.is_set() and self._launcher.keeper.held() < self.record.max_jobs:
            run = self._launcher.claim(self._turn, self.record.room)
            if run is None:
                break
            if run.queue in self._turn:
                self._turn.remove(run.queue)
                self._turn.append(run.queue)
            found = True
            self.say(f"run {run.id} claimed from {run.queue}")
        return found

    def _over(self, busy_at: float) -> bool:
        if self._launcher.keeper.held():
            return False
        since = max(busy_at, self._launcher.due)  # a retry may be waited for
        idle = self._idle_s is not None and time.monotonic() - since >= self._idle_s
        return idle or self._draining.is_set()

    def _pause(self, busy_at: float) -> float:
        now = time.monotonic()
        ends = [TRY_AGAIN_S]
        if self._launcher.due > now:
            ends.append(self._launcher.due - now)
        if self._idle_s is not None and not self._launcher.keeper.held():
            ends.append(max(busy_at, self._launcher.due) + self._idle_s - now)
        return max(0.0, min(ends))

    def _become(self, status: str) -> None:
        self._status = status
        self._draining.set()
        self._listener.ring()
        with contextlib.suppress(StoreError):
            self._report()

    def _report(self) -> None:
        """Record that this agent lives, and do what it was asked for."""
        with self._recording:
            if self._ended.is_set():
                return
            now = dataclasses.replace(self.record, heartbeat=time.time(), status=self._status)
            asked = self._launcher.store.put_agent(now)
        if asked == STOPPING and self._status != STOPPING:
            self.say("asked to end: stopping what runs here")
            self.stop()
        elif asked == DRAINING and self._status == RUNNING:
            self.say("asked to end: taking no more runs")
            self.drain()

    def _tidy(self) -> None:
        while True:
            with contextlib.suppress(StoreError):
                clear_strays(self._launcher.store)
                self._launcher.clear_leftovers()
            if self._ended.wait(TIDY_S):
                return
