"""The tables of queues and agents in the embedded store."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from ..errors import QueueNotFound
from ..owner import known_dead
from ..runs import Queue
from .base import LEASE_S, Agent
from .sqlite_file import SQLiteFile

AGENT_ALIVE_S = 3 * LEASE_S


class QueueTable:
    """The queues in a file."""

    def __init__(self, file: SQLiteFile) -> None:
        self._file = file

    def create(self, queue: Queue, resource: str, config: Mapping[str, Any]) -> bool:
        """Make a queue; False if there is one of that name."""
        values = {"resource": resource, "config": json.dumps(config), "now": time.time()}
        return bool(self._file.rows("create_queue", queue=str(queue), **values))

    def config(self, queue: Queue) -> tuple[str, dict[str, Any]]:
        """Give a queue's resource and default config. Raises `QueueNotFound`."""
        row = self._file.row("get_queue", queue=str(queue))
        if row is None:
            known = ", ".join(map(str, self.all())) or "none yet"
            raise QueueNotFound(
                f"There is no queue {queue.name!r} of {queue.entity!r}. Queues: {known}.",
                hint=f"Make it: jupyter launch queue create {queue.name} -e {queue.entity}",
            )
        return row["resource"], json.loads(row["config"])

    def all(self) -> list[Queue]:
        """Give all queues."""
        return [Queue.parse(row["queue"]) for row in self._file.rows("queues")]


class AgentTable:
    """The agents in a file."""

    def __init__(self, file: SQLiteFile) -> None:
        self._file = file

    def put(self, agent: Agent) -> None:
        """Record an agent, or its heartbeat."""
        queues = json.dumps([str(queue) for queue in agent.queues])
        self._file.rows("put_agent", **{**vars(agent), "queues": queues})

    def drop(self, agent_id: str) -> None:
        """Forget an agent."""
        self._file.rows("drop_agent", id=agent_id)

    def alive(self) -> list[Agent]:
        """Give the agents whose heartbeat is fresh and whose process is not known to be gone."""
        now = time.time()
        return [
            Agent(**{**dict(row), "queues": tuple(map(Queue.parse, json.loads(row["queues"])))})
            for row in self._file.rows("agents")
            if row["heartbeat"] > now - AGENT_ALIVE_S and not known_dead(row["owner"])
        ]
