"""Places where programs run, each in a module of its own, found by entry point."""

from __future__ import annotations

import difflib
import threading
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from ..errors import SpecError

if TYPE_CHECKING:
    from .base import Backend

ALIASES = {"local": "local-container"}
"""W&B's other names for a resource."""

FALLBACK = "local-process"
"""Where `AUTO` runs code where no container is possible."""

AUTO = "auto"
"""The resource that means: a container if that is possible here, otherwise a process."""


@cache
def _points() -> dict[str, EntryPoint]:
    # Looked up once: it reads the metadata of everything that is installed.
    return {point.name: point for point in entry_points(group="jupyter_launch.backends")}


def names() -> list[str]:
    """Name the resources a spec can ask for on this machine, besides `AUTO`."""
    return sorted(_points())


def check_name(name: str) -> None:
    """Raise `SpecError` unless there is a backend of that name."""
    if name in ALIASES or name in names():
        return
    known = [AUTO, *names()]
    close = difflib.get_close_matches(name, known, n=1)
    advice = f"Did you mean {close[0]!r}? " if close else ""
    raise SpecError(
        f"There is no resource {name!r}.",
        hint=f"{advice}Known: {', '.join(known)}.",
        field="resource",
    )


def backend(name: str) -> Backend:
    """Give the backend of that name, made once per process. Raises `SpecError`."""
    check_name(name)
    # Were there two, one would listen to a program that the other follows, and unread output
    # blocks the program.
    with _making:
        return _made(ALIASES.get(name, name))


_making = threading.Lock()


@cache
def _made(name: str) -> Backend:
    made: Backend = _points()[name].load()()
    return made
