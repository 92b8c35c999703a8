"""Git repositories as a source: which commit is meant, and the files in it."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ..errors import SpecError
from ..report import Report
from . import git_fetch, git_refs, git_tree, git_uri
from .git_cache import Cache
from .git_command import Git
from .git_login import login
from .git_modules import Collector
from .git_trouble import GitFailed
from .git_uri import Repository, is_local, is_repository

__all__ = ["Resolved", "archive", "is_local", "is_repository", "resolve"]

RESOLVE_S = 30.0
"""What finding out the commit may take: somebody is waiting for it."""

_STATUS_S = 10.0


class Resolved(NamedTuple):
    """The commit that a uri and a version mean now.

    Parameters
    ----------
    uri : str
        As to be recorded: local paths are absolute, and there are no credentials in it.
    commit : str
        Its whole name, 40 or 64 hexadecimal digits.
    ref : str, optional
        The branch or tag it was found by; ``None`` if the commit itself was named.
    local : bool
        Whether the repository is on this machine's disk, where no other machine could fetch it.
    notices : tuple of str
        What the user should know.
    """

    uri: str
    commit: str
    ref: str | None
    local: bool
    notices: tuple[str, ...] = ()


def resolve(uri: str, version: str | None, token: str | None = None) -> Resolved:
    """Find out which commit is meant, without fetching its files.

    Parameters
    ----------
    uri : str
        A URL, ``user@host:path`` or a folder; ``#subdirectory=`` may follow.
    version : str, optional
        A commit, branch or tag; default: the repository's default branch.
    token : str, optional
        The name of an environment variable that holds a token.

    Raises
    ------
    SpecError
        Naming ``uri`` or ``version``: there is no such repository or commit, or no way to it.
    SourceUnavailable
        When there is no git on this machine.
    """
    repository = git_uri.parse(uri)
    if version is not None:
        git_refs.check(version)
        if git_refs.FULL.fullmatch(version) and _key(repository, version) in Cache():
            return Resolved(repository.uri, version, None, repository.local)
    if repository.local and not is_repository(repository.address):
        raise _no_folder(uri, repository)
    git = Git(repository.address, login(repository, token))
    try:
        refs = _refs(git, repository)
        commit, ref = _pick(git, repository, version, refs)
    except GitFailed as error:
        raise SpecError(error.message, hint=error.hint, field="uri") from error
    notices = _uncommitted(git, repository) if commit == refs.commits.get("HEAD") else ()
    return Resolved(repository.uri, commit, ref, repository.local, notices)


def archive(
    uri: str, commit: str, *, ref: str | None = None, token: str | None = None, report: Report
) -> bytes:
    """Give the files of a commit, with its submodules, as a tar archive.

    Parameters
    ----------
    uri : str
        As `resolve` gave it; if it names a subdirectory, that is all.
    commit : str
        Its whole name.
    ref : str, optional
        The branch or tag it was found by, for servers that give out nothing else.
    token : str, optional
        The name of an environment variable that holds a token.
    report : Report
        Told how far the fetch is, and told to stop it.

    Raises
    ------
    SourceUnavailable
        When the repository cannot be reached, or stops answering.
    SpecError
        When there is no such commit or folder, or it cannot be sent to where the program runs.
    """
    repository = git_uri.parse(uri)
    if not git_refs.FULL.fullmatch(commit):
        raise SpecError(f"{commit!r} is not the whole name of a commit.", field="version")
    if ref is not None:
        git_refs.check(ref)
    make = partial(_make, repository, commit, ref, token, report)
    return Cache().fill(_key(repository, commit), make, report)


def _make(
    repository: Repository,
    commit: str,
    ref: str | None,
    token: str | None,
    report: Report,
    folder: Path,
) -> bytes:
    """Fetch a commit and its submodules into folders of `folder`, and pack what is in them."""
    known = login(repository, token)

    def fetched(place: Repository, wanted: str, name: str | None = None) -> Git:
        git = Git(place.address, known, tempfile.mkdtemp(dir=folder))
        return git_fetch.objects(git, place, wanted, name, report)

    collector = Collector(repository.subdirectory, fetched, report)
    collector.add(fetched(repository, commit, ref), repository, commit)
    return git_tree.pack(collector.tree, repository.subdirectory, report)


def _key(repository: Repository, commit: str) -> str:
    """Name what is kept: somebody who may read one repository need not see another one's."""
    place = f"{repository.address}\0{repository.subdirectory}"
    return f"{commit}-{hashlib.sha256(place.encode()).hexdigest()[:16]}"


def _refs(git: Git, repository: Repository) -> git_refs.Refs:
    words = ("ls-remote", "--symref", "--", repository.address)
    return git_refs.parse(git.run(*words, limit_s=RESOLVE_S))


def _pick(
    git: Git, repository: Repository, version: str | None, refs: git_refs.Refs
) -> tuple[str, str | None]:
    """Give the commit that a version means, and the branch or tag it is the end of."""
    if version is None or version == "HEAD":
        if found := refs.default():
            return found
        raise _no_default(repository, refs)
    full = version.lower()
    if git_refs.FULL.fullmatch(full):
        if not repository.local:
            return full, None
        if commit := git_fetch.full(git.at(repository.address), full):
            return commit, None
        raise git_fetch.missing(repository, version)
    if named := refs.find(version):
        return named
    if git_refs.ABBREVIATED.fullmatch(full) and (
        commit := _unabbreviated(git, repository, full, refs)
    ):
        return commit, None
    raise git_refs.unknown(repository.address, version, refs)


def _unabbreviated(
    git: Git, repository: Repository, version: str, refs: git_refs.Refs
) -> str | None:
    if repository.local:
        return git_fetch.full(git.at(repository.address), version)
    length = len(next(iter(refs.commits.values()), "0" * 40))
    with tempfile.TemporaryDirectory(prefix="jupyter-launch-git-") as folder:
        there = git.at(folder)
        git_fetch.init(there, "0" * length)
        try:
            git_fetch.history(there, repository.address, RESOLVE_S)
        except GitFailed as error:
            error.hint = f"Name the commit with all its {length} digits: that needs no search."
            raise
        return git_fetch.full(there, version)


def _uncommitted(git: Git, repository: Repository) -> tuple[str, ...]:
    if not repository.local or not (Path(repository.address) / ".git").exists():
        return ()
    words = ("--no-optional-locks", "status", "--porcelain", "-z", "--no-renames")
    where = ("--untracked-files=all", "--", repository.subdirectory or ".")
    changed = b""
    with contextlib.suppress(GitFailed):  # a notice less
        changed = git.at(repository.address).run(*words, *where, limit_s=_STATUS_S)
    if not (count := changed.count(b"\0")):
        return ()
    files = "1 file" if count == 1 else f"{count} files"
    verb = "has" if count == 1 else "have"
    text = f"{files} of {repository.address} {verb} changes that are not committed: the launch runs"
    return (f"{text} without them.",)


def _no_folder(uri: str, repository: Repository) -> SpecError:
    first = uri.partition("/")[0]
    hint = "Check the path. A folder without git is launched by its path: %launch FOLDER"
    if "." in first.strip(".") and not Path(first).exists():
        hint = f"Did you mean https://{uri}?"
    there = "is no git repository" if Path(repository.address).is_dir() else "does not exist"
    return SpecError(f"The folder {repository.address} {there}.", hint=hint, field="uri")


def _no_default(repository: Repository, refs: git_refs.Refs) -> SpecError:
    if not refs.commits:
        return SpecError(
            f"The repository {repository.address} is empty: it has no commit to run.",
            hint="Commit something (and push it), then launch it again.",
            field="uri",
        )
    return SpecError(
        f"The repository {repository.address} has no default branch.",
        hint=f"Name a branch or tag with -g: {', '.join(refs.names()[:8])}",
        field="version",
    )
