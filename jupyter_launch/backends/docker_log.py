"""A container's output, exact and complete, across broken connections."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from docker.utils import version_lt

from ..docker_engine import Engine
from ..runs import LogPosition
from .base import STDERR, STDOUT, Frame

HEAD = struct.Struct(">BxxxL")
PIECE = 16 * 1024
"""The engine stores a longer line in pieces of this size."""

EXACT_LOG = {"Type": "local", "Config": {"max-size": "1t", "max-file": "1", "compress": "false"}}
"""The log driver that keeps the bytes as they were written.

json-file, the engine's default, replaces what is not UTF-8, so that a position in bytes would mean
another place. ``local`` would drop old output by itself at 20 MB, hence the size.
"""


def careless(engine: Engine) -> bool:
    """Say whether the engine loses line ends of its log, and the end of one that is followed.

    Seen: 20.10 (API 1.41) does both, 26.1 (API 1.45) neither. A log read after the program's end
    is complete on either.
    """
    return version_lt(engine.api_version, "1.45")


def frames(blocks: Iterable[bytes]) -> Iterator[list[Frame]]:
    """Parse the engine's stream of frames: 8 bytes of head (stream, size), then data.

    Each block gives one list. A frame of at most `PIECE` bytes and one is given whole; of larger
    ones, what has arrived is given at once, so that memory stays bounded.
    """
    pending, stream, left = b"", 0, 0
    for block in blocks:
        data, at = pending + block if pending else block, 0
        batch: list[Frame] = []
        while at < len(data):
            if not left:
                if len(data) - at < HEAD.size:
                    break
                stream, left = HEAD.unpack_from(data, at)
                if left <= PIECE + 1 and len(data) - at - HEAD.size < left:
                    left = 0
                    break
                at += HEAD.size
            piece = data[at : at + left]
            at, left = at + len(piece), left - len(piece)
            if piece and stream in (STDOUT, STDERR):  # others carry the engine's own complaints
                batch.append(Frame(stream, piece))
        pending = data[at:]
        yield batch


def merged(batches: Iterable[list[Frame]]) -> Iterator[list[Frame]]:
    """Join neighbours of the same stream; leave empty batches out."""
    for batch in batches:
        joined: list[Frame] = []
        start = 0
        for end in range(1, len(batch) + 1):
            if end == len(batch) or batch[end].stream != batch[start].stream:
                data = b"".join([frame.data for frame in batch[start:end]])
                joined.append(Frame(batch[start].stream, data))
                start = end
        if joined:
            yield joined


def mended(batches: Iterable[list[Frame]]) -> Iterator[list[Frame]]:
    r"""Put back the line ends that the ``local`` driver of `careless` engines loses.

    They forget the ``\n`` of a line stored in pieces. Its last piece is shorter than the others,
    and nothing but that, or the unfinished end of a stream, lacks its ``\n``. Two things cannot be
    told from what the engine gives: a line of exactly n pieces, whose end stays lost; and whether a
    long last line was finished, which is taken for granted.
    """
    pieces: set[int] = set()
    cut: set[int] = set()
    for batch in batches:
        whole: list[Frame] = []
        for frame in batch:
            stream, data = frame
            if stream in cut:
                whole.append(Frame(stream, b"\n"))
                cut.remove(stream)
            if data.endswith(b"\n"):
                pieces.discard(stream)
            elif len(data) == PIECE:
                pieces.add(stream)
            elif stream in pieces:
                pieces.remove(stream)
                cut.add(stream)
            whole.append(frame)
        yield whole
    yield [Frame(stream, b"\n") for stream in sorted(cut)]


def skipped(batches: Iterable[list[Frame]], position: LogPosition) -> Iterator[list[Frame]]:
    """Leave out what is stored already: so many bytes of each stream."""
    left = {STDOUT: position.stdout, STDERR: position.stderr}
    for batch in batches:
        rest = []
        for stream, data in batch:
            new = data[left[stream] :]
            left[stream] -= len(data) - len(new)
            if new:
                rest.append(Frame(stream, new))
        if rest:
            yield rest


def after(position: LogPosition, batch: list[Frame]) -> LogPosition:
    """Give the position behind a batch."""
    size = {STDOUT: 0, STDERR: 0}
    for stream, data in batch:
        size[stream] += len(data)
    stdout, stderr = position.stdout + size[STDOUT], position.stderr + size[STDERR]
    return position._replace(stdout=stdout, stderr=stderr)
