"""Copies of the submitter's files, taken when a run is submitted, the same for the same content."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from ..errors import SpecError

LIMIT_BYTES = 100 * 1024 * 1024
SKIPPED = frozenset(
    {".git", ".hg", ".svn", ".venv", "venv", "__pycache__", "node_modules", ".ipynb_checkpoints",
     ".mypy_cache", ".pytest_cache", ".ruff_cache", "wandb"}
)  # fmt: skip
"""Folders that hold what is made from the code, not the code."""


def pack(files: Iterable[tuple[str, Path]]) -> bytes:
    """Make a tar archive of files, equal for equal names, contents and execute bits.

    Parameters
    ----------
    files : iterable of (str, Path)
        Each file's name in the archive and where it is.

    Raises
    ------
    SpecError
        When they are more than `LIMIT_BYTES` together, or one cannot be read.
    """
    found = sorted(files)
    names = [name for name, _ in found]
    if doubled := [name for name, after in pairwise(names) if name == after]:
        raise SpecError(
            f"Two files would both be called {doubled[0]!r} where the program runs.",
            hint="Rename one of them, or put them into folders.",
        )
    _check_size(found)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, path in found:
            try:
                data = path.read_bytes()
                mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            except OSError as error:
                raise SpecError(f"{path} cannot be read: {error.strerror}.") from error
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def tree(folder: Path) -> Iterator[tuple[str, Path]]:
    """Walk a folder's files, without what is made from the code (`SKIPPED`).

    Raises
    ------
    SpecError
        When a link leads out of the folder.
    """
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if SKIPPED.intersection(name.parts):
            continue
        if not path.resolve().is_relative_to(root):
            raise SpecError(
                f"{path} is a link to {path.resolve()}, outside of {folder}.",
                hint="Copy the file into the folder, or bring it with --include.",
            )
        if path.is_file():
            yield name.as_posix(), path


def _check_size(files: list[tuple[str, Path]]) -> None:
    try:
        sizes = sorted(((path.stat().st_size, name) for name, path in files), reverse=True)
    except OSError as error:
        raise SpecError(f"{error.filename} cannot be read: {error.strerror}.") from error
    total = sum(size for size, _ in sizes)
    if total > LIMIT_BYTES:
        largest = ", ".join(f"{name} ({size / 1e6:.0f} MB)" for size, name in sizes[:5])
        raise SpecError(
            f"The files are {total / 1e6:.0f} MB together, over the limit of "
            f"{LIMIT_BYTES / 1e6:.0f} MB. The largest: {largest}.",
            hint="Move data out of the folder, and reach it through a volume or by its address.",
        )
