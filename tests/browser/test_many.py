"""Twenty runs at once in one notebook, each with a thousand lines a second."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from jupyter_launch.states import State
from jupyter_launch.stores.base import Store
from tests.browser.card import LAUNCH, Card
from tests.browser.conftest import Desk
from tests.browser.lab import output, run_cell, wait_executed

pytestmark = [pytest.mark.browser, pytest.mark.docker]

RUNS = 20
LINES = 10_000
PROGRAM = f"""{LAUNCH}
import time
begun = time.monotonic()
for n in range({LINES}):
    print(f"line {{n}} " + "." * 90)
    if n % 20 == 0:
        time.sleep(max(0, begun + n / 1000 - time.monotonic()))"""


def test_the_page_stays_usable_with_twenty_runs_at_once(desk: Desk, store: Store) -> None:
    page = desk.open(*[PROGRAM] * RUNS, "6 * 7")
    for number in range(RUNS):
        run_cell(page, number)
    cards = [Card(page, output(page, number)) for number in range(RUNS)]
    cards[-1].expect_state("starting", "running").expect_live()
    run_cell(page, RUNS)
    wait_executed(page, RUNS)
    option = cards[-1].button("Line numbers")
    option.click()
    expect(option).to_have_attribute("aria-pressed", "true")
    assert any(not run.state.terminal for run in store.runs(limit=RUNS))
    for card in cards:
        card.expect_state("finished")
        card.root.scroll_into_view_if_needed()
        card.expect_total(LINES)
        assert card.total == LINES
        assert store.get(card.run_id).state is State.FINISHED
    assert len({card.run_id for card in cards}) == RUNS
    cards[0].root.scroll_into_view_if_needed()
    cards[0].expect_line(f"line {LINES - 1} " + "." * 90)
