"""What a local process left behind: files below its folders, found without following links out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO

from ..artifact import Output
from .output_names import leads_to, special


def outputs(folder: Path, workdir: Path, paths: Sequence[str]) -> Iterator[Output]:
    """Find what a program left behind.

    Parameters
    ----------
    folder : Path
        All that is in it is an output.
    workdir : Path
        Where the program ran.
    paths : sequence of str
        Files and folders in `workdir` that are outputs as well.
    """
    if folder.is_symlink():
        yield Output(folder.name, problem="the program put a link in the place of the folder")
    else:
        yield from _Found(folder).below(folder, "")
    for path in paths:
        yield from _asked(workdir, path)


def _asked(workdir: Path, path: str) -> Iterator[Output]:
    name = os.path.normpath(path)
    try:
        there = (workdir / name).parent.resolve(strict=True) / Path(name).name
        there.lstat()
    except (OSError, RuntimeError):  # RuntimeError: links that lead in a circle
        yield Output(name, problem="the program left no such file or folder")
        return
    if not there.is_relative_to(workdir.resolve()):
        yield Output(name, problem="it is not in the program's working folder")
    elif there.is_dir() and not there.is_symlink():
        yield from _Found(workdir).below(there, "" if name == "." else f"{name}/")
    else:
        yield _Found(workdir).output(there, name)


class _Found:
    """Finds outputs whose names are told from a folder."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)

    def below(self, folder: Path, prefix: str) -> Iterator[Output]:
        """Give all that is in a folder, and in those within."""
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            yield Output(prefix.rstrip("/") or folder.name, problem=error.strerror or str(error))
            return
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from self.below(Path(entry.path), f"{name}/")
            else:
                yield self.output(Path(entry.path), name)

    def output(self, path: Path, name: str) -> Output:
        """Look at a file."""
        try:
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                return Output(name, link=leads_to(self._root, name, str(path.readlink())))
        except OSError as error:
            return Output(name, problem=error.strerror or str(error))
        if not stat.S_ISREG(status.st_mode):
            return Output(name, problem=special(status.st_mode))
        return Output(name, status.st_size, status.st_mtime, partial(_open, path))


def _open(path: Path) -> IO[bytes]:
    # What has become a link or a pipe since it was looked at is not followed, nor waited for.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    return os.fdopen(os.open(path, flags), "rb")
