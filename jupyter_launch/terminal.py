"""What a terminal would show of a program's raw output.

Carriage returns, backspaces, cursor moves and erasing are folded away, so that a progress bar is
one line; colours stay, as styles; all other control sequences are dropped. Every character is
looked at once and costs at most one cell, whatever a program sends.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from .row import WIDTH, Line, Run
from .screen import CONTROL, PRIVATE, Screen, harmless
from .style import PLAIN, Style, css, restyle, sgr

__all__ = [
    "WIDTH",
    "Line",
    "Run",
    "Screen",
    "fold",
    "style_after",
    "to_ansi",
    "to_html",
    "to_plain",
    "visible",
]

_SGR = re.compile(rb"\x1b\[([0-?]{0,256})[ -/]{0,16}m")


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
    return screen.lines(limit_lines)


def style_after(style: Style, data: bytes) -> Style:
    """Say how the character after some output would look, if it began in that style."""
    reset = max(data.rfind(b"\x1b[0m"), data.rfind(b"\x1b[m"))
    if reset >= 0:
        style = PLAIN
    for parameters in _SGR.findall(data, max(0, reset)):
        codes = parameters.decode("ascii")
        if codes[:1] not in PRIVATE:
            style = restyle(style, codes)
    return style


def visible(text: str) -> str:
    """Make text safe to show within one line: no control characters, nothing that reorders."""
    return harmless(CONTROL.sub(" ", text))


def to_plain(lines: Iterable[Line]) -> str:
    """Give the text alone."""
    return "\n".join("".join(run.text for run in line) for line in lines)


def to_ansi(lines: Iterable[Line]) -> str:
    """Give the text with its colours as escape sequences; each line stands by itself."""
    return "\n".join(map(_coloured, lines))


def to_html(lines: Iterable[Line]) -> str:
    """Give escaped text, coloured by inline styles, for a ``<pre>``."""
    return "\n".join("".join(map(_span, line)) for line in lines)


def _coloured(line: Line) -> str:
    text, before = "", PLAIN
    for run in (*line, Run("", PLAIN)):
        if run.style != before:
            # Only a reset takes a colour or mark away; where none goes, it is not needed.
            kept = zip(run.style, before, PLAIN, strict=True)
            reset = any(now == plain != then for now, then, plain in kept)
            codes = sgr(run.style)
            text += f"\x1b[{'0;' if reset and codes else ''}{codes}m"
        text, before = text + run.text, run.style
    return text


def _span(run: Run) -> str:
    # As short as can be: a saved notebook has hundreds of these.
    text, rules = html.escape(run.text, quote=False), css(run.style._replace(bold=False))
    look = f'"{rules}"' if " " in rules else rules
    if rules or run.style.bold:
        tag = "b" if run.style.bold else "span"
        return f"<{tag}{f' style={look}' if rules else ''}>{text}</{tag}>"
    return text
