"""A tar archive of files, made while it is read."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from ..errors import SpecError
from .ignore import shown

BLOCK = 1 << 20
"""How many bytes are handed over, and held, at once."""

SETTLED_NS = 2_000_000_000
"""How long ago a file's last change must be for its times to prove that it is unchanged: a change
soon after might leave it with the same ones. FAT, the coarsest, counts in two seconds."""

_FORMAT = 1
_RECORD = tarfile.BLOCKSIZE


@dataclass(frozen=True)
class Entry:
    """A file of an archive.

    Parameters
    ----------
    name : str
        In the archive.
    path : Path
        Where it is.
    status : os.stat_result
        What was known of it when the archive was asked for.
    link : str, optional
        Where it leads, if it goes along as a link.
    """

    name: str
    path: Path
    status: os.stat_result
    link: str | None = None

    @property
    def size(self) -> int:
        """Its bytes in the archive."""
        return 0 if self.link else self.status.st_size

    def header(self) -> bytes:
        """Make what stands before its content."""
        mode = 0o755 if self.status.st_mode & 0o100 else 0o644
        if self.link is None and len(self.name) <= tarfile.LENGTH_NAME and self.name.isascii():
            return _plain_header(self.name.encode(), self.size, mode)
        info = tarfile.TarInfo(self.name)
        info.size, info.mode = self.size, mode
        if self.link:
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, self.link, 0o777
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")

    def is_as(self, status: os.stat_result) -> bool:
        """Say whether it is the same file, and unchanged."""
        now, then = status, self.status
        return (now.st_ino, now.st_dev, now.st_size, now.st_mtime_ns) == (
            (then.st_ino, then.st_dev, then.st_size, then.st_mtime_ns)
        )


@lru_cache
def _blank_header(mode: int) -> bytes:
    info = tarfile.TarInfo()
    info.mode = mode
    return info.tobuf(tarfile.PAX_FORMAT)


def _plain_header(name: bytes, size: int, mode: int) -> bytes:
    """Make what `tarfile` would for a file without any peculiarity, in a tenth of the time."""
    header = bytearray(_blank_header(mode))
    header[: len(name)] = name
    header[124:136] = b"%011o\0" % size
    header[148:156] = b" " * 8  # by which the checksum is counted
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


class Packed:
    """A tar archive as an iterable of its bytes; each iteration reads the files anew.

    Parameters
    ----------
    entries : sequence of Entry
        In the archive's order.
    begun_ns : int
        Unix time, in nanoseconds, before the first of them was looked at.
    """

    def __init__(self, entries: Sequence[Entry], begun_ns: int) -> None:
        self._entries = entries
        self._begun_ns = begun_ns

    @cached_property
    def stamp(self) -> str | None:
        """A text that is the same only for the same archive, made without reading any file.

        ``None`` where that cannot be told: a file changed a moment ago, or the system does not
        record when one was changed (Windows).
        """
        newest = max((entry.status.st_ctime_ns for entry in self._entries), default=0)
        if os.name == "nt" or newest > self._begun_ns - SETTLED_NS:
            return None
        facts = [
            (e.name, e.link, s.st_mode, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino, s.st_dev)
            for e, s in ((entry, entry.status) for entry in self._entries)
        ]
        return hashlib.sha256(repr((_FORMAT, facts)).encode()).hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        """Give the archive, in pieces of at most `BLOCK` bytes.

        Raises
        ------
        SpecError
            When a file cannot be read, or changes meanwhile.
        """
        blocks = _Blocks()
        for entry in self._entries:
            header = entry.header()
            yield from blocks.take(io.BytesIO(header), len(header))
            if not entry.link:
                yield from _content(entry, blocks)
        yield from blocks.rest()


def _content(entry: Entry, blocks: _Blocks) -> Iterator[bytes]:
    try:
        with open(entry.path, "rb", buffering=0, opener=_at_once) as file:
            yield from blocks.take(file, entry.size)
            whole = not file.read(1) and entry.is_as(os.fstat(file.fileno()))
    except (EOFError, FileNotFoundError):
        whole = False
    except OSError as error:
        raise SpecError(f"{shown(entry.path)} cannot be read: {error.strerror}.") from error
    if not whole:
        raise SpecError(
            f"{shown(entry.path)} changed while it was read.",
            hint="Launch again once nothing writes to it.",
        )


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # it may be a pipe by now


class _Blocks:
    """The archive in the making, cut into blocks."""

    def __init__(self) -> None:
        self._block, self._at, self._before = bytearray(BLOCK), 0, 0

    def take(self, source: io.BytesIO | io.FileIO, length: int) -> Iterator[bytes]:
        """Add so many bytes and the zeros behind them; give the blocks that are full.

        Raises
        ------
        EOFError
            When there are fewer.
        """
        left = length
        while left:
            if self._at == BLOCK:
                yield self._cut()
            read = source.readinto(memoryview(self._block)[self._at : self._at + left])
            if not read:
                raise EOFError
            self._at += read
            left -= read
        self._at += -length % _RECORD  # a new block is all zeros

    def rest(self) -> Iterator[bytes]:
        """Give the last block, with the end mark."""
        end = 2 * _RECORD
        end += -(self._before + self._at + end) % tarfile.RECORDSIZE
        if self._at + end > BLOCK:
            yield self._cut()
        self._at += end
        yield self._cut()

    def _cut(self) -> bytes:
        block = bytes(memoryview(self._block)[: self._at])
        self._before += self._at
        self._block, self._at = bytearray(BLOCK), 0
        return block
