"""What one can do with a card: stop, kill, launch again, search, copy, look at the past."""

from __future__ import annotations

import json
import time

import pytest
from playwright.sync_api import Page, expect

from jupyter_launch.owner import new_owner
from jupyter_launch.runs import Agent, Queue, QueueRecord
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores.base import Store
from tests.browser.card import COUNT, LAUNCH, PATIENCE_MS, Card
from tests.browser.conftest import ONLY_LAB, Desk
from tests.browser.lab import NOTEBOOK, output, run_cell
from tests.conftest import PYTHON

pytestmark = [pytest.mark.browser, pytest.mark.docker]

STUBBORN = f"""{LAUNCH} --grace 300
import signal
signal.signal(signal.SIGTERM, lambda *_: print("no", flush=True))
print("ready", flush=True)
while True:
    signal.pause()"""


def clipboard(page: Page) -> str:
    """Give the text on the clipboard."""
    return str(page.evaluate("() => navigator.clipboard.readText()"))


@ONLY_LAB
def test_a_program_that_does_not_stop_is_killed(desk: Desk, store: Store) -> None:
    card = desk.launch(STUBBORN).expect_state("running").expect_line("ready")
    card.press("Stop")
    card.expect_line("no").expect_state("stopping")
    expect(card.button("Stop")).to_have_count(0)
    card.press("Kill")
    card.expect_state("stopped")
    run = store.get(card.run_id)
    assert run.state is State.STOPPED
    assert run.kill_requested


def test_a_run_is_launched_again_from_its_card(desk: Desk, store: Store) -> None:
    program = (
        f"{LAUNCH} --set word=first\nimport os\nprint('the config is', os.environ['WANDB_CONFIG'])"
    )
    card = desk.launch(program).expect_state("finished")
    first = card.run_id
    card.press("Re-launch")
    expect(card.root).not_to_have_attribute("data-run", first, timeout=PATIENCE_MS)
    card.expect_state("finished").expect_total(1)
    second = card.run_id
    assert store.get(second).parent == first
    assert json.loads(store.get(second).spec_json) == json.loads(store.get(first).spec_json)

    # Without a kernel to show the form, the spec itself is edited.
    card.page.evaluate(f"() => {NOTEBOOK}.sessionContext.shutdown()")
    card.choose("Edit and re-launch…")
    edited = card.root.get_by_role("textbox", name="Launch spec")
    spec = json.loads(edited.input_value())
    spec["overrides"]["run_config"]["word"] = "third"
    edited.fill(json.dumps(spec))
    edited.press("Control+Enter")  # which elsewhere in a notebook runs the cell
    expect(card.root).not_to_have_attribute("data-run", second, timeout=PATIENCE_MS)
    card.expect_state("finished").expect_line('the config is {"word": "third"}')
    third = card.run_id
    assert [run.id for run in store.attempts(third)] == [first, second, third]
    assert card.page.evaluate(f"() => {NOTEBOOK}.content.widgets[0].model.executionCount") == 1

    attempts = card.root.get_by_role("combobox")
    expect(attempts.locator("option")).to_have_count(3)
    attempts.select_option(first)
    expect(card.root).to_have_attribute("data-run", first)
    card.expect_line('the config is {"word": "first"}')
    attempts.select_option(third)
    card.expect_line('the config is {"word": "third"}')


def test_search_finds_what_is_not_on_the_page(desk: Desk) -> None:
    lines = "\n".join(
        [
            LAUNCH,
            "for n in range(20_000):",
            "    print('\\033[32mnee\\033[31mdle\\033[0m' if n % 9000 == 70 else 'hay', n)",
        ]
    )
    card = desk.launch(lines).expect_state("finished").expect_total(20_000)
    page = card.page
    card.log.focus()
    page.keyboard.press("Control+f")
    box = card.root.get_by_role("textbox", name="Search the log")
    expect(box).to_be_focused()
    page.keyboard.type("NEEDLE")
    search = card.root.get_by_role("search")
    expect(search).to_contain_text("3 of 3")  # the log stands at its end
    for key, place, line in (
        ("Enter", "1 of 3", "70"),
        ("F3", "2 of 3", "9070"),
        ("Enter", "3 of 3", "18070"),
        ("Shift+Enter", "2 of 3", "9070"),
    ):
        page.keyboard.press(key)
        expect(search).to_contain_text(place)
        hit = card.root.locator(".jl-hit")
        expect(hit).to_have_attribute("data-line", line)
        expect(hit.locator("mark").first).to_be_visible()
        expect(hit).to_have_text(f"needle {line}")
    search.get_by_role("button", name="Match case").click()
    expect(search).to_contain_text("No match")
    search.get_by_role("button", name="Regular expression").click()
    box.fill("^n.*e 9")
    expect(search).to_contain_text("1 of 1")
    box.fill("(")
    expect(search).not_to_contain_text("1 of 1")
    page.keyboard.press("Escape")
    expect(search).to_be_hidden()
    expect(card.log).to_be_focused()
    expect(card.root.locator("mark")).to_have_count(0)


def at_the_top_of_a_long_log(desk: Desk) -> Card:
    card = desk.launch(COUNT).expect_total(200)
    card.log.focus()
    card.page.keyboard.press("Home")
    card.page.wait_for_function("log => log.scrollTop === 0", arg=card.log.element_handle())
    return card.expect_line("line 0")


@ONLY_LAB
def test_scrolling_up_pauses_and_end_goes_on(desk: Desk) -> None:
    card = at_the_top_of_a_long_log(desk)
    page = card.page
    card.streaming().expect_line("line 0")
    expect(card.button("↓ Follow")).to_be_visible()
    page.keyboard.press("PageDown")
    expect(card.root.locator("[data-line='0']")).not_to_be_in_viewport()
    page.keyboard.press("End")
    expect(card.button("↓ Follow")).to_be_hidden()
    for key in ("PageUp", "Home", "ArrowUp") * 3:
        page.keyboard.press(key)
        expect(card.button("↓ Follow")).to_be_visible()
        page.keyboard.press("End")  # while the smooth way up may still go on
        expect(card.button("↓ Follow")).to_be_hidden()
    card.expect_newer(card.total + 100)


@ONLY_LAB
def test_a_key_before_the_next_frame_leads_away_from_the_end(desk: Desk) -> None:
    card = at_the_top_of_a_long_log(desk)
    page = card.page
    page.evaluate("window.frames_held = requestAnimationFrame; requestAnimationFrame = () => 0")
    page.keyboard.press("End")
    expect(card.button("↓ Follow")).to_be_hidden()
    page.keyboard.press("ArrowUp")
    expect(card.button("↓ Follow")).to_be_visible()
    assert card.log.evaluate("log => log.scrollTop") > 0


@ONLY_LAB
def test_a_launch_is_copied_as_text_that_launches_it_again(desk: Desk, store: Store) -> None:
    card = desk.launch(f"{LAUNCH} --set lr=0.1 --name 'a \"b\"'\nprint('hello')")
    page = card.expect_state("finished").page
    spec = store.get(card.run_id).spec_json
    for item, words in (
        ("Copy as magic", "%%launch "),
        ("Copy as Python", "launch("),
        ("Copy as command line", "jupyter launch run "),
    ):
        card.choose(item)
        page.wait_for_function(
            "async words => (await navigator.clipboard.readText()).includes(words)", arg=words
        )
        copied = clipboard(page)
        assert "lr" in copied
        assert PYTHON in copied
    card.choose("Copy as magic")
    page.wait_for_function(
        "async () => (await navigator.clipboard.readText()).startsWith('%%launch')"
    )
    again = desk.open(clipboard(page))
    run_cell(again, 0)
    copy = Card(again, output(again, 0)).expect_state("finished")
    assert copy.run_id != card.run_id
    made, meant = json.loads(store.get(copy.run_id).spec_json), json.loads(spec)
    assert made.pop("origin") != meant.pop("origin")
    assert made == meant


@ONLY_LAB
def test_the_card_shows_what_the_run_uses(desk: Desk) -> None:
    card = desk.launch(COUNT)
    for name in ("in use", "of memory"):
        chart = card.root.get_by_role("img", name=name)
        expect(chart).to_be_visible(timeout=PATIENCE_MS)
        expect(chart.locator("svg")).to_be_visible()


@ONLY_LAB
def test_a_queued_run_says_why_it_waits(desk: Desk, store: Store) -> None:
    queue = Queue("tests", f"slow-{desk.server.app}")
    store.create_queue(QueueRecord(queue, "local-container"))
    now = time.time()
    agent = Agent("held", new_owner(), (queue,), 1, now, now + 60, "running")
    store.put_agent(agent)
    cell = f"%%launch_add -d {PYTHON} -q {queue.name} -e {queue.entity}\nprint('at last')"
    page = desk.open(cell)
    run_cell(page, 0)
    card = Card(page, output(page, 0)).expect_state("pending").expect_live()
    expect(card.root).to_contain_text(f"next in queue {queue}")
    said = "tests.said"
    page.evaluate(
        """([root, name]) => { const said = window[name] = [];
        new MutationObserver(() => said.push(root.innerText))
            .observe(root, {subtree: true, childList: true, characterData: true}); }""",
        [card.root.element_handle(), said],
    )
    store.drop_agent(agent.id)
    card.expect_state("finished").expect_line("at last")
    texts = "\n".join(page.evaluate("name => window[name]", said))
    assert "no agent yet" in texts
    assert LaunchSpec.from_json(store.get(card.run_id).spec_json).queue == queue.name
