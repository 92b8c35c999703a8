"""A real Jupyter server with the extension, and what talks to it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import requests
import websocket

from jupyter_launch.owner import new_owner
from jupyter_launch.runs import Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import OWNED, State
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import Change, Store
from jupyter_launch.submit import Launcher
from tests.conftest import end_agents

OTHERS = ("jupyterlab", "jupyter_lsp", "jupyter_server_terminals", "notebook", "notebook_shim")
"""Extensions that would only slow the start down."""


class JupyterServer:
    """A Jupyter server of its own on a loopback port, with a store of its own.

    Parameters
    ----------
    root : Path
        Where it works; everything it writes is below.
    settings : sequence of str
        More of its command line.
    base_url : str
        Where it is below its address.
    environment : mapping
        More of its environment.
    """

    def __init__(
        self,
        root: Path,
        settings: Sequence[str] = (),
        *,
        base_url: str = "/",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root, self.settings, self.base_url = root, settings, base_url
        self.token = secrets.token_hex(16)
        self.port = _free_port()
        self.store_url = f"sqlite:///{root}/store/launch.db"
        self.environment = {
            **{name: value for name, value in os.environ.items() if _neutral(name)},
            "JUPYTER_CONFIG_DIR": str(root / "config"),
            "JUPYTER_DATA_DIR": str(root / "data"),
            "JUPYTER_RUNTIME_DIR": str(root / "runtime"),
            "IPYTHONDIR": str(root / "ipython"),
            "JUPYTER_LAUNCH_STORE": self.store_url,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")])),
            **(environment or {}),
        }
        self.log_file = root / "server.log"

    def __enter__(self) -> JupyterServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it answers."""
        extensions = {**dict.fromkeys(OTHERS, False), "jupyter_launch": True}
        command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"]
        command += [f"--ServerApp.jpserver_extensions={extensions}", "--ServerApp.ip=127.0.0.1"]
        command += [f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0"]
        command += [f"--ServerApp.root_dir={self.root}", f"--ServerApp.base_url={self.base_url}"]
        command += [f"--IdentityProvider.token={self.token}", *self.settings]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, cwd=self.root
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)  # the server has no other way to say that it is up

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End it, and wait until it has ended."""
        self.process.send_signal(how)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def store(self) -> Store:
        """Open the store it serves."""
        return open_store(self.store_url)

    @property
    def log(self) -> str:
        """What the server said."""
        return self.log_file.read_text(encoding="utf-8")

    @property
    def root_url(self) -> str:
        """Its address, with its base URL."""
        return f"http://127.0.0.1:{self.port}{self.base_url}"

    @property
    def api(self) -> str:
        """Below what the routes are."""
        return f"{self.root_url}jupyter-launch/api/"

    def session(self) -> requests.Session:
        """Give a client that shows the token."""
        client = requests.Session()
        client.headers["Authorization"] = f"token {self.token}"
        client.trust_env = False
        return client

    def browser_session(self) -> requests.Session:
        """Give a client that has logged in, as a browser: with a cookie."""
        client = requests.Session()
        client.trust_env = False
        client.get(f"{self.root_url}login", timeout=30)
        form = {"password": self.token, "_xsrf": client.cookies["_xsrf"]}
        answer = client.post(f"{self.root_url}login", data=form, timeout=30)
        assert answer.ok, answer.text
        return client

    def stream(self, **options: Any) -> Page:
        """Open the websocket as a page does."""
        return Page(self, **options)

    def _answers(self) -> bool:
        try:
            return self.session().get(f"{self.root_url}api", timeout=5).ok
        except requests.ConnectionError:
            return False


class Page:
    """The page's end of the websocket.

    Parameters
    ----------
    server : JupyterServer
        Whose.
    **options
        For `websocket.create_connection`; without ``header``, it shows the token.
    """

    def __init__(self, server: JupyterServer, **options: Any) -> None:
        options.setdefault("header", {"Authorization": f"token {server.token}"})
        options.setdefault("timeout", 30)
        address = server.api.replace("http://", "ws://") + "stream"
        self.socket = websocket.create_connection(address, http_no_proxy=["*"], **options)

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, **message: Any) -> None:
        """Send a message."""
        self.socket.send(json.dumps(message))

    def hear(self, **like: Any) -> tuple[dict[str, Any], bytes]:
        """Give the next message that has these values, and its buffer; others are passed over."""
        while True:
            kind, data = self.socket.recv_data()
            assert kind in {websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY}, data
            buffer = b""
            if kind == websocket.ABNF.OPCODE_BINARY:
                end = 4 + int.from_bytes(data[:4], "big")
                data, buffer = data[4:end], data[end:]
            message: dict[str, Any] = json.loads(data)
            if like.items() <= message.items():
                return message, buffer

    def closed(self) -> int:
        """Give the code the server closes the socket with."""
        while True:
            kind, data = self.socket.recv_data()
            if kind == websocket.ABNF.OPCODE_CLOSE:
                return int.from_bytes(data[:2], "big")


def cell(body: str, **fields: Any) -> dict[str, Any]:
    """Write the spec of a cell that runs as a process of this machine."""
    source = {"kind": "cell", "body": body, "python": sys.executable}
    return {"source": source, "resource": "local-process", **fields}


def recorded(store: Store, log: bytes = b"", **fields: Any) -> Run:
    """Record a run that has ended, without running anything."""
    owner = new_owner()
    run = store.submit(LaunchSpec.from_dict(cell("#!/bin/true\n", **fields)), owner=owner)
    store.move(run.id, owner, State.STARTING, Change())
    store.move(run.id, owner, State.RUNNING, Change(resource="local-process"))
    for start in range(0, len(log), 1 << 20):
        store.append_log(run.id, owner, [(1, log[start : start + (1 << 20)])])
    return store.move(run.id, owner, State.FINISHED, Change(exit_code=0))


def end_runs(store: Store) -> None:
    """End what the runs of a store left on this machine."""
    launcher = Launcher(store)
    launcher.sweep()
    for run in store.runs(states=[*OWNED, State.PENDING]):
        launcher.handle(run.id).stop(kill=True)
    end_agents(store)
    launcher.close()
    store.close()


def serving(root: Path, *settings: str, **options: Any) -> Iterator[JupyterServer]:
    """Give a server, and end what was started through it."""
    with JupyterServer(root, settings, **options) as server:
        yield server
    end_runs(server.store())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _neutral(name: str) -> bool:
    return not name.startswith(("JUPYTER_", "JPY_", "WANDB_")) or "_TEST_" in name
