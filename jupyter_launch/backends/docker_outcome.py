"""How an ended container's program ended."""

from __future__ import annotations

import contextlib
import signal
from typing import Any

from .base import Result
from .docker_create import was_started


def outcome(info: dict[str, Any], *, interrupted: bool) -> Result:
    """Read a result from an ended container.

    Parameters
    ----------
    info : dict
        The engine's inspection of it.
    interrupted : bool
        Whether the engine was away in the meantime.
    """
    state = info["State"]
    code: int = state["ExitCode"]
    if not was_started(info):
        return Result(None, "the container was never started")
    if interrupted and code == 255:
        return Result(None, "the Docker Engine went away and lost the exit code")
    if state["OOMKilled"] and code:
        limit = info["HostConfig"]["Memory"]
        what = f"the limit was {limit / 2**20:.0f} MiB (option memory)" if limit else "on the host"
        return Result(code, f"out of memory: {what}")
    if state["Error"]:
        return Result(code, state["Error"])
    with contextlib.suppress(ValueError):
        when = " while the Docker Engine was restarted" if interrupted else ""
        return Result(code, f"ended by {signal.Signals(code - 128).name}{when}")
    return Result(code)
