"""A terminal's screen: rows of characters, and a cursor that a program's output moves."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from .row import Line, Row
from .style import PLAIN, Style, number, restyle

CONTROL = re.compile(
    r"\x1b\[([0-?]{0,256})[ -/]{0,16}([@-~])"  # a control sequence, such as a colour
    r"|\x1b[\]PX^_][^\x07\x1b\n]{0,4096}(?:\x07|\x1b\\)?"  # a title, hyperlink or other string
    r"|\x1b(?:[ -/]{0,16}[0-~])?"  # any other escape
    r"|([\x00-\x08\x0a-\x1f\x7f-\x9f])"
)
"""Groups: the parameters and the final character of a control sequence; a control character."""

_UNFINISHED = re.compile(
    r"\x1b(?:\[[0-?]{0,256}[ -/]{0,16}|[\]PX^_][^\x07\x1b\n]{0,4096}\x1b?|[ -/]{0,16})\Z"
)
_LONGEST = 4200
"""More characters than any unfinished sequence has."""

PRIVATE = frozenset("<=>?")
_REORDERING = re.compile("[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Screen:
    """A terminal without a right edge that forgets nothing unasked.

    Parameters
    ----------
    style : Style
        How the first character looks, if nothing else is said.
    top : int
        The number of the row it begins with.
    height : int, optional
        How many rows the cursor can reach, counted from the lowest one; without it, all.
    above : callable, optional
        Gives the rows from one number up to another, once, when the cursor first goes up to where
        rows are that this screen did not draw.
    """

    def __init__(
        self,
        style: Style = PLAIN,
        *,
        top: int = 0,
        height: int | None = None,
        above: Callable[[int, int], list[Row]] | None = None,
    ) -> None:
        self.rows = [Row()]
        self.top = top
        self.style = style
        self.changed = top
        """The number of the highest row that changed; to be set by whoever has seen it."""
        self.lifted: int | None = None
        """The number of the lowest row when the cursor last went up to another one."""
        self._height, self._above = height, above
        self._row = self._column = 0
        self._returned = False
        self._undecoded, self._held = b"", ""
        self._stream, self._at = 1, 0.0

    @property
    def bottom(self) -> int:
        """The number of the lowest row."""
        return self.top + len(self.rows) - 1

    @property
    def fresh(self) -> bool:
        """Whether the cursor is where nothing was written, on a new lowest row."""
        return self._row == len(self.rows) - 1 and not self.rows[-1].stream

    def write(self, data: bytes, *, stream: int = 1, at: float = 0.0, final: bool = False) -> None:
        """Take what the program wrote; a character or sequence cut off at its end waits."""
        self._stream, self._at = stream, at
        if data:
            self._mark()
        data = self._undecoded + data
        decoded, used = codecs.utf_8_decode(data, "replace", final)
        self._undecoded = data[used:]
        text = self._held + harmless(decoded)
        unfinished = _UNFINISHED.search(text, max(0, len(text) - _LONGEST))
        end = unfinished.start() if unfinished else len(text)
        self._held = "" if final else text[end:]
        shown, *rest = CONTROL.split(text[:end])
        if shown:
            self._put(shown)
        for parameters, ending, char, shown in zip(*[iter(rest)] * 4, strict=True):
            if char:
                self._obey(char)
            elif ending:
                self._act(ending, parameters)
            if shown:
                self._put(shown)
        if data and data[-1:] != b"\n":
            self._mark()

    def lines(self, most: int) -> list[Line]:
        """Give what is on the screen now: at most so many lines, from the end."""
        *lines, lowest = [row.line() for row in self.rows[-most - 1 :]]
        return [*lines, lowest][-most:] if lowest else lines

    def scroll(self) -> list[Row]:
        """Let go of the rows that the cursor cannot reach any more, and give them."""
        gone = self.rows[: -self._height] if self._height else []
        del self.rows[: len(gone)]
        self.top += len(gone)
        self._row -= len(gone)
        return gone

    def copy(self) -> Screen:
        """Give a screen that changes by itself from now on; it has no rows above to call for."""
        screen = Screen.__new__(Screen)
        vars(screen).update(vars(self), rows=[row.copy() for row in self.rows], _above=None)
        return screen

    def _mark(self) -> None:
        row = self.rows[self._row]
        if not row.stream:
            row.stream, row.at = self._stream, self._at

    def _touch(self) -> Row:
        self.changed = min(self.changed, self.top + self._row)
        return self.rows[self._row]

    def _put(self, text: str) -> None:
        row = self._touch()
        if self._returned:
            row.stream, self._returned = self._stream, False
        # Never right of the line's end: no input can make more cells than it has characters.
        column = min(self._column, row.width)
        row.put(column, text, self.style)
        self._column = column + len(text)

    def _obey(self, char: str) -> None:
        if char == "\r":
            self._column = 0
        elif char == "\n":
            self._feed_line()
        elif char == "\b":
            self._move(1, "D")

    def _act(self, final: str, parameters: str) -> None:
        if parameters[:1] in PRIVATE:
            return
        if final == "m":
            self.style = restyle(self.style, parameters)
        elif final == "K":
            self._erase(number(parameters))
        elif final in "ABCDEFG":
            self._move(max(1, number(parameters)), final)

    def _feed_line(self) -> None:
        self._mark()
        self._row += 1
        self._column = 0
        self._returned = self._row < len(self.rows)
        if not self._returned:
            self.rows.append(Row())

    def _erase(self, what: int) -> None:
        if what != 1:
            self._touch().erase_from(0 if what == 2 else self._column)

    def _move(self, count: int, where: str) -> None:
        if where in "AF":
            self._go(self.top + self._row - count)
        elif where in "BE":
            self._go(self.top + self._row + count)
        width = self.rows[self._row].width
        if where == "C":
            self._column = min(width, self._column + count)
        elif where == "D":
            self._column = max(0, min(width, self._column) - count)
        elif where == "G":
            self._column = min(width, count - 1)
        elif where in "EF":
            self._column = 0

    def _go(self, where: int) -> None:
        """Go to the row of that number, or as far as the cursor can."""
        self._mark()
        highest = max(0, self.bottom + 1 - self._height) if self._height else 0
        if where < self.top and highest < self.top and self._above:
            rows, self._above = self._above(highest, self.top), None
            self.rows[:0] = rows
            self.top -= len(rows)
            self._row += len(rows)
        row = max(where, highest, self.top) - self.top
        row = min(row, len(self.rows) - 1)
        if row < self._row:
            self.lifted = self.bottom
        self._returned |= row != self._row
        self._row = row


def harmless(text: str) -> str:
    """Spell out the characters that would reorder the text around them."""
    if text.isascii():
        return text
    return _REORDERING.sub(lambda match: f"‹U+{ord(match[0]):04X}›", text)
