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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

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
]
NOTEBOOK = "window.jupyterapp.shell.currentWidget"
QUIET = {
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    }
}


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """Write a notebook of code cells without outputs."""
    made: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(cells)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}}
    path.write_text(json.dumps({**notebook, "cells": made}))


class Server:
    """A Jupyter server of its own on a loopback port.

    Parameters
    ----------
    app : str
        ``lab`` or ``notebook``.
    root : Path
        Where the notebooks are, and below ``.jupyter`` everything the server writes.
    """

    def __init__(self, app: str, root: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.app, self.root, self.token = app, root, secrets.token_hex(16)
        own = root / ".jupyter"
        for name, values in QUIET.items():
            path = own / "settings" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(values))
        self.environment = {
            **os.environ,
            "JUPYTER_CONFIG_DIR": str(own / "config"),
            "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(own / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(own / "workspaces"),
            "IPYTHONDIR": str(own / "ipython"),
        }
        self.log = own / "server.log"

    def __enter__(self) -> Server:
        command = [sys.executable, "-m", "jupyter", self.app, "--no-browser", "--allow-root"]
        command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={self.port}"]
        command += [f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.root}"]
        command += ["--expose-app-in-browser"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, cwd=self.root
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)  # the server has no other way to say that it is up
        return self

    def __exit__(self, *_: object) -> None:
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

    def _answers(self) -> bool:
        address = f"http://127.0.0.1:{self.port}/api/status?token={self.token}"
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """Give a page of a Chromium with an empty profile."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(profile),
            executable_path=CHROMIUM,
            headless=True,
            args=SWITCHES,
            viewport={"width": 1200, "height": 900},
        )
        page = context.new_page()
        page.on("dialog", lambda dialog: dialog.accept())
        yield page
        context.close()


def open_notebook(page: Page, server: Server, notebook: str) -> None:
    """Open a notebook and wait until its kernel is connected and idle."""
    page.goto(server.url(notebook), wait_until="domcontentloaded")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell .cm-content", timeout=60_000)
    page.wait_for_function(
        f"""() => {{ const panel = window.jupyterapp && {NOTEBOOK};
        return panel?.context?.isReady
            && panel.sessionContext?.session?.kernel?.status === 'idle'; }}""",
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


def output(page: Page, number: int) -> Any:
    """Give the locator of a cell's output area."""
    return page.locator(".jp-NotebookPanel .jp-Cell").nth(number).locator(".jp-Cell-outputArea")
