"""A million lines from one container into the store, beside ``docker run | wc -l``."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from .measure import Peak, Row, Sample, in_turns
from .tiny import DOCKER_RUN, ended, warm

LINES, WIDTH = 1_000_000, 72
BAR = 0.7
BAR_MB = 50
COMMAND = ("sh", "-c", f'yes "$0" | head -n {LINES}', "x" * (WIDTH - 1))


def rows(folder: Path) -> list[Row]:
    """Fetch the lines in a fresh, warm process each time, so that its memory tells of them alone.

    Our time ends when the run's end is recorded: everything is stored, and on the disk.
    """
    growth: list[float] = []

    def ours() -> float:
        seconds, grown = _in_another_process(folder)
        growth.append(grown)
        return LINES / seconds

    speed, peer = in_turns(ours, _peer, times=7)
    memory = Sample(growth[1:])
    ratio = speed.median / peer.median
    return [
        Row(
            "1,000,000 lines into the store",
            speed.text("k lines/s", 1e-3),
            f"docker run --rm | wc -l {peer.text('k lines/s', 1e-3)}",
            ratio,
            f">= {BAR}x",
            ratio >= BAR,
        ),
        Row(
            "... memory growth meanwhile",
            memory.text("MB", 1e-6),
            bar=f"< {BAR_MB} MB",
            passed=max(memory.values) < BAR_MB * 1e6,
        ),
    ]


def _in_another_process(folder: Path) -> tuple[float, float]:
    command = [sys.executable, "-m", __spec__.name, str(folder)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=180)
    size, seconds, grown = json.loads(done.stdout)
    for log in folder.glob("store/*/logs/*"):
        log.unlink()
    if size != LINES * WIDTH:
        raise RuntimeError(f"The stored log has {size:,} bytes, not {LINES * WIDTH:,}.")
    return seconds, grown


def _here(folder: Path) -> None:
    """Launch once in this process, and print the log's size, the seconds, the memory growth."""
    with warm(folder) as here:
        peak = Peak()
        seconds = here.seconds(ended, *COMMAND)
        grown = peak.growth()
        (run,) = here.store.runs(limit=1)
        size = here.store.log_position(run.id).size
    print(json.dumps([size, seconds, grown]))


def _peer() -> float:
    begun = time.perf_counter()
    with subprocess.Popen([*DOCKER_RUN, *COMMAND], stdout=subprocess.PIPE) as docker:
        counted = subprocess.run(["wc", "-l"], stdin=docker.stdout, capture_output=True, check=True)
        seconds = time.perf_counter() - begun
    if int(counted.stdout) != LINES:
        raise RuntimeError(f"docker run printed {int(counted.stdout):,} lines, not {LINES:,}.")
    return LINES / seconds


if __name__ == "__main__":
    _here(Path(sys.argv[1]))
