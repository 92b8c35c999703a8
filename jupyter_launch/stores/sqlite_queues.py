"""The verbs of the embedded store for queues and agents."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from ..config import near
from ..errors import QueueNotFound
from ..owner import known_dead
from ..runs import Agent, Queue
from .base import LEASE_S, Store
from .sqlite_file import SQLiteFile

AGENT_ALIVE_S = 3 * LEASE_S


class QueueVerbs(Store):
    """What an embedded store does with queues."""

    _file: SQLiteFile

    def create_queue(self, queue: Queue, resource: str, config: Mapping[str, Any]) -> bool:
        values = {"resource": resource, "config": json.dumps(config), "now": time.time()}
        return bool(self._file.rows("create_queue", queue=str(queue), **values))

    def queue_config(self, queue: Queue) -> tuple[str, dict[str, Any]]:
        row = self._file.row("get_queue", queue=str(queue))
        if row is None:
            queues = self.queues()
            known = ", ".join(map(str, queues)) or "none yet"
            meant = near(queue.name, [q.name for q in queues if q.entity == queue.entity])
            raise QueueNotFound(
                f"There is no queue {queue.name!r} of {queue.entity!r}. Queues: {known}.",
                hint=f"{meant}Make it: jupyter launch queue create {queue.name} -e {queue.entity}",
            )
        return row["resource"], json.loads(row["config"])

    def queues(self) -> list[Queue]:
        return [Queue.parse(row["queue"]) for row in self._file.rows("queues")]


class AgentVerbs(Store):
    """What an embedded store does with agents."""

    _file: SQLiteFile

    def put_agent(self, agent: Agent) -> None:
        queues = json.dumps([str(queue) for queue in agent.queues])
        self._file.rows("put_agent", **{**vars(agent), "queues": queues})

    def drop_agent(self, agent_id: str) -> None:
        self._file.rows("drop_agent", id=agent_id)

    def agents(self) -> list[Agent]:
        """Give the agents whose heartbeat is fresh and whose process is not known to be gone."""
        now = time.time()
        return [
            Agent(**{**dict(row), "queues": tuple(map(Queue.parse, json.loads(row["queues"])))})
            for row in self._file.rows("agents")
            if row["heartbeat"] > now - AGENT_ALIVE_S and not known_dead(row["owner"])
        ]
