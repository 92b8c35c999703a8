"""Snapshots as files named after their content, and an index of what is known to be unchanged.

::

    <name>           a snapshot; its name is the SHA-256 of its bytes
    <random>.part    one in the making, or left by a process that was killed
    <name>.damaged   one whose bytes did not belong to its name any more
    stamps/<stamp>   the name of the snapshot of files in the state that the stamp stands for
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

from ..errors import StoreError, StoreUnavailable

STAMPS = 1000
"""How many states of files are remembered."""

LEFT_OVER_S = 24 * 3600.0
"""After how long a file that is no snapshot, or one that nobody needs, may be cleared away."""


NAME = re.compile("[0-9a-f]{64}")


WRITE_BEHIND = 8 << 20
"""After how many bytes the disk is told to begin."""


class SnapshotFiles:
    """A folder of snapshots.

    Parameters
    ----------
    path : Path
        The folder, which is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, chunks: bytes | Iterable[bytes]) -> str:
        """Keep bytes under a name that follows from them; the same bytes are kept once.

        Parameters
        ----------
        chunks : bytes or iterable of bytes
            If it has a `stamp` that was kept before, it is not iterated over.
        """
        stamp: str | None = getattr(chunks, "stamp", None)
        known = self._known(stamp) if stamp else None
        if known:
            return known
        try:
            name = self._write([chunks] if isinstance(chunks, bytes) else chunks)
        except OSError as error:
            raise StoreUnavailable(
                f"The snapshot {error.filename or self._path} cannot be written: {error.strerror}.",
                hint="Nothing was launched. Free some space and try again.",
            ) from error
        if stamp:
            self._remember(stamp, name)
        return name

    def get(self, name: str) -> bytes:
        """Give back the bytes kept under that name."""
        path = self._path / name
        try:
            if not NAME.fullmatch(name):  # names come from specs: none may lead elsewhere
                raise FileNotFoundError(name)
            data = path.read_bytes()
        except OSError as error:
            raise StoreError(
                f"The stored files {name[:12]} are gone from {self._path.parent}."
            ) from error
        if hashlib.sha256(data).hexdigest() != name:
            with contextlib.suppress(OSError):  # so that the next launch stores them anew
                path.replace(path.with_suffix(".damaged"))
            raise StoreError(
                f"The stored files {name[:12]} in {self._path.parent} were damaged on the disk.",
                hint="Launch them from where they are, and their content is stored again.",
            )
        return data

    def _write(self, chunks: Iterable[bytes]) -> str:
        self._clear()
        with self._part() as part:
            with part:
                name, size = _hashed_into(part, chunks)
                if _touched(self._path / name) == size:
                    return name
                part.flush()
                os.fsync(part.fileno())  # a name that promises content must not come before it
            Path(part.name).replace(self._path / name)
            _sync_folder(self._path)
        return name

    @contextlib.contextmanager
    def _part(self) -> Iterator[IO[bytes]]:
        """Make a file that is gone in the end, unless it has got another name."""
        part = tempfile.NamedTemporaryFile(  # noqa: SIM115 (who renames it closes it before)
            dir=self._path, suffix=".part", delete=False
        )
        try:
            yield part
        finally:
            part.close()
            Path(part.name).unlink(missing_ok=True)

    def _clear(self) -> None:
        long_ago = time.time() - LEFT_OVER_S
        with os.scandir(self._path) as entries:
            for entry in entries:
                if entry.name.endswith((".part", ".damaged")):
                    with contextlib.suppress(OSError):
                        if entry.stat().st_mtime < long_ago:
                            Path(entry.path).unlink()

    def _known(self, stamp: str) -> str | None:
        try:
            name, _, proof = (self._path / "stamps" / stamp).read_text("ascii").partition(" ")
        except (OSError, ValueError):
            return None
        return name if proof == _proof(stamp, name) and _touched(self._path / name) else None

    def _remember(self, stamp: str, name: str) -> None:
        """Write down what a stamp stands for. To fail costs time at the next launch, no more."""
        folder = self._path / "stamps"
        with contextlib.suppress(OSError), self._part() as part:
            folder.mkdir(mode=0o700, exist_ok=True)
            with part:
                part.write(f"{name} {_proof(stamp, name)}".encode())
            Path(part.name).replace(folder / stamp)
            kept = [*folder.iterdir()]
            if len(kept) > STAMPS:
                for path in sorted(kept, key=lambda path: path.stat().st_mtime)[: STAMPS // 2]:
                    path.unlink(missing_ok=True)


def _hashed_into(file: IO[bytes], chunks: Iterable[bytes]) -> tuple[str, int]:
    """Write chunks; give their SHA-256 and length. One is hashed while the next is made."""
    digest = hashlib.sha256()
    size = begun = 0
    with ThreadPoolExecutor(1) as worker:
        hashed: Future[None] | None = None
        for chunk in chunks:
            if hashed:
                hashed.result()
            hashed = worker.submit(digest.update, chunk)
            size += file.write(chunk)
            if size - begun >= WRITE_BEHIND:
                _begin_writing(file.fileno(), begun, size - begun)
                begun = size
    return digest.hexdigest(), size


def _begin_writing(descriptor: int, start: int, length: int) -> None:
    """Let the disk begin with what is written, so that less is left to wait for at the end."""
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):  # it was a hint, no more
            os.posix_fadvise(descriptor, start, length, os.POSIX_FADV_DONTNEED)


def _proof(stamp: str, name: str) -> str:
    return hashlib.sha256(f"{stamp} {name}".encode()).hexdigest()


def _touched(path: Path) -> int | None:
    """Give the size of a file that is wanted again: nobody clears it away for a while."""
    try:
        os.utime(path)
        return path.stat().st_size
    except OSError:
        return None


def _sync_folder(path: Path) -> None:
    with contextlib.suppress(OSError):  # Windows and some network filesystems cannot
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
