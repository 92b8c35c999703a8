"""From running a cell with a form until its last button is painted, with much in the store."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from playwright.sync_api import Page

from jupyter_launch.config import setting
from jupyter_launch.runs import Queue, QueueRecord
from jupyter_launch.stores import open_store
from tests.browser.lab import NOTEBOOK as PANEL

from .measure import Row, Sample
from .page import notebook
from .panel import FILL, SPEC
from .tiny import PATIENCE_S, store_url

RUNS, QUEUES = 10_000, 50
TIMES = 9
BAR_MS = 300
SHOWN = f"""async cell => {{
    const widget = {PANEL}.content.widgets[cell];
    widget.model.clearExecution();
    const frame = () => new Promise(done => requestAnimationFrame(done));
    const there = () => Array.from(widget.node.querySelectorAll('button'))
        .some(button => button.textContent.includes('Save for this project'));
    while (there()) await frame();
    const begun = performance.now();
    {PANEL}.content.deselectAll();
    {PANEL}.content.activeCellIndex = cell;
    void window.jupyterapp.commands.execute('notebook:run-cell');
    while (!there()) await frame();
    await frame();
    return performance.now() - begun;
}}"""
"""Run a cell, and say after how many milliseconds the form is painted."""


def rows(folder: Path) -> list[Row]:
    """Show a form in a fresh kernel, then again and again."""
    _fill(folder)
    with notebook(folder, ["%launch_form"]) as page:
        first = _shown(page)
        again = Sample([_shown(page) for _ in range(TIMES)])
    return [
        Row(
            f"form shown, {RUNS:,} runs and {QUEUES} queues",
            again.text("ms"),
            bar=f"<= {BAR_MS} ms",
            passed=again.median <= BAR_MS,
        ),
        Row("... the first in a kernel, with all imports", f"{first:,.0f} ms"),
    ]


def _shown(page: Page) -> float:
    page.set_default_timeout(PATIENCE_S * 1000)
    took: float = page.evaluate(SHOWN, 0)
    return took


def _fill(folder: Path) -> None:
    owner = str(setting("entity").value)
    with contextlib.closing(open_store(store_url(folder))) as store:
        for number in range(QUEUES):
            store.create_queue(QueueRecord(Queue(owner, f"queue {number}"), "local-process"))
    with contextlib.closing(sqlite3.connect(folder / "store/launch.db")) as connection, connection:
        connection.execute(FILL, (RUNS, SPEC.to_json()))
