"""The files of a commit and of its submodules, read from git's objects into a tar file.

Nothing is checked out: no filter, no hook and no link of the repository acts on this machine, and
names are bytes, whatever they are.
"""

from __future__ import annotations

import io
import posixpath
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, NamedTuple

from ..errors import SpecError
from ..report import Report
from .git_command import QUIET_S, Git, Talk
from .git_links import follow
from .git_trouble import GitFailed
from .snapshot import LIMIT_BYTES

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_LINE = re.compile(rb"(\d{6}) (\w+) ([0-9a-f]+) +(\d+|-)\t(.*)", re.DOTALL)
_EXECUTABLE, _LINK, _SUBMODULE = "100755", "120000", "160000"
_BLOCK = tarfile.BLOCKSIZE
_LONGEST_TARGET = 4096


class Entry(NamedTuple):
    """A file, link or submodule of a commit; `git` has its content."""

    name: str
    mode: str
    oid: str
    size: int
    git: Git


@dataclass
class Tree:
    """What a commit holds, with its submodules.

    Parameters
    ----------
    files : list of Entry
        By name, each repository's own beside each other.
    links : dict
        Names of symbolic links, and where they point.
    empty : list of str
        Folders of submodules that are not fetched.
    """

    files: list[Entry] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)


def entries(git: Git, commit: str, prefix: str, report: Report) -> list[Entry]:
    """List what a commit holds, below a folder `prefix` (ending in ``/``, or empty)."""
    words = ("ls-tree", "-r", "-z", "-l", "--full-tree", "--end-of-options", commit)
    found = []
    for line in git.run(*words, report=report).split(b"\0")[:-1]:
        match = _LINE.fullmatch(line)
        assert match is not None
        mode, _, oid, size = (part.decode("ascii") for part in match.groups()[:4])
        name = prefix + match[5].decode("utf-8", "surrogateescape")
        _check_name(name)
        found.append(Entry(name, mode, oid, int(size) if size.isdecimal() else 0, git))
    return found


def add(tree: Tree, found: list[Entry], report: Report) -> list[Entry]:
    """Sort what a commit holds into a tree; give its submodules, which are not in there yet."""
    links = [entry for entry in found if entry.mode == _LINK]
    tree.files += [entry for entry in found if entry.mode not in {_LINK, _SUBMODULE}]
    if links:
        _check_links(links)
        targets = blobs(links[0].git, [link.oid for link in links], report)
        for link, target in zip(links, targets, strict=True):
            # No system takes a NUL in a name: what is behind it counts for nobody.
            text = target.partition(b"\0")[0].decode("utf-8", "surrogateescape")
            tree.links[link.name] = text
    return [entry for entry in found if entry.mode == _SUBMODULE]


def pack(tree: Tree, subdirectory: str, report: Report) -> bytes:
    """Make a tar archive of a tree, or of one of its folders; equal for equal commits.

    Raises
    ------
    SpecError
        When the folder is not there, a link leaves it, or it is too large.
    """
    files, folders = _resolved(tree, subdirectory)
    _check_size(files)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in folders:
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.linkname = tarfile.DIRTYPE, 0o755, ""
            if target := folders[name]:
                member.type, member.mode, member.linkname = tarfile.SYMTYPE, 0o777, target
            tar.addfile(member)
        for git, group in groupby(files, key=lambda file: file.git):
            some = list(group)
            contents = blobs(git, [file.oid for file in some], report)
            for file, data in zip(some, contents, strict=True):
                member = tarfile.TarInfo(file.name)
                member.size = len(data)
                member.mode = 0o755 if file.mode == _EXECUTABLE else 0o644
                tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def blobs(git: Git, oids: Iterable[str], report: Report) -> Iterator[bytes]:
    """Give the contents of objects, in their order."""
    wanted = "".join(f"{oid}\n" for oid in oids)
    with TemporaryFile() as file:
        file.write(wanted.encode("ascii"))
        file.seek(0)
        with git.started("cat-file", "--batch", report=report, stdin=file.fileno()) as process:
            stream = io.BufferedReader(_Stream(Talk(process).output(quiet_s=QUIET_S)))
            for oid in wanted.split():
                header = stream.readline().split()
                size = int(header[2]) if len(header) == 3 else 0
                data = stream.read(size + 1)[:-1]
                if len(header) != 3 or len(data) != size:
                    raise GitFailed(f"{git.subject} is incomplete: it lacks the object {oid}.")
                yield data


class _Stream(io.RawIOBase):
    """Chunks as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._here = chunks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        if not self._here:
            self._here = memoryview(next(self._chunks, b""))
        into = memoryview(buffer)
        count = min(len(into), len(self._here))
        into[:count], self._here = self._here[:count], self._here[count:]
        return count


def _resolved(tree: Tree, subdirectory: str) -> tuple[list[Entry], dict[str, str]]:
    """Give the files of a folder by their names in it, and its other members.

    A link to a file becomes that file, as in the snapshot of a folder. What else stays inside
    remains a link.
    """
    inside = f"{subdirectory}/" if subdirectory else ""
    by_name = {file.name: file for file in tree.files}
    files = [file for file in tree.files if file.name.startswith(inside)]
    folders = {name: "" for name in tree.empty if name.startswith(inside)}
    for name in filter(lambda name: name.startswith(inside), tree.links):
        target = follow(tree.links, name)
        if target in by_name:
            files.append(by_name[target]._replace(name=name))
        elif target is None or not f"{target}/".startswith(inside):
            raise _leaving(name, tree.links[name], subdirectory)
        else:
            start = posixpath.dirname(f"/{name}")
            folders[name] = posixpath.relpath(f"/{target}", start)
    if inside and not files and not folders:
        raise SpecError(
            f"The repository has no folder {subdirectory!r} in this commit.",
            hint=f"Its folders: {', '.join(_tops(tree)) or 'none'}.",
            field="uri",
        )
    cut = len(inside)
    files = [file._replace(name=file.name[cut:]) for file in files]
    return files, {name[cut:]: target for name, target in sorted(folders.items())}


def _tops(tree: Tree) -> list[str]:
    tops = {file.name.partition("/")[0] for file in tree.files if "/" in file.name}
    return sorted(printable(name) for name in tops)[:20]


def _leaving(name: str, target: str, subdirectory: str) -> SpecError:
    where = f"the repository's folder {subdirectory!r}" if subdirectory else "the repository"
    return SpecError(
        f"{printable(name)} is a link to {printable(target)}, outside of {where}.",
        hint="Put the file itself into the repository, in place of the link.",
        field="uri",
    )


def _check_name(name: str) -> None:
    for part in name.split("/"):
        if part in {"", ".", ".."} or part.lower() == ".git":
            raise SpecError(
                f"The repository has a file {printable(name)!r}, which no checkout may write.",
                field="uri",
            )


def _check_links(links: list[Entry]) -> None:
    for link in links:
        if link.size > _LONGEST_TARGET:
            raise SpecError(f"{printable(link.name)} is a link that no system takes.", field="uri")


def _check_size(files: list[Entry]) -> None:
    total = sum(file.size + -file.size % _BLOCK + _BLOCK for file in files)
    if total > LIMIT_BYTES:
        ordered = sorted(files, key=lambda file: file.size, reverse=True)[:5]
        largest = ", ".join(f"{printable(f.name)} ({f.size / 1e6:.0f} MB)" for f in ordered)
        raise SpecError(
            f"The commit's {len(files)} files are {total / 1e6:.0f} MB together, over the limit "
            f"of {LIMIT_BYTES / 1e6:.0f} MB. The largest: {largest}.",
            hint="Launch one folder of it (#subdirectory=FOLDER), or keep data out of the "
            "repository and reach it through a volume or by its address.",
            field="uri",
        )


def printable(name: str) -> str:
    """Write a file's name so that it can be printed and stored, whatever bytes it has."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
