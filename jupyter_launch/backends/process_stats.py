"""What the processes of a run use, by what Linux tells of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from .base import Usage
from .gpus import METER, NOTHING, visible
from .process_folder import Session

PROCESSES = "/proc"
SESSION, CPU, RSS = 3, slice(11, 15), 21
"""Places in ``/proc/N/stat`` behind the program's name; `CPU` are four numbers of ticks: its own
time as a user and in the system, and that of its children that have ended."""

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def session_usage(session: Session) -> Usage | None:
    """Add up what a program's processes use; ``None`` if there are none, or nobody can tell.

    What several of them share in memory counts for each. One that opened a session of its own is
    not seen.
    """
    ticks = pages = 0
    for pid, fields in _processes():
        if int(fields[SESSION]) == session.id and pid not in (session.supervisor, session.leader):
            ticks += sum(map(int, fields[CPU]))
            pages += int(fields[RSS])
    if not pages:  # what has ended, and waits to be collected, holds no memory
        return None
    ids = visible()
    gpu, gpu_memory = NOTHING if ids is None else METER.read(ids)
    memory = pages * os.sysconf("SC_PAGE_SIZE")
    cpu_s = ticks / os.sysconf("SC_CLK_TCK")
    return Usage(cpu_s, memory, memory_limit(), gpu, gpu_memory)


def memory_limit() -> int:
    """Give how much memory there is for processes of this machine, or container."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max" is no number
            limits.append(int(Path(path).read_text(encoding="ascii")))
    return min(limits)


def _processes() -> Iterator[tuple[int, list[bytes]]]:
    if not os.path.isdir(PROCESSES):  # noqa: PTH112
        return
    for name in os.listdir(PROCESSES):  # noqa: PTH208 - names only, of many
        if name.isdecimal():
            try:
                with open(f"{PROCESSES}/{name}/stat", "rb", 0) as file:  # noqa: PTH123
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue  # it has ended
            yield int(name), fields
