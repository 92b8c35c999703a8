"""Measure, and print one table.

Each figure stands beside a peer that was measured in turns with it, in the same run: medians, with
the lowest and the highest value in brackets. A bar that is missed is a row that says FAIL; the exit
code is 0 all the same, because a figure is news about the machine as much as about the code.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from IPython import __version__ as ipython_version
from playwright.sync_api import Error as BrowserError

from jupyter_launch.backends.local_container import LocalContainer
from jupyter_launch.docker_engine import address, connect
from jupyter_launch.errors import LaunchError

from . import (
    agents,
    completion,
    first_line,
    flood,
    form,
    front_end,
    lines,
    load_ext,
    many_cards,
    open_cards,
    opening,
    page,
    painted,
    panel,
    queue,
    queue_postgres,
    queue_sqlite,
    rebuild,
    relaunch,
    snapshot,
    steady,
    submits,
)
from .measure import Row

BUILD = Path(__file__).resolve().parent.parent / "build"
MEASURES: dict[str, Callable[[Path], list[Row]]] = {
    "load_ext": load_ext.rows,
    "completion": completion.rows,
    "first_line": first_line.rows,
    "queue": queue.rows,
    "submits": submits.rows,
    "queue_sqlite": queue_sqlite.rows,
    "queue_postgres": queue_postgres.rows,
    "agents": agents.rows,
    "snapshot": snapshot.rows,
    "rebuild": rebuild.rows,
    "relaunch": relaunch.rows,
    "painted": painted.rows,
    "steady": steady.rows,
    "many_cards": many_cards.rows,
    "opening": opening.rows,
    "front_end": front_end.rows,
    "form": form.rows,
    "panel": panel.rows,
    "open_cards": open_cards.rows,
    "flood": flood.rows,
    "lines": lines.rows,  # last: its megabytes keep the disk busy for a while
}
NEED_ENGINE = {
    "agents",
    "first_line",
    "rebuild",
    "relaunch",
    "lines",
    "painted",
    "steady",
    "many_cards",
    "flood",
}
NEED_PAGE = {
    "relaunch",
    "painted",
    "steady",
    "many_cards",
    "opening",
    "form",
    "front_end",
    "panel",
    "flood",
}
BROKEN = (
    LaunchError,
    OSError,
    RuntimeError,
    AssertionError,
    subprocess.SubprocessError,
    BrowserError,
)
VERDICTS = {True: "pass", False: "FAIL", None: "-"}


def main() -> int:
    """Run the named benchmarks, or all."""
    parser = argparse.ArgumentParser(
        prog="benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(MEASURES)}")
    names = parser.parse_args().names or list(MEASURES)
    if unknown := set(names) - set(MEASURES):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    # Whoever ends this leaves no server, no browser and no container behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    machine = _machine()
    load_before = _load()
    found = [row for name in names for row in _measured(name)]
    print(_table(found))
    print(f"{machine}; load {load_before} before, {_load()} after")
    return 0


def _measured(name: str) -> list[Row]:
    missing = _engine()[1] if name in NEED_ENGINE else ""
    if missing := missing or (page.missing() if name in NEED_PAGE else ""):
        return [Row(name, f"not measured: {missing}")]
    begun = time.monotonic()
    print(f"measuring {name} ...", end="", file=sys.stderr, flush=True)
    try:
        with _own_folder() as folder:
            found = MEASURES[name](folder)
    except BROKEN as error:
        traceback.print_exc()  # the others are measured all the same
        found = [Row(name, f"broken: {type(error).__name__}, see above", passed=False)]
    print(f" {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return found


@contextmanager
def _own_folder() -> Iterator[Path]:
    """Keep the data and settings of whoever runs this apart, on the disk that this stands on."""
    BUILD.mkdir(exist_ok=True)
    for name in [n for n in os.environ if n.startswith(("JUPYTER_LAUNCH_", "WANDB_"))]:
        if "_TEST_" not in name:
            del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=BUILD) as folder:
        os.environ["JUPYTER_DATA_DIR"] = f"{folder}/data"
        os.environ["JUPYTER_LAUNCH_STORE"] = f"sqlite:///{folder}/store/launch.db"
        yield Path(folder)


def _engine() -> tuple[str, str]:
    """Give the engine's version, and what is missing to measure with it."""
    if reason := LocalContainer().available():
        return "no Docker Engine", reason.partition("\n")[0]
    version = str(connect(address()).version()["Version"])
    missing = "" if shutil.which("docker") else "there is no docker command to compare with"
    return f"Docker Engine {version}", missing


def _machine() -> str:
    python = f"Python {platform.python_version()}, IPython {ipython_version}"
    return f"{os.cpu_count()} cores; {platform.platform()}; {_engine()[0]}; {python}"


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def _table(found: Sequence[Row]) -> str:
    head = ("figure", "ours", "peer", "ratio", "bar", "pass/fail")
    shown = [head, *(_cells(row) for row in found)]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    texts = ["  ".join(map(str.ljust, cells, widths)).rstrip() for cells in shown]
    return "\n".join([texts[0], "-" * max(map(len, texts)), *texts[1:]])


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "-" if row.ratio is None else f"{row.ratio:.2f}x"
    return row.figure, row.ours, row.peer, ratio, row.bar, VERDICTS[row.passed]


if __name__ == "__main__":
    sys.exit(main())
