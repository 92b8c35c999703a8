"""Showing a run where the user is: as a card in a live notebook, otherwise as text."""

from __future__ import annotations

import contextlib
import contextvars
import os
import sys
import threading
import time
import zlib
from typing import Any

from ..errors import RunStopped, StoreError
from ..handle import Launches, RunHandle
from .record import bundle_of, status_line
from .saved import MIME
from .text import stream

PAUSE_S = 0.25
"""How long after a record the next one of this kernel is put into its cell, in seconds."""

_TURN = threading.Lock()


class CellRun(RunHandle):
    """The handle that a magic returns: as a cell's last value it is not shown a second time.

    Parameters
    ----------
    launcher, run_id
        As for `RunHandle`.
    shell : InteractiveShell
        Where the magic ran.
    """

    def __init__(self, launcher: Launches, run_id: str, shell: Any) -> None:
        super().__init__(launcher, run_id)
        self._shell = shell
        self._cell = shell.execution_count

    def _ipython_display_(self) -> None:
        if self._shell.execution_count == self._cell:
            return
        if watched(self._shell):
            _card(self)
        else:
            print(status_line(self.run, time.time()))


def shell() -> Any:
    """Give the IPython this runs in, or ``None``."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython  # noqa: PLC0415

    return get_ipython()


def show(shell: Any, handle: RunHandle, *, wait: bool | None) -> None:
    """Show a run in the output of the running cell.

    With a live front end this returns at once unless `wait`. Otherwise it blocks unless `wait` is
    False, because nothing else would keep the kernel until the run has ended.

    Raises
    ------
    ExecutionError, RunStopped
        When it waited and the run ended badly.
    """
    if watched(shell):
        try:
            _card(handle)
            if wait:
                handle.wait()
                handle.check()
        except KeyboardInterrupt:
            if not wait:
                raise
            # From the first moment on: who interrupts a waiting cell wants the run to end.
            handle.stop()
            raise RunStopped(f"Run {handle.id} was stopped by an interrupt.") from None
        return
    if wait is False:
        print(f"run {handle.id} was submitted; jupyter launch attach {handle.id} follows it")
        return
    stream(handle)
    handle.check()


def _card(handle: RunHandle) -> None:
    """Show the live view, and put the lasting record in its place when the run has ended."""
    from IPython.display import display, update_display  # noqa: PLC0415

    name = f"launch-{handle.id}"
    metadata = {MIME: _origin()}

    def settle() -> None:
        with contextlib.suppress(StoreError):  # then the record stays as it is
            handle.wait()
            # A page works through all records that came while it rested, and freezes meanwhile;
            # it does not say when it is done, so the next one waits out its own pause.
            with _TURN:
                update_display(bundle_of(handle), raw=True, metadata=metadata, display_id=name)
                time.sleep(PAUSE_S)

    display(_live_bundle(handle), raw=True, metadata=metadata, display_id=name)
    # What a thread displays belongs to a cell by the context the thread was started in.
    run = contextvars.copy_context().run
    threading.Thread(target=run, args=(settle,), name=f"card-{handle.id}", daemon=True).start()


def _origin() -> dict[str, int]:
    """Tell the running cell's text from others: a page can then see that it was changed since."""
    kernel = getattr(shell(), "kernel", None)
    parent = kernel.get_parent() if kernel is not None else {}
    code = (parent or {}).get("content", {}).get("code")
    return {} if code is None else {"cell": zlib.crc32(code.encode("utf-8", "replace"))}


def _live_bundle(handle: RunHandle) -> dict[str, Any]:
    try:
        from .card import Card  # noqa: PLC0415
    except FileNotFoundError:  # a checkout whose front end was never built
        return bundle_of(handle)
    return Card(handle).mimebundle()


def watched(shell: Any) -> bool:
    """Say whether somebody sees the output change: a notebook in a browser or an editor.

    Programs that run notebooks (nbclient, and so nbconvert and papermill) forbid reading from
    standard input, which people's front ends allow.
    """
    said = os.environ.get("JUPYTER_LAUNCH_NONINTERACTIVE", "").lower()
    if said not in {"", "0", "false"}:
        return False
    kernel = getattr(shell, "kernel", None)
    if kernel is None or not getattr(kernel, "_allow_stdin", False):
        return False
    in_code = "__vsc_ipynb_file__" in shell.user_ns or "VSCODE_PID" in os.environ
    return "JPY_SESSION_NAME" in os.environ or in_code or "google.colab" in sys.modules


def place(shell: Any) -> dict[str, str | None]:
    """Say where the running cell stands: the notebook's path and the cell's id, if known."""
    notebook = os.environ.get("JPY_SESSION_NAME") or shell.user_ns.get("__vsc_ipynb_file__")
    kernel = getattr(shell, "kernel", None)
    parent = kernel.get_parent() if kernel is not None else {}
    metadata = parent.get("metadata", {}) if parent else {}
    return {"notebook": notebook, "cell": metadata.get("cellId")}
