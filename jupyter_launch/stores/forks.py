"""What a forked child must begin anew: locks that other threads held, connections, threads."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Inherited(Protocol):
    """Something a child cannot use as its parent left it."""

    def begin(self) -> None:
        """Forget what the parent has, without touching it, and be as new."""


_ALL: weakref.WeakSet[Inherited] = weakref.WeakSet()


def begins_anew(thing: Inherited) -> None:
    """Let something begin now, and again in each forked child, for as long as it lives."""
    thing.begin()
    _ALL.add(thing)


def _in_child() -> None:
    for thing in list(_ALL):
        thing.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
