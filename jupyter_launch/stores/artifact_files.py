"""The artifacts of runs as files.

::

    <run id>/files/...     they themselves, under their names
    <run id>/index.json    their names, sizes and times
    <run id>.<random>/     a collection in the making, or left by a process that was killed

A collection gets its name once all of it is on the disk.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from ..artifact import Kept, Output
from ..errors import ArtifactNotFound, StoreUnavailable
from .artifact_verbs import Limits

BLOCK = 1 << 20
"""How many bytes are held in memory at once."""

SYNCS = 16
"""How many files are put on the disk at once."""

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""Errors that say something about the disk, not about one file."""


class ArtifactFiles:
    """A folder of all runs' artifacts, for this user's eyes only.

    Parameters
    ----------
    path : Path
        Made once there are any.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(
        self, run_id: str, outputs: Iterable[Output], limits: Limits, may: Callable[[], None]
    ) -> list[str]:
        """Keep what a program left behind, if `may` does not raise; say what was left out."""
        place = self._path / run_id
        if place.exists():
            return []
        may()
        try:
            self._path.mkdir(mode=0o700, exist_ok=True)
            for left in self._path.glob(f"{run_id}.*"):
                shutil.rmtree(left, ignore_errors=True)
            made = Path(tempfile.mkdtemp(prefix=f"{run_id}.", dir=self._path))
        except OSError as error:
            raise unavailable(self._path, error) from error
        try:
            collection = Collection(made, limits)
            collection.take(outputs)
            may()
            if collection.kept:
                collection.seal()
                made.rename(place)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # somebody else was faster
                raise unavailable(place, error) from error
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return collection.left_out

    def list(self, run_id: str) -> list[Kept]:
        """Give what is kept of a run, by name."""
        try:
            text = (self._path / run_id / "index.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise unavailable(self._path / run_id, error) from error
        return [Kept(*row) for row in json.loads(text)]

    def path(self, run_id: str, name: str) -> Path:
        """Give the file of an artifact. Raises `ArtifactNotFound`."""
        names = [kept.name for kept in self.list(run_id)]
        if name not in names:  # names come from anywhere: only those in the index are files
            raise unknown(run_id, name, names)
        return self._path / run_id / "files" / name


def unknown(run_id: str, name: str, names: Sequence[str]) -> ArtifactNotFound:
    """Say that a run has no artifact of that name, but these."""
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else ""
    there = f"There are: {', '.join(names[:10])}." if names else "It left none behind."
    return ArtifactNotFound(f"Run {run_id} has no artifact {name[:200]!r}.", hint=hint or there)


class Collection:
    """The artifacts of one run while they are collected in a folder, which is there and empty."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.kept: dict[str, Kept] = {}
        self.left_out: list[str] = []
        self._folder, self._limits = folder, limits
        self._size = 0

    def take(self, outputs: Iterable[Output]) -> None:
        """Take all outputs; links last, as they may lead to what comes later."""
        (self._folder / "files").mkdir(mode=0o700)
        links = []
        for output in outputs:
            if output.link is None:
                self._take(output)
            else:
                links.append(output)
        # A link may lead to a link: as long as one can be taken, others may follow.
        while ready := [(link, there) for link in links if (there := self._target(link))]:
            for link, there in ready:
                links.remove(link)
                self._take_link(link, there)
        self.left_out += [f"{shown(link.name)}: a link to what is not kept" for link in links]

    def seal(self) -> None:
        """Put the index and all files on the disk."""
        rows = sorted(self.kept.values())
        index = self._folder / "index.json"
        with _new(index) as file:
            file.write(json.dumps(rows).encode())
        # Many at once: a disk that is told of several writes them together.
        with ThreadPoolExecutor(SYNCS) as workers:
            list(workers.map(_sync, [index, *map(self.path, self.kept)]))

    def _take(self, output: Output) -> None:
        name = readable(output.name)
        problem = output.problem or self._problem(name, output.size)
        if problem or output.read is None:
            self.left_out.append(f"{shown(name)}: {problem}")
            return
        with self._told(name), output.read() as source:
            size = self._written(name, source, output.size)
            self._add(Kept(name, size, output.modified))

    def _take_link(self, link: Output, target: Kept) -> None:
        name = readable(link.name)
        problem = self._problem(name, target.size)
        if problem:
            self.left_out.append(f"{shown(name)}: {problem}")
            return
        with self._told(name), self.path(target.name).open("rb") as source:
            self._written(name, source, target.size)
            self._add(Kept(name, target.size, target.modified))

    def _written(self, name: str, source: IO[bytes], size: int) -> int:
        path = self.path(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _new(path) as file:
            try:
                size = _copy(source, file, size)
            except OSError:
                path.unlink()
                raise
        return size

    @contextlib.contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Leave a file out that cannot be read or named, which is no reason to leave out others."""
        try:
            yield
        except OSError as error:
            if error.errno in FULL:
                raise
            self.left_out.append(f"{shown(name)}: {error.strerror or error}")

    def path(self, name: str) -> Path:
        """Give the file of what was taken under that name."""
        return self._folder / "files" / name

    def _target(self, link: Output) -> Kept | None:
        return self.kept.get(readable(link.link or ""))

    def _problem(self, name: str, size: int) -> str:
        parts = name.split("/")
        if not name or {"", ".", ".."} & set(parts) or "\0" in name:
            return "its name leads out of the folder"
        if name in self.kept:
            return "there is another one of that name"
        if self._size + size > self._limits.size:
            return f"with it, it would be more than the limit of {self._limits.size / 1e9:g} GB"
        if len(self.kept) >= self._limits.files:
            return f"it would be more than {self._limits.files:,} files"
        return ""

    def _add(self, kept: Kept) -> None:
        self.kept[kept.name] = kept
        self._size += kept.size


def readable(name: str) -> str:
    r"""Give a name that is UTF-8: bytes that are none are written ``\xff``."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def shown(name: str) -> str:
    """Give a name as it fits a message."""
    return readable(name)[:200]


def _copy(source: IO[bytes], file: IO[bytes], size: int) -> int:
    """Copy at most `size` bytes; give how many there were."""
    copied = 0
    while block := source.read(min(BLOCK, size - copied)):
        copied += file.write(block)
    return copied


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _new(path: Path) -> IO[bytes]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def unavailable(path: Path, error: OSError) -> StoreUnavailable:
    """Say that artifacts cannot be kept at a path, and why."""
    return StoreUnavailable(
        f"The artifacts {path} cannot be kept: {error.strerror}.",
        hint="They are where the program left them, and are collected once that works again.",
    )
