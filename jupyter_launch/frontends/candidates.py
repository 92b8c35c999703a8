"""What may stand at the end of a magic's line: flags, and values of each option."""

from __future__ import annotations

import argparse
import re
import shlex

from .candidate_values import PATHS, VALUES, Candidate, Source, paths
from .line_parsers import parser
from .typed_line import Line, bare, flags, read_line, split_typed, verbs_of
from .values import literal


def candidates(source: Source, verb: str, text: str) -> tuple[str, list[Candidate]]:
    """Find what may stand at the end of a line.

    Parameters
    ----------
    source : Source
        Where values come from.
    verb : str
        The magic.
    text : str
        What was typed behind it, up to the cursor.

    Returns
    -------
    tuple
        The end of the text that is replaced, and the candidates for that, best first.
    """
    words, typed = split_typed(text)
    made: argparse.ArgumentParser = parser(verb)
    if chosen := verbs_of(made).get(words[0] if words else ""):
        made, words = chosen, words[1:]
    line = read_line(made, words)
    flag, equals, rest = typed.partition("=")
    if line.ended:  # what follows is the program's own; much of it names files
        return typed, _chosen(list(paths(bare(typed))), bare(typed))
    if equals and flag.startswith("--"):
        line.action = flags(made).get(flag)
        return rest, _values(source, made, line, rest)
    if typed.startswith("-"):
        return typed, _matching(_unused_flags(made, line), typed)
    if line.action is not None or typed:
        return typed, _values(source, made, line, typed)
    return typed, [*_values(source, made, line, typed), *_unused_flags(made, line)]


def _unused_flags(parser: argparse.ArgumentParser, line: Line) -> list[Candidate]:
    actions = [
        action
        for action in parser._actions  # noqa: SLF001 - argparse has no other way to its options
        if action.nargs == "+" or action.dest not in line.given
    ]
    flags = [flag for action in actions for flag in action.option_strings]
    return [Candidate(flag, "option") for flag in sorted(flags, key=lambda f: (f[:2] != "--", f))]


def _positional(made: argparse.ArgumentParser, line: Line) -> argparse.Action | None:
    """Find out what a word is that belongs to no option."""
    actions = made._actions  # noqa: SLF001 - as above
    first = next((a for a in actions if not a.option_strings), None)
    many = first is not None and first.nargs in {"*", "+"}
    return first if many or not line.positionals else None


def _values(
    source: Source, made: argparse.ArgumentParser, line: Line, typed: str
) -> list[Candidate]:
    action = line.action or _positional(made, line)
    if action is None:
        return []
    dest = action.dest
    text = bare(typed)
    if action.choices:
        return _matching([Candidate(choice, "word") for choice in action.choices], text)
    if text.startswith("$"):
        names = [Candidate(f"${name}", "variable") for name in sorted(source.variables())]
        return _matching(names, text)
    if dest in PATHS:
        found = list(paths(text))
    else:
        ask = VALUES.get(dest)
        found = [] if ask is None else list(dict.fromkeys(ask(source, line, text)))
    return _chosen(found, text)


def _chosen(found: list[Candidate], text: str) -> list[Candidate]:
    return [Candidate(_quoted(one.text), one.kind) for one in _matching(found, text)]


def _matching(found: list[Candidate], typed: str) -> list[Candidate]:
    """Choose what begins with what was typed, or where nothing does, what has it inside."""
    begin = [one for one in found if one.text.startswith(typed)]
    return begin or [one for one in found if typed and typed in one.text]


_SAFE = re.compile(r"[\w@%+=:,./~-]*")


def _quoted(text: str) -> str:
    """Write a value so that the line gives it back."""
    return text if _SAFE.fullmatch(text) else shlex.quote(literal(text))
