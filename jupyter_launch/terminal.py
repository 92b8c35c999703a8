"""What a terminal would show of a program's raw output.

Carriage returns, backspaces, cursor moves and erasing are folded away, so that a progress bar is
one line; colours stay, as styles; all other control sequences are dropped. Every character is
looked at once and costs at most one cell, whatever a program sends. ``frontends/card.js`` does the
same in the browser; one corpus of tests holds both to it.
"""

from __future__ import annotations

import codecs
import html
import itertools
import re
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from .style import MARK, PLAIN, Style, css, number, restyle, sgr

WIDTH = 10_000
"""How many characters of one line are kept."""


class Run(NamedTuple):
    """Neighbouring characters of one style."""

    text: str
    style: Style


Line: TypeAlias = tuple[Run, ...]

_CONTROL = re.compile(
    r"\x1b\[([0-?]{0,256})[ -/]{0,16}([@-~])"  # a control sequence, such as a colour
    r"|\x1b[\]PX^_][^\x07\x1b\n]{0,4096}(?:\x07|\x1b\\)?"  # a title, hyperlink or other string
    r"|\x1b(?:[ -/]{0,16}[0-~])?"  # any other escape
    r"|[\x00-\x08\x0a-\x1f\x7f-\x9f]"
)
_UNFINISHED = re.compile(
    r"\x1b(?:\[[0-?]{0,256}[ -/]{0,16}|[\]PX^_][^\x07\x1b\n]{0,4096}\x1b?|[ -/]{0,16})\Z"
)
_REORDERING = re.compile("[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class _Row:
    """A line that can still change.

    Its pieces have any length until something is written over them; from then on each is one
    character, so that writing over costs what is written and not the line's length.
    """

    def __init__(self) -> None:
        self.pieces: list[tuple[str, Style]] = []
        self.width = 0
        self._split = False

    def put(self, column: int, text: str, style: Style) -> None:
        shown = text[: max(0, WIDTH - column)]
        if column < self.width:
            self._split_up()
        if self._split:
            self.pieces[column : column + len(shown)] = [(char, style) for char in shown]
        elif shown:
            self.pieces.append((shown, style))
        self.width = max(self.width, column + len(text))

    def erase_from(self, column: int) -> None:
        if column == 0:
            self.pieces, self.width, self._split = [], 0, False
        elif column < self.width:
            self._split_up()
            del self.pieces[column:]
            self.width = column

    def line(self) -> Line:
        runs = [
            Run("".join(text for text, _ in group), style)
            for style, group in itertools.groupby(self.pieces, key=lambda piece: piece[1])
        ]
        if self.width > WIDTH:
            runs.append(Run(f" … {self.width - WIDTH:,} more characters", MARK))
        return tuple(runs)

    def _split_up(self) -> None:
        if not self._split:
            self.pieces = [(char, style) for text, style in self.pieces for char in text]
            self._split = True


class Screen:
    """A terminal without a right edge that forgets nothing. Takes bytes in chunks of any size."""

    def __init__(self) -> None:
        self._rows = [_Row()]
        self._row = self._column = 0
        self._style = PLAIN
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def write(self, data: bytes, *, final: bool = False) -> None:
        """Take what the program wrote; a character or sequence cut off at its end waits."""
        text = self._held + self._decoder.decode(data, final)
        # The very last character may be the first half of the end of a sequence begun before it.
        unfinished = _UNFINISHED.search(text, max(0, text.rfind("\x1b", 0, -1)))
        end = unfinished.start() if unfinished else len(text)
        self._held = "" if final else text[end:]
        start = 0
        for control in _CONTROL.finditer(text, 0, end):
            self._put(text[start : control.start()])
            self._obey(control)
            start = control.end()
        self._put(text[start:end])

    def lines(self) -> list[Line]:
        """Give what is on the screen now."""
        lines = [row.line() for row in self._rows]
        return lines if lines[-1] else lines[:-1]

    def _put(self, text: str) -> None:
        if not text:
            return
        row = self._rows[self._row]
        # Never right of the line's end: no input can make more cells than it has characters.
        column = min(self._column, row.width)
        text = _visible(text)
        row.put(column, text, self._style)
        self._column = column + len(text)

    def _obey(self, control: re.Match[str]) -> None:
        code, parameters, final = control[0], control[1], control[2]
        if code == "\n":
            self._row += 1
            self._column = 0
            if self._row == len(self._rows):
                self._rows.append(_Row())
        elif code == "\r":
            self._column = 0
        elif code == "\b":
            self._move(1, "D")
        elif not final or parameters[:1] in {"<", "=", ">", "?"}:
            return
        elif final == "m":
            self._style = restyle(self._style, parameters)
        elif final == "K":
            self._erase(number(parameters))
        else:
            self._move(max(1, number(parameters)), final)

    def _erase(self, what: int) -> None:
        if what != 1:
            self._rows[self._row].erase_from(0 if what == 2 else self._column)

    def _move(self, count: int, where: str) -> None:
        if where in "AF":
            self._row = max(0, self._row - count)
        elif where in "BE":
            self._row = min(len(self._rows) - 1, self._row + count)
        width = self._rows[self._row].width
        if where == "C":
            self._column = min(width, self._column + count)
        elif where == "D":
            self._column = max(0, min(width, self._column) - count)
        elif where == "G":
            self._column = min(width, count - 1)
        elif where in "EF":
            self._column = 0


def fold(data: bytes, limit_lines: int = 200, limit_bytes: int = 65536) -> list[Line]:
    """Fold raw output to the lines a terminal would show.

    Parameters
    ----------
    data : bytes
        What a program wrote, in UTF-8; what is no UTF-8 becomes U+FFFD.
    limit_lines : int
        How many lines to give, from the end.
    limit_bytes : int
        How many bytes to look at, from the end.
    """
    if len(data) > limit_bytes:
        data = data[-limit_bytes:]
        data = data[data.find(b"\n", 0, -1) + 1 :]
    screen = Screen()
    screen.write(data, final=True)
    return screen.lines()[-limit_lines:]


def visible(text: str) -> str:
    """Make text safe to show within one line: no control characters, nothing that reorders."""
    return _visible(_CONTROL.sub(" ", text))


def to_plain(lines: Iterable[Line]) -> str:
    """Give the text alone."""
    return "\n".join("".join(run.text for run in line) for line in lines)


def to_ansi(lines: Iterable[Line]) -> str:
    """Give the text with its colours as escape sequences; each line stands by itself."""
    return "\n".join("".join(map(_coloured, line)) for line in lines)


def to_html(lines: Iterable[Line]) -> str:
    """Give escaped text, coloured by inline styles, for a ``<pre>``."""
    return "\n".join("".join(map(_span, line)) for line in lines)


def _coloured(run: Run) -> str:
    codes = sgr(run.style)
    return f"\x1b[{codes}m{run.text}\x1b[0m" if codes else run.text


def _span(run: Run) -> str:
    text, rules = html.escape(run.text), css(run.style)
    return f'<span style="{rules}">{text}</span>' if rules else text


def _visible(text: str) -> str:
    if text.isascii():
        return text
    return _REORDERING.sub(lambda match: f"‹U+{ord(match[0]):04X}›", text)
