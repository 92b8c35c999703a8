"""The runs panel of JupyterLab: live lists, what can be done from them, what stands around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from jupyter_launch.owner import new_owner
from jupyter_launch.runs import Queue, QueueRecord, Run, new_id
from jupyter_launch.sources.code import from_cell
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores.base import Change, Store
from tests.browser.card import PATIENCE_MS
from tests.browser.conftest import ONLY_LAB, Desk
from tests.jupyter_server import cell, recorded

pytestmark = [pytest.mark.browser, ONLY_LAB]

AXE = Path(__file__).parents[2] / "labextension/node_modules/axe-core/axe.min.js"
THEMES = ("JupyterLab Light", "JupyterLab Dark")
COMMAND = "([id, args]) => void window.jupyterapp.commands.execute(id, args)"


class Panel:
    """The panel as a person uses it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.evaluate(COMMAND, ["jupyter-launch:show-runs", {}])
        self.root = page.locator(".jl-panel")
        expect(self.root).to_be_visible()

    def row(self, run: Run) -> Locator:
        return self.root.locator(f"[data-run='{run.id}']")

    def tab(self, name: str) -> None:
        self.root.get_by_role("tab", name=name).click()

    def choose(self, run: Run, item: str) -> None:
        self.row(run).get_by_role("button", name="More").click()
        self.page.get_by_role("menuitem", name=item).click()

    def rows(self) -> list[str]:
        found: list[str] = self.root.locator("[data-run]").evaluate_all(
            "rows => rows.map(row => row.dataset.run)"
        )
        return found


@pytest.fixture
def panel(desk: Desk) -> Panel:
    """Give the panel, beside a notebook of two cells."""
    return Panel(desk.open("1 + 1", "2 + 2"))


def waiting(store: Store, **fields: Any) -> Run:
    """Put a run on a queue of its own, which nobody serves."""
    queue = Queue("ann", new_id())
    store.create_queue(QueueRecord(queue, "local-process"))
    return store.submit(LaunchSpec.from_dict(cell("print(1)", **fields)), queue=queue)


def fail(store: Store, run: Run, reason: str) -> None:
    """Let it fail, without running anything."""
    assert run.queue is not None
    owner = new_owner()
    store.claim([run.queue], owner, ())
    store.move(run.id, owner, State.STARTING, Change())
    store.move(run.id, owner, State.FAILED, Change(reason=reason))


def test_the_list_is_live_and_a_change_repaints_its_row_alone(panel: Panel, store: Store) -> None:
    other = recorded(store, name="other")
    run = waiting(store, name="mine")
    row = panel.row(run)
    expect(row).to_contain_text("pending")
    assert panel.rows()[:2] == [run.id, other.id]
    panel.root.evaluate(
        """root => { window.nodes = [...root.querySelectorAll('[data-run]')]; window.painted = [];
        new MutationObserver(changes => { for (const {target} of changes) {
            const at = target.nodeType === 1 ? target : target.parentElement;
            window.painted.push(at.closest('[data-run]')?.dataset.run ?? at.className); } })
        .observe(root.querySelector('.jl-list'),
            {subtree: true, childList: true, characterData: true, attributes: true}); }"""
    )
    fail(store, run, "for a test")
    expect(row).to_contain_text("failed")
    expect(row).to_contain_text("for a test")
    assert set(panel.page.evaluate("window.painted")) == {run.id}
    assert panel.page.evaluate(
        "[...document.querySelectorAll('.jl-panel [data-run]')]"
        ".every((node, at) => node === window.nodes[at])"
    )


def test_new_runs_come_on_top_and_deleted_ones_go(panel: Panel, store: Store) -> None:
    first = recorded(store, name="first")
    expect(panel.row(first)).to_be_visible()
    second = recorded(store, name="second")
    expect(panel.row(second)).to_be_visible()
    assert panel.rows()[:2] == [second.id, first.id]
    queue = Queue("", "default")
    store.ensure_queue(queue)
    third = store.submit(LaunchSpec.from_dict(cell("print(1)")), queue=queue)
    expect(panel.row(third)).to_contain_text("next")
    store.delete(third.id)
    expect(panel.row(third)).to_have_count(0)


def test_rows_are_narrowed_down_and_grouped(panel: Panel, store: Store, desk: Desk) -> None:
    source = from_cell("print('x')", (), store, notebook=str(desk.path), cell="cell-1")
    spec = LaunchSpec.from_dict({"name": "fitting", "resource": "local-process"})
    queue = Queue("ann", new_id())
    store.create_queue(QueueRecord(queue, "local-process"))
    run = store.submit(spec.evolve(source=source), queue=queue)
    other = recorded(store, name="something else")
    expect(panel.row(other)).to_be_visible()
    panel.root.get_by_role("searchbox").fill("FITTING")
    expect(panel.row(other)).to_have_count(0)
    expect(panel.row(run)).to_be_visible()
    panel.root.get_by_role("searchbox").fill("")
    panel.root.get_by_label("Notebook", exact=True).select_option(desk.notebook)
    expect(panel.row(other)).to_have_count(0)
    expect(panel.row(run)).to_be_visible()
    panel.root.get_by_label("State", exact=True).select_option("ended")
    expect(panel.row(run)).to_have_count(0)
    expect(panel.root.locator(".jl-note")).to_have_text("No run is like that.")
    panel.root.get_by_label("State", exact=True).select_option("")
    panel.root.get_by_label("Notebook", exact=True).select_option("")
    expect(panel.row(other)).to_be_visible()
    panel.root.get_by_role("button", name="Group by notebook").click()
    expect(panel.root.locator(".jl-group", has_text=desk.notebook)).to_be_visible()
    expect(panel.root.locator(".jl-group", has_text="No notebook")).to_be_visible()


def test_a_click_leads_to_the_cell(panel: Panel, store: Store, desk: Desk) -> None:
    source = from_cell("print('x')", (), store, notebook=str(desk.path), cell="cell-1")
    spec = LaunchSpec.from_dict({"resource": "local-process"}).evolve(source=source)
    queue = Queue("ann", new_id())
    store.create_queue(QueueRecord(queue, "local-process"))
    run = store.submit(spec, queue=queue)
    expect(panel.row(run)).to_be_visible()
    panel.choose(run, "Go to the cell")
    panel.page.wait_for_function(
        "window.jupyterapp.shell.currentWidget.content.activeCell?.model.id === 'cell-1'"
    )


def test_the_log_opens_in_a_tab_that_survives_a_reload(panel: Panel, store: Store) -> None:
    run = recorded(store, b"a line of the log\n", name="told")
    opener = panel.row(run).get_by_role("button", name="Open the log of told")
    with panel.page.expect_response(
        lambda answer: "api/workspaces" in answer.url and run.id in (answer.request.post_data or "")
    ):
        opener.click()
    card = panel.page.locator(f".jl-view-tab .jl-card[data-run='{run.id}']")
    expect(card).to_contain_text("a line of the log")
    opener.click()
    expect(card).to_have_count(1)
    panel.page.reload()
    expect(card).to_contain_text("a line of the log", timeout=PATIENCE_MS)


def test_runs_are_stopped_and_launched_again(panel: Panel, store: Store) -> None:
    old = recorded(store, name="again")
    panel.row(old).get_by_role("button", name="Re-launch").click()
    panel.page.wait_for_function(
        "old => document.querySelector('.jl-panel [data-run]').dataset.run !== old", arg=old.id
    )
    new = store.get(panel.rows()[0])
    assert new.parent == old.id
    ended = store.wait(new.id, lambda run: run.state.terminal, 30)
    assert ended is not None
    third = waiting(store)
    panel.row(third).get_by_role("button", name="Stop").click()
    expect(panel.row(third)).to_contain_text("stopped")
    assert store.get(third.id).state is State.STOPPED
    panel.choose(third, "Copy the run's id")
    assert panel.page.evaluate("navigator.clipboard.readText()") == third.id


def test_queues_and_jobs_have_tabs(panel: Panel, store: Store) -> None:
    queue = Queue("ann", "night")
    store.create_queue(QueueRecord(queue, "local-process"))
    run = store.submit(LaunchSpec.from_dict(cell("print(1)")), queue=queue)
    panel.tab("Queues")
    row = panel.root.locator(".jl-queue", has_text="night")
    expect(row).to_contain_text("1 waiting · 0 running")
    expect(row).to_contain_text("no agent")
    row.get_by_role("button", name="night").click()
    expect(panel.row(run)).to_be_visible()
    assert panel.rows() == [run.id]
    panel.tab("Jobs")
    expect(panel.root.locator(".jl-note").last).to_have_text("No jobs yet.")


def test_the_end_of_a_run_is_told_wherever_the_user_is(panel: Panel, store: Store) -> None:
    run = waiting(store, name="long one")
    expect(panel.row(run)).to_be_visible()
    fail(store, run, "out of luck")
    expect(panel.row(run)).to_contain_text("failed")
    panel.page.evaluate(COMMAND, ["apputils:display-notifications", {}])
    expect(panel.page.locator(".jp-Notification-List")).to_contain_text("long one: failed")


def test_axe_finds_nothing_serious(panel: Panel, store: Store) -> None:
    run = recorded(store, name="seen")
    waiting(store, name="by axe")
    expect(panel.row(run)).to_be_visible()
    panel.page.evaluate(AXE.read_text(encoding="utf-8"))
    for theme in (*THEMES[::-1],):
        panel.page.evaluate(COMMAND, ["apputils:change-theme", {"theme": theme}])
        panel.page.wait_for_selector(f"body[data-jp-theme-name='{theme}']", state="attached")
        for tab in ("Queues", "Jobs", "Runs"):
            panel.tab(tab)
            found = panel.root.evaluate(
                """async root => (await axe.run(root, {resultTypes: ['violations']})).violations
                .filter(({impact}) => ['serious', 'critical'].includes(impact))
                .map(({id, nodes}) => [id, nodes.map(({html, any}) =>
                    [html, any.map(({message}) => message)])])"""
            )
            assert found == []


def test_the_panel_is_used_by_keyboard_alone(panel: Panel, store: Store) -> None:
    older, newer = recorded(store, name="older"), recorded(store, name="newer")
    expect(panel.row(newer)).to_be_visible()
    page = panel.page
    expect(panel.root.get_by_role("tab", name="Runs")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(panel.root.get_by_role("tab", name="Queues")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(panel.root.get_by_role("tab", name="Runs")).to_be_focused()
    expect(panel.row(newer)).to_be_visible()
    first = panel.row(newer).get_by_role("button", name="Open the log")
    for _ in range(20):
        page.keyboard.press("Tab")
        if first.evaluate("node => node === document.activeElement"):
            break
    expect(first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(panel.row(older).get_by_role("button", name="Open the log")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(f".jl-view-tab .jl-card[data-run='{older.id}']")).to_be_visible()


def test_hostile_names_are_shown_as_text(panel: Panel, store: Store) -> None:
    run = recorded(store, name="<img src=x onerror='window.hurt = true'>")
    expect(panel.row(run)).to_contain_text("<img src=x")
    assert panel.page.evaluate("window.hurt") is None


def test_a_notebook_is_launched_from_its_toolbar(desk: Desk, store: Store) -> None:
    page = desk.open("answer = 6 * 7", "print('the answer is', answer)")
    page.get_by_role("button", name="Save the notebook and run all of it as a program").click()
    dialog = page.locator(".jp-Dialog")
    dialog.get_by_label("Where").select_option("local-process")
    dialog.get_by_label("Parameters, one in a line").fill("lr = 0.1")
    dialog.get_by_role("button", name="Launch").click()
    card = page.locator(".jl-view-tab .jl-card")
    expect(card).to_have_attribute("data-state", "finished", timeout=2 * PATIENCE_MS)
    expect(card).to_contain_text("the answer is 42")
    (run,) = (run for run in store.runs() if run.spec.source and run.spec.source.main)
    assert run.spec.source is not None
    assert run.spec.source.main == desk.notebook
    assert dict(run.spec.overrides.run_config) == {"lr": 0.1}


def test_what_cannot_be_launched_is_told(desk: Desk, store: Store) -> None:
    before = store.runs()
    page = desk.open("6 * 7")
    page.evaluate(COMMAND, ["jupyter-launch:launch-notebook", {}])
    dialog = page.locator(".jp-Dialog")
    dialog.get_by_label("Requirements").fill("=wrong=")
    dialog.get_by_role("button", name="Launch").click()
    expect(dialog).to_have_count(0)
    page.evaluate(COMMAND, ["apputils:display-notifications", {}])
    told = page.locator(".jp-Notification-List")
    expect(told).to_contain_text("The requirement '=wrong='", timeout=PATIENCE_MS)
    assert store.runs() == before
