"""What a page lists: runs, queues with their agents, jobs. As plain values, redacted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from ..errors import SpecError
from ..runs import Agent, Queue, Run
from ..states import OWNED, State
from ..stores.base import Store
from .record import safe, summary
from .server_params import ListQuery

Json: TypeAlias = dict[str, Any]

COUNTED = 100_000
"""How many runs that have not ended are counted at most."""

_ROW = (
    "id", "state", "symbol", "color", "terminal", "name", "program", "reason", "created",
    "started", "ended", "queue", "priority", "relaunchable",
)  # fmt: skip
"""What a row shows of a run's summary."""


class Desk:
    """Where notebooks are, as the server's pages name them: by their path below a folder.

    Parameters
    ----------
    root : Path or None
        The folder; ``None`` where the server keeps its notebooks elsewhere than in files.
    """

    def __init__(self, root: Path | None) -> None:
        self.root = root

    def shown(self, notebook: str) -> str:
        """Give a recorded path as a page names it; what is not below the folder stays whole."""
        path = Path(notebook)
        if self.root is not None and path.is_relative_to(self.root):
            return path.relative_to(self.root).as_posix()
        return notebook

    def recorded(self, notebook: str) -> str:
        """Give back the recorded path."""
        return notebook if self.root is None else str(self.root / notebook)

    def file(self, path: str) -> Path:
        """Give the file a page means. Raises `SpecError` where that is not below the folder."""
        if self.root is None:
            raise SpecError(
                "This server keeps its notebooks elsewhere than in files.",
                hint="Launch it by its path, where it is a file: jupyter launch run PATH",
                field="path",
            )
        try:
            found = (self.root / PurePosixPath(path)).resolve()
            there = found.is_relative_to(self.root.resolve()) and found.is_file()
        except (OSError, ValueError):  # no name that a file could have
            there = False
        if not there:
            raise SpecError(f"There is no file {safe(path[:200])!r} on this server.", field="path")
        return found


def runs(store: Store, asked: ListQuery, desk: Desk) -> dict[str, Any]:
    """Look at the newest runs: what tells one state of each from another, by their ids."""
    found = store.runs(
        states=asked.state,
        queue=Queue.parse(asked.queue) if asked.queue else None,
        notebook=desk.recorded(asked.notebook) if asked.notebook else None,
        text=asked.text,
        limit=asked.limit,
    )
    waiting = any(run.state is State.PENDING and run.queue for run in found)
    places = store.places() if waiting else {}
    return {run.id: (run, places.get(run.id)) for run in found}


def run_row(run: Run, place: int | None, desk: Desk) -> Json:
    """Give what a row shows of a run."""
    said = summary(run)
    source = json.loads(run.spec_json).get("source") or {}
    notebook = source.get("notebook")
    return {
        **{name: said[name] for name in _ROW},
        "stopping": run.stop_requested and not run.state.terminal,
        "ahead": place,
        "notebook": notebook and safe(desk.shown(notebook)),
        "cell": source.get("cell"),
    }


def queues(store: Store) -> list[Json]:
    """Give what is on all queues, and who serves them."""
    agents = store.agents()
    counts = [_counts(store, states) for states in (frozenset([State.PENDING]), OWNED)]
    return [queue_record(store, queue, counts, agents) for queue in store.queues()]


def queue_record(
    store: Store,
    queue: Queue,
    counts: list[Counter[Queue | None]],
    agents: list[Agent],
) -> Json:
    """Give what is on one queue: pending and running ones, counted by their queues."""
    pending, running = (count[queue] for count in counts)
    return {
        "entity": queue.entity,
        "name": queue.name,
        "resource": store.queue(queue).resource,
        "pending": pending,
        "running": running,
        "agents": sum(queue in agent.queues for agent in agents),
    }


def agents(store: Store) -> list[Json]:
    """Give the agents that are alive."""
    return [
        {
            "id": agent.id,
            "host": agent.owner.partition(":")[0],
            "queues": [{"entity": q.entity, "name": q.name} for q in agent.queues],
            "max_jobs": agent.max_jobs,
            "status": agent.status,
            "started": agent.started,
            "heartbeat": agent.heartbeat,
        }
        for agent in store.agents()
    ]


def served_queues(store: Store) -> dict[str, Any]:
    """Look at all queues, each with its agents."""
    alive = agents(store)
    looked = {}
    for queue in queues(store):
        mine = {"entity": queue["entity"], "name": queue["name"]}
        name = str(Queue(**mine))
        serving = [agent for agent in alive if mine in agent["queues"]]
        looked[name] = {"id": name, **queue, "serving": serving}
    return looked


def jobs(store: Store) -> dict[str, Any]:
    """Look at all jobs, each with its versions, the newest first."""
    looked: dict[str, Any] = {}
    for job in store.jobs():
        record = looked.setdefault(str(job.name), {"id": str(job.name), "versions": []})
        record["versions"].append(
            {"ref": str(job.ref), "aliases": [f"v{job.version}", *job.aliases], "at": job.created}
        )
    return looked


def _counts(store: Store, states: frozenset[State]) -> Counter[Queue | None]:
    return Counter(run.queue for run in store.runs(states=states, limit=COUNTED))


LOOKS: Mapping[str, Any] = {"queues": served_queues, "jobs": jobs}
"""The lists that are shown whole."""
