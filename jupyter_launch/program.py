"""What a source became: something a backend can start."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .recipe import Recipe


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
    build : Recipe, optional
        The image to build first, in whose place `image` is the one it is built on.
    workdir : str, optional
        A folder of `archive` in which the program runs, instead of where that is unpacked.
    user_id : int, optional
        The user a container runs as; default: the image's.
    built : bool
        Whether `image` was built just now.
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
    build: Recipe | None = None
    workdir: str | None = None
    user_id: int | None = None
    built: bool = False
    foreign: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    grace_s: float = 10.0

    def evolve(self, **changes: Any) -> Program:
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)
