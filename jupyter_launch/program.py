"""What a source became: something a backend can start."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Program:
    """A program, ready to be started by any backend.

    Parameters
    ----------
    command : tuple of str
        The argument vector. Empty: the image's own.
    args : tuple of str
        Appended to `command`, or to the image's entry point when `command` is empty.
    env : mapping of str to str
        Environment, without secrets.
    secrets : tuple of str
        Names whose values the owner adds to the environment at start.
    image : str, optional
        The container image; backends without containers ignore it.
    archive : bytes, optional
        A tar file unpacked into the program's working directory.
    foreign : bool
        Whether the code is somebody else's, which never runs outside a container by itself.
    options : mapping
        The part of ``resource_args`` that belongs to the backend, macros substituted.
    grace_s : float
        Seconds between asking the program to end and killing it.
    """

    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    image: str | None = None
    archive: bytes | None = None
    foreign: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    grace_s: float = 10.0

    def evolve(self, **changes: Any) -> Program:
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)
