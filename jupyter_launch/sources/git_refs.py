"""The branches and tags of a repository, and the commit that one of them names."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field

from ..errors import SpecError

FULL = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
ABBREVIATED = re.compile(r"[0-9a-f]{7,63}")
_KINDS = ("refs/heads/", "refs/tags/")
_MALFORMED = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^/|/$|\.lock$|\.$")
_SHOWN = 8


@dataclass(frozen=True)
class Refs:
    """What a repository offers.

    Parameters
    ----------
    commits : dict
        Names, such as ``refs/heads/main``, and their commits; tags are followed to theirs.
    head : str, optional
        The branch that is the default.
    """

    commits: dict[str, str] = field(default_factory=dict)
    head: str | None = None

    def find(self, version: str) -> tuple[str, str] | None:
        """Give the commit and the short name of a branch, a tag or a whole ``refs/...`` name.

        Of a branch and a tag with the same name it is the branch, as for ``git clone --branch``.
        """
        if version.startswith("refs/"):
            names = [version]
        else:
            names = [f"{kind}{version}" for kind in (*_KINDS, "refs/remotes/")]
        name = next((name for name in names if name in self.commits), None)
        return (self.commits[name], short(name)) if name else None

    def default(self) -> tuple[str, str | None] | None:
        """Give the commit, and the branch if it is one, of ``HEAD``."""
        commit = self.commits.get("HEAD")
        return (commit, short(self.head) if self.head else None) if commit else None

    def names(self) -> list[str]:
        """Name the branches and tags, shortly."""
        return [short(name) for name in self.commits if name.startswith(_KINDS)]


def parse(listing: bytes) -> Refs:
    """Read what ``git ls-remote --symref`` prints."""
    commits: dict[str, str] = {}
    head = None
    for line in listing.decode("utf-8", "surrogateescape").split("\n"):
        what, _, name = line.partition("\t")
        if what.startswith("ref: "):
            head = what.removeprefix("ref: ") if name == "HEAD" else head
        elif FULL.fullmatch(what):
            commits[name.removesuffix("^{}")] = what  # a tag's commit comes after the tag
    return Refs(commits, head)


def short(name: str) -> str:
    """Name a branch or tag as people do."""
    for kind in _KINDS:
        name = name.removeprefix(kind)
    return name


def check(version: str) -> None:
    """Refuse what cannot be the name of a commit, branch or tag. Raises `SpecError`."""
    if not version or version.startswith("-") or _MALFORMED.search(version):
        raise SpecError(
            f"The version {version!r} cannot be the name of a commit, a branch or a tag.",
            hint="Name one as git lists it (git ls-remote), such as main, v1.2 or a commit.",
            field="version",
        )


def unknown(subject: str, version: str, refs: Refs) -> SpecError:
    """Make the error about a version that is not there, with names like it."""
    names = refs.names()
    near = difflib.get_close_matches(version, names, n=3, cutoff=0.6)
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    there = f"It has {', '.join(names[:_SHOWN])}{more}." if names else "It has no branches or tags."
    return SpecError(
        f"{subject} has no commit, branch or tag {version!r}.",
        hint=meant + there.encode("utf-8", "replace").decode(),
        field="version",
    )
