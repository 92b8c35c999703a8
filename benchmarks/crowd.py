"""Several processes at one queue at once.

``python -m benchmarks.crowd RIVAL URL put|take COUNT`` is one of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from .rivals import RIVALS

PATIENCE_S = 120.0


class Work(NamedTuple):
    """What all processes together did: items by name, and how many a second."""

    items: list[str]
    rate: float


def crowd(rival: str, url: str, action: str, count: int, processes: int = 4) -> Work:
    """Let processes put `count` items each, or take until there are none left, all at once."""
    command = [sys.executable, "-m", "benchmarks.crowd", rival, url, action, str(count)]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            if worker.stdout.readline() != "ready\n":
                raise RuntimeError(f"{' '.join(command)} does not start")
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        done = [json.loads(worker.communicate(timeout=PATIENCE_S)[0]) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    items = [item for each, _, _ in done for item in each]
    seconds = max(end for _, _, end in done) - min(begun for _, begun, _ in done)
    return Work(items, len(items) / seconds)


def main(words: Sequence[str]) -> None:
    """Be one of the processes."""
    name, url, action, count = words
    rival = RIVALS[name](url)
    if action == "take":
        rival.serve()
    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.monotonic()
    items = rival.drain() if action == "take" else [rival.put() for _ in range(int(count))]
    print(json.dumps([items, begun, time.monotonic()]), flush=True)
    rival.close()


if __name__ == "__main__":
    main(sys.argv[1:])
