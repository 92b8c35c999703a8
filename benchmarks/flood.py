"""A million lines at full speed: from the run of the cell until the last one is painted."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as PageTimeout

from .measure import Row, in_turns
from .page import UNLIMITED, all_ended, begin, end, live, notebook, painted
from .programs import PYTHON, flood, in_container, printing

LINES, TIMES = 1_000_000, 3
FEWER = 100_000
"""As many as `print` can show: a page with a million of them needs more memory than there is."""

PATIENCE_S = 60.0
BAR, BAR_PRINT = 2.0, 0.5


def rows(folder: Path) -> list[Row]:
    """Launch in turns with ``docker run | wc -l``; fewer lines beside `print` without limits."""
    cells = [in_container(flood(LINES)), in_container(flood(FEWER)), printing(FEWER)]
    with notebook(folder, cells, *UNLIMITED) as page:
        ours, docker = in_turns(lambda: _card(page, folder, 0, LINES), _docker, times=TIMES)
        fewer = _card(page, folder, 1, FEWER)
        printed = _printed(page, 2)
    shown = f">= {PATIENCE_S:.0f} s" if printed is None else f"{printed:,.1f} s"
    ratio, ratio_print = ours.median / docker.median, fewer / (printed or PATIENCE_S)
    return [
        Row(
            f"{LINES:,} lines -> last one painted",
            ours.text("ms", 1000),
            f"docker run --rm | wc -l {docker.text('ms', 1000)}",
            ratio,
            f"<= {BAR}x",
            ratio <= BAR,
        ),
        Row(
            f"{FEWER:,} lines -> last one painted",
            f"{fewer:,.1f} s",
            f"print in a cell, no limits {shown}",
            ratio_print,
            f"<= {BAR_PRINT}x",
            ratio_print <= BAR_PRINT,
        ),
    ]


def _card(page: Page, folder: Path, cell: int, count: int) -> float:
    begun = begin(page, cell)
    at = painted(page, count - 1, PATIENCE_S)
    live(page, cell)
    end(page)
    all_ended(folder)  # its container is removed: it disturbs nothing that follows
    total = page.locator(".jp-NotebookPanel .jp-Cell").nth(cell).locator("[data-run]")
    if total.get_attribute("data-total") != str(count):
        raise RuntimeError(f"The card counts {total.get_attribute('data-total')} lines.")
    return (at - begun) / 1000


def _printed(page: Page, cell: int) -> float | None:
    begun = begin(page, cell)
    try:
        return (painted(page, FEWER - 1, PATIENCE_S) - begun) / 1000
    except PageTimeout:
        return None


def _docker() -> float:
    command = ["docker", "run", "--rm", PYTHON, "python3", "-c", flood(LINES)]
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as docker:
        counted = subprocess.run(["wc", "-l"], stdin=docker.stdout, capture_output=True, check=True)
        seconds = time.perf_counter() - begun
    if int(counted.stdout) != LINES:
        raise RuntimeError(f"docker run printed {int(counted.stdout):,} lines, not {LINES:,}.")
    return seconds
