"""What the browser tests share: one store, one Chromium, one server of each application."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from jupyter_launch.errors import StoreError
from jupyter_launch.states import State
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import Store
from jupyter_launch.submit import close_all
from tests.browser.card import Card
from tests.browser.lab import (
    Server,
    chromium,
    open_notebook,
    output,
    run_cell,
    wait_executed,
    write_notebook,
)
from tests.conftest import clean_environment, end_agents, remove_containers

NUMBERS = itertools.count()
OURS = ("extensions/jupyter_launch/", "blob:")
"""Where our code comes from in a page: the applications have errors of their own."""


@pytest.fixture(scope="package", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep tests and the data, settings and W&B account of whoever runs them apart."""
    folder = tmp_path_factory.mktemp("browser")
    with pytest.MonkeyPatch.context() as patch:
        clean_environment(patch, folder)
        yield folder
        close_all()


@pytest.fixture(scope="package")
def store(own_environment: Path) -> Iterator[Store]:
    """Give the store of all servers here."""
    made = open_store(f"sqlite:///{own_environment}/store/launch.db")
    yield made
    end_agents(made)
    made.close()


@pytest.fixture(scope="package")
def context(own_environment: Path) -> Iterator[BrowserContext]:
    """Give a running Chromium."""
    with chromium(own_environment / "profile") as made:
        yield made


ONLY_LAB = pytest.mark.parametrize("app", ["lab"], indirect=True)
"""For what cannot be another thing in Notebook."""


@pytest.fixture(scope="package", params=["lab", "notebook"])
def app(request: pytest.FixtureRequest) -> str:
    """Name the application."""
    return str(request.param)


@pytest.fixture(scope="package")
def shared_server(app: str, own_environment: Path) -> Iterator[Server]:
    """Give a running server with all our extensions."""
    with Server(app, folder(own_environment, app)) as made:
        yield made


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    """Give that server; a test's kernels end with it."""
    yield shared_server
    shared_server.end_kernels()


def folder(parent: Path, name: str) -> Path:
    """Make a folder for a server."""
    made = parent / name
    made.mkdir()
    return made


@dataclass
class Desk:
    """Where a test opens notebooks, each in a page of its own.

    Parameters
    ----------
    context : BrowserContext
        The browser.
    server : Server
        Where the notebooks are.
    errors : list of str
        What pages said of errors that nobody caught.
    """

    context: BrowserContext
    server: Server
    errors: list[str]
    notebook: str = ""

    def page(self) -> Page:
        """Open an empty page."""
        page = self.context.new_page()
        page.on("dialog", lambda dialog: dialog.accept())
        page.on("pageerror", lambda error: self.errors.append(f"{error}\n{error.stack}"))
        return page

    def open(self, *cells: str) -> Page:
        """Open a new notebook with these cells."""
        self.notebook = f"{next(NUMBERS)}.ipynb"
        write_notebook(self.path, cells)
        return self.again()

    def again(self, *, kernel: bool = True) -> Page:
        """Open the notebook in one more page."""
        page = self.page()
        open_notebook(page, self.server, self.notebook, kernel=kernel)
        return page

    def launch(self, *cells: str) -> Card:
        """Open a new notebook and run its first cell; give the card in its output."""
        page = self.open(*cells)
        run_cell(page, 0)
        wait_executed(page, 0)  # then the application takes the focus for the last time
        return Card(page, output(page, 0))

    @property
    def path(self) -> Path:
        """The notebook's file."""
        return self.server.root / self.notebook


Desks = Callable[[Server], Desk]


@pytest.fixture
def desks(context: BrowserContext, store: Store) -> Iterator[Desks]:
    """Give what makes desks; all is cleared away at the end, and no page may have had an error."""
    before = set(context.pages)
    errors: list[str] = []
    yield lambda server: Desk(context, server, errors)
    with ExitStack() as stack:
        for page in set(context.pages) - before:
            stack.callback(page.close)
    end_runs(store)
    ours = [error for error in errors if any(place in error for place in OURS)]
    assert not ours


@pytest.fixture
def desk(server: Server, desks: Desks) -> Desk:
    """Give a desk at the shared server."""
    return desks(server)


def end_runs(store: Store) -> None:
    """End what a test launched and left running."""
    for run in store.runs(states=[state for state in State if not state.terminal]):
        with contextlib.suppress(StoreError):  # it has ended meanwhile
            store.request_stop(run.id, kill=True)
    remove_containers(store)
