"""What a magic does: read the line, launch, show."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from .. import redact
from ..config import setting
from ..errors import ConfigError, SpecError, Unsupported
from ..placing import preview
from ..sources.base import InMemory
from ..submit import launcher
from . import live, manual, options, request, text
from .line_parsers import parser
from .values import split

if TYPE_CHECKING:
    from ..handle import RunHandle
    from ..spec import LaunchSpec


def run_magic(
    shell: Any, verb: str, settings: Mapping[str, str | None], line: str, cell: str | None
) -> RunHandle | None:
    """Do what ``%launch``, ``%%launch`` and their queue forms do.

    Parameters
    ----------
    shell : InteractiveShell
        Whose variables are expanded, and where ``-o NAME`` is put.
    verb : str
        ``launch`` or ``launch_add``.
    settings : mapping
        The traits of the magics.

    Raises
    ------
    UsageError
        For what is wrong with the line or cell; nothing was launched.
    LaunchError
        For everything else, and for a run that was waited for and failed.
    """
    try:
        made = parser(verb)
        asked = options.parse(made, split(line, f"%{verb}"), shell.user_ns)
        if asked.help:
            print(manual.page(verb, made, settings))
            return None
        launched = _launch(shell, verb, settings, asked, cell)
    except (SpecError, ConfigError, Unsupported) as error:
        raise UsageError(str(error)) from error
    if launched is None:
        return None
    handle = live.CellRun(launched.launcher, launched.id, shell)
    if asked.out:
        shell.user_ns[asked.out] = handle
    live.show(shell, handle, wait=asked.wait)
    return handle


def _launch(
    shell: Any,
    verb: str,
    settings: Mapping[str, str | None],
    asked: options.Request,
    cell: str | None,
) -> RunHandle | None:
    url = setting("store", given=settings["store"]).value
    defaults = {name: said for name, said in settings.items() if name not in ("queue", "store")}
    if asked.dry_run:
        keep = InMemory()
        spec = request.spec_of(asked, cell, keep, defaults, {})
        print(text.dry_run(spec, preview(launcher(url).store, spec, keep)))
        return None
    made = launcher(url)
    spec = request.spec_of(asked, cell, made.store, defaults, live.place(shell))
    _warn(spec)
    if verb == "launch_add":
        return made.add(spec.evolve(queue=spec.queue or settings["queue"]))
    return made.launch(spec)


def _warn(spec: LaunchSpec) -> None:
    for field in redact.findings(spec.to_dict()):
        name = field.rpartition(".")[2]
        print(
            f"{field} looks like a secret and will stand in the store of runs. Better: "
            f"--secret {name}, with {name} in the environment.",
            file=sys.stderr,
        )
