"""The card survives the end of the kernel, and of the server."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from jupyter_launch.owner import known_dead, pid_of
from jupyter_launch.states import State
from jupyter_launch.stores.base import Store
from tests.browser.card import COUNT, counted, finished
from tests.browser.conftest import Desk, Desks, folder
from tests.browser.lab import NOTEBOOK, Server

pytestmark = [pytest.mark.browser, pytest.mark.docker]


def read_dialogs(page: Page) -> None:
    """Close what the application says about kernels and connections that are gone, as one does."""
    page.add_locator_handler(
        page.locator(".jp-Dialog"),
        lambda dialog: dialog.locator("button.jp-mod-accept, button").last.click(),
    )


def test_the_kernel_is_restarted_in_the_middle(desk: Desk, store: Store) -> None:
    card = desk.launch(COUNT).streaming()
    before = store.get(card.run_id).owner
    card.page.evaluate(
        f"async () => {{ await {NOTEBOOK}.sessionContext.session.kernel.restart(); }}"
    )
    card.streaming()
    run = finished(store, card)
    assert (run.state, run.exit_code) == (State.FINISHED, 0)
    assert before is not None
    assert run.owner != before
    assert card.read_all() == counted(store, run.id)


def test_the_kernel_is_killed_in_the_middle(desk: Desk, store: Store) -> None:
    card = desk.launch(COUNT).streaming()
    read_dialogs(card.page)
    before = store.get(card.run_id).owner
    assert before is not None
    assert pid_of(before) != desk.server.process.pid
    os.kill(pid_of(before), signal.SIGKILL)
    card.streaming()
    run = finished(store, card)
    assert known_dead(before)
    assert (run.state, run.exit_code) == (State.FINISHED, 0)
    assert card.read_all() == counted(store, run.id)


@pytest.fixture
def own_server(app: str, tmp_path: Path) -> Iterator[Server]:
    """Give a server that a test may stop."""
    with Server(app, folder(tmp_path, "own")) as made:
        yield made


def test_the_server_is_restarted_in_the_middle(
    own_server: Server, desks: Desks, store: Store
) -> None:
    card = desks(own_server).launch(COUNT).streaming()
    read_dialogs(card.page)
    own_server.stop()
    card.expect_live("reconnecting")
    own_server.start()
    card.streaming()
    run = finished(store, card)
    assert (run.state, run.exit_code) == (State.FINISHED, 0)
    assert card.read_all() == counted(store, run.id)
