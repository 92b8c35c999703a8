"""The engine's streams are read byte for byte, however they are cut."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_launch.backends.base import STDERR, STDOUT, Frame
from jupyter_launch.backends.docker_log import PIECE, after, frames, mended, merged, skipped
from jupyter_launch.docker_engine import unchunked
from jupyter_launch.runs import LogPosition

payloads = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=40)))


def packed(written: Iterable[tuple[int, bytes]]) -> bytes:
    return b"".join(struct.pack(">BxxxL", stream, len(data)) + data for stream, data in written)


def chunked(data: bytes, size: int) -> bytes:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def by_stream(batches: Iterable[Iterable[tuple[int, bytes]]]) -> dict[int, bytes]:
    joined = {STDOUT: b"", STDERR: b""}
    for batch in batches:
        for stream, data in batch:
            joined[stream] += data
    return joined


@given(payloads, st.integers(1, 60), st.integers(1, 60))
def test_frames_in_chunks_in_blocks(
    written: list[tuple[int, bytes]], chunk: int, block: int
) -> None:
    stream = unchunked(cut(chunked(packed(written), chunk), block))
    assert by_stream(frames(stream)) == by_stream([written])


@given(payloads, st.integers(1, 200))
def test_neighbours_are_merged(written: list[tuple[int, bytes]], block: int) -> None:
    batches = list(merged(frames(cut(packed(written), block))))
    assert by_stream(batches) == by_stream([written])
    for batch in batches:
        assert batch
        assert all(one.stream != two.stream for one, two in itertools.pairwise(batch))


@given(payloads, st.integers(0, 200), st.integers(0, 200))
def test_what_is_stored_is_skipped_per_stream(
    written: list[tuple[int, bytes]], stdout: int, stderr: int
) -> None:
    given_back = skipped(frames([packed(written)]), LogPosition(stdout, stderr))
    everything = by_stream([written])
    assert by_stream(given_back) == {
        STDOUT: everything[STDOUT][stdout:],
        STDERR: everything[STDERR][stderr:],
    }


def test_a_huge_frame_is_given_as_it_comes() -> None:
    data = packed([(STDOUT, b"x" * 1_000_000)])
    sizes = [sum(len(f.data) for f in batch) for batch in frames(cut(data, 10_000))]
    assert sum(sizes) == 1_000_000
    assert max(sizes) <= 10_000


@pytest.mark.parametrize(
    "lines",
    [
        [b"y" * 40_000 + b"\n", b"next\n"],
        [b"short\n", b"y" * (PIECE + 1) + b"\n", b"\n", b"tail"],
        [b"y" * (PIECE - 1) + b"\n", b"next\n"],
        [b"first\n", b"y" * 40_000 + b"\n"],
        [b"no end"],
    ],
)
def test_lost_line_ends_are_put_back(lines: list[bytes]) -> None:
    """As engine 20.10 gives them: long lines in pieces, their line end forgotten."""
    given_pieces = []
    for line in lines:
        text = line.removesuffix(b"\n")
        pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)] or [b""]
        if len(pieces) == 1 and line.endswith(b"\n"):
            pieces = [line]
        given_pieces += [(STDOUT, piece) for piece in pieces]
    batches = mended(frames(cut(packed(given_pieces), 5000)))
    assert by_stream(batches)[STDOUT] == b"".join(lines)


def test_position_counts_both_streams() -> None:
    batch = [Frame(STDOUT, b"abc"), Frame(STDERR, b"de"), Frame(STDOUT, b"f")]
    assert after(LogPosition(10, 20), batch) == LogPosition(14, 22)
