"""The store of many machines: a PostgreSQL database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_data_dir

from ..runs import Queue, Run
from .base import ANY_RUN, LEASE_S, Offer
from .database import Row
from .postgres_bells import Bell, Bells
from .postgres_cache import Cache
from .postgres_database import PostgresDatabase
from .postgres_files import FileVerbs
from .postgres_logs import LogVerbs
from .postgres_upkeep import PostgresUpkeep
from .postgres_url import connect, shown
from .sql_jobs import JobVerbs
from .sql_leases import BOUNDLESS, LeaseVerbs
from .sql_lists import ListVerbs
from .sql_queues import AgentVerbs, QueueVerbs
from .sql_runs import RunVerbs

LONGEST_TOPIC = 250


class PostgresStore(
    RunVerbs,
    LeaseVerbs,
    ListVerbs,
    QueueVerbs,
    AgentVerbs,
    JobVerbs,
    LogVerbs,
    FileVerbs,
    PostgresUpkeep,
):
    """Runs of all who share a database.

    Parameters
    ----------
    url : str
        ``postgresql://user@host:5432/database``, as libpq has it. The password may stand in it, in
        ``PGPASSWORD`` or in ``~/.pgpass``; it is shown nowhere.
    """

    def __init__(self, url: str) -> None:
        self.address, self.url = url, shown(url)
        self._db = self._server = PostgresDatabase(url)
        self.id = self._server.about["id"]
        self._bells = Bells(partial(connect, url), url)
        self._cache = Cache(Path(jupyter_data_dir()) / "jupyter_launch" / "fetched" / self.id)

    def _insert(self, values: Mapping[str, Any], topics: Sequence[str]) -> Row | None:
        return self._db.row("insert_run", **values, topics=list(topics))

    def claim(
        self, queues: Sequence[Queue], owner: str, names: Iterable[str], offer: Offer | None = None
    ) -> Run | None:
        free, whole = offer or Offer(BOUNDLESS, BOUNDLESS)
        values: dict[str, Any] = {"owner": owner, "lease_s": LEASE_S}
        values |= zip(("cpus", "memory", "gpus"), whole, strict=True)
        values |= zip(("free_cpus", "free_memory", "free_gpus"), free, strict=True)
        for queue in queues:
            row = self._db.row("claim", **values, queue=str(queue), names=None)
            if row and row["owner"] is None and row["secrets"] != "[]":
                # Only if there is none so easily is it told what it may ask for.
                row = self._db.row("claim", **values, queue=str(queue), names=_text(names))
            if row and row["owner"] is None:
                return None  # it must wait for room
            if row:
                self._ring_soon(row["id"], ANY_RUN)
                return self._run(row)
        return None

    def listen(self, *topics: str) -> Bell:
        return self._bells.listen(list(map(_short, topics)))

    def _ring(self, *topics: str) -> None:
        self._server.ring([_short(topic) for topic in topics])

    def _ring_soon(self, *topics: str) -> None:
        """Ring without waiting for it, where this process listens: so does every agent."""
        if not self._bells.ring([_short(topic) for topic in topics]):
            self._ring(*topics)

    def close(self) -> None:
        self._bells.close()
        self._server.close()


def _text(names: Iterable[str]) -> str:
    """Give names as JSON. Those that are no text cannot be asked for."""
    return json.dumps([name.encode(errors="replace").decode() for name in names])


def _short(topic: str) -> str:
    """Give a topic as it fits an announcement."""
    if len(topic) < LONGEST_TOPIC and "\n" not in topic:
        return topic
    return hashlib.sha256(topic.encode()).hexdigest()
