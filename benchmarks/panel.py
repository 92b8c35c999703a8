"""The runs panel of JupyterLab with 100,000 runs in the store."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from jupyter_launch.runs import Queue, QueueRecord
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.stores import open_store
from tests.browser.lab import browser, open_notebook, write_notebook

from .measure import Row, Sample
from .page import NOTEBOOK, server
from .tiny import store_url

RUNS = 100_000
TIMES = 7
BAR_MS = 300
QUEUE = Queue("ann", "nobody")
SPEC = LaunchSpec.from_dict(
    {
        "name": "one of many",
        "resource": "local-process",
        "source": {"kind": "cell", "body": "print('hello')\n" * 20},
        "origin": {"notebook": "/work/a.ipynb"},
    }
)
FILL = """
WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < ?)
INSERT INTO runs (id, spec_json, state, created, name, priority, secrets, resource, started, ended)
SELECT printf('many-%06d', n), ?, 'finished', 1e9 + n, 'run ' || n, 2, '[]', 'local-process',
       1e9 + n, 1e9 + n + 5 FROM many
"""
OPEN = """async () => {
    const row = () => document.querySelector('.jl-panel [data-run]');
    const begun = performance.now();
    await window.jupyterapp.commands.execute('jupyter-launch:show-runs');
    while (!row()) await new Promise(done => requestAnimationFrame(done));
    await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
    return performance.now() - begun;
}"""
WATCH = """() => {
    window.painted = new Set();
    new MutationObserver(changes => { for (const {target} of changes) {
        const at = target.nodeType === 1 ? target : target.parentElement;
        window.painted.add(at.closest('[data-run]')?.dataset.run ?? at.className); } })
    .observe(document.querySelector('.jl-panel .jl-list'),
        {subtree: true, childList: true, characterData: true, attributes: true});
}"""
STOPPED = (
    "id => document.querySelector(`.jl-panel [data-run='${id}']`)?.dataset.state === 'stopped'"
)


def rows(folder: Path) -> list[Row]:
    """Open the panel in fresh pages; then let one run change, and count the rows it repaints."""
    store = open_store(store_url(folder))
    _fill(store_url(folder).removeprefix("sqlite:///"))
    store.create_queue(QueueRecord(QUEUE, "local-process"))
    run = store.submit(SPEC, queue=QUEUE)
    taken = []
    with server(folder) as lab, browser(folder / "profile") as page:
        write_notebook(lab.root / NOTEBOOK, ["6 * 7"])
        for _ in range(TIMES + 1):
            open_notebook(page, lab, NOTEBOOK, kernel=False)
            taken.append(page.evaluate(OPEN))
        page.evaluate(WATCH)
        store.request_stop(run.id)
        page.wait_for_function(STOPPED, arg=run.id)
        painted = page.evaluate("() => window.painted.size")
    store.close()
    first = Sample(taken[1:])  # what is measured is the panel, and not the store's first opening
    return [
        Row(
            f"the panel's first rows, {RUNS:,} runs in the store",
            first.text("ms"),
            bar=f"<= {BAR_MS} ms",
            passed=first.median <= BAR_MS,
        ),
        Row("... rows repainted by a change", f"{painted}", bar="= 1", passed=painted == 1),
    ]


def _fill(path: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(FILL, (RUNS, SPEC.to_json()))
    connection.close()
