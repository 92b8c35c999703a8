"""A line as far as it is typed: its words, and which option is being given."""

from __future__ import annotations

import argparse
import contextlib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Line:
    """A line as far as it is typed: what is given already, and which option is being given."""

    given: dict[str, list[str]] = field(default_factory=dict)
    action: argparse.Action | None = None
    positionals: int = 0
    ended: bool = False


_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*(?:'|$)|"(?:[^"\\]|\\.)*(?:"|\\?$)|\\$)+""")


def split_typed(text: str) -> tuple[list[str], str]:
    """Give the words before the last one, and the last one as it was typed."""
    *_, last = [None, *_WORD.finditer(text)]
    typed = last[0] if last and last.end() == len(text) else ""
    try:
        return shlex.split(text[: len(text) - len(typed)]), typed
    except ValueError:
        return [], typed


def bare(typed: str) -> str:
    """Take the quotes off a word; one of them may be open still."""
    for closing in ("", "'", '"'):
        with contextlib.suppress(ValueError):
            return "".join(shlex.split(typed + closing))
    return typed


def flags(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """Give a parser's options by each of their spellings."""
    actions = parser._actions  # noqa: SLF001 - argparse has no other way to them
    return {flag: action for action in actions for flag in action.option_strings}


def verbs_of(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """Give the parsers of a parser's verbs by name, if it has some."""
    found = (action.choices for action in parser._actions)  # noqa: SLF001 - as above
    return next((choices for choices in found if isinstance(choices, Mapping)), {})


def read_line(parser: argparse.ArgumentParser, words: list[str]) -> Line:
    """Find out what a parser would have read so far."""
    known, line = flags(parser), Line()
    for word in words:
        flag, equals, value = word.partition("=")
        if word == "--":
            line.ended = True
        elif word in known:
            action = known[word]
            line.given.setdefault(action.dest, [])
            line.action = None if action.nargs == 0 else action
        elif equals and flag in known:
            line.given.setdefault(known[flag].dest, []).append(value)
            line.action = None
        elif line.action is not None:
            line.given[line.action.dest].append(word)
            line.action = line.action if line.action.nargs == "+" else None
        else:
            line.positionals += 1
    return line
