"""Arguments of the magics and the command line, made from the option table of `LaunchSpec`."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ..errors import SpecError
from ..option import options
from ..spec import LaunchSpec
from .values import expander, flat, pairs, read

MANY = {"pairs", "strings", "list"}
"""Ways to read an option that take several words at once."""


@dataclass(frozen=True)
class Request:
    """What somebody typed.

    `spec` holds the launch-spec fields that were given, in their nested JSON form; `path` is the
    script or folder; the rest is for the front end itself, `extra` what one of them added.
    """

    spec: dict[str, Any] = field(default_factory=dict)
    path: str | None = None
    include: tuple[str, ...] = ()
    wait: bool | None = None
    out: str | None = None
    dry_run: bool = False
    help: bool = False
    spec_body: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `SpecError` instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        """Raise, with the nearest option there is."""
        hint = f"{self.prog} --help shows every option."
        if found := re.match(r"unrecognized arguments: (\S+)", message):
            flags = [flag for action in self._actions for flag in action.option_strings]
            close = difflib.get_close_matches(found[1].partition("=")[0], flags, n=1)
            hint = f"Did you mean {close[0]}? {hint}" if close else hint
            message = f"there is no option {found[1]!r}"
            if not found[1].startswith("-"):
                message = f"one argument too many: {found[1]!r}"
                hint = f"Arguments of the program go after --: {self.prog} PATH -- {found[1]}"
        raise SpecError(f"{self.prog}: {message}.", hint=hint, field="options")


def parser(prog: str, description: str) -> Parser:
    """Make the parser of a verb: the table's options, and those of every front end."""
    made = Parser(prog=prog, description=description, add_help=False, allow_abbrev=False)
    made.add_argument("path", nargs="?", help="script or folder to launch")
    for path, option, text in options(LaunchSpec):
        if option.read == "flag":
            made.add_argument(
                *option.flags, dest=path, action="store_true", default=None, help=text
            )
            continue
        words: dict[str, Any] = {"nargs": "+", "action": "append"} if option.read in MANY else {}
        made.add_argument(*option.flags, dest=path, metavar=option.metavar, help=text, **words)
    made.add_argument(
        "--set", nargs="+", action="append", metavar="KEY=VALUE", help="values of the run config"
    )
    made.add_argument(
        "--include",
        nargs="+",
        action="append",
        metavar="PATH",
        help="files and folders that come along",
    )
    made.add_argument(
        "--spec", action="store_true", help="the cell, or the file PATH, is a launch spec in YAML"
    )
    made.add_argument(
        "--wait", action=argparse.BooleanOptionalAction, help="block until the run has ended"
    )
    made.add_argument("-o", "--out", metavar="NAME", help="variable that gets the run's handle")
    made.add_argument(
        "--dry-run", action="store_true", help="show the spec and the exact program, run nothing"
    )
    made.add_argument("-h", "--help", action="store_true", help="show this help")
    return made


def parse(made: Parser, words: Sequence[str], names: Mapping[str, Any] | None = None) -> Request:
    """Read an argument vector.

    Parameters
    ----------
    made : Parser
        As `parser` makes it.
    words : sequence of str
        What was typed; everything after a lone ``--`` goes to the program.
    names : mapping, optional
        Variables for ``$name`` and ``{name}``; without it, nothing is expanded.

    Raises
    ------
    SpecError
        Naming the argument that is wrong.
    """
    cut = list(words).index("--") if "--" in words else len(words)
    given = vars(made.parse_args(list(words[:cut])))
    expand: Callable[[str], Any] = (lambda text: text) if names is None else expander(names)
    spec: dict[str, Any] = {}
    for path, option, _ in options(LaunchSpec):
        if given[path] is not None:
            _put(spec, path, read(option, given[path], expand))
    if given["set"]:
        config = spec.setdefault("overrides", {}).setdefault("run_config", {})
        config.update(pairs("--set", flat(given["set"]), expand, typed=True))
    if cut < len(words):
        _put(spec, "overrides.args", [str(expand(word)) for word in words[cut + 1 :]])
    return Request(
        spec=spec,
        path=None if given["path"] is None else str(expand(given["path"])),
        include=tuple(str(expand(word)) for word in flat(given["include"] or [])),
        wait=given["wait"],
        out=given["out"],
        dry_run=given["dry_run"],
        help=given["help"],
        spec_body=given["spec"],
        extra={name: given[name] for name in given.keys() & {"json", "store"}},
    )


def _put(target: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        target = target.setdefault(parent, {})
    target[last] = value
