"""Launching again: by the magic, the command line, a handle and the server."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from jupyter_launch.frontends import cli
from jupyter_launch.frontends.api import Api
from jupyter_launch.frontends.saved import MIME
from jupyter_launch.runs import Queue, QueueRecord
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores.base import Store
from tests.jupyter_server import JupyterServer, cell, recorded, serving
from tests.kernels import Kernel, kernel

TELL = "import os; print(os.environ['WANDB_CONFIG'])"
HERE = "%load_ext jupyter_launch\n%config LaunchMagics.resource = 'local-process'"


@pytest.fixture
def live() -> Iterator[Kernel]:
    """Give a kernel whose output somebody watches, with the extension loaded."""
    with kernel(live=True) as made:
        made.run(HERE)
        yield made


def config_of(store: Store, run_id: str) -> Any:
    """Give the run config that a run's program was given, once it has ended."""
    assert store.wait(run_id, lambda run: run.state.terminal, 30)
    return json.loads(store.read_log(run_id))


def shown(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the record of the one card that a cell showed."""
    (bundle,) = [m["content"]["data"] for m in messages if m["msg_type"] == "display_data"]
    record: dict[str, Any] = bundle[MIME]
    return record


class TestMagic:
    def test_it_launches_what_was_launched_last_here(self, live: Kernel, store: Store) -> None:
        first = shown(live.run(f"%%launch --set lr=0.1 epochs=3\n{TELL}"))["id"]
        second = shown(live.run("%relaunch --set lr=0.2 -o again"))["id"]
        assert live.value("print(repr(again.id))") == second
        assert store.get(second).parent == first
        assert config_of(store, second) == {"lr": 0.2, "epochs": 3}
        third = shown(live.run("%relaunch -c '{\"epochs\": 4}'"))["id"]
        assert store.get(third).parent == second
        assert config_of(store, third) == {"lr": 0.2, "epochs": 4}
        fourth = shown(live.run(f"%relaunch {first}"))["id"]
        assert config_of(store, fourth) == {"lr": 0.1, "epochs": 3}
        assert {run.id for run in store.attempts(third)} == {first, second, third, fourth}

    def test_a_handle_and_values_come_from_variables(self, live: Kernel, store: Store) -> None:
        live.run(f"%%launch --set lr=0.1 -o run\n{TELL}")
        live.run(f"%%launch -o other\n{TELL}")
        live.run("rate = 0.5")
        again = shown(live.run("%relaunch $run --set lr=$rate"))["id"]
        assert store.get(again).parent == live.value("print(repr(run.id))")
        assert config_of(store, again) == {"lr": 0.5}

    def test_a_fresh_kernel_takes_the_newest_of_its_notebook(
        self, live: Kernel, store: Store
    ) -> None:
        ours = shown(live.run(f"%%launch --set lr=0.1 --wait\n{TELL}"))["id"]
        recorded(store, **cell(TELL), origin={"notebook": "/somewhere/else.ipynb"})
        with kernel(live=True) as fresh:
            fresh.run(HERE)
            again = shown(fresh.run("%relaunch"))["id"]
        assert store.get(again).parent == ours

    @pytest.mark.parametrize(
        "typed",
        [
            "%launch task.py",
            "%launch -u .",
            "%launch -j task",
            "%%launch --spec\nuri: .",
            "import jupyter_launch as jl\nrun = jl.launch(None, config={'uri': '.', **HERE})",
        ],
    )
    def test_whatever_a_notebook_launched_is_found_by_a_fresh_kernel(
        self, live: Kernel, store: Store, typed: str
    ) -> None:
        Path("task.py").write_text(TELL, encoding="utf-8")
        Path("main.py").write_text(TELL, encoding="utf-8")
        Api().create_job("code", "task.py", name="task")
        live.run("HERE = {'resource': 'local-process'}")
        live.run(typed)
        (ours,) = store.runs()
        assert store.wait(ours.id, lambda run: run.state.terminal, 30)
        assert store.runs(notebook="/tests/notebook.ipynb") == [store.get(ours.id)]
        recorded(store, **cell(TELL))
        with kernel(live=True) as fresh:
            fresh.run(HERE)
            again = shown(fresh.run("%relaunch"))["id"]
        assert store.get(again).parent == ours.id
        assert store.get(again).spec.origin == ours.spec.origin

    def test_what_is_wrong_is_a_usage_error_and_launches_nothing(
        self, live: Kernel, store: Store
    ) -> None:
        for line, words in (
            ("%relaunch", "There is no run to launch again"),
            ("%relaunch nothere1", "There is no run 'nothere1'"),
            ("%relaunch a b", "one argument too many"),
            ("%relaunch --sett lr=1", "Did you mean --set"),
            ("%relaunch nothere1 --set lr", "NAME=VALUE"),
            ("%relaunch $nothing", "There is no variable 'nothing'"),
        ):
            error = live.error(line)
            said = live.text(line) + error
            assert words in said, line
            assert "UsageError" in said, line
        assert store.runs() == []

    def test_help_is_printed(self, live: Kernel) -> None:
        assert "--set" in live.text("%relaunch --help")

    def test_a_waiting_cell_fails_with_the_run(self, live: Kernel) -> None:
        live.run("%%launch -o run\nraise SystemExit(3)")
        assert live.error("%relaunch --wait").startswith("ExecutionError")


def test_a_card_knows_the_text_of_its_cell(live: Kernel) -> None:
    code = f"# naïve\nx = 1\nget_ipython().run_cell_magic('launch', '', {TELL!r})"
    (output,) = [m["content"] for m in live.run(code) if m["msg_type"] == "display_data"]
    assert output["metadata"] == {MIME: {"cell": zlib.crc32(code.encode())}}


class TestCommandLine:
    def test_it_shows_the_log_and_ends_as_the_run(
        self, store: Store, capfd: pytest.CaptureFixture[str]
    ) -> None:
        Path("s.py").write_text("import sys; print(sys.argv); sys.exit(len(sys.argv) - 1)")
        assert cli.run(["run", "s.py", "-r", "local-process", "--run-id", "s", "--", "x"]) == 1
        Path("s.py").unlink()
        capfd.readouterr()
        assert cli.run(["relaunch", "s"]) == 1
        assert "['s.py', 'x']" in capfd.readouterr().out
        newest = store.runs(limit=1)[0]
        assert (newest.parent, newest.state) == ("s", State.FAILED)

    def test_values_are_changed_and_json_is_printed(
        self, store: Store, capfd: pytest.CaptureFixture[str]
    ) -> None:
        run = recorded(store, source=cell(TELL)["source"], overrides={"run_config": {"a": 1}})
        assert cli.run(["relaunch", run.id, "--set", "a=2", "b=[1, 2]", "--json"]) == 0
        told = json.loads(capfd.readouterr().out)
        assert (told["parent"], told["state"]) == (run.id, "finished")
        assert config_of(store, told["id"]) == {"a": 2, "b": [1, 2]}

    def test_one_that_is_not_there_is_wrong_usage(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert cli.run(["relaunch", "nothere1"]) == cli.USAGE
        assert "There is no run 'nothere1'" in capfd.readouterr().err

    def test_a_queued_one_is_queued_again_without_waiting(
        self, store: Store, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("jupyter_launch.submit.start_agent", lambda *_: None)
        queue = Queue("me", "q")
        store.create_queue(QueueRecord(queue, "local-process"))
        spec = {**cell(TELL), "queue": "q", "queue_entity": "me", "entity": "me"}
        first = Api().launcher.add(LaunchSpec.from_dict(spec))
        assert cli.run(["relaunch", first.id]) == 0
        again = store.get(capfd.readouterr().out.strip())
        assert (again.parent, again.queue, again.state) == (first.id, queue, State.PENDING)


class TestServer:
    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[JupyterServer]:
        yield from serving(tmp_path / "server")

    @pytest.fixture
    def client(self, server: JupyterServer) -> Iterator[requests.Session]:
        with server.session() as made:
            yield made

    def test_what_changed_between_two_attempts(
        self, server: JupyterServer, client: requests.Session
    ) -> None:
        served = server.store()
        old = recorded(served, source=cell("x = 1")["source"], run_id="old")
        new = recorded(served, source=cell("x = 2")["source"], run_id="new")
        served.close()
        answer = client.get(f"{server.api}runs/{new.id}/diff?with={old.id}", timeout=30)
        lines = answer.json()["lines"]
        assert lines[:2] == ["--- cell (old)", "+++ cell (new)"]
        assert lines[-2:] == ["-x = 1", "+x = 2"]
        with server.stream() as page:
            page.say(t="ask", v="v", run=new.id, id=1, verb="diff", **{"with": old.id})
            assert page.hear(t="answer")[0]["lines"] == lines
            page.say(t="ask", v="v", run=new.id, id=2, verb="diff", **{"with": "nothere1"})
            said, _ = page.hear(t="answer")
            assert not said["ok"]
            assert "nothere1" in said["message"]
        for query, status in (("", 400), ("?with=", 400), ("?with=../x", 400), ("?with=no", 404)):
            answer = client.get(f"{server.api}runs/{new.id}/diff{query}", timeout=30)
            assert answer.status_code == status, query
        assert sys.executable not in "".join(lines)
