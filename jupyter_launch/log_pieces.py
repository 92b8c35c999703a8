"""Which piece of a run's log a byte came in: so when, and from which stream of the program."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple

from .runs import LogPiece
from .stores.base import Store

LEAST, MOST = 64, 4096
"""How many pieces are looked up at a time."""

_length = itemgetter(1)


class Span(NamedTuple):
    """Neighbouring bytes of one piece, up to the offset `end`."""

    end: int
    stream: int
    at: float


class Log:
    """The log of one run as its store has it."""

    def __init__(self, store: Store, run_id: str) -> None:
        self._store, self._run_id = store, run_id

    def read(self, offset: int, limit: int) -> bytes:
        """Give at most `limit` bytes from an offset."""
        return self._store.read_log(self._run_id, offset, limit) if limit > 0 else b""

    def pieces(self, start: int, limit: int) -> list[LogPiece]:
        """Give at most `limit` pieces from number `start` on."""
        return self._store.log_pieces(self._run_id, start, limit)


class Pieces:
    """The pieces of a log, gone through from one of them on.

    Parameters
    ----------
    log : Log
        The log.
    number, begun : int
        The piece to begin with, and the offset in the log at which it begins.
    """

    def __init__(self, log: Log, number: int = 0, begun: int = 0) -> None:
        self._log = log
        self._number, self._begun = number, begun
        self._pieces: list[LogPiece] = []
        self._ends: list[int] = []
        self._known = begun

    def cover(self, end: int) -> None:
        """Look up the pieces up to an offset, where the log is at least so long."""
        if end <= self._known:
            return
        # What a piece claims beyond the bytes that are there may be taken back.
        while self._ends and self._ends[-1] > self._known:
            del self._ends[-1], self._pieces[-1]
        self._known, limit = end, LEAST
        while (start := self._reach()) < end:
            new = self._log.pieces(self._number + len(self._pieces), limit)
            if not new:
                break
            ends = list(accumulate(map(_length, new), initial=start))
            self._pieces += new
            self._ends += ends[1:]
            # About as many as are still wanted, if they are as long as these.
            limit = (end - ends[-1]) * len(new) // max(1, ends[-1] - start)
            limit = min(max(limit, LEAST), MOST)

    def place(self, offset: int) -> tuple[int, int]:
        """Give the number of the piece that the byte at `offset` is in, and where it begins."""
        before = bisect_right(self._ends, offset)
        return self._number + before, self._ends[before - 1] if before else self._begun

    def forget(self, offset: int) -> None:
        """Drop the pieces that end before the byte at `offset`."""
        before = bisect_right(self._ends, offset)
        self._number, self._begun = self.place(offset)
        del self._ends[:before], self._pieces[:before]

    def spans(self, start: int, end: int) -> Iterator[Span]:
        """Take bytes apart by the pieces they came in; what no piece tells of joins the last."""
        index, last = bisect_right(self._ends, start), Span(end, 1, 0.0)
        while start < end:
            if index < len(self._pieces):
                piece = self._pieces[index]
                last = Span(min(end, self._ends[index]), 2 if piece.stream == 2 else 1, piece.at)
            else:
                last = last._replace(end=end)
            yield last
            start = last.end
            index += 1

    def _reach(self) -> int:
        return self._ends[-1] if self._ends else self._begun
