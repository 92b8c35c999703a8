"""Where the lines of a log are, kept up to date while it grows, without keeping the log.

In most logs a line is what stands between two newlines: such *plain* lines are only counted. A
carriage return or a backspace changes nothing beyond its own line, which is drawn when somebody
reads it. A program that moves the cursor up, however, changes lines above. From there on the log
is drawn on a screen that lives on, of which the highest rows scroll off for good, until the
cursor has gone up no more for a while. The line that is not finished yet is on a screen too.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from operator import attrgetter

from .line_replay import START, Checkpoint, Drawn, View, draw, replay
from .log_pieces import Log, Pieces
from .row import Row
from .screen import Screen
from .style import PLAIN
from .terminal import style_after

SCREEN_ROWS = 100
"""How many rows the cursor can reach, as in a terminal of that height."""

KEPT_ROWS = 10 * SCREEN_ROWS
"""How many rows are kept at most, so that the newest lines are at hand."""

STEP, DRAWN_STEP, LONGEST_STEP = 1 << 15, 8, 1 << 25
"""Bytes of log between two checkpoints at first, how many times as many where rows are drawn, and
how many at most in a very long log."""

BUDGET = 8 << 20
"""How many bytes of memory the checkpoints may take before every other one is dropped."""

_UP = re.compile(rb"\x1b\[[0-?]{0,256}[ -/]{0,16}[AF]")
_line = attrgetter("line")


class LineIndex:
    """Finds the lines of a log by number.

    Parameters
    ----------
    log : Log
        The log; `take` is told its bytes from its beginning on.
    """

    def __init__(self, log: Log) -> None:
        self.offset = 0
        """How many bytes of the log were taken in."""
        self._log = log
        self._pieces = Pieces(log)
        self._checkpoints = [START]
        self._weight, self._step = START.weight, STEP
        # Plain lines: how many there are, where the last one ends, and the style in force there.
        self._line = self._end = 0
        self._style = PLAIN
        # The rows that can still change, if there are any; the first one begins at that end.
        self._screen: Screen | None = None
        self._changed = 0

    @property
    def total(self) -> int:
        """How many lines there are; an empty row below the last newline is none."""
        if self._screen is None:
            return self._line
        return self._screen.bottom + bool(self._screen.rows[-1].width)

    def take(self, data: bytes) -> int | None:
        """Take in the next bytes; give the number of the first line that changed or is new."""
        before = self._changed = self.total
        self._pieces.cover(self.offset + len(data))
        at = 0
        while at < len(data):
            at = self._count(data, at) if self._screen is None else self._draw(data, at)
        self._pieces.forget(self.offset)
        return self._changed if self._changed < max(before, self.total) else None

    def view(self, first: int, stop: int) -> View:
        """Give what the lines from one number up to another can be made from."""
        start = bisect_right(self._checkpoints, first, key=_line) - 1
        end = bisect_left(self._checkpoints, stop, lo=start + 1, key=_line) + 1
        checkpoints = self._checkpoints[start:end]
        if end <= len(self._checkpoints):
            return View(checkpoints, Drawn(stop, []))
        screen = self._screen or Screen(top=self._line)
        offset = self._end if screen.lifted is None else self.offset
        checkpoints.append(START._replace(line=screen.top, offset=offset))
        newest = Drawn(screen.top, screen.rows).part(first, min(stop, self.total))
        return View(checkpoints, Drawn(newest.line, [row.copy() for row in newest.rows]))

    # -- taking in -----------------------------------------------------------------------------

    def _count(self, data: bytes, at: int) -> int:
        """Count some plain lines, or begin to draw where there are none. Say where it is."""
        end = data.rfind(b"\n", at, at + STEP) + 1 or at
        up = _UP.search(data, at, end)
        if up:
            end = data.rfind(b"\n", at, up.start()) + 1 or at
        if end > at:
            lines = data[at:end]
            self._line += lines.count(b"\n")
            self._style = style_after(self._style, lines)
            self.offset = self._end = self.offset + len(lines)
            if self._due(self._step):
                self._add(self._here())
        else:
            self._screen = Screen(
                self._style, top=self._line, height=SCREEN_ROWS, above=self._above
            )
        return end

    def _draw(self, data: bytes, at: int) -> int:
        """Draw a line, or some lines that may change each other. Say up to where."""
        screen = self._screen
        assert screen is not None
        find, stop = data.find if screen.lifted is None else data.rfind, at + STEP
        end = find(b"\n", at, stop) + 1 or min(stop, len(data))
        top, screen.changed = screen.top, screen.bottom + 1
        draw(screen, data[at:end], self.offset, self._pieces)
        self.offset += end - at
        self._changed = min(self._changed, screen.changed)
        if screen.top < top:  # it took rows over: from here on they come from it
            self._add(self._here())
        if screen.fresh and screen.lifted is None:
            self._leave(screen)
        elif self._due(DRAWN_STEP * self._step):
            screen.scroll()
            if screen.fresh and screen.lifted is not None and screen.lifted < screen.top:
                self._leave(screen)
            else:
                self._add(self._here())
        elif len(screen.rows) > KEPT_ROWS:
            screen.scroll()
        return end

    def _above(self, first: int, stop: int) -> list[Row]:
        view = self.view(first, stop)
        return [row for batch in replay(self._log, view, first) for row in batch.rows]

    def _leave(self, screen: Screen) -> None:
        """Count plain lines again."""
        self._line, self._end, self._style = screen.bottom, self.offset, screen.style
        self._screen = None
        if self._checkpoints[-1].screen is not None:
            self._add(self._here())

    # -- checkpoints ---------------------------------------------------------------------------

    def _due(self, step: int) -> bool:
        return self.offset - self._checkpoints[-1].offset >= step

    def _here(self) -> Checkpoint:
        """Give the checkpoint at which we are."""
        piece, begun = self._pieces.place(self.offset)
        here = Checkpoint(self._line, self.offset, self._style, piece, begun)
        if self._screen is None:
            return here
        screen = self._screen.copy()
        # However heavy its rows are, no single one may drive all others out.
        weight = min(here.weight + sum(row.weight for row in screen.rows), BUDGET // 4)
        full = screen.lifted is not None
        return here._replace(line=screen.top, screen=screen, full=full, weight=weight)

    def _add(self, here: Checkpoint) -> None:
        """Add a checkpoint, instead of those that gave the same lines or later ones."""
        while self._checkpoints and self._checkpoints[-1].line >= here.line:
            self._weight -= self._checkpoints.pop().weight
        self._checkpoints.append(here)
        self._weight += here.weight
        if self._weight > BUDGET:
            self._thin()

    def _thin(self) -> None:
        """Drop every other checkpoint whose lines can also be made from the one before it.

        That is impossible where the cursor goes up for the first time: the one before has no
        rows that it could reach.
        """
        first, *rest = self._checkpoints
        kept, skip = [first], False
        for here in rest:
            skip = not skip and (kept[-1].full or not here.full)
            if not skip:
                kept.append(here)
        self._checkpoints, self._step = kept, min(2 * self._step, LONGEST_STEP)
        self._weight = sum(here.weight for here in kept)
