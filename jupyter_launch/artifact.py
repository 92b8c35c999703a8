"""What a program leaves behind: as a backend finds it, and as a store keeps it."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from typing import IO, NamedTuple

OUTPUT_DIR = "JUPYTER_LAUNCH_OUTPUT_DIR"
"""The variable that tells a program where to write what is to be kept."""

UNKNOWN = "application/octet-stream"


class Output(NamedTuple):
    """Something a program left behind.

    Parameters
    ----------
    name : str
        Its path below the folder it was found in, with ``/``. As the system has it: it may be
        hostile, and what is no UTF-8 in it is a lone surrogate.
    size : int
        In bytes.
    modified : float
        Unix time of its last change.
    read : callable, optional
        Opens its content; works until the next output is asked for.
    link : str, optional
        It is not content but a link: the name, below the same folder, that it leads to.
    problem : str
        Why it cannot be kept, if so.
    """

    name: str
    size: int = 0
    modified: float = 0.0
    read: Callable[[], IO[bytes]] | None = None
    link: str | None = None
    problem: str = ""


class Kept(NamedTuple):
    """An artifact, as a store lists it: `name`, `size` in bytes, Unix time of the last change."""

    name: str
    size: int
    modified: float

    @property
    def type(self) -> str:
        """Its MIME type, as far as its name says."""
        return mimetypes.guess_type(self.name)[0] or UNKNOWN
