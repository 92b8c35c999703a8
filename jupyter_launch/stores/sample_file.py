"""What a run's program used, as a small file of records of one size."""

from __future__ import annotations

import math
import os
import struct
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ..runs import Sample
from .log_file import locked

RECORD = struct.Struct("<ddQQdq")
"""As in `Sample`; no share of a GPU is NaN, no memory of it -1."""

AT = struct.Struct("<d")
"""What a record begins with: its time."""


def append(path: Path, sample: Sample, may: Callable[[], None]) -> None:
    """Add a sample, if `may` does not raise: it is asked while nobody else can write.

    It is not forced onto the disk: samples are worth no waiting.
    """
    at, cpu, memory, limit, gpu, gpu_memory = sample
    gpu = math.nan if gpu is None else gpu
    record = RECORD.pack(at, cpu, memory, limit, gpu, -1 if gpu_memory is None else gpu_memory)
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        with locked(descriptor):
            may()
            size = os.fstat(descriptor).st_size
            os.lseek(descriptor, size - size % RECORD.size, os.SEEK_SET)  # over half a record
            os.write(descriptor, record)
    finally:
        os.close(descriptor)


def read(path: Path, after: float) -> list[Sample]:
    """Give the samples after a Unix time, in order."""
    try:
        with path.open("rb", buffering=0) as file:
            count = file.seek(0, os.SEEK_END) // RECORD.size
            # A run that goes on for weeks has many, and its watchers ask for the newest only.
            first = bisect_right(range(count), after, key=lambda number: _at(file, number))
            file.seek(first * RECORD.size)
            data = file.read((count - first) * RECORD.size)
    except FileNotFoundError:
        return []
    whole = len(data) - len(data) % RECORD.size
    return [_sample(*values) for values in RECORD.iter_unpack(data[:whole])]


def _at(file: BinaryIO, number: int) -> float:
    file.seek(number * RECORD.size)
    at: float = AT.unpack(file.read(AT.size))[0]
    return at


def _sample(*values: float) -> Sample:
    at, cpu, memory, limit, gpu, gpu_memory = values
    return Sample(
        at,
        cpu,
        int(memory),
        int(limit),
        None if math.isnan(gpu) else gpu,
        None if gpu_memory < 0 else int(gpu_memory),
    )
