"""Measuring things in turns, and the rows of the table that compares them."""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

TIMES = 9
"""How often each thing is measured, after one round that is not counted."""

STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Sample:
    """The same thing measured several times."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        return median(self.values)

    def percentile(self, percent: float) -> float:
        """Give the smallest value that so many percent of all do not exceed."""
        return sorted(self.values)[math.ceil(len(self.values) * percent / 100) - 1]

    def text(self, unit: str, scale: float = 1.0) -> str:
        """Show the median and, in brackets, the lowest and the highest value."""
        low, high = min(self.values) * scale, max(self.values) * scale
        return f"{self.median * scale:,.0f} {unit} ({low:,.0f}-{high:,.0f})"


@dataclass(frozen=True)
class Row:
    """One figure, as the table shows it. Without a bar, `passed` is ``None``."""

    figure: str
    ours: str
    peer: str = "-"
    ratio: float | None = None
    bar: str = "-"
    passed: bool | None = None


def in_turns(*tasks: Callable[[], float], times: int = TIMES) -> list[Sample]:
    """Measure tasks in turns, a, b, a, b, ..., so that what disturbs one disturbs the other."""
    for task in tasks:
        task()
    rounds = [[task() for task in tasks] for _ in range(times)]
    return [Sample(values) for values in zip(*rounds, strict=True)]


class Peak:
    """How far this process's resident memory rises from now on.

    Where the system cannot forget an earlier peak (elsewhere than on Linux), what stays below
    that is not seen.
    """

    def __init__(self) -> None:
        if STATUS.exists():
            Path("/proc/self/clear_refs").write_text("5")
        self._before = _peak("VmRSS")

    def growth(self) -> int:
        """Give the rise so far, at its highest, in bytes."""
        return _peak("VmHWM") - self._before


def _peak(field: str) -> int:
    if STATUS.exists():
        fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return int(fields[field].split()[0]) * 1024
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else highest * 1024
