"""A log is read as the lines a terminal would show, whatever it holds and however it came."""

from __future__ import annotations

import contextlib
import itertools
import re
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jupyter_launch.lines
from jupyter_launch import line_chunk, line_index, line_replay, line_search, row
from jupyter_launch.errors import SpecError, StoreUnavailable
from jupyter_launch.line_index import SCREEN_ROWS
from jupyter_launch.lines import Chunk, Found, Lines
from jupyter_launch.owner import new_owner
from jupyter_launch.row import WIDTH, Line
from jupyter_launch.runs import LogPiece
from jupyter_launch.screen import Screen
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import Store
from jupyter_launch.style import MARK, PLAIN, Style, restyle


class Log:
    """A log in memory, written in pieces as a store would."""

    def __init__(self, *pieces: bytes) -> None:
        self.data = bytearray()
        self.pieces: list[LogPiece] = []
        self.fetched = 0
        """How many bytes were read from it."""
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
        data = bytes(self.data[offset : offset + limit])
        self.fetched += len(data)
        return data

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

    @property
    def kept(self) -> str:
        """The text without what is said of characters that were cut off."""
        return self.text[: row.WIDTH]


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


SMALL: dict[Any, dict[str, Any]] = {
    line_index: {
        "SCREEN_ROWS": 3,
        "KEPT_ROWS": 6,
        "STEP": 12,
        "DRAWN_STEP": 2,
        "BUDGET": 4000,
    },
    line_replay: {"BLOCK": 16},
    jupyter_launch.lines: {"BLOCK": 24, "BLOCKS": 3},
    row: {"WIDTH": 20},
    line_chunk: {"WIDTH": 20},
    line_search: {"WIDTH": 20},
}


@contextlib.contextmanager
def small() -> Iterator[None]:
    """Make all measures so small that a short log meets them."""
    with contextlib.ExitStack() as stack:
        for module, values in SMALL.items():
            stack.enter_context(patch.multiple(module, **values))
        yield


SCRAPS = st.one_of(
    st.sampled_from(
        [b"\n", b"\n", b"\n", b"a\n", b"longer Text\n", b"\x1b[31mT\n", b"\r", b"\r\n", b"\b",
         b"\x1b[A", b"\x1b[A", b"\x1b[2F", b"\x1b[9A", b"\x1b[B", b"\x1b[3E", b"\x1b[K", b"\x1b[2K",
         b"\x1b[3G", b"\x1b[2D", b"\x1b[C", b"\x1b[m", b"\x1b[0;1m", b"\x1b[1m", b"\x1b[38;5;99m",
         b"\x1b[>4;1m", b"\x1b[?25l", b"\x1b]0;title\x07", b"\x1b]8;;x", b"\x1b\\", b"\x1b",
         b"\x1b[", b"\0", b"\t", b"\xff", b"\xe2\x9c", "é✓😀".encode(), "\u202e\x85".encode(),
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


@settings(max_examples=200, deadline=None)
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
            hits = [n for n, line in enumerate(model) if n >= step.first and "T" in line.kept]
            assert watched.find("T", case=True, start=step.first).lines == hits
        assert read(log.lines()) == expected(log)


# -- lines, one way or another -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (b"", ""),
        (b"one\ntwo\n", "one\ntwo"),
        (b"one\n\nnot finished", "one\n\nnot finished"),
        (b"dos\r\nends\r\r\n", "dos\nends"),
        (b"10%\r20%\r30%\nnext", "30%\nnext"),
        (b"abc\b\bX\nkeep\x1b[2D\x1b[K\n", "aXc\nke"),
        (b"bar 1\nbar 2\n\x1b[2Abar 3\x1b[2B\rend", "bar 3\nbar 2\nend"),
        (b"a\nb\nc\x1b[99A\rA", "A\nb\nc"),
        (b"nul\0\x07\x85\n\ttab", "nul\ufffd\n\ttab"),
        (b"bad \xff\xc3( \xe2\x9c\n", "bad \ufffd\ufffd( \ufffd"),
        ("x\u202egnp.exe\na\u2028b\n\x85\n".encode(), "x‹U+202E›gnp.exe\na‹U+2028›b\n"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\n\x1b]0;no end\nx", "link\n\nx"),
        (b"\x1b[?25l\x1b[2J\x1b[>4;1m\x1b(Bx\n", "x"),
    ],
)
def test_what_is_read(output: bytes, shown: str) -> None:
    assert text(Log(output).lines()) == shown
    assert text(Log(*(output[i : i + 1] for i in range(len(output)))).lines()) == shown


def test_there_is_nothing_where_no_line_is() -> None:
    nothing = Chunk(0, 0, b"", "", [], [])
    assert Log().lines().read(0, 10) == nothing
    assert Log(b"a\n").lines().read(1, 10).count == 0
    assert Log(b"a\n").lines().read(99, 10) == Chunk(99, 0, b"", "", [], [])
    assert Log(b"a\n").lines().read(0, 0).count == 0
    assert Log(b"a\n").lines(taken=False).total == 0


def test_a_colour_lasts_over_lines_and_chunks() -> None:
    lines = Log(b"\x1b[31mred\nstill\n\x1b[1mbold, too\n\x1b[0mplain\n").lines()
    assert lines.read(1, 2) == Chunk(1, 2, b"still\n\x1b[1mbold, too\n", "31", [(0, 1)], [(0, 1.0)])
    assert [lines.read(number, 1).style for number in range(4)] == ["", "31", "31", "1;31"]
    assert page(lines.read(3, 1))[0].chars == chars((row.Run("plain", PLAIN),))


def test_a_drawn_line_has_the_colours_it_shows() -> None:
    lines = Log(b"\x1b[31mno\r\x1b[32myes\x1b[0m!\x1b[1m\nbold\n").lines()
    assert lines.read(0, 2).text == b"\x1b[0;32myes\x1b[0m!\x1b[0;1m\nbold\n"


def test_a_colour_of_long_ago_is_known() -> None:
    log = Log(b"\x1b[0m\x1b[38;5;208mline\n" + b"line\n" * 200_000)
    assert {log.lines().read(first, 1).style for first in (1, 70_000, 199_999)} == {
        "38;2;255;135;0"
    }


def test_a_line_has_stream_and_time_of_its_first_byte() -> None:
    log = Log()
    for at, (stream, data) in enumerate(
        [(1, b"a\nb"), (2, b"B\n"), (2, b"c\n\n"), (1, b"d\nd\nd"), (1, b"\n"), (2, b"e")], start=5
    ):
        log.append(data, stream, float(at))
    assert text(log.lines()).split() == ["a", "bB", "c", "d", "d", "d", "e"]
    chunk = log.lines().read(0, 10)
    assert chunk.streams == [(0, 1), (2, 2), (4, 1), (7, 2)]
    assert chunk.times == [(0, 5.0), (2, 7.0), (4, 8.0), (7, 10.0)]
    assert log.lines().read(3, 2).streams == [(0, 2), (1, 1)]


def test_a_line_that_was_gone_back_to_has_the_stream_of_what_was_written_then() -> None:
    log = Log(b"one\ntwo\n")
    log.append(b"\x1b[2Anew\n", stream=2, at=9.0)
    assert log.lines().read(0, 2) == Chunk(0, 2, b"new\ntwo\n", "", [(0, 2), (1, 1)], [(0, 1.0)])


def test_a_piece_may_claim_what_is_not_there() -> None:
    log = Log(b"one\n")
    log.append(b"two\nlost\n", stream=2, missing=5)
    lines = log.lines()
    assert lines.read(0, 9).streams == [(0, 1), (1, 2)]
    log.repair()
    log.append(b"three\n", stream=1)
    assert lines.advance() == 2
    assert lines.read(0, 9).streams == [(0, 1), (1, 2), (2, 1)]
    assert lines.read(2, 1).times == [(0, 3.0)] == [(0, log.pieces[-1].at)]


def test_bytes_that_no_piece_tells_of_are_shown_all_the_same() -> None:
    log = Log()
    log.data += b"one\ntwo\n"
    assert log.lines().read(0, 9) == Chunk(0, 2, b"one\ntwo\n", "", [(0, 1)], [(0, 0.0)])


# -- a log that grows ----------------------------------------------------------------------------


def test_a_reader_is_told_from_where_on_lines_are_new() -> None:
    log = Log()
    lines = log.lines()
    told = []
    for data in (
        b"",
        b"one",
        b" line\n",
        b"two\nthree\n",
        b"\n",
        b"50%",
        b"\r60%",
        b"\x1b[?25l",
        b"\r\x1b[K",  # the bar goes away
        b"\x1b[3Athree!\x1b[3B\r",
        b"x\xe2\x9c",
        b"\x93",
    ):
        log.append(data)
        told.append((lines.advance(), lines.total))
    assert told == [
        (None, 0), (0, 1), (0, 1), (1, 3), (3, 4), (4, 5), (4, 5), (None, 5), (4, 4), (1, 4),
        (4, 5), (4, 5),
    ]  # fmt: skip
    assert text(lines) == "one line\nthree!\nthree\n\nx✓"


def test_a_progress_bar_of_hours_costs_what_is_new_in_it() -> None:
    log = Log(b"begin\n" + b"".join(b"\r%6d it" % number for number in range(150_000)))
    lines = log.lines()
    log.fetched = 0
    log.append(b"\r150000 it, done")
    assert (lines.advance(), lines.total) == (1, 2)
    assert lines.read(1, 9).text == b"150000 it, done\n"
    assert log.fetched == len(b"\r150000 it, done")
    log.append(b"\nnext\n")
    lines.advance()
    log.fetched = 0
    assert text(lines).split("\n") == ["begin", "150000 it, done", "next"]
    assert log.fetched < 1 << 20


def test_a_long_log_is_read_from_near_the_lines_that_are_wanted() -> None:
    log = Log(*(b"%07d\n" % number * 1000 for number in range(1000)))
    lines = log.lines()
    log.fetched = 0
    assert lines.read(500_500, 2).text == b"0000500\n" * 2
    assert log.fetched < 1 << 18


def test_a_log_is_taken_in_by_turns() -> None:
    log = Log(b"line\n" * 200_000)
    lines = log.lines(taken=False)
    with patch.object(jupyter_launch.lines, "BLOCKS", 1):
        told = []
        while lines.behind:
            told.append((lines.advance(), lines.total))
    assert len(told) > 2
    assert told[1][0] in {told[0][1], told[0][1] - 1}  # it ended within a line, or did not
    assert told[-1][1] == 200_000


# -- cursors that go up --------------------------------------------------------------------------


def test_two_bars_at_once() -> None:
    log = Log(b"begin\n")
    lines = log.lines()
    for number in range(1000):
        log.append(b"a %d\nb %d\n" % (number, number) + b"\x1b[2A" * (number < 999))
        assert lines.advance() == 1
    log.append(b"end\n" * 500)
    assert lines.advance() == 3
    assert text(lines).split("\n")[:5] == ["begin", "a 999", "b 999", "end", "end"]
    assert lines.total == 503


def test_rows_that_a_terminal_has_not_any_more_stay_as_they_are() -> None:
    log = Log(b"".join(b"%d\n" % number for number in range(300)), b"\x1b[999Ahere")
    assert text(log.lines()).split("\n")[:202] == [*map(str, range(201)), "here"]
    assert SCREEN_ROWS == 100


def test_lines_are_plain_again_when_the_cursor_has_been_low_for_long() -> None:
    log = Log(b"a\nb\x1b[A!\n\n" + b"line\n" * 300_000)
    lines = log.lines()
    log.fetched = 0
    assert lines.read(120_000, 2).text == b"line\n" * 2
    assert log.fetched < 1 << 18
    assert page(lines.read(0, 3)) == expected(Log(b"a\nb\x1b[A!\n\nline\n"))[:3]


# -- output that means harm ----------------------------------------------------------------------


HOSTILE = {
    "a line without end": b"x" * 10_000_000,
    "a line without end, in other letters": "é✓".encode() * 600_000,
    "returns": b"\rabc" * 300_000 + b"\nx",
    "backspaces": b"ab\b" * 200_000 + b"\n" + b"\b" * 200_000,
    "zeros": b"\0" * 1_000_000 + b"\n" * 1000,
    "a title without end": b"\x1b]0;" + b"y" * 3_000_000 + b"\nx",
    "a colour without end": b"\x1b[" + b"1" * 3_000_000,
    "escapes": b"\x1b" * 1_000_000 + b"[31m\n",
    "titles": b"\x1b]" * 500_000,
    "no UTF-8": b"\xff\xfe\xe2\x9c\xf0\x9f\n" * 100_000,
    "up": b"\n" * 200 + b"\x1b[A" * 300_000 + b"x",
    "up and down": b"abc\x1b[A\n\n" * 30_000,
    "wide rows": (b"x" * 20_000 + b"\n") * 110 + b"\x1b[90A\x1b[1mx\x1b[50By" * 10_000,
    "newlines": b"\n" * 300_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_output_is_shown_like_any_other(name: str) -> None:
    log = Log(*(HOSTILE[name][i : i + 65_521] for i in range(0, len(HOSTILE[name]), 65_521)))
    lines = log.lines()
    screen = Screen(height=SCREEN_ROWS)
    screen.write(HOSTILE[name])
    shown = screen.lines(10**6)
    assert lines.total == len(shown)
    for first in (0, max(0, lines.total - 150)):
        chunk = lines.read(first, 150)
        assert chunk.count > 0 or not shown
        rows = shown[first : first + chunk.count]
        assert [line.chars for line in page(chunk)] == [chars(line) for line in rows]
    assert not lines.find("not there").lines


def test_a_very_long_line_says_how_much_is_not_shown() -> None:
    lines = Log(b"x" * 1_000_000 + b"\n" + b"y" * WIDTH + b"\nend").lines()
    first, second, third = read(lines)
    assert first.text == "x" * WIDTH + " … 990,000 more characters"
    assert first.chars[-1] == ("s", MARK)
    assert (second.text, third.text) == ("y" * WIDTH, "end")
    assert lines.read(0, 3, limit=100).count == 1


@pytest.mark.parametrize(
    ("block", "times"),
    [
        (b"a line of text with \x1b[1mcolours\x1b[0m, as they are\n" * 2000, 100),
        ((b'{"key": "' + b"x" * 150_000 + b'"}\n') * 2, 40),
        (b"plain\n" * 900 + b"\x1b[3Aup\n\n\n" + b"1\n2\n3\n\x1b[2Aonce more\n" * 100, 80),
    ],
    ids=["plain", "long lines", "drawn"],
)
def test_memory_does_not_grow_with_the_log(block: bytes, times: int) -> None:
    log = Log(*[block] * times)
    with patch.object(line_index, "BUDGET", 200_000):
        tracemalloc.start()
        lines = log.lines()
        held, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert held < 600_000
    assert most < 5_000_000
    assert lines.read(lines.total - 1, 1).count == 1


# -- searching -----------------------------------------------------------------------------------


FINDABLE = Log(
    b"An \x1b[31mer\x1b[1mror\x1b[0m here\n",
    b"no err or there\n",
    b"50% error\r100%      \n",
    "ERREUR: Élan, naïve\n".encode(),
    b"Error\x1b[K again \x1b[?25l\n",
    b"x" * WIDTH + b"error out of sight\n",
    b"erroneous\x1b[5Dr \x1b[K\r\n",
    b"the last error",
)


@pytest.mark.parametrize(
    ("wanted", "how", "found"),
    [
        ("error", {}, [0, 4, 6, 7]),
        ("Error", {"case": True}, [4]),
        ("ERROR", {"start": 1}, [4, 6, 7]),
        ("err", {}, [0, 1, 3, 4, 6, 7]),
        ("100%", {}, [2]),
        ("50%", {}, []),
        ("éLAN", {}, [3]),
        ("élan", {"case": True}, []),
        ("r+o", {"regex": True}, [0, 4, 6, 7]),
        ("^E.*[nr]", {"regex": True, "case": True}, [3, 4]),
        ("x$|r $", {"regex": True}, [5, 6]),
        (".", {}, []),
        ("[", {}, []),
        ("here\nno", {}, []),
        ("", {}, []),
        ("", {"regex": True}, []),
    ],
)
def test_what_is_found(wanted: str, how: dict[str, Any], found: list[int]) -> None:
    assert FINDABLE.lines().find(wanted, **how) == Found(found, more=False)


def test_a_search_goes_on_where_it_ended() -> None:
    lines = Log(b"some line\nother\n" * 50_000).lines()
    first = lines.find("some", limit=3)
    assert first == Found([0, 2, 4], more=True)
    assert lines.find("some", start=5, limit=2) == Found([6, 8], more=True)
    assert lines.find("some", start=99_995, limit=2) == Found([99_996, 99_998], more=False)
    assert lines.find("some", start=10**9) == Found([], more=False)
    assert len(lines.find("some", limit=10**6).lines) == 50_000


@pytest.mark.parametrize("wrong", ["(", "a{2,1}", "*", "a{99999999999999999999}", "(" * 5000])
def test_what_is_no_regular_expression_is_said(wrong: str) -> None:
    with pytest.raises(SpecError, match="is no regular expression") as caught:
        Log(b"a\n").lines().find(wrong, regex=True)
    assert caught.value.hint
    assert caught.value.field == "text"


def test_an_expression_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_search, "SEARCH_S", 0.2)
    with pytest.raises(SpecError, match="took longer than") as caught:
        Log(b"a" * 60 + b"!\n").lines().find("(?:a|aa)+$", regex=True)
    assert caught.value.hint


# -- threads and stores --------------------------------------------------------------------------


def test_lines_are_read_while_others_are_taken_in() -> None:
    log = Log(*(b"line %d\r\n" % number for number in range(1000)))
    lines, wrong = log.lines(), list[object]()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            total = lines.total
            for first in (0, total // 2, total - 3):
                chunk = lines.read(first, 3)
                expected = b"".join(b"line %d\n" % n for n in range(first, first + 3))
                if chunk.text != expected:
                    wrong.append((first, chunk))
            if lines.find("line 998") != Found([998], more=False):
                wrong.append("not found")

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(1000, 6000, 5):
        log.append(b"".join(b"line %d\n" % n for n in range(number, number + 5)))
        log.append(b"line 999\x1b[A\x1b[B\r\x1b[K")
        lines.advance()
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_store_that_fails_in_between_is_asked_again_from_the_start() -> None:
    log = Log(b"one\ntwo\n")
    lines = log.lines()
    log.append(b"\x1b[Anew\n\nthree\n")
    answers = [b"\x1b[Anew\n\nthree\n", StoreUnavailable("gone")]
    broken = patch.object(log, "read_log", side_effect=answers)
    with broken, pytest.raises(StoreUnavailable):
        lines.advance()
    assert lines.behind
    assert lines.advance() == 0
    assert text(lines) == "one\nnew\n\nthree"


def test_lines_of_a_stored_run(tmp_path: Path) -> None:
    with contextlib.closing(open_store(f"sqlite:///{tmp_path}/launch.db")) as store:
        owner = new_owner()
        spec = LaunchSpec.from_dict({"docker": {"docker_image": "tiny"}})
        run = store.submit(spec, owner=owner)
        lines = Lines(store, run.id)
        assert lines.advance() is None
        store.append_log(run.id, owner, [(1, b"out\n"), (2, b"\x1b[31merr")])
        assert (lines.advance(), lines.total) == (0, 2)
        chunk = lines.read(0, 10)
        assert chunk.text == b"out\n\x1b[0;31merr\n"
        assert chunk.streams == [(0, 1), (1, 2)]
        assert chunk.times == [(0, store.log_pieces(run.id)[0].at)]
