"""Rows of characters, each with its style."""

from __future__ import annotations

import itertools
from typing import NamedTuple, TypeAlias

from .style import MARK, Style

WIDTH = 10_000
"""How many characters of one line are kept."""


class Run(NamedTuple):
    """Neighbouring characters of one style."""

    text: str
    style: Style


Line: TypeAlias = tuple[Run, ...]


class Row:
    """A line that can still change.

    The styles of its characters are kept as runs until something is written over them; from then
    on one by one, so that writing over costs what is written and not the number of runs.
    """

    __slots__ = ("_cells", "_runs", "at", "stream", "text", "width")

    def __init__(self) -> None:
        self.text = ""
        self.width = 0
        """Characters, those beyond `WIDTH` included, which are not kept."""
        self.stream = 0
        """What was written last came from there: 1 or 2; 0 before the first byte."""
        self.at = 0.0
        """When the first byte came, in Unix time."""
        self._runs: list[tuple[int, Style]] = []
        self._cells: list[Style] | None = None

    def put(self, column: int, text: str, style: Style) -> None:
        """Write from a column on, which is not right of the row's end."""
        end = column + len(text)
        self.width = max(self.width, end)
        if end > WIDTH:
            text = text[: max(0, WIDTH - column)]
            end = column + len(text)
        if column == 0 and end >= len(self.text):
            self.text, self._runs, self._cells = text, [(end, style)], None
        elif column < len(self.text):
            cells = self._spread()
            cells[column:end] = [style] * len(text)
            self.text = self.text[:column] + text + self.text[end:]
        elif text:
            self._append(text, style)

    def erase_from(self, column: int) -> None:
        """Take away what is right of a column."""
        if column == 0:
            self.text, self.width, self._runs, self._cells = "", 0, [], None
        elif column < self.width:
            del self._spread()[column:]
            self.text, self.width = self.text[:column], column

    def line(self) -> Line:
        """Give what the row shows."""
        runs, start = [], 0
        for length, style in self._packed():
            runs.append(Run(self.text[start : start + length], style))
            start += length
        if self.width > WIDTH:
            runs.append(Run(f" … {self.width - WIDTH:,} more characters", MARK))
        return tuple(runs)

    def copy(self) -> Row:
        """Give a row that changes by itself from now on."""
        row = Row()
        row.text, row.width, row.stream, row.at = self.text, self.width, self.stream, self.at
        row._runs = self._packed().copy()
        return row

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes as long as nothing is written over it."""
        return 200 + len(self.text) + 80 * len(self._packed())

    def _append(self, text: str, style: Style) -> None:
        self.text += text
        if self._cells is not None:
            self._cells += [style] * len(text)
        elif self._runs and self._runs[-1][1] == style:
            self._runs[-1] = self._runs[-1][0] + len(text), style
        else:
            self._runs.append((len(text), style))

    def _spread(self) -> list[Style]:
        if self._cells is None:
            self._cells = [style for length, style in self._runs for _ in range(length)]
        return self._cells

    def _packed(self) -> list[tuple[int, Style]]:
        if self._cells is not None:
            groups = itertools.groupby(self._cells)
            self._runs = [(sum(1 for _ in group), style) for style, group in groups]
            self._cells = None
        return self._runs
