"""Searching the lines of a log for what they show."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from .errors import SpecError
from .line_replay import Batch, Raw
from .row import WIDTH
from .screen import Screen, harmless

if TYPE_CHECKING:
    import regex

Matcher: TypeAlias = Callable[[str], Iterator[int]]
"""Takes lines and gives the indices of those that match, counted from 0."""

SEARCH_S = 20.0
"""How long a search by regular expression may take, in seconds."""

PATIENCE_S = 0.02
"""How long it may take in one line while other threads have to wait."""

# What changes no text; erasing does not either, where nothing has moved the cursor back.
_IDLE = re.compile("\x1b\\[(?:[0-9;:]{0,256}m|0?K)")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def matcher(text: str, *, case: bool, regex: bool) -> Matcher:
    """Make what finds a text, or a regular expression, in lines. No text is found nowhere.

    Raises
    ------
    SpecError
        When it is no regular expression.
    """
    if not text or not regex:
        return partial(_literal, text if case else text.lower(), case)
    # Unlike the standard library's, this engine can be given a time limit: a pattern that never
    # comes to an end must not hold up the server that searches.
    import regex as engine  # noqa: PLC0415

    try:
        pattern = engine.compile(text, 0 if case else engine.IGNORECASE)
    except (engine.error, OverflowError, RecursionError) as error:
        raise SpecError(
            f"{text[:200]!r} is no regular expression: {error}.",
            hint="Search for it as plain text, or write \\ before . * + ? ( ) [ ] { } | ^ and $.",
            field="text",
        ) from error
    return partial(_pattern, pattern, time.monotonic() + SEARCH_S)


def shown(batch: Batch) -> str:
    """Give what lines show, without colours; each ends with a newline."""
    if not isinstance(batch, Raw):
        return "".join([row.text + "\n" for row in batch.rows])
    text = _bare(batch.data)
    if _CONTROL.search(text):
        text = "".join(map(_line, batch.data[:-1].split(b"\n")))
    return harmless(text)


def _bare(data: bytes) -> str:
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    return _IDLE.sub("", text) if "\x1b" in text else text


def _line(line: bytes) -> str:
    line += b"\n"
    text = _bare(line)
    if _CONTROL.search(text):
        screen = Screen(height=1)
        screen.write(line)
        text = screen.rows[0].text + "\n"
    return text


def _literal(wanted: str, case: bool, text: str) -> Iterator[int]:
    text = text if case else text.lower()
    index = done = 0
    at = text.find(wanted) if wanted and "\n" not in wanted else -1
    while at >= 0:
        index += text.count("\n", done, at)
        if at + len(wanted) - (text.rfind("\n", 0, at) + 1) <= WIDTH:
            yield index
        done = text.find("\n", at)
        at = text.find(wanted, done)


def _pattern(wanted: regex.Pattern[str], deadline: float, text: str) -> Iterator[int]:
    for index, line in enumerate(text[:-1].split("\n")):
        try:
            found = _matches(wanted, line, deadline)
        except TimeoutError:
            raise SpecError(
                f"The search for {wanted.pattern[:200]!r} took longer than {SEARCH_S:.0f} s.",
                hint="Write a simpler expression: repetitions such as (a|aa)+ may never end.",
                field="text",
            ) from None
        if found:
            yield index


def _matches(wanted: regex.Pattern[str], line: str, deadline: float) -> bool:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    try:
        return wanted.search(line, 0, WIDTH, timeout=min(left, PATIENCE_S)) is not None
    except TimeoutError:
        # Only now are other threads let run meanwhile: they may not give way again for long.
        return wanted.search(line, 0, WIDTH, timeout=left, concurrent=True) is not None
