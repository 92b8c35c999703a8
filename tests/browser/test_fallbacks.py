"""Where a part of the extension is missing, the next best one shows the run."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from jupyter_launch.states import State
from jupyter_launch.stores.base import Store
from tests.browser.card import COUNT, LAUNCH, PATIENCE_MS, Card, counted, finished, tell
from tests.browser.conftest import Desk, Desks, folder
from tests.browser.lab import MIME, Server, output, run_cell, save, saved_output, wait_executed

pytestmark = [pytest.mark.browser, pytest.mark.docker]

NO_SERVER_EXTENSION = "--ServerApp.jpserver_extensions={'jupyter_launch': False}"


@pytest.fixture(scope="module")
def bare_server(app: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a server without our server extension."""
    root = folder(tmp_path_factory.mktemp("bare"), app)
    with Server(app, root, NO_SERVER_EXTENSION) as made:
        yield made


@pytest.fixture
def bare(bare_server: Server, desks: Desks) -> Iterator[Desk]:
    """Give a desk at that server."""
    yield desks(bare_server)
    disable(bare_server)
    bare_server.end_kernels()


def disable(server: Server, *extensions: str) -> None:
    """Switch extensions off, as `jupyter labextension disable` does, and all others on."""
    path = server.config / "labconfig/page_config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"disabledExtensions": dict.fromkeys(extensions, True)}))


def use(card: Card, store: Store) -> None:
    """Use a card that is fed by a kernel: it streams, other cells run, it stops the run."""
    card.streaming()
    run_cell(card.page, 1)
    wait_executed(card.page, 1)
    run_id = card.streaming().run_id
    tell(store, run_id, "quiet")
    card.expect_line("quiet")
    assert card.read_all() == counted(store, run_id)
    card.press("Stop")
    expect(card.output).to_contain_text("stopped", timeout=PATIENCE_MS)
    assert store.get(run_id).state is State.STOPPED


def test_without_the_server_extension_the_kernel_feeds_the_card(bare: Desk, store: Store) -> None:
    use(bare.launch(COUNT, "6 * 7"), store)


def test_without_the_labextension_the_widget_shows_the_run(bare: Desk, store: Store) -> None:
    disable(bare.server, "jupyter_launch")
    use(bare.launch(COUNT, "6 * 7"), store)


def test_without_any_extension_the_record_shows_the_run(bare: Desk, store: Store) -> None:
    disable(bare.server, "jupyter_launch", "anywidget")
    page = bare.open(f"{LAUNCH}\nprint('all', 'done')\nraise SystemExit(3)")
    run_cell(page, 0)
    shown = output(page, 0)
    expect(shown).to_contain_text("exit code 3", timeout=PATIENCE_MS)
    expect(shown).to_contain_text("all done")
    expect(shown).to_contain_text("failed")
    save(page)
    assert saved_output(bare.path)[MIME]["state"] == "failed"


def test_a_notebook_from_elsewhere_shows_its_record(bare: Desk, desk: Desk, store: Store) -> None:
    card = desk.launch(COUNT).streaming()
    run = finished(store, card)
    save(card.page)
    disable(bare.server, "jupyter_launch", "anywidget")
    bare.notebook = f"from-{desk.notebook}"
    bare.path.write_bytes(desk.path.read_bytes())
    shown = output(bare.again(), 0)
    expect(shown).to_contain_text("finished")
    expect(shown).to_contain_text(run.id)
    expect(shown).to_contain_text(counted(store, run.id)[-1])
