"""Files of a distant store as they were fetched to this machine, for this user's eyes only."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from ..errors import StoreUnavailable

KEPT_S = 7 * 24 * 3600.0
"""How long a file stays after it was last asked for, in seconds."""


class Cache:
    """A folder of fetched files, by what they were fetched for.

    Parameters
    ----------
    path : Path
        Made once there are any.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def file(self, key: str, name: str, size: int, chunks: Iterable[bytes]) -> Path:
        """Give a file of that content, fetching it if it is not there.

        Parameters
        ----------
        key : str
            Its content's name: a key stands for the same bytes for ever.
        name : str
            What it is to be called; folders in it are left out.
        size : int
            In bytes.
        chunks : iterable of bytes
            Its content; iterated over only where it is needed.
        """
        folder = self._path / key
        path = folder / (name.rpartition("/")[2].replace("..", "_") or "_")
        try:
            if not (path.is_file() and path.stat().st_size == size):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._path.chmod(0o700)
                self._clear()
                _fill(path, chunks)
            os.utime(folder)
        except OSError as error:
            raise StoreUnavailable(
                f"{path} cannot be written: {error.strerror}.", hint="Free some space there."
            ) from error
        return path

    def _clear(self) -> None:
        long_ago = time.time() - KEPT_S
        for folder in self._path.iterdir():
            with contextlib.suppress(OSError):
                if folder.stat().st_mtime < long_ago:
                    for path in folder.iterdir():
                        path.unlink()
                    folder.rmdir()


def _fill(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file that has its name only once it is whole."""
    descriptor, part = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
        Path(part).replace(path)
    finally:
        Path(part).unlink(missing_ok=True)
