"""``%launch_queue``: the verbs of queues in a notebook."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from IPython.core.error import UsageError

from ..config import setting
from ..errors import ConfigError, QueueNotFound, SpecError, Unsupported
from ..submit import launcher
from . import queue_verbs
from .manual import page
from .options import Parser
from .table import Table
from .typed_line import verbs_of
from .values import expander, split


def run(shell: Any, settings: Mapping[str, str | None], line: str) -> Table | None:
    """Do what ``%launch_queue [VERB ...]`` does; without a verb, list the queues.

    Raises
    ------
    UsageError
        For what is wrong with the line.
    LaunchError
        For everything else.
    """
    try:
        words = split(line, "%launch_queue") or ["list"]
        made = parser()
        if {"-h", "--help"}.intersection(words):
            verb = verbs_of(made).get(words[0])
            print(verb.format_help() if verb else page("launch_queue", made, settings))
            return None
        arguments = made.parse_args([_value(shell, word) for word in words])
        arguments.entity = setting("entity", given=arguments.entity or settings.get("entity")).value
        used = launcher(setting("store", given=settings.get("store")).value)
        told: Table = arguments.act(used, arguments)
    except (SpecError, ConfigError, QueueNotFound, Unsupported) as error:
        raise UsageError(str(error)) from error
    return told


def parser() -> Parser:
    """Make the parser of the magic's line, with one for each verb."""
    made = Parser(prog="%launch_queue", add_help=False, allow_abbrev=False)
    subs = made.add_subparsers(metavar="VERB", dest="verb")
    queue_verbs.add_to(subs, _add)
    subs.help = f"{', '.join(subs.choices)}; each tells its options by --help"
    made.add_argument("-h", "--help", action="store_true", help="show this help")
    return made


def _add(subs: Any, name: str, verb: queue_verbs.Verb, about: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = subs.add_parser(
        name, help=about, description=about, add_help=False, allow_abbrev=False
    )
    made.set_defaults(act=verb)
    made.add_argument("-e", "--entity", metavar="NAME", help="owner of the queue")
    return made


def _value(shell: Any, word: str) -> str:
    """Put in a variable where a word is nothing but its name: a run, a mapping, a text."""
    # Within a word, {{n}} stands for a template variable, and stays.
    if not word.startswith("$"):
        return word
    value = expander(shell.user_ns)(word)
    if isinstance(value, Mapping):
        return json.dumps(value)
    return str(getattr(value, "id", value))
