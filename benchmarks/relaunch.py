"""A click on Re-launch, until the new run is being started."""

from __future__ import annotations

import contextlib
from pathlib import Path

from playwright.sync_api import Page

from jupyter_launch.states import State
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import Store
from tests.browser.lab import run_cell, wait_executed

from .measure import Row, Sample
from .page import live, notebook
from .tiny import PATIENCE_S, TINY, store_url

TIMES = 40
BAR_MS = 300
CARD = "document.querySelector('.jp-OutputArea-output [data-run]')"
ENDED = f"""old => {{ const {{run, state, live}} = {CARD}.dataset;
    return run !== old && state === 'finished' && live === 'live'; }}"""
CLICK = f"""() => {{
    const named = button => button.textContent === 'Re-launch';
    const button = Array.from({CARD}.querySelectorAll('button')).find(named);
    const at = Date.now();
    button.click();
    return at; }}"""


def rows(folder: Path) -> list[Row]:
    """Launch one cell again and again from its card."""
    cell = f"%launch -d {TINY} -E 'echo again'"
    with (
        notebook(folder, [cell]) as page,
        contextlib.closing(open_store(store_url(folder))) as store,
    ):
        run_cell(page, 0)
        wait_executed(page, 0)
        live(page, 0)
        _ended(page, "")
        times = [_again(page, store) for _ in range(TIMES + 1)][1:]
    late = Sample(times).percentile(95)
    return [
        Row(
            "click on Re-launch -> new run is starting",
            Sample(times).text("ms"),
            f"95% within {late:,.0f} ms",
            bar=f"<= {BAR_MS} ms",
            passed=late <= BAR_MS,
        )
    ]


def _again(page: Page, store: Store) -> float:
    old: str = page.evaluate(f"() => {CARD}.dataset.run")
    clicked: float = page.evaluate(CLICK)
    new = _ended(page, old)
    starts = [e.at for e in store.events(new) if e.data.get("state") == State.STARTING]
    return starts[0] * 1000 - clicked


def _ended(page: Page, old: str) -> str:
    page.wait_for_function(ENDED, arg=old, timeout=PATIENCE_S * 1000)
    run: str = page.evaluate(f"() => {CARD}.dataset.run")
    return run
