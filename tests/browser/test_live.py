"""A run is live in the cell it was launched from, whatever the kernel does meanwhile."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from jupyter_launch.states import State
from jupyter_launch.stores.base import Store
from tests.browser.card import COUNT, LAUNCH, Card, container, counted, finished
from tests.browser.conftest import Desk
from tests.browser.lab import NOTEBOOK, output, run_cell, save, wait_executed

pytestmark = [pytest.mark.browser, pytest.mark.docker]

GRACE_S = 300
BUSY = "while True:\n    pass"
PROMPT_S = 10
"""Far less than the grace: a program that is stopped, not killed, takes a fraction of a second."""


def test_the_next_cell_runs_while_the_log_streams(desk: Desk, store: Store) -> None:
    card = desk.launch(COUNT, "6 * 7").streaming()
    run_cell(card.page, 1)
    wait_executed(card.page, 1)
    expect(output(card.page, 1).get_by_text("42")).to_be_visible()
    card.streaming()
    run = finished(store, card)
    assert (run.state, run.exit_code, run.resource) == (State.FINISHED, 0, "local-container")
    assert card.read_all() == counted(store, run.id)


def test_a_busy_kernel_keeps_neither_the_log_nor_stop_from_working(
    desk: Desk, store: Store
) -> None:
    cell = COUNT.replace(LAUNCH, f"{LAUNCH} --grace {GRACE_S}")
    card = desk.launch(cell, BUSY).streaming()
    run_cell(card.page, 1)
    busy = f"() => {NOTEBOOK}.sessionContext.session.kernel.status === 'busy'"
    card.page.wait_for_function(busy)
    card.streaming()
    running = container(store, card.run_id)
    clicked = time.monotonic()
    card.press("Stop")
    running.wait(timeout=60, condition="not-running")
    took = time.monotonic() - clicked
    card.expect_state("stopped")
    assert card.page.evaluate(busy)
    assert took < PROMPT_S
    card.page.evaluate(f"() => {NOTEBOOK}.sessionContext.session.kernel.interrupt()")
    wait_executed(card.page, 1)


def test_the_browser_is_reloaded_in_the_middle(desk: Desk, store: Store) -> None:
    card = desk.launch(COUNT).streaming()
    run_id = card.run_id
    save(card.page)
    card.page.reload(wait_until="commit")
    card.streaming()
    assert card.run_id == run_id
    run = finished(store, card)
    assert card.read_all() == counted(store, run.id)


def test_the_same_run_in_two_tabs(desk: Desk, store: Store) -> None:
    first = desk.launch(COUNT).streaming()
    save(first.page)
    page = desk.again()
    second = Card(page, output(page, 0)).streaming()
    assert second.run_id == first.run_id
    first.streaming()
    second.press("Stop")
    second.expect_state("stopped")
    first.expect_state("stopped")
    assert store.get(first.run_id).state is State.STOPPED
    assert first.read_all() == second.read_all() == counted(store, first.run_id)
