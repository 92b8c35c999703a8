"""The manual pages of the magics, which ``%launch?`` and ``%launch --help`` show."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ..config import SECTION, setting
from ..errors import ConfigError
from ..redact import redact_text
from .manual_texts import TEXTS

GROUPS = {
    "WHAT TO RUN": (
        "path", "run", "uri", "job", "docker.docker_image", "git.version", "git.token",
        "overrides.entry_point", "overrides.working_dir", "include", "spec",
    ),
    "WITH WHAT": ("set", "config", "overrides.run_config", "env", "secrets"),
    "WHERE": ("resource", "resource_args", "queue", "priority", "template_variables"),
    "IN WHICH IMAGE": (
        "requirements", "builder.base_image", "overrides.dockerfile", "build", "job_name",
        "registry.url",
    ),
    "HOW IT IS RECORDED": ("name", "entity", "project", "run_id", "output", "outputs"),
}  # fmt: skip
"""Options by what they are about, by their place in the spec; others are in the last group."""

REST = "HOW IT GOES AND IS SHOWN"
WIDTH, COLUMN = 96, 34


class Default(NamedTuple):
    """What a setting is, and where that comes from."""

    name: str
    value: str
    origin: str


def page(
    verb: str, made: argparse.ArgumentParser, settings: Mapping[str, str | None] | None = None
) -> str:
    """Write the manual page of a magic.

    Parameters
    ----------
    verb : str
        The magic, without its percent sign.
    made : ArgumentParser
        What reads its line.
    settings : mapping, optional
        What ``%config`` says, for the defaults.
    """
    text = TEXTS[verb]
    parts = [("", f"%{verb} - {text.title}"), ("SYNOPSIS", _indented("\n".join(text.synopsis)))]
    parts.append(("DESCRIPTION", _filled(text.about)))
    parts += _groups(made)
    if text.defaults:
        parts.append(("DEFAULTS", _indented(_table(_defaults(text.defaults, settings or {})))))
    parts.append(("EXAMPLES", "\n\n".join(map(_example, text.examples))))
    others = ", ".join(f"%{other}?" for other in TEXTS if other != verb)
    parts.append(("SEE ALSO", _indented(others)))
    return "\n\n".join(f"{head}\n{body}".strip("\n") for head, body in parts) + "\n"


def _groups(made: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    actions = {action.dest: action for action in made._actions}  # noqa: SLF001
    for head, members in GROUPS.items():
        found = [actions.pop(member) for member in members if member in actions]
        if found:
            yield head, "\n".join(map(_option, found))
    yield REST, "\n".join(map(_option, actions.values()))


def _option(action: argparse.Action) -> str:
    flags = ", ".join(action.option_strings) or str(action.metavar or action.dest.upper())
    if action.nargs != 0 and action.metavar and action.option_strings:
        many = " ..." if action.nargs == "+" else ""
        flags += f" {action.metavar}{many}"
    text = textwrap.wrap(str(action.help), WIDTH - COLUMN)
    if len(flags) > COLUMN - 6:
        return "\n".join([f"    {flags}", *(" " * COLUMN + line for line in text)])
    first, *more = text
    return "\n".join([f"    {flags:<{COLUMN - 4}}{first}", *(" " * COLUMN + line for line in more)])


def _defaults(names: tuple[str, ...], settings: Mapping[str, str | None]) -> list[Default]:
    origin = f"%config {SECTION}"
    found = []
    for name in names:
        try:
            said = setting(name, **{origin: settings.get(name)})
        except ConfigError as error:
            return [Default(name, "?", error.message)]
        found.append(Default(name, redact_text(said.value or "none"), said.origin))
    return found


def _table(rows: list[Default]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _example(example: tuple[str, str]) -> str:
    about, code = example
    return f"{_filled(about)}\n{_indented(_indented(code))}"


def _filled(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="    ", subsequent_indent="    ")


def _indented(text: str) -> str:
    return textwrap.indent(text, "    ")
