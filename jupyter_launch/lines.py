"""A run's log as the lines a terminal would show, by number, however long it is.

The log in the store is the truth and is not kept here: an index of some places in it (see
`line_index`) lets any lines be made from its bytes when somebody reads them.
"""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

from .errors import StoreError
from .line_chunk import Chunk, Pen
from .line_index import LineIndex
from .line_replay import replay
from .line_search import matcher, shown
from .log_pieces import Log
from .stores.base import Store

__all__ = ["Chunk", "Found", "Lines"]

BLOCK, BLOCKS = 1 << 18, 64
"""How many bytes are taken in at a time, and how many times in one turn."""

TURN_S = 0.1
"""How long a turn may take; the block begun by then is taken in."""


class Found(NamedTuple):
    """Numbers of lines that match, and whether there are more after them."""

    lines: list[int]
    more: bool


class Lines:
    """The lines of one run's log. Safe to use from several threads.

    Nothing is taken in before `advance` is called; one thread at a time has the right picture of
    what has changed.

    Parameters
    ----------
    store : Store
        Where the log is.
    run_id : str
        Whose log it is.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self._log = Log(store, run_id)
        self._index = LineIndex(self._log)
        self._lock = threading.Lock()
        self.behind = True
        """Whether there may be more in the log than was taken in when `advance` last looked."""

    @property
    def total(self) -> int:
        """How many lines there are so far, one that is not finished included."""
        with self._lock:
            return self._index.total

    def advance(self) -> int | None:
        """Take in what is new in the log, or some of it: `behind` says whether to call again.

        Returns
        -------
        int, optional
            The number of the first line that is new, changed or gone; ``None`` if none is.
        """
        changes = []
        deadline = time.monotonic() + TURN_S
        for _ in range(BLOCKS):
            changes.append(self._take())
            if not self.behind or time.monotonic() > deadline:
                break
        return min((change for change in changes if change is not None), default=None)

    def read(self, first: int, count: int, limit: int = 1 << 18) -> Chunk:
        """Give lines from number `first` on, as many as there are.

        Parameters
        ----------
        first, count : int
            Which lines.
        limit : int
            How many bytes at most; one line is always given.
        """
        with self._lock:
            view = self._index.view(first, first + count)
        pen = Pen(count, limit)
        for batch in replay(self._log, view, first):
            if not pen.write(batch):
                break
        return pen.chunk(first)

    def find(
        self,
        text: str,
        *,
        case: bool = False,
        regex: bool = False,
        start: int = 0,
        limit: int = 1000,
    ) -> Found:
        """Search for what lines show; colours and other control sequences do not matter.

        Parameters
        ----------
        text : str
            What is wanted.
        case : bool
            Whether capital letters differ from small ones.
        regex : bool
            Whether `text` is a regular expression.
        start : int
            The line to begin with.
        limit : int
            How many lines to find at most.

        Raises
        ------
        SpecError
            When it is no regular expression.
        """
        matches = matcher(text, case=case, regex=regex)
        with self._lock:
            view = self._index.view(start, self._index.total)
        found: list[int] = []
        for batch in replay(self._log, view, start):
            for index in matches(shown(batch)):
                if len(found) == limit:
                    return Found(found, more=True)
                found.append(batch.line + index)
        return Found(found, more=False)

    def _take(self) -> int | None:
        with self._lock:
            data = self._log.read(self._index.offset, BLOCK)
            self.behind = len(data) == BLOCK
            try:
                return self._index.take(data) if data else None
            except StoreError:  # it broke off somewhere within
                self._index, self.behind = LineIndex(self._log), True
                raise
