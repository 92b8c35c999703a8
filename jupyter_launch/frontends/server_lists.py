"""What a page lists: runs, queues with their agents, jobs. As plain values, redacted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from ..errors import SpecError
from ..owner import host_of
from ..queues import look_at
from ..runs import Agent, Queue, Run
from ..states import State
from ..stores.base import Store
from . import queue_rows
from .record import safe, summary
from .server_params import ListQuery

Json: TypeAlias = dict[str, Any]

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
    origin = json.loads(run.spec_json).get("origin") or {}
    notebook = origin.get("notebook")
    return {
        **{name: said[name] for name in _ROW},
        "stopping": run.stop_requested and not run.state.terminal,
        "ahead": place,
        "notebook": notebook and safe(desk.shown(notebook)),
        "cell": origin.get("cell"),
    }


def queues(store: Store) -> list[Json]:
    """Give what is on all queues, and who serves them."""
    return [queue_rows.plain(look) for look in look_at(store)]


def agent_row(agent: Agent) -> Json:
    """Give an agent that is alive."""
    return {
        "id": agent.id,
        "host": host_of(agent.owner),
        "queues": [{"entity": q.entity, "name": q.name} for q in agent.queues],
        "max_jobs": agent.max_jobs,
        "runs": agent.runs,
        "status": agent.status,
        "started": agent.started,
        "heartbeat": agent.heartbeat,
    }


def agents(store: Store) -> list[Json]:
    """Give the agents that are alive."""
    return [agent_row(agent) for agent in store.agents()]


def served_queues(store: Store, asked: ListQuery) -> dict[str, Any]:
    """Look at all queues, each with its agents."""
    del asked
    looked = {}
    for look in look_at(store):
        name = str(look.record.queue)
        serving = [agent_row(agent) for agent in look.agents]
        looked[name] = {"id": name, **queue_rows.plain(look), "serving": serving}
    return looked


def items(store: Store, asked: ListQuery) -> dict[str, Any]:
    """Look at the first of what waits on a queue, in its order."""
    if asked.queue is None:
        raise SpecError("Of which queue? Items are listed by it.", field="queue")
    found = queue_rows.items(store, Queue.parse(asked.queue), asked.limit)
    # What goes before it is seen: rows do not change whenever one before them goes.
    return {row["id"]: {k: v for k, v in row.items() if k != "place"} for row in found}


def jobs(store: Store, asked: ListQuery) -> dict[str, Any]:
    """Look at all jobs, each with its versions, the newest first."""
    del asked
    looked: dict[str, Any] = {}
    for job in store.jobs():
        record = looked.setdefault(str(job.name), {"id": str(job.name), "versions": []})
        record["versions"].append(
            {"ref": str(job.ref), "aliases": [f"v{job.version}", *job.aliases], "at": job.created}
        )
    return looked


Look: TypeAlias = Callable[[Store, ListQuery], dict[str, Any]]

LOOKS: Mapping[str, Look] = {"queues": served_queues, "items": items, "jobs": jobs}
"""The lists whose rows are looked at as they are shown."""
