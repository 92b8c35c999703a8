"""What a container uses, read from the engine's answers."""

from __future__ import annotations

import shutil
from typing import Any

from docker.errors import NotFound
from docker.utils import version_lt

from ..docker_engine import Engine
from .base import Usage
from .gpus import METER, NVIDIA_SMI


def container_usage(engine: Engine, name: str) -> Usage | None:
    """Say what a container uses now; ``None`` if it does not run."""
    try:
        # The engine looks once a second: an answer takes as long. Old ones look twice.
        once = None if version_lt(engine.api_version, "1.41") else True
        used = usage(engine.stats(name, stream=False, one_shot=once))
        here = engine.address.startswith(("unix:", "npipe:")) and shutil.which(NVIDIA_SMI)
        ids = gpu_ids(engine.inspect_container(name)) if used and here else None
    except NotFound:
        return None
    if used is None or ids is None:
        return used
    gpu, memory = METER.read(ids)
    return used._replace(gpu=gpu, gpu_memory=memory)


def usage(stats: dict[str, Any]) -> Usage | None:
    """Read the engine's statistics of a container; ``None`` if it does not run.

    Memory is what `docker stats` shows: without the files' cache that nobody used of late.
    """
    memory = stats["memory_stats"]
    used, parts = memory.get("usage", 0), memory.get("stats") or {}
    cpu_ns = stats["cpu_stats"]["cpu_usage"]["total_usage"]
    if not used and not cpu_ns:
        return None
    # Version 1 of control groups counts a container's own and all below it apart.
    cache = parts.get("total_inactive_file", parts.get("inactive_file", 0))
    return Usage(
        cpu_s=cpu_ns / 1e9,
        memory=used - cache if cache < used else used,
        memory_limit=memory.get("limit", 0),
    )


def gpu_ids(info: dict[str, Any]) -> list[str] | None:
    """Name the GPUs a container was given, by its inspection; all if none is named.

    ``None`` if it was given none.
    """
    host = info["HostConfig"]
    requests = host.get("DeviceRequests") or []
    if not requests and host.get("Runtime") != "nvidia":
        return None
    ids: list[str] = []
    for request in requests:
        named = [str(name).rpartition("=")[2] for name in request.get("DeviceIDs") or []]
        counted = map(str, range(request.get("Count") or 0))
        ids += named or counted
        if "all" in named or not (named or request.get("Count", 0) > 0):
            return []
    return ids
