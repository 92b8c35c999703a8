"""Lines made of a log's bytes once more, from the nearest checkpoint on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise
from typing import NamedTuple, TypeAlias

from .log_pieces import Log, Pieces
from .row import Row
from .screen import Screen
from .style import PLAIN, Style
from .terminal import style_after

BLOCK = 1 << 17
"""How many bytes are read at a time."""


class Checkpoint(NamedTuple):
    """A place in the log from which lines can be made.

    `line` is the first line that the bytes from `offset` on give, in that `style`; `piece` is the
    number of the log's piece that begins at `begun` and holds the offset. Where rows may still
    change, `screen` has those from `line` on, and the bytes go on drawing on it; it is `full`
    when it has all that the cursor can reach. `weight` is about what it takes in memory, in bytes.
    """

    line: int
    offset: int
    style: Style
    piece: int
    begun: int
    screen: Screen | None = None
    full: bool = False
    weight: int = 256


START = Checkpoint(0, 0, PLAIN, 0, 0)


@dataclass(frozen=True)
class Drawn:
    """Finished rows, the first of them being line number `line`."""

    line: int
    rows: list[Row]

    @property
    def count(self) -> int:
        """How many lines they are."""
        return len(self.rows)

    def part(self, first: int, stop: int) -> Drawn:
        """Give the rows from one number up to another."""
        skip = max(0, first - self.line)
        return Drawn(self.line + skip, self.rows[skip : max(0, stop - self.line)])


class View(NamedTuple):
    """What lines can be made from later without looking at what has changed since.

    The lines from each checkpoint's up to the next one's come from the log, `newest` come after.
    """

    checkpoints: list[Checkpoint]
    newest: Drawn


class Source(NamedTuple):
    """So many lines, one after the other, came from that stream at that Unix time."""

    lines: int
    stream: int
    at: float


@dataclass(frozen=True)
class Raw:
    """Whole lines as they stand in the log, where none changes another one.

    `line` is the number of the first one, `style` what is in force before it, and `offset` where
    it begins, in a piece that `pieces` can tell.
    """

    line: int
    data: bytes
    style: Style
    offset: int
    pieces: Pieces

    @cached_property
    def count(self) -> int:
        """How many lines they are."""
        return self.data.count(b"\n")

    @property
    def style_after(self) -> Style:
        """What is in force after them."""
        return style_after(self.style, self.data)

    def sources(self) -> Iterator[Source]:
        """Say where the lines came from; a line is of the piece that its first byte is in."""
        end = self.offset + len(self.data)
        self.pieces.cover(end)
        start, begun = 0, 1  # so many bytes are behind, and so many lines have begun in them
        for span in self.pieces.spans(self.offset, end):
            here = span.end - self.offset - 1
            lines = begun + self.data.count(b"\n", start, here)
            if lines:
                yield Source(lines, span.stream, span.at)
            start, begun = here, 0

    @property
    def rows(self) -> list[Row]:
        """What they show."""
        screen = Screen(self.style, height=1)
        screen.write(self.data)
        rows = iter(screen.rows)
        for source in self.sources():
            for row in islice(rows, source.lines):
                row.stream, row.at = source.stream, source.at
        return screen.rows[:-1]

    def part(self, first: int, stop: int) -> Raw:
        """Give the lines from one number up to another."""
        start = after_lines(self.data, max(0, first - self.line))
        end = after_lines(self.data, min(self.count, stop - self.line))
        if (start, end) == (0, len(self.data)):
            return self
        style = style_after(self.style, self.data[:start])
        line = max(first, self.line)
        return Raw(line, self.data[start:end], style, self.offset + start, self.pieces)


Batch: TypeAlias = Raw | Drawn


def replay(log: Log, view: View, first: int) -> Iterator[Batch]:
    """Give the lines of a view from number `first` on, in order and without a gap."""
    for here, then in pairwise(view.checkpoints):
        if then.line > max(first, here.line):
            batches = _plain(log, here, then) if here.screen is None else _drawn(log, here, then)
            for batch in batches:
                if batch.line + batch.count > first:
                    yield batch.part(first, then.line)
    yield view.newest.part(first, view.newest.line + view.newest.count)


def draw(screen: Screen, data: bytes, offset: int, pieces: Pieces) -> None:
    """Write what stands in the log at `offset` on a screen, each piece as one."""
    start = offset
    for span in pieces.spans(offset, offset + len(data)):
        part = data[start - offset : span.end - offset]
        screen.write(part, stream=span.stream, at=span.at)
        start = span.end


def after_lines(data: bytes, count: int) -> int:
    """Say where in `data` so many lines have ended."""
    start, end = 0, len(data)
    while count > 16:
        middle = (start + end) // 2
        here = data.count(b"\n", start, middle)
        if here < count:
            start, count = middle, count - here
        else:
            end = middle
    for _ in range(count):
        start = data.find(b"\n", start) + 1
    return start


def _plain(log: Log, here: Checkpoint, then: Checkpoint) -> Iterator[Batch]:
    line, offset, style = here.line, here.offset, here.style
    pieces = Pieces(log, here.piece, here.begun)
    while line < then.line:
        data = log.read(offset, min(BLOCK, then.offset - offset))
        if not data:  # somebody has removed the log
            return
        data = data[: data.rfind(b"\n") + 1]
        if data:
            raw = Raw(line, data, style, offset, pieces)
            yield raw
            line, offset = line + raw.count, offset + len(data)
            style = raw.style_after
        else:
            screen, offset = _long_line(log, offset, style, pieces)
            yield Drawn(line, screen.rows[:1])
            line, style = line + 1, screen.style


def _long_line(log: Log, offset: int, style: Style, pieces: Pieces) -> tuple[Screen, int]:
    """Draw one line that is longer than a block; give the offset of the next one besides."""
    screen = Screen(style, height=1)
    while len(screen.rows) == 1 and (data := log.read(offset, BLOCK)):
        data = data[: data.find(b"\n") + 1 or None]
        pieces.cover(offset + len(data))
        draw(screen, data, offset, pieces)
        offset += len(data)
    return screen, offset


def _drawn(log: Log, here: Checkpoint, then: Checkpoint) -> Iterator[Batch]:
    assert here.screen is not None
    screen, offset = here.screen.copy(), here.offset
    pieces = Pieces(log, here.piece, here.begun)
    while screen.top < then.line:
        data = log.read(offset, min(BLOCK, then.offset - offset))
        if not data:  # the others are on the screen
            break
        pieces.cover(offset + len(data))
        draw(screen, data, offset, pieces)
        offset += len(data)
        yield Drawn(screen.top, screen.scroll())
    yield Drawn(screen.top, screen.rows)
