"""What ``%launch_form`` does: show the form, filled with what the line and the cell say.

A recorded run's id in place of a path fills the form from that run, and so does a variable that
holds a run, a job or a spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from IPython.core.error import UsageError

from ..config import setting, user_path
from ..errors import ConfigError, SpecError
from ..handle import RunHandle
from ..job import Job
from ..spec import LaunchSpec
from ..submit import launcher
from . import live, options
from .form import Form
from .form_start import Start, start_of, start_of_request
from .line_parsers import parser
from .manual import page
from .options import Request
from .request import typed_spec
from .values import expander, split


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
    made = parser("launch_form")
    try:
        given, words = _given(split(line, "%launch_form"), shell.user_ns)
        asked = options.parse(made, words, shell.user_ns)
        if asked.help:
            print(page("launch_form", made, settings))
            return None
        form = Form(settings, live.place(shell))
        form.begin(_start(asked, cell, settings) if given is None else start_of(given))
    except (SpecError, ConfigError) as error:
        raise UsageError(str(error)) from error
    if asked.out:
        shell.user_ns[asked.out] = form
    return form


def _given(words: list[str], names: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """Take out the word that is a variable with a run, a job or a spec, if there is one."""
    expand = expander(names)
    for place, word in enumerate(words[: words.index("--")] if "--" in words else words):
        given = expand(word) if word.startswith(("$", "{")) and "=" not in word else None
        if isinstance(given, RunHandle | Job | LaunchSpec):
            return given, [*words[:place], *words[place + 1 :]]
    return None, words


def _start(asked: Request, cell: str | None, settings: Mapping[str, str | None]) -> Start:
    if asked.spec_body:
        return start_of(typed_spec(asked.path, cell))
    if asked.path and cell is None and not user_path(asked.path).exists():
        made = launcher(setting("store", given=settings.get("store")).value)
        if made.store.find(asked.path) is not None:
            return start_of(made.handle(asked.path))
    return start_of_request(asked, cell)
