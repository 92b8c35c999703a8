"""The parser of each magic's line: for reading it, for its manual page, for completing it."""

from __future__ import annotations

from ..config import NAMES
from . import options
from .manual_texts import TEXTS


def parser(verb: str) -> options.Parser:
    """Give the parser of a magic's line."""
    if verb == "relaunch":
        from . import relaunch_magic  # noqa: PLC0415 - it brings along all that launches

        return relaunch_magic.parser()
    if verb == "launch_queue":
        from . import queue_magic  # noqa: PLC0415 - as above

        return queue_magic.parser()
    if verb != "launch_config":
        return options.parser(f"%{verb}", TEXTS[verb].about)
    made = options.Parser(prog=f"%{verb}", add_help=False, allow_abbrev=False)
    made.add_argument("setting", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}")
    made.add_argument("-h", "--help", action="store_true", help="show this help")
    return made
