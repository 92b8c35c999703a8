"""A run's log as a plain file, with an index of which bytes came from which stream.

The log file holds the program's bytes and nothing else, so `tail -f` shows it. The index beside
it has one record per piece: when it came, how long it is, from which stream. A record is written
*before* its bytes; after a crash in between, the length of the log file tells what of the last
records is true. So bytes that a reader has seen never change.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..runs import ATTEMPT, LogPiece, LogPosition

try:
    import fcntl
except ImportError:  # Windows: one writer per run is kept by the lease alone
    fcntl = None  # type: ignore[assignment]

RECORD = struct.Struct("<dIB3x")
"""Unix time, length in bytes, stream (1 stdout, 2 stderr, 3 build, 4 a further attempt)."""


def read(path: Path, offset: int, limit: int) -> bytes:
    """Give at most `limit` bytes from `offset`; empty where there are none (yet)."""
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            return file.read(limit)
    except FileNotFoundError:
        return b""


def position(path: Path) -> LogPosition:
    """Say how much of each stream is in the log at `path`, between two appends."""
    try:
        with path.with_suffix(".idx").open("rb") as index, locked(index.fileno()):
            return _totals(index.read(), path.stat().st_size)[0]
    except FileNotFoundError:
        return LogPosition()


def pieces(path: Path, start: int, limit: int) -> list[LogPiece]:
    """Give at most `limit` records of the log at `path`, from number `start` on."""
    try:
        with path.with_suffix(".idx").open("rb", buffering=0) as index:
            index.seek(start * RECORD.size)
            data = index.read(limit * RECORD.size)
    except FileNotFoundError:
        return []
    whole = len(data) - len(data) % RECORD.size
    return [LogPiece(*record) for record in RECORD.iter_unpack(data[:whole])]


def _totals(index: bytes, size: int) -> tuple[LogPosition, bytes]:
    """Count the streams of a log of `size` bytes, and give the part of the index that is true."""
    earlier, counts = 0, [0] * ATTEMPT
    true = bytearray()
    whole = len(index) - len(index) % RECORD.size
    for at, length, stream in RECORD.iter_unpack(index[:whole]):
        length = min(length, size - earlier - sum(counts))  # noqa: PLW2901
        if length <= 0:
            break
        if stream == ATTEMPT:
            earlier, counts = earlier + sum(counts) + length, [0] * ATTEMPT
        else:
            counts[stream] += length
        true += RECORD.pack(at, length, stream)
    rest = size - earlier - sum(counts)
    if rest:
        counts[1] += rest
        true += RECORD.pack(time.time(), rest, 1)
    return LogPosition(*counts[1:])._replace(earlier=earlier), bytes(true)


class LogWriter:
    """Appends to one run's log. One process at a time writes: the lease's holder.

    Parameters
    ----------
    path : Path
        The log file; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._log = os.open(path, flags, 0o600)
        self._index = os.open(path.with_suffix(".idx"), flags, 0o600)
        self._lock = threading.Lock()
        self._sound = False
        self._log_end = self._index_end = 0

    def append(self, frames: Iterable[tuple[int, bytes]], may: Callable[[], None]) -> None:
        """Write pieces, (stream, bytes) each, if `may` does not raise.

        `may` is asked under a lock that no second writer can hold at the same time, so that one
        who was asleep while another took the run over cannot write after it.
        """
        pieces = [(stream, data) for stream, data in frames if data]
        now = time.time()
        records = b"".join(RECORD.pack(now, len(data), stream) for stream, data in pieces)
        with self._lock, locked(self._index):
            may()
            if not self._sound:
                self._repair()
            self._sound = False  # a failure from here on leaves a tail to mend
            _write(self._index, records, self._index_end)
            text = b"".join(data for _, data in pieces)
            _write(self._log, text, self._log_end)
            self._index_end += len(records)
            self._log_end += len(text)
            self._sound = True

    def close(self) -> None:
        """Put everything on the disk and let go of the files."""
        with self._lock:
            os.fsync(self._log)
            os.close(self._log)
            os.close(self._index)
            self._log = self._index = -1

    def _repair(self) -> None:
        size = os.fstat(self._log).st_size
        os.lseek(self._index, 0, os.SEEK_SET)
        index = os.read(self._index, os.fstat(self._index).st_size)
        _, true = _totals(index, size)
        if true != index:
            # In this order: a crash in between leaves records that say no less than the truth.
            _write(self._index, true, 0)
            os.ftruncate(self._index, len(true))
        self._log_end, self._index_end = size, len(true)


@contextlib.contextmanager
def locked(descriptor: int) -> Iterator[None]:
    """Keep other writers of an open file away."""
    if descriptor < 0:
        raise OSError(errno.EBADF, "it was closed")
    if fcntl is None:
        yield
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _write(descriptor: int, data: bytes, offset: int) -> None:
    os.lseek(descriptor, offset, os.SEEK_SET)
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
