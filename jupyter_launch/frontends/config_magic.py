"""``%launch_config``: every setting, its value, and where that comes from."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from IPython.core.error import UsageError

from ..config import NAMES, SECTION, Setting, near, sayings, variable
from ..errors import ConfigError, SpecError
from ..redact import redact_text
from . import report
from .line_parsers import parser
from .manual import page
from .values import split

HEAD = ("SETTING", "VALUE", "FROM", "INSTEAD OF")
_OTHERS = {"JUPYTER_LAUNCH_NONINTERACTIVE", "JUPYTER_LAUNCH_PROCESS_DIR"}
"""Variables of the environment that are no settings."""

_NOT_FOR_PEOPLE = ("JUPYTER_LAUNCH_TEST_", "JUPYTER_LAUNCH_GIT_LOGIN", "JUPYTER_LAUNCH_SERVER")


@dataclass(frozen=True)
class Effective:
    """The settings that hold here and now, as a table.

    Parameters
    ----------
    found : mapping
        For each setting all that is said of it, strongest first.
    notices : sequence of str
        What somebody may have meant otherwise.
    """

    found: Mapping[str, Sequence[Setting]]
    notices: Sequence[str] = ()

    @property
    def rows(self) -> list[tuple[str, str, str, str]]:
        """The cells of the table: name, value, origin, what is said elsewhere and does not hold."""
        return [
            (name, _shown(said[0]), _origin(name, said[0]), "; ".join(_weaker(name, said)))
            for name, said in self.found.items()
        ]

    def __getitem__(self, name: str) -> Setting:
        return self.found[name][0]

    def __repr__(self) -> str:
        return "\n".join([report.columns([HEAD, *self.rows]), *self.notices])

    def _repr_html_(self) -> str:
        cells = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in self.rows]
        head = "".join(f'<th scope="col">{cell.capitalize()}</th>' for cell in HEAD)
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        notices = "".join(f"<p>{html.escape(notice)}</p>" for notice in self.notices)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notices}"


def run(shell: Any, settings: Mapping[str, str | None], line: str) -> Effective | None:
    """Do what ``%launch_config [NAME ...]`` does.

    Raises
    ------
    UsageError
        When there is no setting of that name, or a file is malformed.
    """
    try:
        words = split(line, "%launch_config")
        if {"-h", "--help"}.intersection(words):
            print(page("launch_config", parser("launch_config"), settings))
            return None
        return effective(words or NAMES, settings, _of_files(shell))
    except (SpecError, ConfigError) as error:
        raise UsageError(str(error)) from error


def effective(
    names: Sequence[str],
    settings: Mapping[str, str | None],
    of_files: Mapping[str, str | None] | None = None,
) -> Effective:
    """Look settings up.

    Parameters
    ----------
    names : sequence of str
        Which; of `config.NAMES`.
    settings : mapping
        What the traits of the magics say.
    of_files : mapping, optional
        What they said before anybody used ``%config``.

    Raises
    ------
    SpecError, ConfigError
    """
    for name in names:
        if name not in NAMES:
            hint = f"{near(name, NAMES)}Known: {', '.join(NAMES)}."
            raise SpecError(f"There is no setting {name!r}.", hint=hint, field=name)
    found = {}
    for name in names:
        value = settings.get(name)
        here = value is not None and (of_files or {}).get(name) == value
        origin = "IPython's configuration" if here else f"%config {SECTION}"
        found[name] = list(sayings(name, **{origin: value}))
    return Effective(found, _strays())


def _of_files(shell: Any) -> Mapping[str, str | None]:
    """Give what IPython's configuration files said when the extension was loaded."""
    magics = shell.magics_manager.registry.get(SECTION)
    said: Mapping[str, str | None] = getattr(magics, "of_files", {})
    return said


def _strays() -> list[str]:
    """Name variables of the environment that nobody reads, though they look as if."""
    known = [*map(variable, NAMES), *_OTHERS]
    return [
        f"The environment has {name}, which nobody reads. {near(name, known)}".rstrip()
        for name in sorted(os.environ)
        if name.startswith("JUPYTER_LAUNCH_") and name not in known
        if not name.startswith(_NOT_FOR_PEOPLE)
    ]


def _shown(said: Setting) -> str:
    return "none" if said.value is None else redact_text(said.value)


def _weaker(name: str, said: Sequence[Setting]) -> list[str]:
    return [f"{_shown(other)} ({_origin(name, other)})" for other in said[1:]]


def _origin(name: str, said: Setting) -> str:
    path, _, notebook = said.origin.partition(", ")
    line = None if notebook else _line(Path(path), name)
    return f"{said.origin}, line {line}" if line else said.origin


def _line(path: Path, name: str) -> int | None:
    """Find the line of a file in which a setting stands, if that is easy to see."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_absolute() else []
    except (OSError, ValueError):
        return None
    spelt = "|".join(map(re.escape, (name, name.replace(".", "_"), name.rpartition(".")[2])))
    wanted = re.compile(rf"""[\s{{]*(?:c\.{SECTION}\.)?["']?(?:{spelt})["']?\s*[=:]""")
    own = path.name != "pyproject.toml"
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("[") and not own:
            own = re.match(r"\s*\[\s*tool\s*\.\s*jupyter_launch", line) is not None
            continue
        if own and wanted.match(line):
            return number
    return None
