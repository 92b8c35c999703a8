"""What this machine's NVIDIA GPUs do, as ``nvidia-smi`` tells it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

NVIDIA_SMI = "nvidia-smi"
QUERY = ("--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits")
TIMEOUT_S = 10.0

KEEP_S = 5.0
"""How long an answer is used, by all runs of this process: asking costs tens of milliseconds."""

GIVE_UP_S = 60.0
"""How long nobody asks again after there was no answer."""


class GpuUse(NamedTuple):
    """The mean share of time in which GPUs computed, from 0 to 1; the bytes they hold in sum."""

    share: float | None
    memory: int | None


NOTHING = GpuUse(None, None)


class GpuMeter:
    """Asks, but not too often."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], tuple[float, GpuUse]] = {}
        self._lock = threading.Lock()

    def read(self, ids: Sequence[str] = ()) -> GpuUse:
        """Give what these GPUs, or all, do.

        Parameters
        ----------
        ids : sequence of str
            Indices or UUIDs.
        """
        program = shutil.which(NVIDIA_SMI)
        if program is None:
            return NOTHING
        key = tuple(ids)
        with self._lock:
            until, use = self._known.get(key, (0.0, NOTHING))
            if time.monotonic() >= until:
                answer = _ask(program, key)
                use = NOTHING if answer is None else parse(answer)
                keep = GIVE_UP_S if use == NOTHING else KEEP_S
                self._known[key] = time.monotonic() + keep, use
        return use


METER = GpuMeter()
"""The one of this process."""


def visible() -> list[str] | None:
    """Name the GPUs that programs of this environment may use; all if none is named.

    ``None`` if they may use none.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return []
    ids = [name.strip() for name in named.split(",") if name.strip()]
    return ids if ids and "-1" not in ids else None


def count() -> int:
    """Count the GPUs that programs of this environment may use."""
    ids, program = visible(), shutil.which(NVIDIA_SMI)
    if ids is None or program is None:
        return 0
    answer = _run([program, "--list-gpus"]) or ""
    there = sum(line.startswith("GPU ") for line in answer.splitlines())
    return min(there, len(ids)) if ids else there


def parse(answer: str) -> GpuUse:
    """Read the answer: a line per GPU with its share in per cent and its memory in MiB.

    What a GPU does not tell stands in brackets, as ``[N/A]``.
    """
    rows = [line.split(",") for line in answer.splitlines()]
    shares, memories = _numbers(row[0] for row in rows), _numbers(row[-1] for row in rows)
    return GpuUse(
        sum(shares) / len(shares) / 100 if shares else None,
        int(sum(memories) * 2**20) if memories else None,
    )


def _numbers(cells: Iterable[str]) -> list[float]:
    numbers = []
    for cell in cells:
        with contextlib.suppress(ValueError):
            numbers.append(float(cell))
    return numbers


def _ask(program: str, ids: tuple[str, ...]) -> str | None:
    return _run([program, *QUERY, *([f"--id={','.join(ids)}"] if ids else [])])


def _run(command: list[str]) -> str | None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout
