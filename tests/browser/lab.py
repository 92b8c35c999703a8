"""A real JupyterLab or Notebook 7, and a real Chromium that looks at it."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Locator, Page, sync_playwright

CHROMIUM = os.environ.get("JUPYTER_LAUNCH_TEST_CHROMIUM", "/usr/bin/chromium")
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # what is not in front must go on as well: tests look at several pages at once
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
]
NOTEBOOK = "window.jupyterapp.shell.currentWidget"
QUIET = {
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    }
}
MIME = "application/vnd.jupyter-launch.run.v1+json"
LOADED = "c.InteractiveShellApp.extensions = ['jupyter_launch']\n"
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def write_notebook(
    path: Path, cells: Sequence[str], outputs: Sequence[dict[str, Any]] = ()
) -> None:
    """Write a notebook of code cells, the first of which may have outputs."""
    made: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "source": source,
            "outputs": [] if number else list(outputs),
            "execution_count": None,
        }
        for number, source in enumerate(cells)
    ]
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": KERNEL}}
    path.write_text(json.dumps({**notebook, "cells": made}))


def saved_output(path: Path, cell: int = 0) -> dict[str, Any]:
    """Give the one output that a cell has in a notebook file: its data by MIME type."""
    (output,) = json.loads(path.read_text())["cells"][cell]["outputs"]
    data: dict[str, Any] = output["data"]
    return data


class Server:
    """A Jupyter server of its own on a loopback port; its kernels have the magics loaded.

    Parameters
    ----------
    app : str
        ``lab`` or ``notebook``.
    root : Path
        Where the notebooks are, and below ``.jupyter`` everything the server writes.
    switches : str
        Further arguments of the server.
    """

    def __init__(self, app: str, root: Path, *switches: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.app, self.root, self.switches = app, root, switches
        self.token = secrets.token_hex(16)
        own = root / ".jupyter"
        for name, values in QUIET.items():
            path = own / "settings" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(values))
        profile = own / "ipython/profile_default"
        profile.mkdir(parents=True)
        (profile / "ipython_config.py").write_text(LOADED)
        self.config = own / "config"
        self.environment = {
            **os.environ,
            "JUPYTER_CONFIG_DIR": str(self.config),
            "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(own / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(own / "workspaces"),
            "IPYTHONDIR": str(own / "ipython"),
        }
        self.log = own / "server.log"

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server, on the same port and with the same token each time."""
        command = [sys.executable, "-m", "jupyter", self.app, "--no-browser", "--allow-root"]
        command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={self.port}"]
        command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={self.token}"]
        command += [f"--ServerApp.root_dir={self.root}", "--expose-app-in-browser"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.switches],
                env=self.environment,
                stdout=log,
                stderr=log,
                cwd=self.root,
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)  # the server has no other way to say that it is up

    def stop(self) -> None:
        """End the server, and with it its kernels."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def url(self, notebook: str) -> str:
        """Give the address at which a notebook opens."""
        tail = f"lab/tree/{notebook}?reset&" if self.app == "lab" else f"notebooks/{notebook}?"
        return f"http://127.0.0.1:{self.port}/{tail}token={self.token}"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Make a request of the server's REST API."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def start_kernel(self, notebook: str) -> None:
        """Start a notebook's kernel, so that the page finds it when it opens."""
        kernel = {"name": KERNEL["name"]}
        session = {"path": notebook, "name": notebook, "type": "notebook", "kernel": kernel}
        self.ask("POST", "api/sessions", session)

    def end_kernels(self) -> None:
        """Shut all kernels down."""
        for session in self.ask("GET", "api/sessions"):
            self.ask("DELETE", f"api/sessions/{session['id']}")

    def _answers(self) -> bool:
        try:
            self.ask("GET", "api/status")
        except (urllib.error.URLError, OSError):
            return False
        return True


@contextmanager
def chromium(profile: Path) -> Iterator[BrowserContext]:
    """Give a Chromium with an empty profile."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(profile),
            executable_path=CHROMIUM,
            headless=True,
            args=SWITCHES,
            viewport={"width": 1200, "height": 900},
            permissions=["clipboard-read", "clipboard-write", "notifications"],
        )
        yield context
        context.close()


@contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """Give a page of a Chromium with an empty profile."""
    with chromium(profile) as context:
        page = context.new_page()
        page.on("dialog", lambda dialog: dialog.accept())
        yield page


def open_notebook(page: Page, server: Server, notebook: str, *, kernel: bool = True) -> None:
    """Open a notebook and wait until it is there, with its kernel connected and idle."""
    if kernel:
        server.start_kernel(notebook)
    page.goto(server.url(notebook), wait_until="commit")
    wait_open(page, kernel=kernel)


def wait_open(page: Page, *, kernel: bool = True) -> None:
    """Wait until the page's notebook is there, and its kernel if it has one."""
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell .cm-content", timeout=60_000)
    page.wait_for_function(
        f"""kernel => {{ const panel = window.jupyterapp && {NOTEBOOK};
        return panel?.context?.isReady
            && (!kernel || panel.sessionContext?.session?.kernel?.status === 'idle'); }}""",
        arg=kernel,
        timeout=60_000,
    )


def run_cell(page: Page, number: int) -> None:
    """Run a cell as the toolbar does, without waiting for it."""
    page.evaluate(
        f"""number => {{ const cells = {NOTEBOOK}.content; cells.deselectAll();
        cells.activeCellIndex = number;
        window.jupyterapp.commands.execute('notebook:run-cell'); }}""",
        number,
    )


def wait_executed(page: Page, number: int, timeout_s: float = 60) -> None:
    """Wait until a cell has been run to its end."""
    page.wait_for_function(
        f"""number => {{ const cell = {NOTEBOOK}.content.widgets[number].model;
        return cell.executionCount !== null && cell.executionState === 'idle'; }}""",
        arg=number,
        timeout=timeout_s * 1000,
    )


def save(page: Page) -> None:
    """Save the notebook."""
    page.evaluate(f"async () => {{ await {NOTEBOOK}.context.save(); }}")


def save_until(page: Page, path: Path, met: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Save until what the first cell's output is in the file is as it should be, and give it.

    A page asks what to save of a run when something has changed, and nothing shows that it knows.
    """
    deadline = time.monotonic() + 30
    save(page)
    while not met(saved_output(path)):
        assert time.monotonic() < deadline, saved_output(path)
        page.wait_for_timeout(100)
        save(page)
    return saved_output(path)


def dirty(page: Page) -> bool:
    """Say whether the notebook has changes that are not saved."""
    return bool(page.evaluate(f"() => {NOTEBOOK}.context.model.dirty"))


def output(page: Page, number: int) -> Locator:
    """Give the locator of a cell's output area."""
    return page.locator(".jp-NotebookPanel .jp-Cell").nth(number).locator(".jp-Cell-outputArea")
