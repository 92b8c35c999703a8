"""Why a run does not run yet, in a few words."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from functools import cached_property

from .errors import QueueNotFound
from .runs import PAUSED, RUNNING, Agent, Queue, QueueRecord, Room, Run
from .states import State
from .stores.base import Store


class Waiting:
    """Tells of runs that wait on queues why they do. One look at the store serves for all of them.

    Parameters
    ----------
    store : Store
        Where they wait.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queues: dict[Queue, QueueRecord | None] = {}

    @cached_property
    def _agents(self) -> list[Agent]:
        return self._store.agents()

    @cached_property
    def _counts(self) -> Mapping[Queue, tuple[int, int]]:
        return self._store.queue_counts()

    def why(self, run: Run) -> str:
        """Say what keeps a pending run from being taken, besides those before it; may be empty."""
        assert run.queue is not None
        said = [self._of_queue(run.queue) or self._of_agents(run)]
        said.append(run.reason.partition("\n")[0].rstrip("."))
        if run.ready > time.time():
            said.append(f"not before {time.strftime('%H:%M:%S', time.localtime(run.ready))}")
        return "; ".join(filter(None, said))

    def _of_queue(self, queue: Queue) -> str:
        record = self._record(queue)
        if record is None:
            return "there is no such queue any more"
        if record.state == PAUSED:
            return "the queue is paused"
        limit = record.max_running
        if limit is not None and self._counts.get(queue, (0, 0))[1] >= limit:
            return f"the queue's limit of {limit} at work is reached"
        return ""

    def _of_agents(self, run: Run) -> str:
        serving = [agent for agent in self._agents if run.queue in agent.queues]
        if not serving:
            return "no agent yet"
        taking = [agent for agent in serving if agent.status == RUNNING]
        if not taking:
            return "its agents take nothing more"
        if not any(run.room.within(_whole(agent)) for agent in taking):
            return f"no agent has room for it: it asks for {run.room}"
        if all(agent.runs >= agent.max_jobs for agent in taking):
            return "its agent is busy" if len(taking) == 1 else f"its {len(taking)} agents are busy"
        names = run.spec.needed_names
        return f"for an agent that has {', '.join(names)}" if names else ""

    def _record(self, queue: Queue) -> QueueRecord | None:
        if queue not in self._queues:
            try:
                self._queues[queue] = self._store.queue(queue)
            except QueueNotFound:
                self._queues[queue] = None
        return self._queues[queue]


def place(ahead: int) -> str:
    """Say where a run stands among those that wait."""
    return f"{ahead} ahead" if ahead else "next"


def waiting_because(store: Store, run: Run) -> str:
    """Say why a run is not running yet, and its place on its queue; empty once it runs."""
    if run.state is State.PENDING and run.queue is not None:
        why = Waiting(store).why(run)
        return f"{place(store.ahead(run))} in queue {run.queue}" + (f", {why}" if why else "")
    if run.state in {State.LEASED, State.STARTING}:
        said = [e.data["text"] for e in store.events(run.id) if e.kind == "progress"]
        return said[-1] if said else "starting"
    return ""


def waits(store: Store, runs: Iterable[Run]) -> dict[str, str]:
    """Say of many runs what they wait for, by their ids; of those that do not wait, nothing."""
    pending = [run for run in runs if run.state is State.PENDING and run.queue is not None]
    places = store.places() if pending else {}
    waiting = Waiting(store)
    said = {run.id: (place(places.get(run.id, 0)), waiting.why(run)) for run in pending}
    return {run_id: ", ".join(filter(None, both)) for run_id, both in said.items()}


def _whole(agent: Agent) -> Room:
    """Give what an agent offers; one that says nothing of it offers all there is."""
    return agent.room if any(agent.room) else Room(float("inf"), 2**63, 2**31)
