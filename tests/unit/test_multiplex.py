"""Two streams become one log: lines stay whole, nothing is lost, nothing waits for long."""

from __future__ import annotations

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_launch import multiplex
from jupyter_launch.errors import LeaseLost
from jupyter_launch.multiplex import (
    HOLD_S,
    MOST,
    LineMultiplexer,
    LogMerger,
    Piece,
    unfinished_stream,
)
from jupyter_launch.owner import new_owner
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.stores.base import Store

SPEC = LaunchSpec.from_dict({"docker": {"docker_image": "tiny"}})
on_one_store = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
STREAMS = st.sampled_from([1, 2])
TEXT = st.sampled_from([b"", b"x", b"a line\n", b"\n", b"two\nlines\n", b"end\nbegin", b"\r50%"])
ARRIVALS = st.lists(
    st.tuples(st.floats(0, 2 * HOLD_S), st.lists(st.tuples(STREAMS, TEXT), max_size=5)),
    max_size=30,
)
LINES = st.lists(
    st.tuples(STREAMS, st.integers(1, 3), st.integers(0, 5), st.booleans()), max_size=40
)


class Clocked:
    """A multiplexer whose flusher is always on time, and what it wrote when."""

    def __init__(self) -> None:
        self.lines = LineMultiplexer()
        self.written: list[tuple[float, Piece]] = []

    def add(self, pieces: list[Piece], now: float) -> None:
        self.flush_until(now)
        self.written += [(now, piece) for piece in self.lines.add(pieces, now)]

    def flush_until(self, now: float) -> None:
        while self.lines.due is not None and self.lines.due <= now:
            due = self.lines.due
            self.written += [(due, piece) for piece in self.lines.flush(due)]

    def log(self) -> bytes:
        return b"".join(data for _, (_, data) in self.written)

    def stream(self, wanted: int) -> bytes:
        return b"".join(data for _, (stream, data) in self.written if stream == wanted)


@given(ARRIVALS)
def test_no_byte_is_lost_changes_place_within_its_stream_or_waits_for_long(
    arrivals: list[tuple[float, list[Piece]]],
) -> None:
    clocked, now = Clocked(), 100.0
    came: dict[int, list[float]] = {1: [], 2: []}
    whole = {1: b"", 2: b""}
    for pause, pieces in arrivals:
        now += pause
        clocked.add(pieces, now)
        for stream, data in pieces:
            whole[stream] += data
            came[stream] += [now] * len(data)
    clocked.flush_until(now + HOLD_S)
    for stream in (1, 2):
        assert clocked.stream(stream) == whole[stream]
        went = [at for at, (s, data) in clocked.written if s == stream for _ in data]
        late = [left - arrived for arrived, left in zip(came[stream], went, strict=True)]
        assert all(-1e-9 <= wait <= HOLD_S + 1e-9 for wait in late)
    assert all(data for _, (_, data) in clocked.written)


@given(ARRIVALS, STREAMS)
def test_a_stream_alone_is_written_as_it_comes(
    arrivals: list[tuple[float, list[Piece]]], alone: int
) -> None:
    lines, now = LineMultiplexer(), 0.0
    for pause, pieces in arrivals:
        now += pause
        mine = [(alone, data) for _, data in pieces if data]
        assert lines.add(mine, now) == mine
        assert lines.due is None


@given(LINES, st.integers(1, 7))
def test_lines_written_in_parts_stay_whole(
    lines: list[tuple[int, int, int, bool]], batch: int
) -> None:
    """Both streams write at once; every line is complete within the time that is waited."""
    parts: dict[int, list[bytes]] = {1: [], 2: []}
    order = []
    for number, (stream, pieces, size, together) in enumerate(lines):
        said = [b"<%d %d %s" % (stream, number, b"x" * size), *[b"y"] * (pieces - 1), b">\n"]
        parts[stream] += [b"".join(said)] if together else said
        order += [stream] * (1 if together else len(said))
    # The parts of each stream in order, the two streams mixed by a fixed shuffle.
    order = order[::2] + order[1::2]
    arrivals = [(stream, parts[stream].pop(0)) for stream in order]
    step = HOLD_S / (len(arrivals) + 1)
    clocked = Clocked()
    for at in range(0, len(arrivals), batch):
        clocked.add(arrivals[at : at + batch], at * step)
    clocked.flush_until(2 * HOLD_S)
    for line in clocked.log().splitlines():
        assert line.startswith(b"<")
        assert line.endswith(b">")
        assert line.count(b"<") == line.count(b">") == 1
    assert len(clocked.log().splitlines()) == len(lines)


def test_the_other_stream_waits_for_the_end_of_a_line() -> None:
    lines = LineMultiplexer()
    assert lines.add([(1, b"text")], 1.0) == [(1, b"text")]
    assert lines.add([(2, b"warning\nmo")], 1.01) == []
    assert lines.due == 1.0 + HOLD_S
    assert lines.add([(1, b"\nnext")], 1.02) == [(1, b"\n"), (2, b"warning\nmo")]
    assert lines.add([(2, b"re\n")], 1.03) == [(2, b"re\n"), (1, b"next")]
    assert lines.due is None


def test_a_prompt_that_stands_keeps_nobody_waiting() -> None:
    lines = LineMultiplexer()
    lines.add([(1, b"Name? ")], 1.0)
    assert lines.add([(2, b"warning\n")], 1.0 + HOLD_S) == [(2, b"warning\n")]


def test_much_is_not_held_back() -> None:
    lines = LineMultiplexer()
    lines.add([(1, b"text")], 0.0)
    block = b"x" * (MOST // 2)
    assert lines.add([(2, block), (2, block)], 0.0) == []
    assert lines.add([(2, b"y")], 0.0) == [(2, block + block + b"y")]


@given(st.lists(st.lists(st.tuples(STREAMS, TEXT), max_size=4), max_size=6))
@on_one_store
def test_whoever_goes_on_knows_whose_line_is_unfinished(
    store: Store, batches: list[list[Piece]]
) -> None:
    me = new_owner()
    run = store.submit(SPEC, owner=me)
    for batch in batches:
        store.append_log(run.id, me, batch)
    written = [piece for batch in batches for piece in batch if piece[1]]
    last = written[-1] if written else (1, b"\n")
    assert unfinished_stream(store, run.id) == (0 if last[1].endswith(b"\n") else last[0])


def test_whoever_goes_on_does_not_begin_inside_a_line() -> None:
    lines = LineMultiplexer(1, 10.0)
    assert lines.add([(2, b"warning\n")], 10.0) == []
    assert lines.add([(1, b"\n")], 10.0) == [(1, b"\n"), (2, b"warning\n")]


# -- in time, by themselves --------------------------------------------------------------------


@pytest.fixture
def long_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiplex, "HOLD_S", 600.0)


def test_what_is_held_back_is_written_in_time_although_nothing_more_comes() -> None:
    written: list[Piece] = []
    done = threading.Event()

    def write(pieces: list[Piece]) -> None:
        written.extend(pieces)
        if (2, b"warning\n") in pieces:
            done.set()

    with LogMerger(write) as log:
        for number in range(3):  # its thread sleeps in between, and wakes again
            log.add([(1, b"Name? ")])
            log.add([(2, b"warning\n")])
            assert done.wait(30), number
            done.clear()
    assert written == [(1, b"Name? "), (2, b"warning\n")] * 3


@pytest.mark.usefixtures("long_hold")
def test_the_end_waits_for_nothing() -> None:
    written: list[Piece] = []
    with LogMerger(written.extend) as log:
        log.add([(1, b"no end"), (2, b"warning\n")])
        assert written == [(1, b"no end")]
    assert written == [(1, b"no end"), (2, b"warning\n")]


@pytest.mark.usefixtures("long_hold")
def test_a_backend_that_breaks_loses_nothing_that_arrived() -> None:
    written: list[Piece] = []

    def follow() -> None:
        with LogMerger(written.extend) as log:
            log.add([(1, b"no end"), (2, b"warning\n")])
            raise ConnectionError

    with pytest.raises(ConnectionError):
        follow()
    assert written == [(1, b"no end"), (2, b"warning\n")]


def test_a_program_of_whole_lines_needs_no_thread() -> None:
    before = set(threading.enumerate())
    with LogMerger(len) as log:
        for _ in range(3):
            log.add([(1, b"out\n"), (2, b"err\n")])
            assert set(threading.enumerate()) <= before


def test_who_lost_the_lease_while_it_held_back_hears_of_it() -> None:
    tried = threading.Event()

    def write(pieces: list[Piece]) -> None:
        if pieces[0][0] == 2:
            tried.set()
            raise LeaseLost("Run x is not held by this process any more.")

    def follow(*more: Piece) -> None:
        tried.clear()
        with LogMerger(write) as log:
            log.add([(1, b"no end"), (2, b"warning\n")])
            assert tried.wait(30)
            for piece in more:
                log.add([piece])
                raise AssertionError("it went on")

    for more in ([], [(1, b"\n")]):
        with pytest.raises(LeaseLost):
            follow(*more)
