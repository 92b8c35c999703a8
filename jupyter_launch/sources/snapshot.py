"""Copies of the submitter's files, taken when a run is submitted, the same for the same content."""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from ..errors import SpecError
from .ignore import OWN_FILE, rules_for, shown
from .packed import Entry, Packed

LIMIT_BYTES = 100_000_000
LIMIT_FILES = 20_000
"""Where the walk ends, however many more there are."""

_LESS = (
    f"Name what the program does not need in a file {OWN_FILE} (written like a .gitignore), "
    "or keep data elsewhere and reach it through a volume or by its address."
)
_LEAVE_OUT = f"A pattern in a file {OWN_FILE} leaves it out."


def pack(files: Iterable[tuple[str, Path]]) -> Packed:
    """Make a tar archive of files, equal for equal names, contents and execute bits.

    Nothing is read before the archive is.

    Parameters
    ----------
    files : iterable of (str, Path)
        Each file's name in the archive and where it is. A link to a file stands for that file;
        one to a folder stays a link.

    Raises
    ------
    SpecError
        When they are more than `LIMIT_BYTES` together, one is not there or is no file, or a name
        cannot be kept.
    """
    begun_ns = time.time_ns()
    entries = sorted((_entry(name, path) for name, path in files), key=lambda entry: entry.name)
    for entry, after in pairwise(entries):
        if entry.name == after.name:
            raise SpecError(
                f"Two files would both be called {shown(entry.name)!r} where the program runs.",
                hint="Rename one of them, or put them into folders.",
            )
    _check_size(entries)
    return Packed(entries, begun_ns)


def _entry(name: str, path: Path) -> Entry:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise SpecError(
            f"The name of the file {shown(path)} is no UTF-8 text.",
            hint=f"Rename the file, or leave it out by a pattern in {OWN_FILE}.",
        ) from error
    try:
        status = path.stat()
    except OSError as error:
        raise SpecError(f"{shown(path)} cannot be read: {error.strerror}.") from error
    if stat.S_ISREG(status.st_mode):
        return Entry(name, path, status)
    if stat.S_ISDIR(status.st_mode) and path.is_symlink():
        target = os.path.relpath(os.path.realpath(path), os.path.realpath(path.parent))
        return Entry(name, path, path.lstat(), Path(target).as_posix())
    raise SpecError(
        f"{shown(path)} is no file.", hint="Folders are brought whole, or by --include."
    )


def _check_size(entries: list[Entry]) -> None:
    total = sum(entry.size for entry in entries)
    if total > LIMIT_BYTES:
        by_size = sorted(entries, key=lambda entry: (-entry.size, entry.name))
        largest = ", ".join(f"{shown(e.name)} ({e.size / 1e6:.0f} MB)" for e in by_size[:5])
        raise SpecError(
            f"The files are {total / 1e6:.0f} MB together, over the limit of "
            f"{LIMIT_BYTES / 1e6:.0f} MB. The largest: {largest}.",
            hint=_LESS,
        )


def tree(folder: Path) -> Iterator[tuple[str, Path]]:
    """Walk the files of a folder that belong to its snapshot.

    What the ignore files name is left out, and what is made from the code. Sockets, pipes,
    devices and folders without files are passed over, and so is ``.git``. Links to files, and to
    folders within, come by their own names; nothing is walked twice.

    Raises
    ------
    SpecError
        When a link leads out of the folder or nowhere, a folder or an ignore file cannot be read,
        there is nothing to bring, or there are more than `LIMIT_FILES` files.
    """
    root = Path(os.path.realpath(folder))
    pending = [(str(folder), "", rules_for(root))]
    crowds = Counter[str]()
    count = 0
    while pending:
        where, prefix, rules = pending.pop()
        for entry in _listed(where):
            name, is_folder = entry.name, entry.is_dir(follow_symlinks=False)
            if name == ".git" or rules.leaves_out(name, is_folder=is_folder):
                continue
            if is_folder:
                inside = f"{prefix}{name}/"
                pending.append((entry.path, inside, rules.below(entry.path, name)))
            elif _belongs(entry, root, folder):
                crowds[prefix] += 1
                count += 1
                if count > LIMIT_FILES:
                    raise _too_many(folder, crowds)
                yield prefix + name, Path(entry.path)
    if not count:
        raise SpecError(
            f"There are no files in the folder {shown(folder)}, or all are left out as ignored.",
            hint=f"A line such as !*.py in its {OWN_FILE} brings files back.",
        )


def _listed(where: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(where) as entries:
            yield from entries
    except OSError as error:
        raise SpecError(
            f"The folder {shown(where)} cannot be read: {error.strerror}.", hint=_LEAVE_OUT
        ) from error


def _belongs(entry: os.DirEntry[str], root: Path, folder: Path) -> bool:
    """Say whether something that is no folder comes along. Raises for a bad link."""
    if not entry.is_symlink():
        return entry.is_file()
    target = Path(os.path.realpath(entry.path))
    if not target.is_relative_to(root) or ".git" in target.relative_to(root).parts:
        raise SpecError(
            f"{shown(entry.path)} is a link to {shown(target)}, outside of {shown(folder)}.",
            hint=f"Copy the file into the folder, or bring it with --include. {_LEAVE_OUT}",
        )
    if not os.path.exists(entry.path):  # noqa: PTH110 (a Path is slow to make)
        raise SpecError(
            f"{shown(entry.path)} is a link to {shown(target)}, which is not there.",
            hint=f"Mend or remove the link. {_LEAVE_OUT}",
        )
    return target.is_file() or target.is_dir()


def _too_many(folder: Path, crowds: Counter[str]) -> SpecError:
    outer = Counter[str]()
    for prefix, count in crowds.items():
        parts = prefix.split("/")[:-1]
        for depth in range(min(len(parts), 2)):
            outer["/".join(parts[: depth + 1])] += count
    fullest = ", ".join(f"{shown(name)} ({count:,})" for name, count in outer.most_common(5))
    return SpecError(
        f"There are more than {LIMIT_FILES:,} files in {shown(folder)}."
        + f" The first of them are in: {fullest}." * bool(fullest),
        hint=_LESS,
    )
