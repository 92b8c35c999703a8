"""A person's view: JupyterLab and Notebook 7 in Chromium, a real kernel, a real container."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from jupyter_launch.states import State
from jupyter_launch.stores.base import Store
from tests.browser.lab import (
    Server,
    browser,
    open_notebook,
    output,
    run_cell,
    save,
    wait_executed,
    write_notebook,
)
from tests.conftest import PYTHON

pytestmark = [pytest.mark.browser, pytest.mark.docker]

LONG = f"""%%launch -d {PYTHON} -o run
import itertools, time
for n in itertools.count():
    print(f"\\033[32mstep\\033[0m {{n}}", flush=True)
    time.sleep(0.05)"""
SHORT = f"%%launch -d {PYTHON}\nprint('all', 'done')"
FAILING = f"%%launch -d {PYTHON}\nprint('<script>window.hacked = 1</script>')\nraise SystemExit(3)"


@pytest.fixture(params=["lab", "notebook"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Page, Server]]:
    root = tmp_path / "work"
    write_notebook(root / "x.ipynb", ["%load_ext jupyter_launch", LONG, "6 * 7", SHORT, FAILING])
    with Server(request.param, root) as server, browser(tmp_path / "profile") as page:
        open_notebook(page, server, "x.ipynb")
        run_cell(page, 0)
        wait_executed(page, 0)
        yield page, server


def test_a_launch_is_live_in_its_cell_and_the_next_cell_runs_meanwhile(
    opened: tuple[Page, Server], store: Store
) -> None:
    page, _ = opened
    run_cell(page, 1)
    card = output(page, 1)
    expect(card.get_by_text("running", exact=False).first).to_be_visible(timeout=20_000)
    expect(card.get_by_text("step 5", exact=True)).to_be_visible(timeout=20_000)
    run_cell(page, 2)
    wait_executed(page, 2)
    expect(output(page, 2).get_by_text("42")).to_be_visible()
    expect(card.get_by_text("step 60", exact=True)).to_be_visible(timeout=20_000)
    card.get_by_role("button", name="Stop").click()
    expect(card.get_by_text("stopped", exact=False).first).to_be_visible(timeout=20_000)
    (run,) = store.runs()
    assert (run.state, run.resource) == (State.STOPPED, "local-container")
    assert b"step\x1b[0m 60\n" in store.read_log(run.id)


def test_the_saved_notebook_shows_what_happened_without_a_kernel(
    opened: tuple[Page, Server], tmp_path: Path
) -> None:
    page, server = opened
    for number, shown in ((3, "all done"), (4, "exit code 3")):
        run_cell(page, number)
        expect(output(page, number).get_by_text(shown).first).to_be_visible(timeout=20_000)
        page.wait_for_function(
            """number => !window.jupyterapp.shell.currentWidget.content.widgets[number]
            .model.outputs.get(0).data['application/vnd.jupyter.widget-view+json']""",
            arg=number,
        )
    save(page)
    cells = json.loads((tmp_path / "work/x.ipynb").read_text())["cells"]
    for number in (3, 4):
        (saved,) = cells[number]["outputs"]
        assert "application/vnd.jupyter.widget-view+json" not in saved["data"]
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.goto(server.url("x.ipynb"), wait_until="domcontentloaded")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell .cm-content", timeout=60_000)
    expect(output(page, 3).get_by_text("all done")).to_be_visible()
    failed = output(page, 4)
    expect(failed.get_by_text("exit code 3").first).to_be_visible()
    expect(failed.get_by_text("<script>window.hacked = 1</script>", exact=True)).to_be_visible()
    assert page.evaluate("() => window.hacked === undefined")
