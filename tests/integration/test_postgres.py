"""Two machines that share a PostgreSQL store: processes with data folders of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from jupyter_launch.owner import known_dead
from jupyter_launch.runs import Run
from jupyter_launch.states import State
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import NEW_WORK, Store
from tests.conftest import end_agents
from tests.jupyter_server import JupyterServer
from tests.postgres import PASSWORD, Server

pytestmark = pytest.mark.postgres

COMMAND = [sys.executable, "-m", "jupyter_launch"]
PROGRAM = """
import os, pathlib, signal, sys
print("begun", flush=True)
gate = pathlib.Path(sys.argv[1])
with gate.open() as opened: opened.read()
(pathlib.Path(os.environ["JUPYTER_LAUNCH_OUTPUT_DIR"]) / "model.bin").write_bytes(b"x" * 3_000_000)
print("ended")
"""


@dataclass(frozen=True)
class Machine:
    """A machine: its own folders, and the address of the store that all share."""

    environment: dict[str, str]
    folder: Path

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *words],
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *words: str) -> str:
        with self.start(*words) as process:
            out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert PASSWORD not in out + err
        return out


@pytest.fixture
def store(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    url = postgres.new_database()
    monkeypatch.setenv("JUPYTER_LAUNCH_STORE", url)
    with contextlib.closing(open_store(url)) as made:
        yield made
        end_agents(made)


@pytest.fixture
def machines(store: Store, tmp_path: Path) -> list[Machine]:
    """Give two."""
    made = []
    for name in ("one", "two"):
        folder = tmp_path / name
        (folder / "work").mkdir(parents=True)
        own = {"JUPYTER_DATA_DIR": f"{folder}/data", "JUPYTER_LAUNCH_ENTITY": "ann"}
        own["JUPYTER_LAUNCH_AGENT_ALLOW_RESOURCES"] = "*"
        made.append(Machine({**os.environ, **own}, folder / "work"))
    return made


@pytest.fixture
def agent(machines: list[Machine], store: Store) -> Iterator[subprocess.Popen[str]]:
    """Run an agent on the second machine."""
    with machines[1].start("agent", "-q", "default", "--max-jobs", "2", "--trusted") as process:
        try:
            with store.listen(NEW_WORK) as listener:
                while not store.agents():
                    assert process.poll() is None, process.communicate()
                    listener.wait(0.1)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def added(here: Machine, store: Store, folder: Path) -> tuple[Run, Path]:
    """Put a run of `PROGRAM` on the queue from a machine; give it, and the gate it waits at."""
    gate = folder / "gate"
    os.mkfifo(gate)
    (here.folder / "train.py").write_text(PROGRAM)
    said = here.call("add", "-r", "local-process", "train.py", "--", str(gate))
    (run,) = store.runs()
    assert run.id in said
    return run, gate


def test_a_run_added_on_one_machine_is_executed_on_another(
    machines: list[Machine], store: Store, agent: subprocess.Popen[str], tmp_path: Path
) -> None:
    here, _ = machines
    run, gate = added(here, store, tmp_path)
    with here.start("logs", "-f", run.id) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "begun\n"
        assert store.get(run.id).state is State.RUNNING
        assert known_dead(store.get(run.id).owner or "") is False
        assert (store.get(run.id).owner or "").split(":")[2] == str(agent.pid)
        with gate.open("w"):
            pass
        assert following.stdout.readline() == "ended\n"
        assert following.stdout.read() == ""
    ended = store.wait(run.id, lambda now: now.state.terminal, 30)
    assert ended is not None
    assert (ended.state, ended.exit_code) == (State.FINISHED, 0)
    assert here.call("logs", run.id) == "begun\nended\n"
    assert run.id in here.call("list")
    assert "finished" in here.call("show", run.id)
    (kept,) = json.loads(here.call("artifacts", run.id, "--json"))
    assert (kept["name"], kept["size"]) == ("model.bin", 3_000_000)
    here.call("artifacts", run.id, "--to", str(tmp_path / "copy"))
    assert (tmp_path / "copy/model.bin").read_bytes() == b"x" * 3_000_000


def test_a_run_is_stopped_from_another_machine(
    machines: list[Machine], store: Store, agent: subprocess.Popen[str], tmp_path: Path
) -> None:
    here, _ = machines
    run, _ = added(here, store, tmp_path)
    assert store.wait(run.id, lambda now: now.state is State.RUNNING, 30)
    here.call("stop", run.id)
    ended = store.wait(run.id, lambda now: now.state.terminal, 30)
    assert ended is not None
    assert ended.state is State.STOPPED


def test_an_agent_that_is_started_by_itself_has_no_password_in_its_arguments(
    machines: list[Machine], store: Store
) -> None:
    here, _ = machines
    (here.folder / "quick.py").write_text("print('done')")
    here.call("add", "-r", "local-process", "quick.py")
    (run,) = store.runs()
    ended = store.wait(run.id, lambda now: now.state.terminal, 60)
    assert ended is not None
    assert ended.state is State.FINISHED, store.events(run.id)
    (serving_agent,) = store.agents()
    pid = serving_agent.owner.split(":")[2]
    said = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    assert "jupyter_launch" in said
    assert PASSWORD not in said


def test_a_jupyter_server_serves_the_store(
    machines: list[Machine],
    store: Store,
    agent: subprocess.Popen[str],
    tmp_path: Path,
) -> None:
    here, _ = machines
    (here.folder / "quick.py").write_text("print('done')")
    here.call("add", "-r", "local-process", "quick.py")
    (run,) = store.runs()
    assert store.wait(run.id, lambda now: now.state.terminal, 60)
    environment = {"JUPYTER_LAUNCH_STORE": store.address}
    with JupyterServer(tmp_path / "server", environment=environment) as server:
        headers = {"Authorization": f"token {server.token}"}
        listed = requests.get(f"{server.api}runs", headers=headers, timeout=30)
        assert [shown["id"] for shown in listed.json()["runs"]] == [run.id]
        logged = requests.get(f"{server.api}runs/{run.id}/log", headers=headers, timeout=30)
        assert logged.content == b"done\n"
        assert PASSWORD not in listed.text + server.log
