"""Runs whose image is built first: what is seen of it, what fails, and how it is stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from jupyter_launch import AbstractRun, Api, ExecutionError, Unsupported, launch, launch_add
from jupyter_launch.errors import BuildFailed, SpecError
from jupyter_launch.runs import BUILD, Agent, Queue, QueueRecord, Run
from jupyter_launch.states import State
from jupyter_launch.stores.base import Store
from jupyter_launch.submit import Launcher
from tests.conftest import PYTHON, TINY
from tests.package_index import Index, package_index

pytestmark = pytest.mark.docker

SHOW = "import colours\nprint(colours.VERSION)\n"
LABEL = {"label": "jupyter_launch.built"}
MARK = "sleep 987"
"""What a build does for as long as it is let: nothing else on the engine does so."""


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_LAUNCH_ENTITY", "ann")
    monkeypatch.setenv("JUPYTER_LAUNCH_PROJECT", "vision")


@pytest.fixture(autouse=True)
def images() -> Iterator[Callable[[], set[str]]]:
    """Give what lists the images that were built since, and remove those at the end."""
    client = docker.from_env()
    before = {image.id for image in client.images.list(filters=LABEL)}

    def made() -> set[str]:
        return {str(image.id) for image in client.images.list(filters=LABEL)} - before

    yield made
    for image in made():
        with contextlib.suppress(docker.errors.APIError):
            client.images.remove(image, force=True)


@pytest.fixture
def index() -> Iterator[Index]:
    with package_index() as made:
        made.add("colours")
        yield made


def cell(body: str, **more: Any) -> dict[str, Any]:
    return {
        "source": {"kind": "cell", "body": body},
        "docker": {"docker_image": PYTHON},
        "resource": "local-container",
        **more,
    }


def needing(index: Index, *lines: str, body: str = SHOW) -> dict[str, Any]:
    return cell(body, requirements=[*index.options, *lines])


def said(run: AbstractRun) -> str:
    """Give what the program itself said."""
    assert run.wait(120) == "finished", (run.run.reason, run.logs())
    return streams(run)[1]


def streams(run: AbstractRun) -> dict[int, str]:
    """Give what is in the log of each stream."""
    found: dict[int, bytes] = {1: b"", 2: b"", BUILD: b""}
    log, at = run.store.read_log(run.id), 0
    for piece in run.store.log_pieces(run.id):
        found[piece.stream] += log[at : at + piece.length]
        at += piece.length
    return {stream: data.decode() for stream, data in found.items()}


def progress(run: AbstractRun) -> list[str]:
    return [event.data["text"] for event in run.events() if event.kind == "progress"]


def launched(config: dict[str, Any]) -> AbstractRun:
    return launch(None, config=config, synchronous=False)


def until_building(run: AbstractRun) -> None:
    """Wait until the build of a run does what `MARK` says."""
    for item in run.watch():
        if not isinstance(item, bytes) and MARK in item.data.get("text", ""):
            break
    else:
        pytest.fail(run.run.reason)


def still_building() -> list[str]:
    found = docker.from_env().api.containers(all=True)
    return [one["Id"] for one in found if MARK in one["Command"]]


def slow(text: str = "") -> dict[str, Any]:
    """Give a launch with a Dockerfile whose build does not end by itself."""
    Path("Dockerfile").write_text(f"FROM {TINY}\nRUN echo {os.getpid()}; {MARK}\n{text}")
    return cell("1", overrides={"dockerfile": "Dockerfile"}, build=True)


def with_dockerfile(spec: dict[str, Any], store: Store) -> dict[str, Any]:
    """Bring the Dockerfile of this folder along, as ``--dockerfile`` does."""
    from jupyter_launch.sources.code import from_cell  # noqa: PLC0415

    source = from_cell(spec["source"]["body"], ["Dockerfile"], store)
    return {**spec, "source": source.model_dump(mode="json")}


class TestWhatIsSeen:
    def test_the_build_is_in_the_log_and_its_steps_are_told(self, index: Index) -> None:
        run = launched(needing(index, "colours"))
        assert said(run) == "1.0\n"
        assert "colours" in streams(run)[BUILD]
        assert any(line.startswith("building step ") for line in progress(run))
        assert run.logs().endswith("1.0\n")

    def test_a_changed_program_builds_nothing(
        self, index: Index, images: Callable[[], set[str]]
    ) -> None:
        first = launched(needing(index, "colours"))
        assert said(first) == "1.0\n"
        made = images()
        changed = launched(needing(index, "colours", body=f"{SHOW}print('more')"))
        assert said(changed) == "1.0\nmore\n"
        assert images() == made
        assert (progress(changed), streams(changed)[BUILD]) == ([], "")

    def test_every_build_makes_a_job_that_runs_it_again(self, index: Index) -> None:
        said(launched(needing(index, "colours")))
        (job,) = Api().jobs()
        again = launch(None, str(job.ref), resource="local-container", synchronous=False)
        assert said(again) == "1.0\n"
        assert progress(again) == []

    def test_a_folder_is_installed_what_its_files_ask_for(self, index: Index) -> None:
        folder = Path("code")
        folder.mkdir()
        (folder / "main.py").write_text(SHOW, encoding="utf-8")
        (folder / "requirements.txt").write_text("\n".join([*index.options, "colours"]))
        spec = {"uri": str(folder), "docker": {"docker_image": PYTHON}}
        assert said(launched(spec)) == "1.0\n"

    def test_a_dockerfile_beside_a_cell_is_not_built_anew_for_another_cell(
        self, store: Store, images: Callable[[], set[str]]
    ) -> None:
        Path("Dockerfile").write_text(f"FROM {PYTHON}\nCOPY . /there\nCMD echo wrong\n")
        overrides = {"dockerfile": "Dockerfile"}
        look = "import os; print(os.listdir('/there'))"
        first = launched(with_dockerfile(cell(look, overrides=overrides), store))
        assert said(first) == "['Dockerfile']\n"
        made = images()
        other = launched(with_dockerfile(cell("print(1)", overrides=overrides), store))
        assert said(other) == "1\n"
        assert images() == made

    def test_a_queue_may_name_the_base_image(self, store: Store) -> None:
        queue = Queue("ann", "slim")
        builder = {"accelerator": {"base_image": TINY}}
        args = {"resource_args": {"local-container": {"builder": builder}}}
        store.create_queue(QueueRecord(queue, "local-container", args))
        spec = {"source": {"kind": "cell", "body": "#!/bin/sh\nls /bin/busybox"}}
        assert said(launch_add(queue_name="slim", config=spec)) == "/bin/busybox\n"

    def test_the_command_line_builds_and_leaves_the_rest_to_an_agent(
        self, store: Store, launcher: Launcher
    ) -> None:
        folder = Path("code")
        folder.mkdir()
        text = f"FROM {TINY}\nRUN echo {store.id}\nCOPY . /app\nCMD echo from the image\n"
        (folder / "Dockerfile").write_text(text)
        (folder / "main.py").write_text("")
        line = ["add", str(folder), "--build", "--dockerfile", "Dockerfile"]
        words = [sys.executable, "-m", "jupyter_launch", *line, "-r", "local-container"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert "building step" in done.stderr
        run = AbstractRun(launcher, done.stdout.strip())
        assert run.run.spec.job == "ann/vision/job-code-main.py:v0"
        # Whoever waits sees to it that there is an agent; here the one that submitted has.
        store.wait(run.id, lambda now: now.state.terminal, 60)
        assert said(run) == "from the image\n"


class TestFailures:
    def test_the_failing_step_and_its_last_lines_are_told(
        self, index: Index, store: Store, images: Callable[[], set[str]]
    ) -> None:
        spec = needing(index, "no-such-package")
        with pytest.raises(BuildFailed) as failure:
            launch(None, config=spec)
        (run,) = store.runs()
        assert (run.state, run.exit_code) == (State.FAILED, None)
        assert isinstance(failure.value, ExecutionError)
        for told in (str(failure.value), run.reason):
            assert "pip install" in told
            assert "no-such-package" in told
        assert store.jobs() == []
        assert images() == set()

    def test_a_build_for_a_queue_fails_before_it_is_queued(
        self, store: Store, tmp_path: Path
    ) -> None:
        Path("Dockerfile").write_text(f"FROM {TINY}\nRUN echo out of luck; exit 3\n")
        spec = with_dockerfile(cell("1", overrides={"dockerfile": "Dockerfile"}), store)
        run = launch_add(config=spec, build=True)
        assert run.wait(60) == "failed"
        states = [event.data["state"] for event in run.events() if event.kind == "state"]
        assert states == ["failed"]
        assert "exit 3" in run.run.reason
        assert "out of luck" in run.run.reason
        assert store.jobs() == []

    def test_what_cannot_be_built_is_refused_before_anything_is_recorded(
        self, store: Store
    ) -> None:
        local = {"resource": "local-process"}
        for spec, error in (
            ({**cell("1", requirements=["numpy=1"])}, SpecError),
            ({**cell("1", requirements=["-e ."])}, SpecError),
            ({**cell("1", requirements=["numpy"]), **local}, Unsupported),
            ({**cell("1", build=True), **local}, Unsupported),
            ({**cell("1", registry={"url": "localhost:1/x"}), **local}, Unsupported),
            (cell("1", overrides={"run_config": {"x": "y" * 2_000_000}}), SpecError),
        ):
            with pytest.raises(error) as refused:
                launch(None, config=spec)
            assert refused.value.hint
        assert store.runs() == []

    def test_a_dockerfile_that_is_not_there_says_so(self, store: Store) -> None:
        run = launched(cell("1", overrides={"dockerfile": "docker/File"}))
        assert run.wait(60) == "failed"
        assert "The source has no Dockerfile 'docker/File'." in run.run.reason

    def test_a_base_image_that_is_not_there_says_so(self) -> None:
        base = "localhost:1/nowhere:v1"
        run = launched(cell("1", requirements=["x"], builder={"base_image": base}))
        assert run.wait(60) == "failed"
        assert base in run.run.reason


class TestWithoutAnEngine:
    @pytest.fixture(autouse=True)
    def no_engine(self, images: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")

    def test_what_a_folder_asks_for_is_taken_from_this_machine(self) -> None:
        folder = Path("code")
        folder.mkdir()
        (folder / "main.py").write_text("print('here')", encoding="utf-8")
        (folder / "requirements.txt").write_text("colours")
        run = launched({"uri": str(folder), "resource": "auto"})
        assert said(run) == "here\n"
        assert "No container" in next(e.data["text"] for e in run.events() if e.kind == "notice")

    def test_what_the_launch_asks_for_is_not_passed_over(self) -> None:
        spec = {"source": {"kind": "cell", "body": "1"}, "resource": "auto"}
        run = launched({**spec, "requirements": ["colours"]})
        assert run.wait(60) == "failed"
        assert "does not answer" in run.run.reason


class TestStopping:
    def test_a_run_that_is_building_is_stopped_and_so_is_the_build(self, store: Store) -> None:
        run = launched(with_dockerfile(slow(), store))
        until_building(run)
        assert run.stop() == State.STOPPED
        assert run.run.reason == "stopped before it started"
        assert still_building() == []
        assert store.jobs() == []

    def test_a_build_whose_submitter_was_killed_is_done_by_an_agent(
        self, store: Store, launcher: Launcher
    ) -> None:
        spec = with_dockerfile(slow("CMD echo built\n"), store)
        process = subprocess.Popen([sys.executable, "-c", ADD, json.dumps(spec)])
        owner = serving(store, launcher)
        run = AbstractRun(launcher, submitted(store))
        until_building(run)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
        store.sweep(owner)
        left = store.get(run.id)
        assert (left.state, left.owner) == (State.PENDING, None)
        assert left.spec.build
        run.stop()


ADD = """
import json, sys, time
from jupyter_launch import launch_add
launch_add(config=json.loads(sys.argv[1]))
time.sleep(600)
"""


def serving(store: Store, launcher: Launcher) -> str:
    """Pretend that the queue has an agent that takes nothing, and give who it would be."""
    owner = launcher.keeper.owner
    queue = Queue("ann", "default")
    store.ensure_queue(queue)
    record = Agent("idle", owner, (queue,), 1, 0.0, 4e9, "running")
    store.put_agent(record)
    return owner


def submitted(store: Store) -> str:
    found: list[Run] = []
    with store.listen("queue") as bell:
        while not (found := store.runs()):
            bell.wait(0.5)
    return found[0].id
