"""Neighbouring lines of a log, written down for a page: text with its colours, streams, times."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .line_replay import Batch, Raw, Source
from .row import WIDTH, Line
from .screen import Screen
from .style import PLAIN, Style, sgr
from .terminal import style_after

_ODD = re.compile(
    # First what all that is no plain text begins with, so that other bytes are passed over fast.
    rb"[\x00-\x08\x0b-\x1f\x7f\xc2\xd8\xe2]"
    rb"(?:(?<=[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f])"
    rb"|(?<=\x1b)(?!\[[0-9;:]{0,256}m)"  # any sequence but a colour
    rb"|(?<=\xc2)[\x80-\x9f]|(?<=\xd8)\x9c"  # control characters, and those that reorder text
    rb"|(?<=\xe2)(?:\x80[\x8e\x8f\xa8-\xae]|\x81[\xa6-\xa9]))"
)


@dataclass(frozen=True)
class Chunk:
    """Lines ``first`` to ``first + count - 1``.

    Attributes
    ----------
    text : bytes
        UTF-8. Each line ends with a newline; there are no control characters in it but tabs and
        no control sequences but colours, which last until they change, beyond the line's end too.
        A line of more than 10,000 characters is cut, and says so.
    style : str
        The numbers of the colour sequence in force at the start; empty for none.
    streams : list of (int, int)
        The index of a line in the chunk, and the stream (1 stdout, 2 stderr) from there on.
    times : list of (int, float)
        The index of a line in the chunk, and when its first byte came, in Unix time; the lines
        up to the next index have the same.
    """

    first: int
    count: int
    text: bytes
    style: str
    streams: list[tuple[int, int]]
    times: list[tuple[int, float]]


class Pen:
    """Writes down at most `count` lines and, but for the first, at most `limit` bytes."""

    def __init__(self, count: int, limit: int) -> None:
        self._left, self._room = count, limit
        self._texts: list[bytes] = []
        self._count = 0
        self._streams: list[tuple[int, int]] = []
        self._times: list[tuple[int, float]] = []
        self._start = self._style = PLAIN

    def write(self, batch: Batch) -> bool:
        """Write as many of the next lines as there is room for. Say whether there is more room."""
        if isinstance(batch, Raw):
            self._write_raw(batch.part(batch.line, batch.line + self._left))
        else:
            for row in batch.rows[: self._left]:
                self._add(self._spell(row.line()) + b"\n", [Source(1, row.stream, row.at)])
        return self._left > 0

    def chunk(self, first: int) -> Chunk:
        """Give what was written; it begins with line number `first`."""
        text, style = b"".join(self._texts), sgr(self._start)
        return Chunk(first, self._count, text, style, self._streams, self._times)

    def _write_raw(self, batch: Raw) -> None:
        if not self._texts:
            self._start = self._style = batch.style
        switch = self._switch(batch.style)
        if tidy(batch.data):
            part = self._fitting(batch, self._room - len(switch))
            if part.data:
                self._add(switch + part.data, part.sources())
            if part is not batch:
                self._left = 0
        else:
            sources = (Source(1, s.stream, s.at) for s in batch.sources() for _ in range(s.lines))
            for text, source in zip(self._tidied(batch.data), sources, strict=True):
                self._add(switch + text, [source])
                switch = b""
                if not self._left:
                    return
        self._style = batch.style_after

    def _fitting(self, batch: Raw, room: int) -> Raw:
        """Give as many lines as there is room for, and at least the very first one."""
        data = batch.data
        if len(data) <= room:
            return batch
        end = data.rfind(b"\n", 0, max(0, room)) + 1
        if not end and not self._texts:
            end = data.find(b"\n") + 1
        return batch.part(batch.line, batch.line + data.count(b"\n", 0, end))

    def _add(self, text: bytes, sources: Iterable[Source]) -> None:
        """Add lines, if there is room for all of them, or none are there yet."""
        if len(text) > self._room and self._texts:
            self._left = 0
        if not self._left:
            return
        self._texts.append(text)
        self._room -= len(text)
        for lines, stream, at in sources:
            if not self._streams or stream != self._streams[-1][1]:
                self._streams.append((self._count, stream))
            if not self._times or at != self._times[-1][1]:
                self._times.append((self._count, at))
            self._count += lines
            self._left -= lines

    def _tidied(self, data: bytes) -> Iterator[bytes]:
        """Give lines one by one, drawn if they have to be."""
        done = start = 0
        for line in data[:-1].split(b"\n"):
            end = start + len(line) + 1
            text = line.rstrip(b"\r")
            if not tidy(text):
                self._style = style_after(self._style, data[done:start])
                screen, done = Screen(self._style), end
                screen.write(data[start:end])
                text = self._spell(screen.rows[0].line()) + self._switch(screen.style)
            yield text + b"\n"
            start = end

    def _spell(self, line: Line) -> bytes:
        return b"".join([self._switch(run.style) + run.text.encode() for run in line])

    def _switch(self, style: Style) -> bytes:
        """Write what makes the style in force another one."""
        if style == self._style:
            return b""
        self._style, codes = style, sgr(style)
        return f"\x1b[0;{codes}m".encode() if codes else b"\x1b[0m"


def tidy(data: bytes) -> bool:
    """Say whether lines can be shown as they are."""
    if _ODD.search(data) or (len(data) > WIDTH and max(map(len, data.split(b"\n"))) > WIDTH):
        return False
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False
