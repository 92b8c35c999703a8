"""Twenty containers in one notebook, each printing 1,000 lines a second: is the page usable?"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from .measure import Row
from .page import Seen, all_ended, end, notebook
from .programs import in_container, paced

RUNS, RATE, BURST = 20, 1000, 20
SECONDS = 25
"""Long enough that the first one still prints when the last one has started."""

PATIENCE_S = 120
BAR_GAP_MS = 150
IN_STATE = """state => Array.from(document.querySelectorAll('[data-run]'))
    .filter(card => card.dataset.state === state).length"""


def rows(folder: Path) -> list[Row]:
    """Watch the page from the moment all print until all have ended, and a while before."""
    with notebook(folder, [in_container(paced(RATE, SECONDS, BURST))] * RUNS) as page:
        idle = _watched(page, lambda: _press_for(page, 3))
        page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        _until(page, lambda: page.evaluate(IN_STATE, "running") == RUNS)
        busy = _watched(page, lambda: _until(page, lambda: _ended(page)))
        all_ended(folder)
        for card in page.locator("[data-run]").all():
            card.scroll_into_view_if_needed()
            expect(card).to_have_attribute("data-total", str(RATE * SECONDS))
    return [
        _row("longest gap between frames", max(busy.gaps.values), max(idle.gaps.values)),
        _row(
            "key pressed -> page hears it, longest",
            max(busy.delays.values),
            max(idle.delays.values),
        ),
    ]


def _row(figure: str, busy: float, idle: float) -> Row:
    return Row(
        f"{RUNS} x {RATE:,} lines/s: {figure}",
        f"{busy:,.0f} ms",
        f"the same page idle {idle:,.0f} ms",
        busy / idle,
        f"<= {BAR_GAP_MS} ms",
        busy <= BAR_GAP_MS,
    )


def _watched(page: Page, meanwhile: Callable[[], None]) -> Seen:
    page.evaluate("() => probe.begin(0)")
    meanwhile()
    return end(page)


def _ended(page: Page) -> bool:
    return bool(page.evaluate(IN_STATE, "finished") == RUNS)


def _press_for(page: Page, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        page.keyboard.press("Shift")
        page.wait_for_timeout(200)


def _until(page: Page, happened: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not happened():
        if time.monotonic() > until:
            raise TimeoutError("The cards do not show what they should.")
        _press_for(page, 0.2)
