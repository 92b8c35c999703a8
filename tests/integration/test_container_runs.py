"""Whole runs in containers on a real engine: messages, labels, files, options, clearing away."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import NotFound

from jupyter_launch import Api, ExecutionError, SpecError, SubmittedRun, launch
from jupyter_launch.states import State
from jupyter_launch.stores.base import Store
from tests.conftest import PYTHON, TINY

pytestmark = pytest.mark.docker
WAIT = ["sh", "-c", "echo begun; exec sleep 600"]


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    client = docker.from_env()
    yield client
    client.close()


def run_tiny(*command: str, **more: Any) -> SubmittedRun:
    """Launch a command in the tiny image and wait for its end, whatever it is."""
    run = launch(None, docker_image=TINY, entry_point=[*command], synchronous=False, **more)
    run.wait(timeout=60)
    return run


def failure(store: Store, **arguments: Any) -> str:
    """Launch what must fail; give the message, having looked at the record and what is left."""
    with pytest.raises(ExecutionError) as error:
        launch(None, **arguments)
    (run,) = store.runs()
    assert run.state is State.FAILED
    assert (run.owner, run.stop_requested) == (None, False)
    assert run.ended is not None
    assert [e.data["state"] for e in store.events(run.id) if e.kind == "state"][-1] == "failed"
    assert error.value.exit_code == run.exit_code
    message = str(error.value)
    assert message.startswith(f"Run {run.id} failed: ")
    assert message.endswith(f"The whole log: jupyter launch logs {run.id}")
    return message


def cleared(run: SubmittedRun) -> bool:
    """Wait until what the run left at its backend is gone."""
    deadline = time.monotonic() + 30
    while run.run.handle is not None and time.monotonic() < deadline:
        time.sleep(0.02)  # nothing rings for this
    return run.run.handle is None


class TestMessages:
    def test_the_engine_is_not_running(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
        message = failure(store, docker_image=TINY)
        assert f"The Docker Engine at unix://{tmp_path}/no.sock does not answer (no such" in message
        assert "\nStart it (Docker Desktop, colima, or: systemctl start docker), point" in message
        assert "local-process" in message
        assert message.count("Start it") == 1

    @pytest.mark.parametrize("address", ["nonsense", "tcp://127.0.0.1:1", "http+unix://x"])
    def test_the_engine_is_somewhere_else(
        self, store: Store, monkeypatch: pytest.MonkeyPatch, address: str
    ) -> None:
        monkeypatch.setenv("DOCKER_HOST", address)
        message = failure(store, docker_image=TINY)
        assert address in message or "Docker's settings are wrong" in message

    def test_the_image_is_not_found(self, store: Store) -> None:
        message = failure(store, docker_image="localhost:1/no/such:1")
        assert "Image 'localhost:1/no/such:1' is not on this engine, and pulling it fail" in message
        assert "\nCheck the name and the network, log in to its registry (docker login)" in message

    def test_the_image_has_an_impossible_name(self, store: Store) -> None:
        message = failure(store, docker_image="$(touch x); A b")
        assert "Image '$(touch x); A b': " in message
        assert "invalid reference format" in message

    @pytest.mark.parametrize("program", ["nope", "/bin/nope", "./nope", "$(id)", "a b"])
    def test_the_entry_point_is_not_in_the_image(self, store: Store, program: str) -> None:
        message = failure(store, docker_image=TINY, entry_point=[program, "x"])
        assert f"The program {program!r} was not found in image {TINY!r}" in message
        assert "\nName another one with entry_point (-E), or another image (-d)." in message

    def test_the_program_fails(self, store: Store) -> None:
        script = "for n in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $n; done; exit 42"
        message = failure(store, docker_image=TINY, entry_point=["sh", "-c", script])
        lines = "".join(f"\n  | line {n}" for n in range(3, 13))
        assert f"failed: the program ended with exit code 42{lines}\n" in message

    def test_the_memory_is_not_enough(self, store: Store) -> None:
        message = failure(
            store,
            docker_image=TINY,
            entry_point=["sh", "-c", "echo filling; tail /dev/zero"],
            resource_args={"local-container": {"memory": "16m"}},
        )
        assert "failed: out of memory: the limit was 16 MiB (option memory)" in message
        assert "\n  | filling\n" in message
        assert store.runs()[0].exit_code == 137

    def test_the_program_is_killed_by_a_signal(self, store: Store) -> None:
        message = failure(store, docker_image=TINY, entry_point=["sh", "-c", "kill -9 $$"])
        assert "SIGKILL" in message
        assert "out of memory" not in message

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"memry": "1g"}, "has no option 'memry'.\nDid you mean 'memory'? Known, as in docker"),
            ({"memory": "much"}, "'memory'"),
            ({"gpus": {"a": 1}}, "'gpus'"),
            ({"detach": False}, "'detach'"),
            ({"name": "mine"}, "'name'"),
            ({"cpus": "many"}, "'cpus'"),
        ],
    )
    def test_an_option_is_unknown_or_wrong(
        self, store: Store, options: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(SpecError) as error:
            launch(None, docker_image=TINY, resource_args={"local-container": options})
        assert "resource_args: " in str(error.value)
        assert said in str(error.value)
        assert store.runs() == []

    def test_the_engine_refuses_an_option(self, store: Store) -> None:
        message = failure(
            store,
            docker_image=TINY,
            entry_point=["true"],
            resource_args={"local-container": {"network": "no-such-network"}},
        )
        assert "no-such-network" in message
        assert "\nCheck the options of local-container (resource_args) and the image." in message


class TestContainers:
    def test_carry_labels_and_are_removed_when_all_is_stored(
        self, engine: Any, store: Store
    ) -> None:
        run = launch(None, docker_image=TINY, entry_point=WAIT, synchronous=False)
        assert next(run.follow()) == b"begun\n"
        (container,) = engine.containers.list(filters={"label": f"jupyter_launch.run={run.id}"})
        assert container.labels["jupyter_launch.store"] == store.id
        assert container.name == f"jupyter-launch-{run.run.unique_name}"
        assert run.stop() == "stopped"
        assert cleared(run)
        with pytest.raises(NotFound):
            engine.containers.get(container.id)
        assert (run.logs(), run.exit_code) == ("begun\n", 143)

    def test_are_left_by_nothing_that_fails(self, engine: Any, store: Store) -> None:
        for more in (
            {"entry_point": ["nope"]},
            {"entry_point": ["false"]},
            {"entry_point": ["true"], "resource_args": {"local-container": {"network": "nope"}}},
        ):
            run = launch(None, docker_image=TINY, synchronous=False, **more)
            assert run.wait(timeout=60) == "failed"
            assert cleared(run)
            found = {"label": f"jupyter_launch.run={run.id}"}
            assert engine.containers.list(all=True, filters=found) == []

    def test_get_the_cell_and_its_files_without_a_mount(self, engine: Any) -> None:
        Path("data").mkdir()
        Path("data/x.bin").write_bytes(bytes(range(256)))
        Path("tool.sh").write_text("#!/bin/sh\necho tool $1")
        Path("tool.sh").chmod(0o755)
        Path("main.py").write_text(
            "import pathlib, subprocess, sys\n"
            "print(sys.argv[1:], pathlib.Path('data/x.bin').read_bytes() == bytes(range(256)))\n"
            "print(subprocess.check_output(['./tool.sh', 'a b'], text=True), end='', flush=True)\n"
            "pathlib.Path('made').touch()\n"
        )
        from jupyter_launch.frontends import cli  # noqa: PLC0415 - one call of the whole

        words = ["run", ".", "-r", "local-container", "-d", PYTHON, "--run-id", "files", "--", "y"]
        assert cli.run(words) == 0
        run = Api().run("files")
        assert run.logs() == "['y'] True\ntool a b\n"
        assert not Path("made").exists()

    def test_hear_nothing_of_this_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SECRET_OF_MINE", "x")
        monkeypatch.setenv("GIVEN", "$(id) 'q\"")
        run = run_tiny("env", config={"secrets": ["GIVEN"], "env": {"A": "b\nc"}})
        assert "SECRET_OF_MINE" not in run.logs()
        assert "GIVEN=$(id) 'q\"\n" in run.logs()
        assert "A=b\nc\n" in run.logs()
        assert "PYTHONUNBUFFERED=1\n" in run.logs()
        assert "$(id)" not in run.run.spec_json

    def test_show_output_at_once(self) -> None:
        body = "import time\nprint('now')\ntime.sleep(600)"
        source = {"kind": "cell", "body": body}
        run = launch(None, config={"source": source}, docker_image=PYTHON, synchronous=False)
        assert next(run.follow()).startswith(b"now")
        assert run.stop() == "stopped"

    def test_may_be_stopped_before_they_start(self, engine: Any) -> None:
        for _ in range(5):
            run = launch(None, docker_image=TINY, entry_point=WAIT, synchronous=False)
            assert run.stop() == "stopped"
            assert cleared(run)
            found = {"label": f"jupyter_launch.run={run.id}"}
            assert engine.containers.list(all=True, filters=found) == []

    def test_that_somebody_removes_are_not_waited_for(self, engine: Any) -> None:
        run = launch(None, docker_image=TINY, entry_point=WAIT, synchronous=False)
        assert next(run.follow()) == b"begun\n"
        engine.containers.get(f"jupyter-launch-{run.run.unique_name}").remove(force=True)
        assert run.wait(timeout=30).terminal
        assert run.status in {State.FAILED, State.CRASHED}
        with pytest.raises(ExecutionError, match=rf"Run {run.id} (failed|crashed): .*\w"):
            run.check()

    def test_that_somebody_pauses_can_be_stopped(self, engine: Any) -> None:
        run = launch(
            None,
            docker_image=TINY,
            entry_point=WAIT,
            synchronous=False,
            config={"grace_s": 1},
        )
        assert next(run.follow()) == b"begun\n"
        engine.containers.get(f"jupyter-launch-{run.run.unique_name}").pause()
        assert run.stop() == "stopped"

    def test_many_at_once(self, store: Store) -> None:
        runs = [
            launch(None, docker_image=TINY, entry_point=["echo", f"{n}"], synchronous=False)
            for n in range(8)
        ]
        assert [run.wait(timeout=120) for run in runs] == ["finished"] * 8
        assert [run.logs() for run in runs] == [f"{n}\n" for n in range(8)]

    def test_options_reach_the_engine(self, engine: Any, tmp_path: Path) -> None:
        (tmp_path / "given").write_text("from the host\n")
        options = {
            "memory": "64m",
            "cpus": 0.5,
            "shm-size": "8m",
            "user": "0:1000",
            "workdir": "/tmp",
            "network": "none",
            "volume": [f"{tmp_path}:/given:ro"],
            "env": {"ONE": "${run_id}"},
            "label": ["a=b"],
            "read-only": True,
        }
        run = launch(
            None,
            docker_image=TINY,
            entry_point=["sh", "-c", "cat /given/given; pwd; id -g; echo $ONE; exec sleep 600"],
            resource_args={"local-container": options},
            synchronous=False,
        )
        said = b""
        for piece in run.follow():
            said += piece
            if said.count(b"\n") == 4:
                break
        assert said.decode() == f"from the host\n/tmp\n1000\n{run.id}\n"
        info = engine.api.inspect_container(f"jupyter-launch-{run.run.unique_name}")
        host = info["HostConfig"]
        assert (host["Memory"], host["NanoCpus"], host["ShmSize"]) == (
            64 * 2**20,
            500_000_000,
            8 * 2**20,
        )
        assert (host["NetworkMode"], host["ReadonlyRootfs"]) == ("none", True)
        assert info["Config"]["Labels"].items() >= {"a": "b"}.items()
        assert info["Config"]["Labels"]["jupyter_launch.run"] == run.id
        assert run.stop() == "stopped"

    def test_a_reader_elsewhere_sees_the_log_while_it_is_written(self, store: Store) -> None:
        run = launch(None, docker_image=TINY, entry_point=WAIT, synchronous=False)
        seen: list[bytes] = []
        reader = threading.Thread(target=lambda: seen.extend(Api().run(run.id).follow()))
        reader.start()
        assert next(run.follow()) == b"begun\n"
        run.stop()
        reader.join(30)
        assert b"".join(seen) == b"begun\n"

    def test_the_record_is_json_in_json_out(self, store: Store) -> None:
        run = run_tiny("true", name="n", parameters={"a": [1, None, {"b": "é"}]})
        assert json.loads(run.run.spec_json)["overrides"] == {
            "entry_point": ["true"],
            "run_config": {"a": [1, None, {"b": "é"}]},
        }
