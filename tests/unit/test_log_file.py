"""The log and its index: whatever instant a writer is killed at, nothing is lost or doubled."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jupyter_launch.errors import LeaseLost
from jupyter_launch.runs import ATTEMPT, LogPosition
from jupyter_launch.stores import log_file
from jupyter_launch.stores.log_file import RECORD, LogWriter, position, read

Frames = list[tuple[int, bytes]]

any_frames = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=12)), max_size=5)
any_batches = st.lists(any_frames, min_size=1, max_size=4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.log"


def allowed() -> None:
    """Hold the lease."""


def append(path: Path, *batches: Frames) -> None:
    """Write batches as a process of its own would."""
    writer = LogWriter(path)
    for batch in batches:
        writer.append(batch, allowed)
    writer.close()


def streams(path: Path) -> dict[int, bytes]:
    """Take the log apart by its index, as `position` counts it."""
    data, parts, at = path.read_bytes(), {1: b"", 2: b""}, 0
    for _, length, stream in RECORD.iter_unpack(path.with_suffix(".idx").read_bytes()):
        parts[stream] += data[at : at + length]
        at += length
    return parts


def said(frames: Frames) -> dict[int, bytes]:
    """Give what the program wrote, by stream."""
    return {number: b"".join(d for stream, d in frames if stream == number) for number in (1, 2)}


def rest(frames: Frames, seen: LogPosition) -> Frames:
    """Give what a backend gives that is asked to go on from a position."""
    skip = {1: seen.stdout, 2: seen.stderr}
    left = []
    for stream, data in frames:
        left.append((stream, data[skip[stream] :]))
        skip[stream] = max(0, skip[stream] - len(data))
    return left


class Killed(BaseException):
    """The process is gone."""


class MortalOS:
    """The operating system for a process that dies after so many bytes and calls that change."""

    def __init__(self, budget: int) -> None:
        self.budget = budget

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, descriptor: int, data: memoryview) -> int:
        if len(data) > self.budget:
            os.write(descriptor, data[: self.budget])
            raise Killed
        self.budget -= len(data)
        return os.write(descriptor, data)

    def ftruncate(self, descriptor: int, size: int) -> None:
        if not self.budget:
            raise Killed
        self.budget -= 1
        os.ftruncate(descriptor, size)


def append_until_killed(path: Path, batches: list[Frames], budget: int) -> None:
    """Write batches in a process that dies on the way, if the budget is smaller than they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_file, "os", MortalOS(budget))
        writer = LogWriter(path)
        try:
            for batch in batches:
                writer.append(batch, allowed)
        except Killed:
            pass
        finally:
            writer.close()


# -- what is written is what is read -----------------------------------------------------------


def test_the_file_holds_the_programs_bytes_and_nothing_else(path: Path) -> None:
    append(path, [(1, b"out\n"), (2, b"err\xff\x00"), (1, b""), (1, b"more")])
    assert path.read_bytes() == b"out\nerr\xff\x00more"
    assert position(path) == LogPosition(stdout=8, stderr=5)
    assert streams(path) == {1: b"out\nmore", 2: b"err\xff\x00"}


@given(any_batches, st.integers(0, 80), st.integers(0, 80))
def test_any_part_can_be_read(batches: list[Frames], offset: int, limit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.log"
        append(path, *batches)
        whole = b"".join(data for batch in batches for _, data in batch)
        assert read(path, offset, limit) == whole[offset : offset + limit]


def test_a_log_that_is_not_there_is_empty(path: Path) -> None:
    assert read(path, 0, 100) == b""
    assert position(path) == LogPosition(0, 0)
    assert not path.exists()


def test_an_empty_append_changes_nothing(path: Path) -> None:
    append(path, [], [(1, b"")])
    assert path.read_bytes() == path.with_suffix(".idx").read_bytes() == b""


# -- crashes -----------------------------------------------------------------------------------


@given(before=any_batches, after=any_frames, budgets=st.lists(st.integers(0, 150), max_size=4))
@example(before=[[(2, b"x" * 12)] * 3], after=[(1, b"y")], budgets=[60, 0, 24])
def test_killed_at_any_instant_it_goes_on_without_loss(
    before: list[Frames], after: Frames, budgets: list[int]
) -> None:
    whole = [frame for batch in before for frame in batch] + after
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.log"
        seen = b""
        for budget in budgets:
            append_until_killed(path, list(_left(before, position(path))), budget)
            now = read(path, 0, 10_000)
            assert now.startswith(seen)
            assert position(path).size == len(now)
            seen = now
        append(path, rest(whole, position(path)))
        assert read(path, 0, 10_000).startswith(seen)
        assert streams(path) == said(whole)
        assert position(path) == LogPosition(*map(len, said(whole).values()))


def _left(batches: list[Frames], seen: LogPosition) -> Iterator[Frames]:
    """Give what is left of the batches, batch by batch."""
    frames = iter(rest([frame for batch in batches for frame in batch], seen))
    for batch in batches:
        yield list(itertools.islice(frames, len(batch)))


@given(
    stored=any_frames.filter(lambda frames: any(data for _, data in frames)),
    announced=any_frames,
    came=st.integers(0, 80),
    torn=st.integers(0, RECORD.size - 1),
)
def test_records_without_their_bytes_are_forgotten(
    stored: Frames, announced: Frames, came: int, torn: int
) -> None:
    """Records come first: a crash leaves all of them, part of their bytes, a torn last record."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.log"
        append(path, stored, announced)
        before = len(b"".join(data for _, data in stored))
        kept = read(path, 0, before + came)
        os.truncate(path, len(kept))
        with path.with_suffix(".idx").open("ab") as index:
            index.write(b"\x01" * torn)
        assert position(path).size == len(kept)
        append(path, [(2, b"next")])
        assert read(path, 0, 10_000) == kept + b"next"
        parts = said(_cut([*stored, *announced], len(kept)))
        assert streams(path) == {1: parts[1], 2: parts[2] + b"next"}


def _cut(frames: Frames, size: int) -> Frames:
    kept = []
    for stream, data in frames:
        kept.append((stream, data[:size]))
        size -= len(kept[-1][1])
    return kept


@given(stored=any_frames, lost=st.integers(0, 200))
def test_bytes_without_their_records_stay_readable(stored: Frames, lost: int) -> None:
    """After a power cut the disk may have the bytes and not the index."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.log"
        append(path, stored)
        whole, index = path.read_bytes(), path.with_suffix(".idx")
        os.truncate(index, max(0, index.stat().st_size - lost))
        assert position(path).size == len(whole)
        append(path, [(2, b"next")])
        assert path.read_bytes() == whole + b"next"
        assert position(path).size == len(whole) + 4


def test_a_write_that_fails_is_made_good_by_the_next(path: Path) -> None:
    writer = LogWriter(path)
    writer.append([(1, b"first"), (2, b"second")], allowed)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            writer.append([(2, b"x" * 3000), (1, b"y" * 3000)], allowed)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    stored = position(path)
    assert stored.size == path.stat().st_size == 4096
    assert stored.stderr == len(b"second") + 3000
    writer.append([(1, b"y" * (3000 + 5 - stored.stdout))], allowed)
    writer.close()
    assert streams(path) == {1: b"first" + b"y" * 3000, 2: b"second" + b"x" * 3000}


# -- two writers -------------------------------------------------------------------------------


def test_who_may_not_write_writes_nothing(path: Path) -> None:
    append(path, [(1, b"before")])

    def refused() -> None:
        raise LeaseLost

    writer = LogWriter(path)
    with pytest.raises(LeaseLost):
        writer.append([(1, b"after")], refused)
    writer.append([(2, b"!")], allowed)
    writer.close()
    assert path.read_bytes() == b"before!"
    assert position(path) == LogPosition(6, 1)


def test_the_permission_holds_until_the_bytes_are_there(path: Path) -> None:
    """One that asked and then fell asleep cannot write after another took over."""
    owner = ["old"]
    asked, wake = threading.Event(), threading.Event()

    def may(name: str) -> None:
        if name == "old":
            asked.set()
            wake.wait(30)
        if owner[0] != name:
            raise LeaseLost

    def write(name: str) -> None:
        writer = LogWriter(path)
        with pytest.raises(LeaseLost) if name == "old" else contextlib.nullcontext():
            writer.append([(1, name.encode())], lambda: may(name))
        writer.close()

    sleeper = threading.Thread(target=write, args=("old",))
    sleeper.start()
    assert asked.wait(30)
    taker = threading.Thread(target=write, args=("new",))
    taker.start()
    owner[0] = "new"
    wake.set()
    sleeper.join(30)
    taker.join(30)
    assert path.read_bytes() == b"new"


def test_a_closed_writer_writes_into_no_other_file(path: Path, tmp_path: Path) -> None:
    writer = LogWriter(path)
    writer.append([(1, b"x")], allowed)
    writer.close()
    others = [(tmp_path / f"other{number}").open("w+b") for number in range(4)]
    with pytest.raises(OSError, match="closed"):
        writer.append([(1, b"y")], allowed)
    for file in others:
        assert file.read() == b""
        file.close()
    assert path.read_bytes() == b"x"


any_attempts = st.lists(
    st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.binary(max_size=9)), max_size=5), max_size=4
)


@given(any_attempts, st.integers(0, 60))
def test_the_newest_attempt_is_counted_by_itself(attempts: list[Frames], cut: int) -> None:
    """However much of the last bytes is lost with whoever wrote them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.log"
        begun = 0
        for number, frames in enumerate(attempts):
            if number:
                append(path, [(ATTEMPT, b"--- again ---\n")])
                begun = path.stat().st_size
            append(path, frames)
        if not path.exists():
            return
        size = path.stat().st_size
        os.truncate(path, max(begun, size - cut))
        last = path.read_bytes()[begun:]
        found = position(path)
        assert found.size == path.stat().st_size
        assert found.earlier == begun
        assert sum(found[:3]) == len(last)
        if cut == 0 and attempts:
            counts = [sum(len(d) for s, d in attempts[-1] if s == n) for n in (1, 2, 3)]
            assert list(found[:3]) == counts
        append(path, [(1, b"x")])  # which mends the index
        assert position(path) == found._replace(stdout=found.stdout + 1)
