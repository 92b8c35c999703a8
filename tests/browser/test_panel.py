"""The runs panel of JupyterLab: live lists, what can be done from them, what stands around them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from jupyter_launch.owner import new_owner
from jupyter_launch.runs import Agent, Queue, QueueRecord, Run, new_id
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores.base import Change, Store
from tests.browser.card import PATIENCE_MS
from tests.browser.conftest import ONLY_LAB, Desk
from tests.browser.lab import open_notebook
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
    before = {one.id: one for one in store.runs(limit=1000)}
    other = recorded(store, name="other")
    run = waiting(store, name="mine")
    row = panel.row(run)
    expect(row).to_contain_text("pending")
    expect(panel.row(other)).to_contain_text("finished")
    assert panel.rows()[:2] == [run.id, other.id]
    panel.root.evaluate(
        """root => { window.nodes = [...root.querySelectorAll('[data-run]')]; window.painted = [];
        new MutationObserver(changes => { for (const {target, type, attributeName} of changes) {
            const at = target.nodeType === 1 ? target : target.parentElement;
            const row = at.closest('[data-run]')?.dataset.run ?? '';
            window.painted.push([row, type, attributeName, at.className, at.textContent]); } })
        .observe(root.querySelector('.jl-list'),
            {subtree: true, childList: true, characterData: true, attributes: true}); }"""
    )
    fail(store, run, "for a test")
    expect(row).to_contain_text("failed")
    expect(row).to_contain_text("for a test")
    changes = panel.page.evaluate("window.painted")
    painted = {row for row, *_ in changes}
    assert run.id in painted
    assert other.id not in painted
    # Of what other tests left there, the time of what had not ended goes on, and some of it ends.
    for one in painted & before.keys():
        now = store.get(one)
        assert now != before[one] or not now.state.terminal, [
            how for row, *how in changes if row == one
        ]
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
    spec = LaunchSpec.from_dict(
        {"name": "fitting", "resource": "local-process", "origin": {"notebook": str(desk.path)}}
    )
    queue = Queue("ann", new_id())
    store.create_queue(QueueRecord(queue, "local-process"))
    run = store.submit(spec, queue=queue)
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


def test_a_click_leads_to_whatever_cell_launched_it(panel: Panel, store: Store, desk: Desk) -> None:
    desk.path.with_name("task.py").write_text("print('x')", encoding="utf-8")
    card = desk.launch("%launch task.py -r local-process").expect_state("finished")
    run = store.get(card.run_id)
    assert run.spec.kind == "path"
    panel.choose(run, "Go to the cell")
    panel.page.wait_for_function(
        "id => window.jupyterapp.shell.currentWidget.content.activeCell?.model.id === id",
        arg=run.spec.origin.cell,
    )


def test_a_click_leads_to_the_cell(panel: Panel, store: Store, desk: Desk) -> None:
    origin = {"notebook": str(desk.path), "cell": "cell-1"}
    spec = LaunchSpec.from_dict({"resource": "local-process", "origin": origin})
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
    row.get_by_role("button", name="night", exact=True).click()
    expect(panel.root.locator("[data-run]")).to_have_count(1)
    assert panel.rows() == [run.id]
    panel.tab("Jobs")
    expect(panel.root.locator(".jl-note").last).to_have_text("No jobs yet.")


class QueueCard:
    """A queue in its tab as a person uses it, with what waits on it unfolded."""

    def __init__(self, panel: Panel, queue: Queue) -> None:
        self.panel = panel
        panel.tab("Queues")
        self.root = panel.root.locator(f"[data-queue='{queue}']")
        self.root.get_by_role("button", name=f"What waits on {queue.name}").click()

    def item(self, run: Run) -> Locator:
        return self.root.locator(f"[data-run='{run.id}']")

    def shows(self, *runs: Run) -> None:
        """Wait until these are its items, in this order."""
        self.panel.page.wait_for_function(
            "([queue, ids]) => JSON.stringify([...document.querySelectorAll("
            "`[data-queue='${queue}'] [data-run]`)].map(row => row.dataset.run)) === ids",
            arg=[
                self.root.get_attribute("data-queue"),
                json.dumps([run.id for run in runs], separators=(",", ":")),
            ],
        )

    def choose(self, run: Run, item: str) -> None:
        self.item(run).get_by_role("button", name="More").click()
        self.panel.page.get_by_role("menuitem", name=item).click()


def three(store: Store) -> tuple[Queue, list[Run]]:
    """Put three runs on a queue, which nobody serves."""
    queue = Queue("ann", new_id())
    store.create_queue(QueueRecord(queue, "local-process"))
    specs = [LaunchSpec.from_dict(cell("print(1)", name=name)) for name in ("a", "b", "c")]
    return queue, [store.submit(spec, queue=queue) for spec in specs]


def paused_for_all(store: Store, queue: Queue) -> None:
    """Keep the agents that a page's moves start from taking anything."""
    store.update_queue(queue, state="paused")


def test_a_queue_is_paused_and_drained(panel: Panel, store: Store) -> None:
    queue, (run, *_) = three(store)
    card = QueueCard(panel, queue)
    expect(card.root.locator(".jl-badge")).to_have_text("running")
    expect(card.item(run)).to_contain_text("no agent yet")
    card.root.get_by_role("button", name="Pause").click()
    expect(card.root.locator(".jl-badge")).to_have_text("paused")
    expect(card.item(run)).to_contain_text("the queue is paused", timeout=PATIENCE_MS)
    assert store.queue(queue).state == "paused"
    card.root.get_by_role("button", name="More").first.click()
    panel.page.get_by_role("menuitem", name="Drain").click()
    expect(card.root.locator(".jl-badge")).to_have_text("draining")
    card.root.get_by_role("button", name="Resume").click()
    expect(card.root.locator(".jl-badge")).to_have_text("running")
    assert store.queue(queue).state == "running"


def test_an_agent_is_shown_with_its_heartbeat_and_runs(panel: Panel, store: Store) -> None:
    queue, (run, *_) = three(store)
    agent = Agent("a1", new_owner(), (queue,), 4, time.time(), time.time(), "running")
    store.put_agent(agent)
    claimed = store.claim([queue], agent.owner, ())
    assert claimed is not None
    card = QueueCard(panel, queue)
    expect(card.root).to_contain_text("2 waiting · 1 running")
    expect(card.root.locator(".jl-agent")).to_contain_text("running · 1 of 4 runs · ")
    expect(card.root.locator(".jl-agent .jl-time")).not_to_be_empty()
    expect(card.item(run)).to_have_count(0)
    store.drop_agent("a1")
    store.move(run.id, agent.owner, State.FAILED, Change())
    expect(card.root).to_contain_text("2 waiting · 0 running")


def test_a_priority_is_chosen_by_menu_and_repaints_one_item(panel: Panel, store: Store) -> None:
    queue, (a, b, c) = three(store)
    paused_for_all(store, queue)
    card = QueueCard(panel, queue)
    card.shows(a, b, c)
    card.root.evaluate(
        """root => { window.painted = []; new MutationObserver(changes => {
        for (const {target} of changes) {
            const at = target.nodeType === 1 ? target : target.parentElement;
            window.painted.push(at.closest('[data-run]')?.dataset.run); } })
        .observe(root.querySelector('.jl-items'),
            {subtree: true, characterData: true, attributes: true, attributeFilter:
            ['data-priority', 'title', 'aria-label']}); }"""
    )
    card.choose(c, "Make its priority high")
    card.shows(c, a, b)
    assert store.get(c.id).priority == 1
    assert set(panel.page.evaluate("window.painted")) <= {c.id}
    expect(card.root.locator(".jl-level")).to_have_text(["high priority", "medium priority"])


def test_a_priority_is_given_by_dragging(panel: Panel, store: Store) -> None:
    queue, (a, b, c) = three(store)
    paused_for_all(store, queue)
    store.requeue(a.evolve(priority=1))
    card = QueueCard(panel, queue)
    card.shows(a, b, c)
    card.item(c).drag_to(card.item(a))
    card.shows(a, c, b)
    assert store.get(c.id).priority == 1
    page = panel.page
    card.item(b).hover()
    page.mouse.down()
    low = card.root.locator(".jl-level[data-priority='low']")
    box = card.item(a).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 40, box["y"] + 5, steps=5)
    expect(low).to_be_visible()  # nothing has that priority yet, and yet it can be given
    low.hover()
    low.hover()
    page.mouse.up()
    page.wait_for_function(
        "id => document.querySelector(`[data-run='${id}']`).dataset.priority === 'low'", arg=b.id
    )
    assert store.get(b.id).priority == 3
    expect(card.root.locator(".jl-level")).to_have_text(["high priority", "low priority"])


def test_items_are_moved_and_stopped_by_menu(panel: Panel, store: Store) -> None:
    other = Queue("ann", f"other-{new_id()}")  # first, so that who shows the next one knows it
    store.create_queue(QueueRecord(other, "local-process", state="paused"))
    queue, (a, b, _) = three(store)
    card = QueueCard(panel, queue)
    card.choose(a, f"Move to {other.name}")
    expect(card.item(a)).to_have_count(0)
    assert store.get(a.id).queue == other
    card.choose(b, "Stop")
    expect(card.item(b)).to_have_count(0)
    assert store.get(b.id).state is State.STOPPED
    store.requeue(store.get(a.id).evolve(queue=queue))
    store.update_queue(other, state="draining")
    card.choose(a, f"Move to {other.name}")
    expect(panel.root.locator(".jl-told")).to_contain_text("it takes nothing more")


def test_items_are_used_by_keyboard_alone(panel: Panel, store: Store) -> None:
    queue, (a, b, c) = three(store)
    paused_for_all(store, queue)
    card = QueueCard(panel, queue)
    card.shows(a, b, c)
    page = panel.page
    card.item(a).get_by_role("button", name="Open the log").focus()
    page.keyboard.press("ArrowDown")
    expect(card.item(b).get_by_role("button", name="Open the log")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Make its priority critical")).to_be_focused()
    page.keyboard.press("Enter")
    card.shows(b, a, c)
    expect(card.item(b).get_by_role("button", name="More")).to_be_focused()


def test_the_end_of_a_run_is_told_wherever_the_user_is(panel: Panel, store: Store) -> None:
    run = waiting(store, name="long one")
    expect(panel.row(run)).to_be_visible()
    fail(store, run, "out of luck")
    expect(panel.row(run)).to_contain_text("failed")
    panel.page.evaluate(COMMAND, ["apputils:display-notifications", {}])
    expect(panel.page.locator(".jp-Notification-List")).to_contain_text("long one: failed")


def test_an_end_is_told_that_comes_before_the_first_answer(desk: Desk, store: Store) -> None:
    """The page asks for what it shows first, and a slow server answers all else later."""
    held: list[Callable[[], None]] = []

    def route(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            asks_more = '"list-' in str(message) and '"list-1"' not in str(message)
            held.append(lambda: server.send(message)) if asks_more else server.send(message)

        socket.on_message(pass_on)

    desk.open("1 + 1").close()
    page = desk.page()
    page.route_web_socket("**/jupyter-launch/api/stream*", route)
    open_notebook(page, desk.server, desk.notebook)
    run = waiting(store, name="ends at once")
    panel = Panel(page)
    expect(panel.row(run)).to_be_visible()
    fail(store, run, "out of luck")
    expect(panel.row(run)).to_contain_text("failed")
    assert held
    for send in held:
        send()
    panel.page.evaluate(COMMAND, ["apputils:display-notifications", {}])
    expect(panel.page.locator(".jp-Notification-List")).to_contain_text("ends at once: failed")


def test_axe_finds_nothing_serious(panel: Panel, store: Store) -> None:
    run = recorded(store, name="seen")
    queue = waiting(store, name="by axe").queue
    assert queue is not None
    expect(panel.row(run)).to_be_visible()
    expect(QueueCard(panel, queue).root.locator("[data-run]")).to_be_visible()
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
    (run,) = store.runs(notebook=str(desk.path))
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
