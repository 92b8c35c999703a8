"""Showing a run where the user is: as a card in a live notebook, otherwise as text."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ..errors import RunStopped

if TYPE_CHECKING:
    from ..handle import RunHandle


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
        shown = _card(shell, handle)
        if wait:
            _wait(handle)
            shown.settle()
            handle.check()
        return
    if wait is False:
        print(f"run {handle.id} was submitted; jupyter launch attach {handle.id} follows it")
        return
    from .text import stream  # noqa: PLC0415

    stream(handle)
    handle.check()


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


def _wait(handle: RunHandle) -> None:
    try:
        handle.wait()
    except KeyboardInterrupt:
        handle.stop()
        raise RunStopped(f"Run {handle.id} was stopped by an interrupt.") from None
