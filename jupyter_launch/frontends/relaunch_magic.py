"""What ``%relaunch`` does: launch a recorded run again, and show the new one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from IPython.core.error import UsageError

from ..config import setting
from ..errors import ConfigError, RunNotFound, SpecError, Unsupported
from ..handle import RunHandle
from ..submit import Launcher, launcher
from . import live, options, relaunch
from .manual import page
from .values import expander, split

_ABOUT = (
    "Launch a run again, just as it was recorded: the same code, commit, image and arguments, "
    "whatever has become of the cell or the files since. The new run's parent is the old one."
)
_RUN = (
    "run to launch again: its id, or a variable with its handle ($run); default: the run that was "
    "launched last in this kernel, or where there is none, in this notebook"
)
LOOKED_AT = 500
"""Among how many of the newest runs one of this notebook is looked for."""


def usage() -> str:
    """Give the magic's help text."""
    return page("relaunch", parser())


def run(shell: Any, settings: Mapping[str, str | None], line: str) -> RunHandle | None:
    """Do what ``%relaunch [RUN] [--set KEY=VALUE ...]`` does.

    Parameters
    ----------
    shell : InteractiveShell
        Whose variables are expanded, and where ``-o NAME`` is put.
    settings : mapping
        The traits of the magics.
    line : str
        What was typed.

    Raises
    ------
    UsageError
        For what is wrong with the line; nothing was launched.
    LaunchError
        For everything else, and for a run that was waited for and failed.
    """
    try:
        given = parser().parse_args(split(line, "%relaunch"))
        if given.help:
            print(usage())
            return None
        expand = expander(shell.user_ns)
        config = relaunch.changes(given, expand)
        old = _old(shell, settings, None if given.run is None else expand(given.run))
        made = old.relaunch(config)
    except (SpecError, ConfigError, RunNotFound, Unsupported) as error:
        raise UsageError(str(error)) from error
    handle = live.CellRun(made.launcher, made.id, shell)
    if given.out:
        shell.user_ns[given.out] = handle
    live.show(shell, handle, wait=given.wait)
    return handle


def parser() -> options.Parser:
    """Make the parser of the magic's line."""
    made = options.Parser(prog="%relaunch", description=_ABOUT, add_help=False, allow_abbrev=False)
    made.add_argument("run", nargs="?", metavar="RUN", help=_RUN)
    relaunch.add_to(made)
    made.add_argument("-o", "--out", metavar="NAME", help="variable that gets the run's handle")
    made.add_argument("-h", "--help", action="store_true", help="show this help")
    return made


def _old(shell: Any, settings: Mapping[str, str | None], asked: Any) -> RunHandle:
    """Give the run that is meant: a handle, an id, or the newest from here."""
    if isinstance(asked, RunHandle):
        return asked
    made = launcher(setting("store", given=settings.get("store")).value)
    if asked is not None:
        return made.handle(str(asked))
    here = made.newest or _of_notebook(made, live.place(shell)["notebook"])
    if here is None:
        raise SpecError(
            "There is no run to launch again: none was launched in this notebook.",
            hint="Name one: %relaunch ID. The ids: jupyter launch list.",
            field="run",
        )
    return made.handle(here)


def _of_notebook(made: Launcher, notebook: str | None) -> str | None:
    """Find the run that was launched last from a notebook, as its spec says."""
    if notebook is None:
        return None
    for one in made.store.runs(limit=LOOKED_AT):
        origin = json.loads(one.spec_json).get("origin") or {}
        if origin.get("notebook") == notebook:
            return one.id
    return None
