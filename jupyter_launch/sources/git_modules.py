"""A commit's files with those of its submodules, wherever these are to be fetched from."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..errors import LaunchError, SpecError
from ..report import Report
from . import git_fetch, git_tree, git_uri
from .git_command import Git
from .git_trouble import GitFailed
from .git_uri import Repository

MOST = 200
"""Submodules of one commit: what has more would multiply without end."""

_KEY = re.compile(r"submodule\.(.*)\.(path|url|update)", re.DOTALL)
_RELATIVE = ("./", "../")


class Module(NamedTuple):
    """An entry of ``.gitmodules``."""

    path: str = ""
    url: str = ""
    update: str = ""


class Collector:
    """Collects the files of a commit and of its submodules.

    Parameters
    ----------
    subdirectory : str
        Submodules beside this folder are left out; ``""`` for none.
    fetched : callable
        Gives `Git` at a repository that has a commit of another one.
    report : Report
        Told what is missing.
    """

    def __init__(
        self, subdirectory: str, fetched: Callable[[Repository, str], Git], report: Report
    ) -> None:
        self.tree = git_tree.Tree()
        self._subdirectory, self._fetched, self._report = subdirectory, fetched, report
        self._count = 0

    def add(self, git: Git, repository: Repository, commit: str, prefix: str = "") -> None:
        """Add a commit's files, below a folder `prefix` (ending in ``/``, or empty)."""
        found = git_tree.entries(git, commit, prefix, self._report)
        inner = git_tree.add(self.tree, found, self._report)
        modules = _modules(git, commit, self._report) if inner else {}
        for entry in inner:
            module = modules.get(entry.name[len(prefix) :], Module())
            if module.url and module.update != "none" and self._wanted(entry.name):
                self._add_module(git, repository, entry, module)
            else:
                self._leave_empty(entry.name, module)

    def _wanted(self, name: str) -> bool:
        here, there = f"{self._subdirectory}/", f"{name}/"
        return not self._subdirectory or here.startswith(there) or there.startswith(here)

    def _leave_empty(self, name: str, module: Module) -> None:
        self.tree.empty.append(name)
        if not module.url:
            shown = git_tree.printable(name)
            text = f"The submodule {shown} has no address in .gitmodules: its folder is empty.\n"
            self._report.output(text.encode())

    def _add_module(
        self, git: Git, parent: Repository, entry: git_tree.Entry, module: Module
    ) -> None:
        self._count += 1
        if self._count > MOST:
            raise SpecError(f"The commit has more than {MOST} submodules.", field="uri")
        shown = git_tree.printable(entry.name)
        try:
            place = _checked_out(git, parent, entry, module)
            place = place or git_uri.submodule(module.url, shown, _base(git, parent))
            there = self._fetched(place, entry.oid)
        except GitFailed as error:
            raise GitFailed(f"The submodule {shown}: {error.message}", hint=error.hint) from error
        self.add(there, place, entry.oid, f"{entry.name}/")


def _modules(git: Git, commit: str, report: Report) -> dict[str, Module]:
    """Give the entries of ``.gitmodules`` by their paths."""
    words = ("config", "--blob", f"{commit}:.gitmodules", "-z", "--list")
    try:
        text = git.run(*words, report=report).decode("utf-8", "surrogateescape")
    except GitFailed:  # there is none, or it cannot be read
        return {}
    by_name: dict[str, Module] = {}
    for item in text.split("\0"):
        key, _, value = item.partition("\n")
        if match := _KEY.fullmatch(key):
            known = by_name.get(match[1], Module())
            by_name[match[1]] = known._replace(**{match[2]: value})
    return {module.path.rstrip("/"): module for module in by_name.values()}


def _checked_out(
    git: Git, parent: Repository, entry: git_tree.Entry, module: Module
) -> Repository | None:
    """Find a submodule where its owner has it already: in the work tree of a local parent."""
    path = str(Path(parent.address) / module.path)
    if not parent.local or not git_uri.is_repository(path):
        return None
    there = git.at(path)
    return Repository(path, "", True, path) if git_fetch.has(there, entry.oid) else None


def _base(git: Git, parent: Repository) -> Repository:
    """Give what relative URLs are relative to: for a clone, where that was cloned from."""
    if not parent.local:
        return parent
    try:
        origin = git.run("config", "--get", "remote.origin.url").decode().strip()
    except LaunchError:
        return parent
    if not origin or origin.startswith(_RELATIVE):
        return parent
    return parent._replace(address=git_uri.without_user(origin))
