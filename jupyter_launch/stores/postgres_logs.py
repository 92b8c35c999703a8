"""Logs and samples of runs in a PostgreSQL database."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..runs import ATTEMPT, BUILD, LogPiece, LogPosition, Sample
from .base import log_of
from .postgres_database import PostgresDatabase
from .sql_runs import SQLStore, one_step

CHUNK = 1 << 20
"""How many bytes of a log stand in one row at most."""

Frames = Sequence[tuple[int, bytes]]


class Counts(NamedTuple):
    """What some frames add to a log; `anew`: they begin another attempt."""

    anew: bool
    position: LogPosition


def counted(frames: Frames) -> Counts:
    """Count the bytes of each stream since the newest attempt began, and those before."""
    last = max((at for at, (stream, _) in enumerate(frames) if stream == ATTEMPT), default=-1)
    counts: Counter[int] = Counter()
    for stream, data in frames[last + 1 :]:
        counts[stream] += len(data)
    earlier = sum(len(data) for _, data in frames[: last + 1])
    return Counts(last >= 0, LogPosition(counts[1], counts[2], counts[BUILD], earlier))


class LogVerbs(SQLStore):
    """Logs and samples, each in tables of their own."""

    _db: PostgresDatabase

    def append_log(self, run_id: str, owner: str, frames: Iterable[tuple[int, bytes]]) -> None:
        self._append(run_id, owner, [(stream, data) for stream, data in frames if data])

    @one_step
    def _append(self, run_id: str, owner: str, frames: Frames) -> None:
        if not self._db.rows("lock_owner", id=run_id, owner=owner):
            raise self._lost(run_id)
        if not frames:
            return
        text = b"".join(data for _, data in frames)
        anew, position = counted(frames)
        self._db.rows(
            "append_log",
            id=run_id,
            anew=anew,
            **position._asdict(),
            size=len(text),
            count=len(frames),
            lengths=[len(data) for _, data in frames],
            streams=[stream for stream, _ in frames],
            chunk=CHUNK,
            chunks=[text[at : at + CHUNK] for at in range(0, len(text), CHUNK)],
        )
        self._ring(log_of(run_id))

    def read_log(self, run_id: str, offset: int = 0, limit: int = 1 << 20) -> bytes:
        rows = self._db.rows("read_log", id=run_id, first=offset, last=offset + limit)
        if not rows:
            return b""
        skip = offset - rows[0]["start"]
        return b"".join(row["data"] for row in rows)[skip : skip + limit]

    def log_position(self, run_id: str) -> LogPosition:
        row = self._db.row("log_position", id=run_id)
        return LogPosition(**row) if row else LogPosition()

    def log_pieces(self, run_id: str, start: int = 0, limit: int = 4096) -> list[LogPiece]:
        rows = self._db.rows("log_pieces", id=run_id, first=start, last=start + limit)
        if not rows:
            return []
        pieces = (
            LogPiece(row["at"], length, stream)
            for row in rows
            for length, stream in zip(row["lengths"], row["streams"], strict=True)
        )
        skip = start - rows[0]["number"]
        return list(itertools.islice(pieces, skip, skip + limit))

    def append_sample(self, run_id: str, owner: str, sample: Sample) -> None:
        if not self._db.rows("append_sample", id=run_id, owner=owner, **sample._asdict()):
            raise self._lost(run_id)

    def samples(self, run_id: str, after: float = 0.0) -> list[Sample]:
        return [Sample(**row) for row in self._db.rows("samples", id=run_id, after=after)]
