"""What stands around the cards: two pages at once, settings, notifications, jobs, a log's tab."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from jupyter_launch.frontends.jobs import create_job
from jupyter_launch.job import Job
from jupyter_launch.states import State
from jupyter_launch.stores.base import Store
from tests.browser.card import PATIENCE_MS, Card
from tests.browser.conftest import ONLY_LAB, Desk
from tests.browser.lab import Server, open_notebook, output, save, wait_open, write_notebook
from tests.browser.test_accessibility import THEMES, findings, wear
from tests.browser.test_panel import COMMAND, Panel, fail, waiting
from tests.browser.test_relaunch import write

pytestmark = [pytest.mark.browser, ONLY_LAB]

SLEEP = "%%launch -r local-process\nimport time\nprint('here', flush=True)\ntime.sleep(1000)"
AGAIN = "%%launch -r local-process --set word=first\nprint('said')"
SCRIPT = "%%launch -d busybox\n#!/bin/sh\nfor word in a b; do echo $word; done"
SETTINGS = ".jupyter/settings/jupyter_launch/panel.jupyterlab-settings"
HEARD = """() => {
    window.heard = [];
    window.Notification = class extends window.Notification {
        constructor(title, options) { super(title, options); window.heard.push(this); }
    };
}"""


@pytest.fixture
def configured(server: Server) -> Iterator[Path]:
    """Give the file of the panel's settings, which is gone afterwards."""
    path = server.root / SETTINGS
    path.parent.mkdir(parents=True, exist_ok=True)
    yield path
    path.unlink(missing_ok=True)


def test_panel_and_card_agree_in_two_pages(desk: Desk, store: Store) -> None:
    card = desk.launch(SLEEP).expect_state("running").expect_live()
    run = store.get(card.run_id)
    here = Panel(card.page)
    expect(here.row(run)).to_contain_text("running")
    save(card.page)
    other = desk.again()
    there = Panel(other)
    twin = Card(other, output(other, 0)).expect_state("running").expect_live()
    twin.expect_line("here")
    expect(there.row(run)).to_contain_text("running")
    there.row(run).get_by_role("button", name="Stop").click()
    for one in (card, twin):
        one.expect_state("stopped")
    for panel in (here, there):
        expect(panel.row(run)).to_contain_text("stopped")
    assert store.get(run.id).state is State.STOPPED
    here.row(run).get_by_role("button", name="Re-launch").click()
    there.page.wait_for_function(
        "old => document.querySelector('.jl-panel [data-run]').dataset.run !== old", arg=run.id
    )
    newest = store.get(there.rows()[0])
    assert newest.parent == run.id
    here.row(newest).get_by_role("button", name="Stop").click()
    expect(there.row(newest)).to_contain_text("stopped", timeout=PATIENCE_MS)


@pytest.fixture
def job(store: Store, tmp_path: Path) -> Iterator[Job]:
    """Give a job that is there for as long as a test takes."""
    script = tmp_path / "train.py"
    script.write_text("print('from the job')\n")
    resource = {"resource": "local-process"}
    made = create_job(store, "code", str(script), resource, {"name": "training"})
    yield made
    store.delete_job(made)


@pytest.mark.usefixtures("job")
def test_a_job_is_launched_from_its_tab(desk: Desk) -> None:
    panel = Panel(desk.open("1 + 1"))
    panel.tab("Jobs")
    row = panel.root.locator(".jl-job", has_text="training")
    row.get_by_role("button", name="Launch now").click()
    card = panel.page.locator(".jl-view-tab .jl-card")
    expect(card).to_have_attribute("data-state", "finished", timeout=2 * PATIENCE_MS)
    expect(card).to_contain_text("from the job")
    row.get_by_role("button", name="Copy %launch").click()
    copied = panel.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("%launch -j ")
    assert "training:" in copied
    for theme in reversed(THEMES):
        wear(panel.page, theme)
        assert findings(panel) == []


def test_a_log_in_a_tab_has_its_artifacts(desk: Desk, store: Store) -> None:
    body = (
        "import os, pathlib\n"
        "out = pathlib.Path(os.environ['JUPYTER_LAUNCH_OUTPUT_DIR'])\n"
        "(out / 'scores.csv').write_text('epoch,loss\\n1,0.5\\n')\n"
    )
    run = desk.launch(f"%%launch -r local-process\n{body}").expect_state("finished")
    panel = Panel(run.page)
    panel.row(store.get(run.run_id)).get_by_role("button", name="Open the log").click()
    section = panel.page.locator(".jl-view-tab .jl-artifacts")
    expect(section).to_contain_text("scores.csv", timeout=PATIENCE_MS)
    expect(section.get_by_role("columnheader")).to_have_text(["epoch", "loss"])


def test_what_changed_and_the_form_in_place_are_for_everybody(desk: Desk, store: Store) -> None:
    card = desk.launch(AGAIN).expect_state("finished").expect_live()
    first = card.run_id
    card.press("Re-launch")
    expect(card.root).not_to_have_attribute("data-run", first, timeout=PATIENCE_MS)
    card.expect_state("finished")
    card.choose("What changed…")
    expect(card.root.get_by_role("region", name="What changed")).to_have_text("Nothing changed.")
    card.choose("Edit and re-launch…")
    button = card.page.locator(".jl-form").get_by_role("button", name="Launch now")
    expect(button).to_be_visible(timeout=PATIENCE_MS)
    for theme in reversed(THEMES):
        wear(card.page, theme)
        assert findings(card) == []
        assert findings(Placed(card.page)) == []


class Placed:
    """The form in place, as axe is to see it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root = page.locator(".jl-form")


def test_settings_hide_what_a_deployment_does_not_want(configured: Path, desk: Desk) -> None:
    configured.write_text(json.dumps({"tabs": ["runs"], "launchNotebook": False}))
    page = desk.open("1 + 1")
    with page.expect_response(lambda answer: "api/workspaces" in answer.url):
        panel = Panel(page)
    expect(panel.root.get_by_role("tab")).to_have_count(0)
    button = page.get_by_role("button", name="Save the notebook and run all of it as a program")
    expect(button).to_have_count(0)
    configured.write_text(json.dumps({"tabs": []}))
    page.reload()
    wait_open(page)
    page.evaluate("() => window.jupyterapp.restored")
    expect(page.locator(".jl-panel")).to_have_count(0)
    visible = "id => window.jupyterapp.commands.isVisible(id)"
    assert page.evaluate(visible, "jupyter-launch:show-runs") is False


def test_the_browser_tells_of_an_end_if_it_may(configured: Path, desk: Desk, store: Store) -> None:
    configured.write_text(json.dumps({"browserNotifications": True, "notifications": False}))
    page = desk.page()
    page.add_init_script(f"({HEARD})()")
    desk.notebook = "told.ipynb"
    write_notebook(desk.path, ["1 + 1"])
    open_notebook(page, desk.server, desk.notebook)
    panel = Panel(page)
    run = waiting(store, name="long one")
    expect(panel.row(run)).to_be_visible()
    fail(store, run, "out of luck")
    page.wait_for_function("() => window.heard.length > 0", timeout=PATIENCE_MS)
    told = page.evaluate("() => window.heard.map(({ title, body, tag }) => [title, body, tag])")
    assert told == [["Launched run", "long one: failed · out of luck", run.id]]
    page.evaluate("() => window.heard[0].onclick()")
    expect(page.locator(f".jl-view-tab .jl-card[data-run='{run.id}']")).to_be_visible()
    page.evaluate(COMMAND, ["apputils:display-notifications", {}])
    expect(page.locator(".jp-Notification-List")).not_to_contain_text("long one")


def test_a_launched_script_is_coloured_as_what_it_is(desk: Desk) -> None:
    page = desk.open(SCRIPT, "%%launch -d busybox\nprint(1)", "# a comment")
    editors = page.locator(".jp-NotebookPanel .jp-Cell .cm-content")

    def expect_languages(*languages: str) -> None:
        for number, language in enumerate(languages):
            expect(editors.nth(number)).to_have_attribute(
                "data-language", language, timeout=PATIENCE_MS
            )

    expect_languages("shell", "python", "python")
    write(page, 1, SCRIPT.replace("/bin/sh", "/usr/bin/env bash"))
    write(page, 2, SCRIPT.replace("%%launch", "%%timeit"))
    expect_languages("shell", "shell", "python")
    write(page, 0, SCRIPT.replace("/bin/sh", "/usr/bin/env python3"))
    write(page, 1, "%%launch -d busybox\nprint(1)")
    expect_languages("python", "python", "python")
