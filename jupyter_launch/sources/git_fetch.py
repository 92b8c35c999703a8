"""Getting a commit's objects onto this machine, as few of them as the server allows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import SpecError
from ..report import Report
from .git_command import Git
from .git_trouble import GitFailed
from .git_uri import Repository

_ALL = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_NOT_LIKE_THAT = re.compile(
    r"unadvertised object|not our ref|shallow|couldn't find remote ref|reference is not a tree"
    r"|[Nn]o such remote ref|expected.*shallow",
)
"""The server lives, but gives out no single commit, or no part of the history."""


def objects(git: Git, repository: Repository, commit: str, ref: str | None, report: Report) -> Git:
    """See that a commit's files are on this machine.

    Parameters
    ----------
    git : Git
        At an empty folder, used if they have to be fetched.
    repository : Repository
        Where they are.
    commit : str
        Whole.
    ref : str, optional
        A branch or tag it was found by.
    report : Report
        Told how far the fetch is.

    Returns
    -------
    Git
        At the repository that has them.

    Raises
    ------
    GitFailed
        When the repository cannot be reached.
    SpecError
        When it has no such commit.
    """
    if repository.local:
        git = git.at(repository.address)
        if has(git, commit, report):
            return git
        raise missing(repository, commit)
    report(f"fetching {repository.address}")
    init(git, commit, report)
    for options, wanted in _ways(commit, ref):
        cut_off = "--depth=1" not in options and (Path(git.folder) / "shallow").exists()
        deeper = ("--unshallow",) if cut_off else ()
        try:
            git.fetch(*options, *deeper, "--", repository.address, *wanted, report=report)
        except GitFailed as error:
            if not _NOT_LIKE_THAT.search(error.said):
                raise
        if has(git, commit, report):
            return git
    raise missing(repository, commit)


def init(git: Git, commit: str, report: Report | None = None) -> None:
    """Make an empty repository for commits with names as long as this one's."""
    kind = "sha256" if len(commit) == 64 else "sha1"
    words = ("init", "--quiet", "--bare", "--template=", f"--object-format={kind}")
    git.run(*words, "--", git.folder, report=report)


def has(git: Git, commit: str, report: Report | None = None) -> bool:
    """Say whether a commit is there, under its whole or abbreviated name."""
    return full(git, commit, report) is not None


def full(git: Git, commit: str, report: Report | None = None) -> str | None:
    """Give the whole name of a commit; ``None`` if none, or several, begin like that."""
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}")
    try:
        return git.run(*words, report=report).decode("ascii").strip()
    except GitFailed as error:
        if error.hint:
            raise  # such as a folder of somebody else's: git did not look for it at all
        return None


def history(git: Git, address: str, limit_s: float) -> None:
    """Fetch all commits of all branches and tags; where the server can, nothing but them."""
    words = ("fetch", "--quiet", "--filter=tree:0", "--no-tags", "--")
    git.run(*words, address, *_ALL, limit_s=limit_s)


def missing(repository: Repository, commit: str) -> SpecError:
    """Make the error about a commit that is not there."""
    return SpecError(
        f"{repository.address} has no commit {commit}, or not any more.",
        hint="If it is yours, push it; otherwise name another commit, branch or tag.",
        field="version",
    )


def _ways(commit: str, ref: str | None) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Give options and refspecs: the commit alone, its branch's end, and at last everything."""
    yield ("--depth=1", "--no-tags"), (commit,)
    if ref:
        yield ("--depth=1", "--no-tags"), (ref,)
    odd = (f"+{ref}:{ref}",) if ref and ref.startswith("refs/") else ()
    yield ("--no-tags",), (*_ALL, *odd)
