"""Room: the cores, memory and GPUs that a run asks for, and those that this machine has."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from . import backends
from .backends import docker_parts, docker_values
from .backends.docker_options import RESOURCE, container_options
from .backends.gpus import count
from .errors import SpecError
from .runs import NO_ROOM, QueueRecord, Room
from .spec import LaunchSpec, merge
from .templates import fill

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux tells what the processes of a container may use."""


def asked_room(spec: LaunchSpec, queue: QueueRecord) -> Room:
    """Give the room a spec asks for on a queue: by its own options, laid over the queue's.

    Parameters
    ----------
    spec : LaunchSpec
        With its job laid under it, and the values of the queue's template variables in it.
    queue : QueueRecord
        The queue.
    """
    name = spec.resource or queue.resource
    name = RESOURCE if name == backends.AUTO else backends.ALIASES.get(name, name)
    defaults = fill(queue.config.get("resource_args", {}), spec.template_variables)
    options = dict(merge(defaults, spec.resource_args).get(name, {}))
    options.pop("builder", None)
    return _of_container(options) if name == RESOURCE else _of_others(options)


def left(whole: Room, taken: Iterable[Room]) -> Room:
    """Give what is left of some room; never less than nothing."""
    used = [sum(part) for part in zip(*taken, strict=True)] or NO_ROOM
    return Room(*(max(0, has - uses) for has, uses in zip(whole, used, strict=True)))


def _of_container(options: Mapping[str, Any]) -> Room:
    try:
        host = container_options(options).body.get("HostConfig", {})
    except SpecError:  # whoever executes it says what is wrong
        return NO_ROOM
    gpus = _gpus(host.get("DeviceRequests", []))
    return _bounded(host.get("NanoCpus", 0), host.get("Memory", 0), gpus)


def _of_others(options: Mapping[str, Any]) -> Room:
    def read(name: str, reader: Callable[[Any], int]) -> int:
        with contextlib.suppress(ValueError):
            return reader(options[name]) if name in options else 0
        return 0

    return _bounded(
        read("cpus", docker_values.nano),
        read("memory", docker_values.size),
        read("gpus", lambda value: _gpus(docker_parts.gpus(value))),
    )


def _bounded(nano_cpus: int, memory: int, gpus: int) -> Room:
    """Give room that every store can record: no machine has more, and none less than nothing."""
    nano_cpus = max(0, min(nano_cpus, 10**18))
    return Room(nano_cpus / 10**9, max(0, min(memory, 2**63 - 1)), max(0, min(gpus, 2**31 - 1)))


def _gpus(requests: list[dict[str, Any]]) -> int:
    """Count GPUs. How many are all of them depends on the machine: they count as one."""
    asked = 0
    for request in requests:
        if request.get("Driver") == "cdi":
            asked += sum("/gpu=" in name for name in request["DeviceIDs"])
        else:
            asked += len(request["DeviceIDs"]) or abs(request["Count"])
    return asked


def machine_room() -> Room:
    """Give what this machine has, or as much of it as the container around this process may use."""
    cpus = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0)
    cpus = cpus or float(os.cpu_count() or 1)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    quota, _, period = _said("cpu.max").partition(" ")
    if quota.isdecimal() and period.isdecimal():
        cpus = min(cpus, int(quota) / int(period))
    limit = _said("memory.max") or _said("memory/memory.limit_in_bytes")
    return Room(cpus, min(memory, int(limit)) if limit.isdecimal() else memory, count())


def _said(name: str) -> str:
    try:
        return (CGROUP / name).read_text(encoding="ascii").strip()
    except OSError:
        return ""
