"""Which files of a folder are left out of its snapshot: git's ignore rules, and our own file.

The rules are git's to the byte (https://git-scm.com/docs/gitignore), with its `wildmatch`: a
pattern without a slash is matched against names, any other against the path from the folder its
file lies in; the last match in a file decides, and the nearer file before the farther one. They
say nothing of git's index: what is ignored is left out, even if it was once added by force.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from ..errors import SpecError
from .wildmatch import regex

OWN_FILE, GIT_FILE = ".launchignore", ".gitignore"
SKIPPED = (
    ".hg", ".svn", ".venv", "venv", "__pycache__", "node_modules", ".ipynb_checkpoints",
    ".mypy_cache", ".pytest_cache", ".ruff_cache", "wandb",
)  # fmt: skip
"""Folders that hold what is made from the code, not the code. A ``!venv`` in `OWN_FILE` brings one
back; ``.git`` stays out in any case."""

_BEFORE_TRAILING_SPACES = re.compile(rb"((?:\\.|[^\\])*?) *", re.DOTALL)


class _Alternatives:
    """Patterns as one regular expression, in which the last one that matches is found first."""

    def __init__(self, patterns: Iterable[tuple[int, bool, bytes]]) -> None:
        latest_first = sorted(patterns, reverse=True)
        self._verdicts = [(rank, out) for rank, out, _ in latest_first]
        self._regex = re.compile(b"|".join(b"(%s)" % text for *_, text in latest_first), re.DOTALL)

    def find(self, text: bytes) -> tuple[int, bool] | None:
        """Give the number of the last pattern that matches, and whether it leaves out."""
        match = self._regex.fullmatch(text) if self._verdicts else None
        return self._verdicts[match.lastindex - 1] if match and match.lastindex else None


class Patterns:
    """The patterns of one ignore file.

    Parameters
    ----------
    data : bytes
        The file's content.
    """

    def __init__(self, data: bytes) -> None:
        names: list[tuple[int, bool, bytes]] = []
        paths: list[tuple[int, bool, bytes]] = []
        for rank, line in enumerate(_lines(data)):
            keep = line.startswith(b"!")
            pattern = line[keep:]
            folders_only = pattern.endswith(b"/")
            pattern = pattern.removesuffix(b"/")
            by_path = b"/" in pattern
            text = regex(pattern.removeprefix(b"/"), by_path=by_path)
            if text is not None:
                rule = (rank, not keep, text + (b"/" if folders_only else b"/?"))
                (paths if by_path else names).append(rule)
        self._names, self._paths = _Alternatives(names), _Alternatives(paths)

    def verdict(self, path: bytes) -> bool | None:
        """Say whether a path is left out (True), kept (False), or not spoken of.

        Parameters
        ----------
        path : bytes
            From the folder the file lies in; that of a folder ends with a slash.
        """
        name = path[path.rfind(b"/", 0, -1) + 1 :]
        found = (self._names.find(name), self._paths.find(path))
        return max((one for one in found if one), default=(0, None))[1]


def _lines(data: bytes) -> Iterator[bytes]:
    for whole in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        line = whole.removesuffix(b"\r").partition(b"\0")[0]
        if line and not line.startswith(b"#"):
            match = _BEFORE_TRAILING_SPACES.fullmatch(line)
            yield match[1] if match else line


_patterns = lru_cache(maxsize=256)(Patterns)  # by content: to compile them is the slow part
_SKIPPED = Patterns("\n".join(SKIPPED).encode())


@dataclass(frozen=True)
class Rules:
    """What is left out in one folder: the files that speak of it, the nearest first.

    Parameters
    ----------
    at : bytes
        The folder's path from the top, with a slash behind each part.
    own, git : tuple
        The patterns of `OWN_FILE` and of git's files, each with the length of its own folder's
        path.
    """

    at: bytes = b""
    own: tuple[tuple[int, Patterns], ...] = ()
    git: tuple[tuple[int, Patterns], ...] = ()
    _order: tuple[tuple[int, Patterns], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_order", (*self.own, (0, _SKIPPED), *self.git))

    def leaves_out(self, name: str, *, is_folder: bool) -> bool:
        """Say whether something in this folder is left out."""
        path = self.at + os.fsencode(name) + (b"/" if is_folder else b"")
        for base, patterns in self._order:
            verdict = patterns.verdict(path[base:])
            if verdict is not None:
                return verdict
        return False

    def below(self, folder: str, name: str) -> Rules:
        """Give the rules in a folder of this one: where it is, and its name."""
        inside = self.at + os.fsencode(name) + b"/"
        return Rules(inside, self.own, self.git).reading(folder)

    def reading(self, folder: str) -> Rules:
        """Add what the ignore files in the folder itself say."""
        own, git = (_read(os.path.join(folder, file)) for file in (OWN_FILE, GIT_FILE))  # noqa: PTH118
        if not own and not git:
            return self
        base = len(self.at)
        return Rules(
            self.at,
            ((base, _patterns(own)), *self.own) if own else self.own,
            ((base, _patterns(git)), *self.git) if git else self.git,
        )


def rules_for(folder: Path) -> Rules:
    """Give the rules in a folder, with those of the git work tree it may lie in.

    Parameters
    ----------
    folder : Path
        Absolute, without links. If the work tree's own rules leave it out, they do not count:
        whoever launches a folder by name wants what is in it.

    Raises
    ------
    SpecError
        When an ignore file cannot be read.
    """
    tops = (parent for parent in (folder, *folder.parents) if os.path.lexists(parent / ".git"))
    top = next(tops, folder)
    exclude = _read(str(_git_folder(top / ".git") / "info" / "exclude"))
    rules = Rules(git=((0, _patterns(exclude)),) if exclude else ()).reading(str(top))
    inner = top
    for part in folder.relative_to(top).parts:
        if rules.leaves_out(part, is_folder=True):
            return Rules().reading(str(folder))
        inner /= part
        rules = rules.below(str(inner), part)
    return rules


def _git_folder(git: Path) -> Path:
    """Find the folder with a repository's data: a linked work tree and a submodule name it."""
    if git.is_dir():
        return git
    named = _read(str(git)).decode("utf-8", "surrogateescape").strip()
    own = git.parent / named.removeprefix("gitdir: ")
    shared = _read(str(own / "commondir")).decode("utf-8", "surrogateescape").strip()
    return own / shared


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", opener=_open_a_file) as file:
            return file.read() or b""
    except PermissionError as error:
        raise SpecError(f"{shown(path)} cannot be read: {error.strerror}.") from error
    except OSError:  # not there, or no file
        return b""


def _open_a_file(path: str, flags: int) -> int:
    """Open without waiting at a pipe and, as git does, without following a link."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def shown(path: str | Path) -> str:
    """Give a path as text that can be printed: without control characters and lone bytes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
