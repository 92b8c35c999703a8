"""The embedded store: one SQLite file, and one plain log file per run beside it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..artifact import Kept, Output
from ..bell import Bell
from ..runs import LogPiece, LogPosition, Sample
from ..spec import MEDIUM
from .artifact_verbs import Limits
from .base import log_of
from .database import Row
from .folder import Folder
from .sql_jobs import JobVerbs
from .sql_leases import LeaseVerbs
from .sql_lists import ListVerbs
from .sql_queues import AgentVerbs, QueueVerbs
from .sql_runs import RunVerbs
from .sqlite_file import SQLiteFile, parse
from .sqlite_upkeep import SQLiteUpkeep


class SQLiteStore(RunVerbs, LeaseVerbs, ListVerbs, QueueVerbs, AgentVerbs, JobVerbs, SQLiteUpkeep):
    """Runs of one user on one machine.

    Parameters
    ----------
    url : str
        ``sqlite:///`` and the path of the file, relative or absolute (then with four slashes).
        ``<file>.d/logs/<run id>.log`` is a run's log, ordinary text. On a network filesystem it
        keeps a rollback journal, elsewhere a write-ahead log; ``?journal=delete`` or
        ``?journal=wal`` behind the path decides otherwise.
    """

    private = True

    def __init__(self, url: str) -> None:
        path, journal = parse(url)
        self.url = self.address = f"sqlite:///{path}" + (f"?journal={journal}" if journal else "")
        self._db = self._file = SQLiteFile(path, journal)
        self.id = next(row["value"] for row in self._db.rows("about") if row["key"] == "id")
        self._folder = Folder(path.with_name(path.name + ".d"))

    def _insert(self, values: Mapping[str, Any], topics: Sequence[str]) -> Row | None:
        made = {"created": time.time(), "priority": values["priority"]}
        # What it becomes is not asked of the statement itself: that takes a tenth of a submit.
        if not self._file.changed("insert_run", **values, created=made["created"]):
            return None
        self._ring(*topics)
        if made["priority"] == MEDIUM:
            return made
        return self._db.row("get", id=values["id"]) or made

    # -- logs ----------------------------------------------------------------------------------

    def append_log(self, run_id: str, owner: str, frames: Iterable[tuple[int, bytes]]) -> None:
        self._folder.append(run_id, frames, partial(self._check_lease, run_id, owner))
        self._ring(log_of(run_id))

    def read_log(self, run_id: str, offset: int = 0, limit: int = 1 << 20) -> bytes:
        return self._folder.read(run_id, offset, limit)

    def log_position(self, run_id: str) -> LogPosition:
        return self._folder.position(run_id)

    def log_pieces(self, run_id: str, start: int = 0, limit: int = 4096) -> list[LogPiece]:
        return self._folder.pieces(run_id, start, limit)

    def append_sample(self, run_id: str, owner: str, sample: Sample) -> None:
        self._folder.append_sample(run_id, sample, partial(self._check_lease, run_id, owner))

    def samples(self, run_id: str, after: float = 0.0) -> list[Sample]:
        return self._folder.samples(run_id, after)

    def _end_log(self, run_id: str) -> None:
        self._folder.forget(run_id)

    _taken_over = _end_log

    # -- artifacts and snapshots ---------------------------------------------------------------

    def keep_artifacts(
        self, run_id: str, owner: str, outputs: Iterable[Output], limits: Limits
    ) -> list[str]:
        may = partial(self._check_lease, run_id, owner)
        return self._folder.artifacts.keep(run_id, outputs, limits, may)

    def artifacts(self, run_id: str) -> list[Kept]:
        return self._folder.artifacts.list(run_id)

    def artifact_path(self, run_id: str, name: str) -> Path:
        return self._folder.artifacts.path(run_id, name)

    def put_snapshot(self, chunks: bytes | Iterable[bytes]) -> str:
        return self._folder.put_snapshot(chunks)

    def get_snapshot(self, name: str) -> bytes:
        return self._folder.get_snapshot(name)

    # -- the store itself ----------------------------------------------------------------------

    def listen(self, *topics: str) -> Bell:
        return self._folder.listen(topics)

    def _ring(self, *topics: str) -> None:
        self._file.afterwards(partial(self._folder.ring, topics))

    def close(self) -> None:
        self._folder.close()
        self._file.close()
