"""``%launch_form``: the form, filled with what the line and the cell say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from IPython.core.error import UsageError

from ..config import setting, user_path
from ..errors import ConfigError, SpecError
from ..submit import launcher
from . import live, options
from .form import Form
from .form_start import Start, start_of, start_of_request
from .options import Request
from .values import mapping, split

ABOUT = (
    "Show a form that launches. It takes the options of %launch to begin with, and the cell's "
    "text as the program; a run's id as the only word fills it from that run."
)


def run(
    shell: Any, settings: Mapping[str, str | None], line: str, cell: str | None = None
) -> Form | None:
    """Do what ``%launch_form`` and ``%%launch_form`` do.

    Parameters
    ----------
    shell : InteractiveShell
        Whose variables are expanded, and where the form is shown.
    settings : mapping
        The traits of the magics.

    Raises
    ------
    UsageError
        For what is wrong with the line.
    """
    parser = options.parser("%launch_form", ABOUT)
    try:
        asked = options.parse(parser, split(line, "%launch_form"), shell.user_ns)
        if asked.help:
            print(parser.format_help())
            return None
        form = Form(settings, live.place(shell))
        form.begin(_start(asked, cell, settings))
    except (SpecError, ConfigError) as error:
        raise UsageError(str(error)) from error
    if asked.out:
        shell.user_ns[asked.out] = form
    return form


def _start(asked: Request, cell: str | None, settings: Mapping[str, str | None]) -> Start:
    if asked.spec_body:
        return start_of(mapping(cell or "", "--spec", "The cell"))
    if asked.path and cell is None and not user_path(asked.path).exists():
        made = launcher(setting("store", given=settings.get("store")).value)
        if made.store.find(asked.path) is not None:
            return start_of(made.handle(asked.path))
    return start_of_request(asked, cell)
