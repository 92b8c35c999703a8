"""Launching a cell again: from its toolbar, the palette, the keyboard and its card."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from jupyter_launch.stores.base import Store
from tests.browser.card import LAUNCH, PATIENCE_MS, Card
from tests.browser.conftest import ONLY_LAB, Desk
from tests.browser.lab import (
    MIME,
    NOTEBOOK,
    dirty,
    output,
    run_cell,
    save,
    saved_output,
    wait_executed,
    wait_open,
)
from tests.browser.test_saved import without_kernels

pytestmark = [pytest.mark.browser, pytest.mark.docker]

TELL = "import os\nprint('the config is', os.environ['WANDB_CONFIG'])"
CELL = f"{LAUNCH} --set word=first\n{TELL}"
FIRST, NEW = 'the config is {"word": "first"}', 'the config is {"word": "new"}'
COMMAND = "jupyter-launch:relaunch"


def activate(page: Page, number: int) -> None:
    """Make a cell the active one, in command mode."""
    page.evaluate(
        f"""number => {{ const cells = {NOTEBOOK}.content;
        cells.activeCellIndex = number; cells.mode = 'command'; cells.activate(); }}""",
        number,
    )


def again(page: Page, number: int) -> Locator:
    """Give the button in a cell's toolbar, which is there while the cell is the active one."""
    activate(page, number)
    cell = page.locator(".jp-NotebookPanel .jp-Cell").nth(number)
    return cell.locator(f".jp-cell-toolbar [data-command='{COMMAND}'] >> visible=true")


def answer(page: Page, label: str) -> None:
    """Answer the question that is asked."""
    page.locator(".jp-Dialog").get_by_role("button", name=label).click(timeout=PATIENCE_MS)


def write(page: Page, number: int, text: str) -> None:
    """Change a cell's text."""
    page.evaluate(
        f"([number, text]) => {NOTEBOOK}.content.widgets[number].model.sharedModel.setSource(text)",
        [number, text],
    )


def successor(card: Card, old: str, store: Store) -> str:
    """Wait until the card shows a finished run that was launched again from an old one."""
    expect(card.root).not_to_have_attribute("data-run", old, timeout=PATIENCE_MS)
    card.expect_state("finished")
    assert store.get(card.run_id).parent == old
    return card.run_id


def test_the_toolbar_of_a_cell_launches_it_again(desk: Desk, store: Store) -> None:
    card = desk.launch(CELL, "1 + 1", "%launch -d busybox").expect_state("finished")
    page, first = card.page, card.run_id
    expect(again(page, 1)).to_have_count(0)
    expect(again(page, 2)).to_have_attribute("title", re.compile("Launch this cell"))
    button = again(page, 0)
    expect(button).to_have_attribute("title", re.compile("^Re-launch( |$)"))
    button.click()
    second = successor(card, first, store)
    card.expect_line(FIRST)
    assert store.get(second).spec_json == store.get(first).spec_json
    page.keyboard.press("Control+Alt+Enter")
    successor(card, second, store)
    metadata = page.evaluate(f"() => {NOTEBOOK}.content.widgets[0].model.metadata")
    assert not [name for name in metadata if "launch" in name]
    assert page.evaluate(f"() => {NOTEBOOK}.content.widgets[0].model.executionCount") == 1


@ONLY_LAB
def test_the_palette_launches_the_active_cell_again(desk: Desk, store: Store) -> None:
    card = desk.launch(CELL).expect_state("finished")
    page, first = card.page, card.run_id
    activate(page, 0)
    page.keyboard.press("Control+Shift+c")
    page.keyboard.type("Launch Re-launch")
    page.locator(f".lm-CommandPalette-item[data-command='{COMMAND}']").click(timeout=PATIENCE_MS)
    successor(card, first, store)


def test_a_card_that_nobody_has_seen_yet_is_drawn_for_it(desk: Desk, store: Store) -> None:
    card = desk.launch("# far above", f"{LAUNCH}\nfor n in range(50): print(n)")
    card = Card(card.page, output(card.page, 1))
    run_cell(card.page, 1)
    first = card.expect_state("finished").run_id
    save(card.page)
    card.page.close()
    saved = json.loads(desk.path.read_text())
    saved["cells"][0]["source"] = "# far above\n" * 300
    desk.path.write_text(json.dumps(saved))

    page = desk.page()
    page.goto(desk.server.url(desk.notebook), wait_until="commit")
    wait_open(page)
    card = Card(page, output(page, 1))
    waiting = card.output.locator(".jl-waiting")
    expect(waiting).to_have_count(1)
    expect(card.root).to_have_count(0)
    room = waiting.bounding_box()
    activate(page, 1)
    page.keyboard.press("Control+Alt+Enter")
    successor(card, first, store)
    expect(waiting).to_have_count(0)
    drawn = card.root.bounding_box()
    assert room
    assert drawn
    assert abs(room["height"] - drawn["height"]) < 60


def test_a_changed_text_is_offered_beside_what_was_recorded(desk: Desk, store: Store) -> None:
    card = desk.launch(CELL).expect_state("finished")
    page, first = card.page, card.run_id
    write(page, 0, CELL.replace("first", "new"))
    button = again(page, 0)
    expect(button).to_have_attribute("title", re.compile("text has changed"))
    button.click()
    answer(page, "Re-launch as recorded")
    second = successor(card, first, store)
    card.expect_line(FIRST)

    again(page, 0).click()
    answer(page, "Cancel")
    assert card.run_id == second
    again(page, 0).click()
    answer(page, "Launch the new text")
    expect(card.root).not_to_have_attribute("data-run", second, timeout=PATIENCE_MS)
    card.expect_state("finished").expect_line(NEW)
    assert store.get(card.run_id).parent is None
    expect(again(page, 0)).to_have_attribute("title", re.compile("^Re-launch( |$)"))


def test_it_works_in_a_fresh_kernel_and_without_any(desk: Desk, store: Store) -> None:
    card = desk.launch(CELL).expect_state("finished")
    first = card.run_id
    save(card.page)
    card.page.close()
    desk.server.end_kernels()

    fresh = desk.again()
    card = Card(fresh, output(fresh, 0)).expect_state("finished").expect_live()
    again(fresh, 0).click()
    second = successor(card, first, store)
    assert dirty(fresh)  # who now reloads is asked, and finds the new run
    save(fresh)
    assert saved_output(desk.path)[MIME]["id"] == second
    fresh.close()
    desk.server.end_kernels()

    page = desk.page()
    without_kernels(page)
    page.goto(desk.server.url(desk.notebook), wait_until="commit")
    wait_open(page, kernel=False)
    card = Card(page, output(page, 0)).expect_state("finished").expect_live()
    assert card.run_id == second
    again(page, 0).click()
    third = successor(card, second, store)
    card.expect_line(FIRST)
    assert desk.server.ask("GET", "api/kernels") == []
    assert [run.id for run in store.attempts(third)] == [first, second, third]


@ONLY_LAB
def test_a_copied_cell_has_a_card_of_its_own(desk: Desk, store: Store) -> None:
    card = desk.launch(CELL).expect_state("finished")
    page, first = card.page, card.run_id
    activate(page, 0)
    page.evaluate(
        """async () => { const run = name => window.jupyterapp.commands.execute(name);
        await run('notebook:copy-cell'); await run('notebook:paste-cell-below'); }"""
    )
    copy = Card(page, output(page, 1)).expect_state("finished")
    assert copy.run_id == first
    again(page, 1).click()
    second = successor(copy, first, store)
    assert card.run_id == first
    again(page, 0).click()
    third = successor(card, first, store)
    assert copy.run_id == second
    save(page)
    assert saved_output(desk.path, 0)[MIME]["id"] == third
    assert saved_output(desk.path, 1)[MIME]["id"] == second


@ONLY_LAB
def test_a_double_click_makes_one_run(desk: Desk, store: Store) -> None:
    card = desk.launch(CELL).expect_state("finished")
    first = card.run_id
    card.button("Re-launch").dblclick()
    second = successor(card, first, store)
    assert [run.id for run in store.attempts(first)] == [first, second]


@ONLY_LAB
def test_the_card_shows_what_changed_between_attempts(desk: Desk, store: Store) -> None:
    card = desk.launch(CELL).expect_state("finished")
    page, first = card.page, card.run_id
    launched = page.evaluate(
        """async ([run, spec]) => {
            const base = document.querySelector('#jupyter-config-data').textContent;
            const { baseUrl, token } = JSON.parse(base);
            const answer = await fetch(`${baseUrl}jupyter-launch/api/runs/${run}/relaunch`, {
                method: 'POST', body: JSON.stringify({ spec }),
                headers: { Authorization: `token ${token}` } });
            return (await answer.json()).id; }""",
        [first, _edited(store, first)],
    )
    store.wait(launched, lambda run: run.state.terminal, 30)
    card.press("Re-launch")
    second = successor(card, first, store)
    card.choose("What changed…")
    changes = card.root.get_by_role("region", name="What changed")
    expect(changes).to_have_text("Nothing changed.")
    others = card.root.get_by_role("combobox", name="Compared with")
    expect(others).to_have_value(first)
    others.select_option(launched)
    expect(changes).to_contain_text('-    word: "<b>other</b>"'.replace('"', ""))
    expect(changes).to_contain_text("+    word: first")
    expect(changes.locator("b")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(changes).to_have_count(0)
    attempts = card.root.get_by_role("combobox", name="Attempts")
    attempts.select_option(launched)
    card.expect_line('the config is {"word": "<b>other</b>"}')
    assert card.run_id == launched
    assert second != launched


def _edited(store: Store, run_id: str) -> Any:
    spec = json.loads(store.get(run_id).spec_json)
    spec["overrides"]["run_config"]["word"] = "<b>other</b>"
    return spec


def test_edit_and_relaunch_opens_the_form_in_place(desk: Desk, store: Store) -> None:
    card = desk.launch(CELL).expect_state("finished")
    page, first = card.page, card.run_id
    card.choose("Edit and re-launch…")
    form = output(page, 0).locator(".jl-form")
    expect(form).to_be_visible(timeout=PATIENCE_MS)
    launch = form.get_by_role("button", name="Launch now")
    expect(launch).to_be_enabled(timeout=PATIENCE_MS)
    launch.click()
    below = Card(page, form).expect_state("finished")
    assert store.get(below.run_id).parent == first
    expect(card.root.first).to_have_attribute("data-run", first)
    form.get_by_role("button", name="Close").first.click()
    expect(form).to_have_count(0)


@ONLY_LAB
def test_a_busy_kernel_leaves_the_editor_of_the_spec(desk: Desk, store: Store) -> None:
    card = desk.launch(CELL, "import time; time.sleep(600)").expect_state("finished")
    page, first = card.page, card.run_id
    run_cell(page, 1)
    page.wait_for_function(
        f"() => {NOTEBOOK}.sessionContext.session.kernel.status === 'busy'", timeout=PATIENCE_MS
    )
    card.choose("Edit and re-launch…")
    edited = card.root.get_by_role("textbox", name="Launch spec")
    edited.fill(edited.input_value().replace("first", "new"))
    edited.press("Control+Enter")
    successor(card, first, store)
    card.expect_line(NEW)


@ONLY_LAB
def test_what_nobody_knows_any_more_is_said(desk: Desk) -> None:
    card = desk.launch(CELL).expect_state("finished")
    first = card.run_id
    save(card.page)
    card.page.close()
    desk.server.end_kernels()
    text = desk.path.read_text().replace(first, "notthere")
    desk.path.write_text(re.sub(r'"store": "\w+"', '"store": "another"', text))
    page = desk.again()
    Card(page, output(page, 0)).expect_state("finished").expect_live("saved")
    again(page, 0).click()
    dialog = page.locator(".jp-Dialog")
    expect(dialog).to_contain_text("cannot be launched again from here", timeout=PATIENCE_MS)
    dialog.get_by_role("button", name="Ok").click()


@ONLY_LAB
def test_a_cell_is_launched_by_its_toolbar_before_it_ever_was(desk: Desk) -> None:
    page = desk.open(CELL)
    again(page, 0).click()
    wait_executed(page, 0)
    Card(page, output(page, 0)).expect_state("finished").expect_line(FIRST)
