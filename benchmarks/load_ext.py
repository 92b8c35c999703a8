"""What ``%load_ext jupyter_launch`` costs in a fresh IPython, beside IPython's own start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from .measure import Row, Sample, in_turns

BAR_MS = 60
HEAVY = ("docker", "requests", "anywidget", "pydantic")
CODE = f"""
import json, sys, threading, time
begun = time.monotonic()
before = set(threading.enumerate())
get_ipython().run_line_magic("load_ext", "jupyter_launch")
returned = time.monotonic()
for thread in set(threading.enumerate()) - before:
    thread.join()
heavy = [name for name in {HEAVY} if name in sys.modules]
print(json.dumps([begun, returned, time.monotonic(), heavy]))
"""


def rows(folder: Path) -> list[Row]:
    """Load the extension in fresh processes, each measuring its IPython's start first.

    What a thread of ours still imports after the cell has returned counts as import work.
    """
    environment = {**os.environ, "IPYTHONDIR": str(folder / "ipython")}
    heavy: set[str] = set()
    starts: list[float] = []
    returns: list[float] = []

    def load() -> float:
        started = time.monotonic()
        begun, returned, done, found = _load(environment)
        heavy.update(found)
        starts.append(begun - started)
        returns.append(returned - begun)
        return done - begun

    (work,) = in_turns(load)
    ipython, cell = Sample(starts[1:]), Sample(returns[1:])
    return [
        Row(
            "%load_ext: import work",
            work.text("ms", 1000),
            f"start of IPython {ipython.text('ms', 1000)}",
            work.median / ipython.median,
            f"<= {BAR_MS} ms",
            work.median * 1000 <= BAR_MS,
        ),
        Row("%load_ext: until the cell returns", cell.text("ms", 1000)),
        Row(
            "%load_ext: heavy packages imported",
            ", ".join(sorted(heavy)) or "none",
            bar=f"none of {', '.join(HEAVY)}",
            passed=not heavy,
        ),
    ]


def _load(environment: dict[str, str]) -> Any:
    command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "-c", CODE]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
    return json.loads(done.stdout.splitlines()[-1])
