"""A log is read as the lines a terminal would show, whatever it holds and however it came."""

from __future__ import annotations

import contextlib
import itertools
import re
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import NamedTuple, cast
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jupyter_launch import line_chunk, line_index, line_replay, line_search, lines, row
from jupyter_launch.errors import SpecError, StoreUnavailable
from jupyter_launch.line_index import SCREEN_ROWS
from jupyter_launch.lines import Chunk, Lines
from jupyter_launch.row import WIDTH, Line
from jupyter_launch.runs import LogPiece
from jupyter_launch.screen import Screen
from jupyter_launch.stores.base import Store
from jupyter_launch.style import MARK, PLAIN, Style, restyle

RED = Style(fg=1)


class Log:
    """A log in memory, written in pieces as a store would."""

    def __init__(self, *pieces: bytes) -> None:
        self.data = bytearray()
        self.pieces: list[LogPiece] = []
        self.reads: list[int] = []
        for data in pieces:
            self.append(data)

    def append(self, data: bytes, stream: int = 1, at: float = 0.0, missing: int = 0) -> None:
        """Write a piece; its last bytes may be missing as yet, or for good."""
        self.pieces.append(LogPiece(at or float(len(self.pieces) + 1), len(data), stream))
        self.data += data[: len(data) - missing]

    def repair(self) -> None:
        """Make the pieces tell no more than what is there."""
        end = 0
        for number, piece in enumerate(self.pieces):
            self.pieces[number] = piece._replace(length=min(piece.length, len(self.data) - end))
            end += piece.length
        self.pieces = [piece for piece in self.pieces if piece.length > 0]

    def read_log(self, run_id: str, offset: int = 0, limit: int = 1 << 20) -> bytes:
        self.reads.append(limit)
        return bytes(self.data[offset : offset + limit])

    def log_pieces(self, run_id: str, start: int = 0, limit: int = 4096) -> list[LogPiece]:
        return self.pieces[start : start + limit]

    def lines(self, *, taken: bool = True) -> Lines:
        """Give its lines, all taken in or none yet."""
        new = Lines(cast("Store", self), "run")
        while taken and new.behind:
            new.advance()
        return new


class Shown(NamedTuple):
    """A line as a page shows it: its characters with their styles, and where it came from."""

    chars: list[tuple[str, Style]]
    stream: int
    at: float

    @property
    def text(self) -> str:
        return "".join(char for char, _ in self.chars)


def expected(log: Log) -> list[Shown]:
    """Draw a whole log on one screen, piece by piece."""
    screen, start = Screen(height=line_index.SCREEN_ROWS), 0
    for piece in log.pieces:
        data = bytes(log.data[start : start + piece.length])
        screen.write(data, stream=piece.stream, at=piece.at)
        start += piece.length
    rows = screen.rows if screen.rows[-1].width else screen.rows[:-1]
    return [Shown(chars(row.line()), row.stream, row.at) for row in rows]


def chars(line: Line) -> list[tuple[str, Style]]:
    return [(char, run.style) for run in line for char in run.text]


def page(chunk: Chunk) -> list[Shown]:
    """Read a chunk as a page does, which knows of colours only."""
    style = restyle(PLAIN, chunk.style) if chunk.style else PLAIN
    streams, times = dict(chunk.streams), dict(chunk.times)
    stream, at, found = 0, 0.0, []
    assert chunk.text.count(b"\n") == chunk.count
    for index, line in enumerate(chunk.text.decode().split("\n")[:-1]):
        stream, at = streams.get(index, stream), times.get(index, at)
        shown = []
        for number, part in enumerate(re.split("\x1b\\[([0-9;:]*)m", line)):
            if number % 2:
                style = restyle(style, part)
            else:
                assert not re.search("[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e]", part)
                shown += [(char, style) for char in part]
        found.append(Shown(shown, stream, at))
    return found


def read(lines: Lines, first: int = 0, limit: int = 1 << 18) -> list[Shown]:
    """Read all lines from a number on, chunk by chunk."""
    found: list[Shown] = []
    while (chunk := lines.read(first, lines.total, limit)).count:
        assert chunk.first == first
        assert chunk.count == 1 or len(chunk.text) <= limit
        found += page(chunk)
        first += chunk.count
    return found


def text(lines: Lines) -> str:
    return "\n".join(line.text for line in read(lines))


@contextlib.contextmanager
def small() -> Iterator[None]:
    """Make all measures so small that a short log meets them."""
    with contextlib.ExitStack() as stack:
        for module, names in {
            line_index: {"SCREEN_ROWS": 3, "KEPT_ROWS": 6, "STEP": 12, "DRAWN_STEP": 2, "BUDGET": 4000},
            line_replay: {"BLOCK": 16},
            lines: {"BLOCK": 24, "BLOCKS": 3},
            row: {"WIDTH": 20},
            line_chunk: {"WIDTH": 20},
            line_search: {"WIDTH": 20},
        }.items():
            stack.enter_context(patch.multiple(module, **names))
        yield


SCRAPS = st.one_of(
    st.sampled_from(
        [b"\n", b"\n", b"\n", b"a\n", b"longer text\n", b"\x1b[31mred\n", b"\r", b"\r\n", b"\b",
         b"\x1b[A", b"\x1b[A", b"\x1b[2F", b"\x1b[9A", b"\x1b[B", b"\x1b[3E", b"\x1b[K", b"\x1b[2K",
         b"\x1b[3G", b"\x1b[2D", b"\x1b[C", b"\x1b[m", b"\x1b[0;1m", b"\x1b[1m", b"\x1b[38;5;99m",
         b"\x1b[>4;1m", b"\x1b[?25l", b"\x1b]0;title\x07", b"\x1b]8;;x", b"\x1b\\", b"\x1b", b"\x1b[",
         b"\0", b"\t", b"\xff", b"\xe2\x9c", "é✓😀".encode(), "\u202e\x85".encode(),
         b"abc", b"x" * 15, b"one\ntwo\nthree\nfour\nfive\n", b"1\n2\n3\n4\n5\n6\n7\n8\n" * 3]
    ),
    st.binary(max_size=4),
)  # fmt: skip
OUTPUT = st.lists(SCRAPS, max_size=12).map(b"".join)


class Step(NamedTuple):
    """Something that happens to a log, and where it is read from after that."""

    data: bytes
    cuts: list[int]
    stream: int
    what: str
    first: int
    limit: int


STEPS = st.lists(
    st.builds(
        Step,
        OUTPUT,
        st.lists(st.integers(1, 12), max_size=3),
        st.sampled_from([1, 1, 2]),
        st.sampled_from(["come", "come", "wait", "part", "die"]),
        st.integers(0, 30),
        st.integers(1, 60),
    ),
    max_size=14,
)


def happen(log: Log, step: Step) -> None:
    """Write what a step says, in pieces; the last one may come late or never be whole."""
    log.repair()
    cuts = [0, *itertools.accumulate(step.cuts), len(step.data)]
    parts = [part for a, b in itertools.pairwise(cuts) if (part := step.data[a:b])]
    for index, part in enumerate(parts):
        missing = len(part) // 2 if step.what == "die" and index == len(parts) - 1 else 0
        log.append(part, 1 + (step.stream + index) % 2 if step.cuts else step.stream, 0.0, missing)


@settings(max_examples=400, deadline=None)
@given(STEPS)
def test_any_lines_are_as_on_a_screen_however_the_log_came(steps: list[Step]) -> None:
    with small():
        log, model = Log(), list[Shown]()
        watched = log.lines(taken=False)
        for step in steps:
            happen(log, step)
            if step.what == "wait":
                continue
            watched.behind = True
            while watched.behind:
                changed = watched.advance()
                if changed is not None:
                    # As a page: what it has from there on is void, and read anew.
                    assert changed <= len(model)
                    model[changed:] = read(watched, changed, step.limit)
                assert watched.total == len(model)
            assert model == expected(log)
            assert read(watched, step.first) == model[step.first :]
        assert read(log.lines()) == expected(log)
