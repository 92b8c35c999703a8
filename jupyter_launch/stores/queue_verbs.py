"""What every store promises about queues and the agents that serve them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from ..errors import QueueNotFound, StoreError
from ..runs import Agent, Queue, QueueRecord, Run

FIRST_QUEUE = "default"
"""The queue that needs no creating: every entity has it."""


def drained(queue: Queue) -> StoreError:
    """Say that a queue takes nothing more."""
    return StoreError(
        f"The queue {queue} is drained: it takes nothing more.",
        hint=f"Open it again: jupyter launch queue resume {queue.name} -e {queue.entity}",
    )


class QueueVerbs(ABC):
    """Queues and agents."""

    @abstractmethod
    def create_queue(self, record: QueueRecord) -> bool:
        """Make a queue; False if there is one of that name, which stays as it is."""

    @abstractmethod
    def queue(self, queue: Queue) -> QueueRecord:
        """Give all about a queue. Raises `QueueNotFound`."""

    def ensure_queue(self, queue: Queue) -> None:
        """Make the queue if it is an entity's first one. Raises `QueueNotFound` for others."""
        try:
            self.queue(queue)
        except QueueNotFound:
            if queue.name != FIRST_QUEUE:
                raise
            self.create_queue(QueueRecord(queue))

    @abstractmethod
    def update_queue(self, queue: Queue, **changes: Any) -> QueueRecord:
        """Change fields of a queue's record, and give it. Raises `QueueNotFound`.

        Its waiting items follow: with `prioritize` off, all count as of one priority.
        """

    @abstractmethod
    def delete_queue(self, queue: Queue, *, force: bool = False) -> int:
        """Delete a queue; give the number of waiting items that were stopped with it.

        Raises
        ------
        QueueNotFound
        StoreError
            When items wait on it, and how many, unless forced to. Runs at work go on.
        """

    @abstractmethod
    def queues(self) -> list[Queue]:
        """Give all queues."""

    @abstractmethod
    def queue_items(self, queue: Queue, limit: int = 100) -> list[Run]:
        """Give the first of the runs that wait on a queue, in the order in which they go."""

    @abstractmethod
    def queue_counts(self) -> Mapping[Queue, tuple[int, int]]:
        """Count the waiting runs, and those at work, of every queue that has any."""

    @abstractmethod
    def put_agent(self, agent: Agent) -> str:
        """Record an agent, or its heartbeat; give what it was asked for, or an empty text."""

    @abstractmethod
    def ask_agent(self, agent_id: str, status: str) -> Agent:
        """Ask an agent to drain, or to stop its runs at once (`DRAINING`, ``stopping``).

        It hears of it by its owner's name as topic.

        Raises
        ------
        StoreError
            When there is no such agent alive, with those there are.
        """

    @abstractmethod
    def drop_agent(self, agent_id: str) -> None:
        """Forget an agent that ended."""

    @abstractmethod
    def agents(self) -> list[Agent]:
        """Give the agents that are alive, with the number of runs each holds."""
