"""What ``%load_ext jupyter_launch`` costs in a fresh IPython, beside IPython's own start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from jupyter_launch.stores import open_store

from .measure import Row, Sample, in_turns
from .tiny import store_url

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


class Loading(NamedTuple):
    """Moments in seconds of the system's clock, and the heavy packages that were imported."""

    begun: float
    returned: float
    done: float
    heavy: list[str]


def rows(folder: Path) -> list[Row]:
    """Load the extension in fresh processes, each measuring its IPython's start first.

    What a thread of ours still does after the cell has returned (looking for runs to take over,
    in a store that has none) counts as import work.
    """
    open_store(store_url(folder)).close()
    environment = {**os.environ, "IPYTHONDIR": str(folder / "ipython")}
    starts: list[float] = []
    loadings: list[Loading] = []

    def load() -> float:
        started = time.monotonic()
        loading = _load(environment)
        loadings.append(loading)
        starts.append(loading.begun - started)
        return loading.done - loading.begun

    (work,) = in_turns(load)
    ipython = Sample(starts[1:])
    cell = Sample([loading.returned - loading.begun for loading in loadings[1:]])
    heavy = {name for loading in loadings for name in loading.heavy}
    return [
        Row(
            "%load_ext: import work",
            work.text("ms", 1000),
            f"IPython's start {ipython.text('ms', 1000)}",
            work.median / ipython.median,
            f"<= {BAR_MS} ms",
            work.median * 1000 <= BAR_MS,
        ),
        Row("... of which before the cell returns", cell.text("ms", 1000)),
        Row(
            f"... {'/'.join(HEAVY)}",
            ", ".join(sorted(heavy)) or "none",
            bar="none",
            passed=not heavy,
        ),
    ]


def _load(environment: dict[str, str]) -> Loading:
    command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "-c", CODE]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
    return Loading(*json.loads(done.stdout.splitlines()[-1]))
