"""Queues and agents in a SQL database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..config import near
from ..errors import QueueNotFound, StoreError
from ..owner import known_dead
from ..runs import Agent, Queue, QueueRecord, Room, Run
from .base import ANY_RUN, LEASE_S, NEW_WORK
from .database import Row
from .sql_runs import SQLStore, one_step

AGENT_ALIVE_S = 3 * LEASE_S


class QueueVerbs(SQLStore):
    """Queues: what they are called, and how they give out what is on them."""

    @one_step
    def create_queue(self, record: QueueRecord) -> bool:
        return bool(self._db.rows("create_queue", **_values(record)))

    def queue(self, queue: Queue) -> QueueRecord:
        row = self._db.row("get_queue", queue=str(queue))
        if row is None:
            queues = self.queues()
            known = ", ".join(map(str, queues)) or "none yet"
            meant = near(queue.name, [q.name for q in queues if q.entity == queue.entity])
            raise QueueNotFound(
                f"There is no queue {queue.name!r} of {queue.entity!r}. Queues: {known}.",
                hint=f"{meant}Make it: jupyter launch queue create {queue.name} -e {queue.entity}",
            )
        return _record(row)

    @one_step
    def update_queue(self, queue: Queue, **changes: Any) -> QueueRecord:
        self._db.rows("lock_queue", queue=str(queue))
        before = self.queue(queue)
        made = replace(before, **changes)
        self._db.rows("update_queue", **_values(made))
        if made.prioritize != before.prioritize:
            self._db.rows("level_priorities", queue=str(queue), prioritize=made.prioritize)
        self._ring(NEW_WORK, ANY_RUN)
        return made

    @one_step
    def delete_queue(self, queue: Queue, *, force: bool = False) -> int:
        self._db.rows("lock_queue", queue=str(queue))
        self.queue(queue)
        waiting = [row["id"] for row in self._db.rows("waiting", queue=str(queue))]
        if waiting and not force:
            items = "item waits" if len(waiting) == 1 else "items wait"
            raise StoreError(
                f"{len(waiting)} {items} on the queue {queue}.",
                hint="To stop them all and delete it: --force. To let them be done first: "
                f"jupyter launch queue drain {queue.name} -e {queue.entity}",
            )
        for run_id in waiting:
            self.request_stop(run_id)
        self._db.rows("delete_queue", queue=str(queue))
        return len(waiting)

    def queues(self) -> list[Queue]:
        return [Queue.parse(row["queue"]) for row in self._db.rows("queues")]

    def queue_items(self, queue: Queue, limit: int = 100) -> list[Run]:
        rows = self._db.rows("queue_items", queue=str(queue), limit=limit)
        return [self._run(row) for row in rows]

    def queue_counts(self) -> Mapping[Queue, tuple[int, int]]:
        rows = self._db.rows("queue_counts")
        return {Queue.parse(row["queue"]): (row["waiting"], row["running"]) for row in rows}


class AgentVerbs(SQLStore):
    """Agents: who serves which queues, and is alive."""

    def put_agent(self, agent: Agent) -> str:
        queues = json.dumps([str(queue) for queue in agent.queues])
        names = ("id", "owner", "max_jobs", "started", "status")
        values = {name: getattr(agent, name) for name in names}
        row = self._db.row("put_agent", **values, queues=queues, **agent.room._asdict())
        assert row is not None
        asked: str = row["asked"]
        return asked

    def ask_agent(self, agent_id: str, status: str) -> Agent:
        alive = {agent.id: agent for agent in self.agents()}
        row = self._db.row("ask_agent", id=agent_id, asked=status) if agent_id in alive else None
        if row is None:
            raise StoreError(
                f"There is no agent {agent_id!r} at work. {near(agent_id, list(alive))}".strip(),
                hint=f"At work: {', '.join(alive) or 'none'}.",
            )
        self._ring(row["owner"], NEW_WORK)
        return alive[agent_id]

    def drop_agent(self, agent_id: str) -> None:
        self._db.rows("drop_agent", id=agent_id)

    def agents(self) -> list[Agent]:
        """Give the agents whose heartbeat is fresh and whose process is not known to be gone."""
        return [
            _agent(row)
            for row in self._db.rows("agents")
            if row["heartbeat"] > row["tick"] - AGENT_ALIVE_S and not known_dead(row["owner"])
        ]


def _record(row: Row) -> QueueRecord:
    return QueueRecord(
        queue=Queue.parse(row["queue"]),
        resource=row["resource"],
        config=json.loads(row["config"]),
        state=row["state"],
        prioritize=bool(row["prioritize"]),
        max_running=row["max_running"],
        retry=json.loads(row["retry"]) if row["retry"] else None,
        created=row["created"],
    )


def _values(record: QueueRecord) -> dict[str, Any]:
    retry = None if record.retry is None else json.dumps(record.retry)
    values = {
        "queue": str(record.queue),
        "config": json.dumps(record.config),
        "retry": retry,
    }
    return {**vars(record), **values}


def _agent(row: Row) -> Agent:
    names = ("id", "owner", "max_jobs", "started", "heartbeat", "status", "runs")
    return Agent(
        **{name: row[name] for name in names},
        queues=tuple(map(Queue.parse, json.loads(row["queues"]))),
        room=Room(row["cpus"], row["memory"], row["gpus"]),
    )
