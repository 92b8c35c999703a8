"""One at a time on this machine: who comes second waits, and finds the work done."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from jupyter_core.paths import jupyter_data_dir

from ..errors import BuildFailed
from ..report import Report
from .stream import LIMIT_S

LOOK_S = 0.1


@contextlib.contextmanager
def alone(tag: str, report: Report) -> Iterator[None]:
    """Keep others from building the same image while the block runs.

    Raises
    ------
    BuildFailed
        When another one does not come to an end.
    """
    folder = Path(jupyter_data_dir()) / "jupyter_launch" / "builds"
    path = folder / tag.rpartition(":")[2]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BuildFailed(f"{folder} cannot be written: {error.strerror}.") from error
    try:
        _wait_for(file, report)
        yield
    finally:
        # Who comes between the two lines may build beside one who waits: both get the same.
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        os.close(file)


def _wait_for(file: int, report: Report) -> None:
    end, stopped = time.monotonic() + LIMIT_S, threading.Event()
    if _locked(file):
        return
    with report.stoppable(stopped.set):
        report("waiting for another launch, which builds the same image")
        while not _locked(file):
            if stopped.wait(LOOK_S) or time.monotonic() > end:
                raise BuildFailed("Another launch builds the same image, and does not end.")


def _locked(file: int) -> bool:
    if sys.platform == "win32":
        return True  # two may build the same, and the later one is kept
    import fcntl  # noqa: PLC0415 - Windows has none

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
