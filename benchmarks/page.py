"""A notebook in a real JupyterLab and a real Chromium, and what can be measured there."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

from jupyter_launch.frontends import __file__ as frontends
from jupyter_launch.runs import Run
from jupyter_launch.states import OWNED
from jupyter_launch.stores import open_store
from jupyter_launch.submit import Launcher
from tests.browser.lab import (
    CHROMIUM,
    Server,
    browser,
    open_notebook,
    run_cell,
    write_notebook,
)
from tests.browser.lab import NOTEBOOK as PANEL

from .measure import Sample
from .tiny import PATIENCE_S, store_url

NOTEBOOK = "x.ipynb"
PROBE = Path(__file__).with_name("probe.js")
PACKAGE = Path(frontends).parent.parent
UNLIMITED = [
    f"--ZMQChannelsWebsocketConnection.iopub_{what}_rate_limit=1e10" for what in ("msg", "data")
]
"""Switches of a server that passes on everything that is printed."""


def missing() -> str:
    """Say what is missing to look at a card in a browser; empty if nothing is."""
    if not shutil.which(CHROMIUM):
        return "there is no Chromium"
    built = (PACKAGE / "labextension/package.json", PACKAGE / "frontends/static/card.js")
    return "" if all(path.exists() for path in built) else "the front end is not built"


@dataclass(frozen=True)
class Seen:
    """What a page showed while it was watched. All times are milliseconds."""

    late: Sample
    """From the moment a line was printed until it was painted."""
    ages: Sample
    """How old the newest painted line was, frame by frame."""
    gaps: Sample
    """From one animation frame to the next."""
    delays: Sample
    """From a key's press until the page heard of it."""


@contextmanager
def server(folder: Path, *switches: str) -> Iterator[Server]:
    """Start a JupyterLab whose notebooks are in the folder's ``work``.

    Whatever its kernels launched is stopped before it is.
    """
    root = folder / "work"
    root.mkdir(exist_ok=True)
    with Server("lab", root, *switches) as made:
        try:
            yield made
        finally:
            _stop_runs(folder)


@contextmanager
def notebook(folder: Path, cells: Sequence[str], *switches: str) -> Iterator[Page]:
    """Open a notebook of those cells, whose kernel has the magics loaded."""
    with server(folder, *switches) as lab, browser(folder / "profile") as page:
        write_notebook(lab.root / NOTEBOOK, cells)
        page.add_init_script(path=PROBE)
        open_notebook(page, lab, NOTEBOOK)
        yield page


def begin(page: Page, cell: int) -> float:
    """Watch a cell's output, which is cleared, and run the cell. Give the time in milliseconds."""
    page.evaluate(f"cell => {PANEL}.content.widgets[cell].model.clearExecution()", cell)
    begun: float = page.evaluate("cell => probe.begin(cell)", cell)
    run_cell(page, cell)
    return begun


def end(page: Page) -> Seen:
    """Stop watching."""
    seen: dict[str, list[float]] = page.evaluate("() => probe.end()")
    return Seen(**{name: Sample(values) for name, values in seen.items()})


def painted(page: Page, number: int, patience_s: float = PATIENCE_S) -> float:
    """Wait until the line of that number is painted, and give when, in milliseconds."""
    page.wait_for_function(
        "number => probe.painted.has(number)", arg=number, timeout=patience_s * 1000
    )
    at: float = page.evaluate("number => probe.painted.get(number)[0]", number)
    return at


def live(page: Page, cell: int) -> None:
    """Wait until a cell's card is fed by the server: that is what is to be measured."""
    card = page.locator(".jp-NotebookPanel .jp-Cell").nth(cell).locator("[data-live=live]")
    card.wait_for(timeout=PATIENCE_S * 1000)


def heap(page: Page) -> int:
    """Collect garbage and give the bytes that scripts hold, those in buffers included."""
    session = page.context.new_cdp_session(page)
    for _ in range(2):  # what the first collection finalises, the second one frees
        session.send("HeapProfiler.collectGarbage")
    usage = session.send("Runtime.getHeapUsage")
    session.detach()
    return int(usage["usedSize"]) + int(usage.get("backingStorageSize", 0))


def all_ended(folder: Path) -> list[Run]:
    """Wait until no run goes on or has left anything behind; give all there are."""
    store = open_store(store_url(folder))
    with contextlib.closing(store):
        deadline = time.monotonic() + PATIENCE_S
        while any(not run.state.terminal or run.handle for run in store.runs(limit=1000)):
            if time.monotonic() > deadline:
                raise TimeoutError("A run does not end.")
            time.sleep(0.05)
        return store.runs(limit=1000)


def _stop_runs(folder: Path) -> None:
    launcher = Launcher(open_store(store_url(folder)))
    try:
        for run in launcher.store.runs(states=OWNED):
            launcher.handle(run.id).stop(kill=True)
        all_ended(folder)
    finally:
        launcher.close()
        launcher.store.close()
