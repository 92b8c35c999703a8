"""Queues and what waits on them as plain values, redacted, safe to show."""

from __future__ import annotations

from typing import Any

from ..queues import QueueLook
from ..redact import redact_spec
from ..runs import Queue, QueueRecord
from ..stores.base import Store
from ..waiting import Waiting
from .record import safe, summary

_OF_ITEMS = ("id", "name", "program", "state", "symbol", "color", "priority", "created")


def plain(look: QueueLook) -> dict[str, Any]:
    """Give a queue as it is now."""
    record = look.record
    return {
        "entity": record.queue.entity,
        "name": record.queue.name,
        "resource": record.resource,
        "state": record.state,
        "prioritize": record.prioritize,
        "max_running": record.max_running,
        "retry": None if record.retry is None else dict(record.retry),
        "pending": look.waiting,
        "running": look.running,
        "agents": len(look.agents),
    }


def config(record: QueueRecord) -> dict[str, Any]:
    """Give a queue's default config, with what looks like a secret taken out."""
    return redact_spec(dict(record.config))


def items(store: Store, queue: Queue, limit: int) -> list[dict[str, Any]]:
    """Give the first of what waits on a queue, in its order, each with what it waits for."""
    waiting = Waiting(store)
    return [
        {
            **{name: value for name, value in summary(run).items() if name in _OF_ITEMS},
            "place": place,
            "waits_for": safe(waiting.why(run)),
        }
        for place, run in enumerate(store.queue_items(queue, limit))
    ]
