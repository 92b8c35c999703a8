"""One page that looks at a run: what it has, and how much more it may be sent."""

from __future__ import annotations

import time
from collections import deque

CHUNK = 256 * 1024
"""A viewer gets at most one message of this many bytes per tick."""

WINDOW = 4 * 1024 * 1024
"""How many bytes may be under way without being acknowledged."""

FULL_S = 2.0
BLIND_RATE = 1_000_000
"""A window full for `FULL_S` may mean that we are too busy to hear: go on, in bytes per second."""

SILENT_S = 120.0
SILENT_RATE = 16_000
"""After `SILENT_S` the page may as well be gone: then only a trickle is risked, in bytes/s."""


class Viewer:
    """Keeps account of one page.

    Parameters
    ----------
    name : str
        What the page calls itself. Empty: whoever listens, of whom nothing is ever heard.
    have : int
        The page has the lines below this number.
    blind : bool
        Whether to go on slowly when nothing is acknowledged.
    """

    def __init__(self, name: str, have: int, blind: bool) -> None:
        self.name = name
        self.held = have
        self.seq = 0
        self.following = True
        self.record = -1
        self.total = -1
        self.sampled = float("-inf")
        self._blind = blind
        self._heard = time.monotonic()
        self._full_since: float | None = None
        self._under_way: deque[tuple[int, int]] = deque()
        self._open = 0

    def hear(self) -> None:
        """Note that the page is alive."""
        self._heard = time.monotonic()

    def acknowledge(self, seq: int) -> None:
        """Take the page's word that it has drawn everything up to that message."""
        while self._under_way and self._under_way[0][0] <= seq:
            self._open -= self._under_way.popleft()[1]
        if self._open < WINDOW:
            self._full_since = None

    def has(self, line: int) -> None:
        """Note that the page has lines below that number, though perhaps not all of them."""
        self.held = max(self.held, line)

    def count(self, size: int) -> int:
        """Give the next message, which has that many bytes of lines, its number."""
        self.seq += 1
        if size and self.name:
            self._under_way.append((self.seq, size))
            self._open += size
        return self.seq

    def allowance(self, now: float, tick_s: float) -> int:
        """Give how many bytes of lines it may be sent now."""
        if self.silent(now):
            return int(SILENT_RATE * tick_s) if self._blind else 0
        if not self.name:
            return int(BLIND_RATE * tick_s)
        if self._open < WINDOW:
            return min(CHUNK, WINDOW - self._open)
        self._full_since = self._full_since or now
        overdue = self._blind and now - self._full_since > FULL_S
        return int(BLIND_RATE * tick_s) if overdue else 0

    def silent(self, now: float) -> bool:
        """Say whether the page may as well be gone."""
        return now - self._heard > SILENT_S
