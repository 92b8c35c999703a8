"""W&B's Python functions on real backends: what every argument does, waiting, stopping."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_launch import (
    AbstractRun,
    Api,
    ExecutionError,
    LaunchError,
    QueuedRun,
    RunStopped,
    SpecError,
    SubmittedRun,
    Unsupported,
    launch,
    launch_add,
)
from jupyter_launch.agent import Serving
from jupyter_launch.errors import QueueNotFound, RunNotFound
from jupyter_launch.frontends import cli
from jupyter_launch.runs import Queue
from jupyter_launch.states import State
from jupyter_launch.stores.base import Store
from jupyter_launch.submit import launcher
from tests.conftest import PYTHON, TINY
from tests.proofs import proves

ENTITY = "team"
TELL = (
    "import json, os, sys\n"
    "print(json.dumps({'argv': sys.argv[1:], 'env': dict(os.environ), 'cwd': os.getcwd()}))"
)
CELL = {"kind": "cell", "body": TELL}
BLOCK = "import pathlib, time\nprint('begun', flush=True)\nwhile not pathlib.Path({!r}).exists():"
BLOCK += "\n    time.sleep(0.02)"
SIGNATURES = {
    launch: "api, job=None, entry_point=None, version=None, name=None, resource=None, "
    "resource_args=None, project=None, entity=None, docker_image=None, config=None, "
    "synchronous=True, run_id=None, repository=None, *, parameters=None",
    launch_add: "uri=None, job=None, config=None, template_variables=None, project=None, "
    "entity=None, queue_name=None, resource=None, entry_point=None, name=None, version=None, "
    "docker_image=None, project_queue=None, resource_args=None, run_id=None, build=False, "
    "repository=None, sweep_id=None, author=None, priority=None, *, parameters=None",
}


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_LAUNCH_ENTITY", ENTITY)


@pytest.fixture
def agent() -> Iterator[Serving]:
    """Give a living agent in this process, one run at a time, and end it."""
    made = launcher()
    serving = Serving(made, [Queue(ENTITY, "default")])
    made.store.put_agent(serving.record)  # so that nobody starts another one
    thread = threading.Thread(target=serving.run)
    thread.start()
    yield serving
    serving.drain()
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture(
    params=["local-process", pytest.param("local-container", marks=pytest.mark.docker)],
)
def place(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Give the arguments that launch `TELL`, as an image and as a cell."""
    command = ["-c", TELL, "a b", "$HOME;"]
    if request.param == "local-container":
        return {"docker_image": PYTHON, "entry_point": ["python3", *command]}
    return {"config": {"source": CELL}, "entry_point": [sys.executable, *command]}


def told(run: AbstractRun) -> dict[str, Any]:
    """Give what `TELL` told."""
    data: dict[str, Any] = json.loads(run.logs())
    return data


def cell(body: str, **more: Any) -> dict[str, Any]:
    return {"source": {"kind": "cell", "body": body}, "resource": "local-process", **more}


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """Give a path; programs of `BLOCK` end when there is something."""
    path = tmp_path / "gate"
    yield path
    path.touch()


def blocked(gate: Path) -> SubmittedRun:
    """Launch a program that waits for `gate`, and return once it runs."""
    run = launch(None, config=cell(BLOCK.format(str(gate))), synchronous=False)
    assert next(run.follow()).startswith(b"begun")
    return run


class TestArguments:
    @pytest.mark.parametrize("function", [launch, launch_add])
    def test_signatures_are_those_wandb_documents(self, function: Callable[..., Any]) -> None:
        parameters = [
            p.replace(annotation=p.empty) for p in inspect.signature(function).parameters.values()
        ]
        assert str(inspect.Signature(parameters)) == f"({SIGNATURES[function]})"

    @proves(
        "launch.api",
        "launch.entry_point",
        "launch.name",
        "launch.resource",
        "launch.entity",
        "launch.docker_image",
        "launch.config",
        "launch.run_id",
        "launch.parameters",
    )
    def test_every_argument_of_launch_reaches_the_program(self, place: dict[str, Any]) -> None:
        source = place.pop("config", {})
        resource = "local-process" if source else "local-container"
        run = launch(
            Api(project="from-api"),
            **place,
            resource=resource,
            name="my; run",
            entity="them",
            run_id="chosen-1",
            config={
                **source,
                "author": "me",
                "sweep_id": "sw1",
                "env": {"EXTRA": "é $(id)"},
                "overrides": {"args": ["--x", "y z"], "run_config": {"lr": 1, "deep": {"a": 1}}},
            },
            parameters={"lr": 0.5, "new": None},
        )
        said = told(run)
        env = said["env"]
        assert said["argv"] == ["a b", "$HOME;", "--x", "y z"]
        assert json.loads(env["WANDB_CONFIG"]) == {"lr": 0.5, "deep": {"a": 1}, "new": None}
        assert {name: env.get(name) for name in env if name.startswith("WANDB_")} == {
            "WANDB_ARTIFACTS": "{}",
            "WANDB_CONFIG": env["WANDB_CONFIG"],
            **({} if source else {"WANDB_DOCKER": PYTHON}),
            "WANDB_ENTITY": "them",
            "WANDB_LAUNCH": "True",
            "WANDB_NAME": "my; run",
            "WANDB_PROJECT": "from-api",
            "WANDB_RUN_ID": "chosen-1",
            "WANDB_SWEEP_ID": "sw1",
            "WANDB_USERNAME": "me",
        }
        assert env["EXTRA"] == "é $(id)"
        assert env["PYTHONUNBUFFERED"] == "1"
        assert (run.id, run.status, run.exit_code) == ("chosen-1", "finished", 0)
        assert (run.run.name, run.run.resource) == ("my; run", resource)

    @proves("launch.resource_args", "launch.project")
    @pytest.mark.docker
    def test_resource_args_and_macros_reach_the_container(self) -> None:
        script = "echo $(hostname) $A; pwd; id -u; cat /sys/fs/cgroup/memory/memory.limit_in_bytes"
        script += " /sys/fs/cgroup/memory.max 2>/dev/null; true"
        options = {
            "hostname": "h-${run_id}",
            "env": {"A": "${entity_name}/${project_name}/${run_name}/${author}/${nope}"},
            "workdir": "/tmp",
            "user": 1234,
            "memory": "64m",
        }
        run = launch(
            None,
            docker_image=TINY,
            entry_point=["sh", "-c", script],
            resource_args={"local-container": options, "local-process": {"nice": 1}},
            project="p",
            name="n",
            config={"author": "me"},
        )
        first, *rest = run.logs().splitlines()
        assert first == f"h-{run.id} {ENTITY}/p/n/me/${{nope}}"
        assert rest == ["/tmp", "1234", str(64 * 2**20)]

    @proves("launch.resource_args")
    def test_resource_args_reach_the_process(self, tmp_path: Path) -> None:
        run = launch(
            None,
            config=cell("import os; print(os.getcwd(), os.nice(0))"),
            entry_point=[sys.executable, "-c", "import os; print(os.getcwd(), os.nice(0))"],
            resource_args={"local-process": {"workdir": str(tmp_path), "nice": 3}},
        )
        assert run.logs() == f"{tmp_path} 3\n"

    @pytest.mark.docker
    def test_an_image_runs_its_own_command_with_arguments(self) -> None:
        config = {"overrides": {"args": ["echo", "two words"]}}
        assert launch(Api(), docker_image=TINY, config=config).logs() == "two words\n"

    @proves("launch.api")
    def test_the_api_object_says_where_and_whose(self, tmp_path: Path, store: Store) -> None:
        elsewhere = Api(f"sqlite:///{tmp_path}/other.db", entity="e", project="p")
        run = launch(elsewhere, config=cell("print(1)"))
        assert (run.run.entity, run.run.project) == ("e", "p")
        assert store.runs() == []
        assert elsewhere.run(run.id).get_logs() == "1\n"
        with pytest.raises(RunNotFound, match="There is no run 'nope' in sqlite"):
            elsewhere.run("nope")

    @proves("launch_add.project_queue")
    def test_a_queue_has_no_project(self, store: Store) -> None:
        with pytest.raises(Unsupported, match="The argument 'project_queue' is not supported"):
            launch_add(docker_image=TINY, project_queue="mine")
        assert store.runs() == []

    def test_a_queue_is_no_place_for_a_launch_now(self, store: Store) -> None:
        with pytest.raises(SpecError, match="queue"):
            launch(None, config=cell("pass", queue="gpu"))
        assert store.runs() == []


class TestCallersValues:
    def test_are_never_changed(self) -> None:
        config = cell("pass", overrides={"run_config": {"a": {"b": 1}}}, docker={})
        resource_args = {"local-process": {"nice": 1}}
        parameters = {"a": {"c": 2}, "d": [1]}
        entry_point = [sys.executable, "-c", "pass"]
        given = (config, resource_args, parameters, entry_point)
        before = copy.deepcopy(given)
        launch(
            None,
            config=config,
            resource_args=resource_args,
            parameters=parameters,
            entry_point=entry_point,
        )
        assert given == before

    def test_may_change_after_the_call(self, agent: Serving) -> None:
        config = cell(TELL, overrides={"args": ["before"]})
        parameters = {"a": [1]}
        run = launch_add(config=config, parameters=parameters)
        config["overrides"]["args"][0] = "after"
        config["source"]["body"] = "raise SystemExit(9)"
        parameters["a"].append(2)
        assert run.wait_until_finished(timeout=30) == "finished"
        assert told(run)["argv"] == ["before"]
        assert json.loads(told(run)["env"]["WANDB_CONFIG"]) == {"a": [1]}


class TestQueued:
    @proves(
        "launch_add.config",
        "launch_add.project",
        "launch_add.entity",
        "launch_add.queue_name",
        "launch_add.name",
        "launch_add.project_queue",
        "launch_add.resource_args",
        "launch_add.run_id",
        "launch_add.sweep_id",
        "launch_add.author",
        "launch_add.parameters",
        "launch_add.entry_point",
    )
    def test_every_argument_of_launch_add_reaches_the_program(self, agent: Serving) -> None:
        run = launch_add(
            config=cell(TELL, env={"X": "1"}),
            project="p",
            entity=ENTITY,
            queue_name="default",
            name="n",
            project_queue="model-registry",
            resource_args={"local-process": {"nice": 2}},
            run_id="q-1",
            sweep_id="sw",
            author="who",
            priority=0,
            parameters={"lr": 1},
            entry_point=[sys.executable, "cell.py", "x"],
        )
        assert isinstance(run, QueuedRun)
        assert run.wait_until_started(timeout=30) in {"running", "finished"}
        assert run.wait_until_finished(timeout=30) == "finished"
        said = told(run)
        env = said["env"]
        found = {name: env[name] for name in env if name.startswith("WANDB_")}
        assert found == {
            "WANDB_ARTIFACTS": "{}",
            "WANDB_CONFIG": '{"lr": 1}',
            "WANDB_ENTITY": ENTITY,
            "WANDB_LAUNCH": "True",
            "WANDB_LAUNCH_QUEUE_ENTITY": ENTITY,
            "WANDB_LAUNCH_QUEUE_NAME": "default",
            "WANDB_LAUNCH_TRACE_ID": "q-1",
            "WANDB_NAME": "n",
            "WANDB_PROJECT": "p",
            "WANDB_RUN_ID": "q-1",
            "WANDB_SWEEP_ID": "sw",
            "WANDB_USERNAME": "who",
        }
        assert said["argv"] == ["x"]
        assert (run.id, run.queue_name, run.run.priority) == ("q-1", "default", 0)
        assert run.wait_until_running(timeout=0) == "finished"

    @proves("launch_add.docker_image", "launch_add.entry_point", "launch_add.resource_args")
    @pytest.mark.docker
    def test_an_image_is_queued_with_its_command_and_options(self, agent: Serving) -> None:
        run = launch_add(
            docker_image=TINY,
            entry_point=["sh", "-c", "echo $A"],
            resource_args={"local-container": {"env": {"A": "a b"}}},
        )
        assert run.wait_until_finished(timeout=60) == "finished"
        assert (run.logs(), run.run.resource) == ("a b\n", "local-container")

    @proves("launch_add.priority")
    def test_priorities_decide_the_order_then_submission(self, agent: Serving, gate: Path) -> None:
        first = launch_add(config=cell(BLOCK.format(str(gate))))
        assert first.wait_until_started(timeout=30) == "running"
        asked = [3, 2, None, 0, 1, 0]
        runs = [launch_add(config=cell("pass"), priority=p) for p in asked]
        assert {run.state for run in runs} == {State.PENDING}
        gate.touch()
        assert {run.wait_until_finished(timeout=60) for run in runs} == {"finished"}
        order = sorted(range(len(runs)), key=lambda n: runs[n].run.started or 0)
        assert [asked[n] for n in order] == [0, 0, 1, 2, None, 3]
        assert order[:2] == [3, 5]

    @proves("launch_add.queue_name", "launch_add.resource", "launch_add.resource_args")
    def test_a_queue_gives_its_items_a_resource_and_options(self, store: Store) -> None:
        Api().create_run_queue(
            "cpu", type="local-process", config={"resource_args": {"local-process": {"nice": 4}}}
        )
        made = launcher()
        serving = Serving(made, [Queue(ENTITY, "cpu")], idle_s=0)
        made.store.put_agent(serving.record)
        body = {"source": {"kind": "cell", "body": "import os; print(os.nice(0))"}}
        run = launch_add(queue_name="cpu", config=body)
        own = launch_add(
            queue_name="cpu", config=body, resource_args={"local-process": {"nice": 5}}
        )
        serving.run()
        assert (run.run.resource, run.logs()) == ("local-process", "4\n")
        assert own.logs() == "5\n"

    def test_an_unknown_queue_is_refused_before_anything_is_recorded(self, store: Store) -> None:
        with pytest.raises(QueueNotFound) as error:
            launch_add(docker_image=TINY, queue_name="gpu")
        assert str(error.value) == (
            f"There is no queue 'gpu' of '{ENTITY}'. Queues: none yet.\n"
            f"Make it: jupyter launch queue create gpu -e {ENTITY}"
        )
        assert store.runs() == []

    def test_a_pending_run_can_be_deleted_and_a_running_one_cannot(
        self, agent: Serving, gate: Path, store: Store
    ) -> None:
        running = launch_add(config=cell(BLOCK.format(str(gate))))
        running.wait_until_started(timeout=30)
        pending = launch_add(config=cell("pass"))
        assert pending.waiting_for() == f"next in queue {ENTITY}/default, its agent is busy"
        assert pending.delete() is True
        assert pending.delete() is False
        assert running.delete() is False
        assert [run.id for run in store.runs()] == [running.id]
        with pytest.raises(RunNotFound):
            pending.wait(timeout=5)
        gate.touch()
        assert running.wait_until_finished(timeout=30) == "finished"

    def test_who_waits_for_a_run_that_is_deleted_is_told(self, agent: Serving, gate: Path) -> None:
        launch_add(config=cell(BLOCK.format(str(gate)))).wait_until_started(timeout=30)
        pending = launch_add(config=cell("pass"))
        raised: list[BaseException] = []

        def wait() -> None:
            with pytest.raises(RunNotFound) as error:
                pending.wait_until_started(timeout=30)
            raised.append(error.value)

        waiter = threading.Thread(target=wait)
        waiter.start()
        pending.delete()
        waiter.join(10)
        assert len(raised) == 1

    def test_a_pending_run_is_stopped_at_once_and_for_good(
        self, agent: Serving, gate: Path
    ) -> None:
        running = launch_add(config=cell(BLOCK.format(str(gate))))
        running.wait_until_started(timeout=30)
        pending = launch_add(config=cell("print('never')"))
        assert pending.stop() == "stopped"
        gate.touch()
        assert running.wait_until_finished(timeout=30) == "finished"
        assert (pending.state, pending.logs()) == ("stopped", "")
        with pytest.raises(RunStopped, match=f"Run {pending.id} was stopped"):
            pending.check()


class TestWaiting:
    @proves("launch.synchronous")
    def test_a_failed_run_raises_with_its_exit_code_and_last_lines(self) -> None:
        body = "for n in range(30): print('line', n)\nraise SystemExit(5)"
        with pytest.raises(ExecutionError) as error:
            launch(Api(), config=cell(body, run_id="bad-1"))
        lines = "".join(f"\n  | line {n}" for n in range(20, 30))
        assert str(error.value) == (
            "Run bad-1 failed: the program ended with exit code 5"
            f"{lines}\nThe whole log: jupyter launch logs bad-1"
        )
        assert error.value.exit_code == 5
        assert isinstance(error.value, LaunchError)

    @proves("launch.synchronous")
    def test_without_waiting_a_failure_is_seen_later(self, gate: Path) -> None:
        run = launch(
            None,
            config=cell(BLOCK.format(str(gate)) + "\nraise SystemExit(7)"),
            synchronous=False,
        )
        assert isinstance(run, SubmittedRun)
        assert not run.status.terminal
        with pytest.raises(TimeoutError, match=f"Run {run.id} is still "):
            run.wait(timeout=0)
        gate.touch()
        assert run.wait(timeout=30) == run.wait(timeout=0) == run.get_status() == "failed"
        assert run.get_logs() == "begun\n"
        with pytest.raises(ExecutionError, match="exit code 7"):
            _ = run.result

    def test_a_run_stopped_from_elsewhere_ends_the_waiting(self, gate: Path) -> None:
        run = blocked(gate)
        stopper = threading.Thread(target=Api().run(run.id).cancel)
        stopper.start()
        assert run.wait(timeout=30) == "stopped"
        stopper.join()
        with pytest.raises(RunStopped):
            _ = run.result

    def test_stopping_twice_and_after_the_end_changes_nothing(self, gate: Path) -> None:
        run = blocked(gate)
        stoppers = [threading.Thread(target=run.stop) for _ in range(3)]
        for stopper in stoppers:
            stopper.start()
        for stopper in stoppers:
            stopper.join(30)
        states = [e.data["state"] for e in run.events() if e.kind == "state"]
        assert states == ["starting", "running", "stopping", "stopped"]
        ended = run.run.evolve(handle=None)
        assert run.stop() == "stopped"
        assert run.run.evolve(handle=None) == ended  # it may be cleared away meanwhile
        done = launch(None, config=cell("pass"))
        assert done.stop() == "finished"
        assert done.run.stop_requested is False

    def test_a_synchronous_launch_that_is_stopped_raises(self, store: Store, gate: Path) -> None:
        raised: list[BaseException] = []

        def body() -> None:
            with pytest.raises(RunStopped) as error:
                launch(None, config=cell(BLOCK.format(str(gate)), run_id="sync"))
            raised.append(error.value)

        thread = threading.Thread(target=body)
        thread.start()
        api = Api()
        while store.find("sync") is None:
            thread.join(0.02)
        api.run("sync").stop()
        thread.join(30)
        assert [str(error) for error in raised] == ["Run sync was stopped."]

    def test_inside_a_running_event_loop(self, gate: Path) -> None:
        async def main() -> tuple[State, State, int]:
            done = launch(None, config=cell("print('loop')"))
            assert done.logs() == "loop\n"
            run = launch(None, config=cell(BLOCK.format(str(gate))), synchronous=False)
            turns = 0

            async def turn() -> None:
                nonlocal turns
                while turns < 5:
                    turns += 1
                    await asyncio.sleep(0.01)
                gate.touch()

            state, _ = await asyncio.gather(run, turn())
            return await done, state, turns

        assert asyncio.run(main()) == ("finished", "finished", 5)

    @proves("launch.run_id")
    def test_a_run_id_is_taken_once(self, store: Store) -> None:
        launch(None, config=cell("print(1)", run_id="mine"))
        with pytest.raises(SpecError) as error:
            launch(None, config=cell("print(2)", run_id="mine"))
        assert str(error.value) == (
            "There is a run 'mine' already.\nLeave run_id out for a fresh one."
        )
        assert [(run.id, run.state) for run in store.runs()] == [("mine", "finished")]
        assert store.read_log("mine") == b"1\n"

    @pytest.mark.parametrize(
        "resource",
        ["local-process", pytest.param("local-container", marks=pytest.mark.docker)],
    )
    def test_the_same_id_in_two_stores_is_two_runs(self, tmp_path: Path, resource: str) -> None:
        def start(api: Api | None, script: str) -> SubmittedRun:
            here = resource == "local-process"
            return launch(
                api,
                docker_image=None if here else TINY,
                config={"source": CELL} if here else None,
                resource=resource,
                entry_point=["sh", "-c", script],
                run_id=f"twin-{tmp_path.name}",
                synchronous=False,
            )

        first = start(None, "trap 'exit 4' TERM; echo begun; while true; do sleep 0.05; done")
        assert next(first.follow()).startswith(b"begun")
        second = start(Api(f"sqlite:///{tmp_path}/other.db"), "echo second")
        try:
            state = second.wait(timeout=5)
        finally:
            first_state = first.status
            first.stop()
        assert first_state == "running"
        assert first.exit_code == 4
        assert first.logs().splitlines()[0] == "begun"  # its shell may tell of the signal after it
        if state == "failed":  # refused by name, or run: both will do
            assert second.id in second.run.reason
        else:
            assert (state, second.logs()) == ("finished", "second\n")


class TestRelaunch:
    def test_a_cell_with_other_parameters(self) -> None:
        first = launch(None, config=cell(TELL, name="n"), parameters={"a": 1, "b": 1})
        again = first.relaunch({"b": 2})
        assert again.wait(timeout=30) == "finished"
        assert (again.run.parent, again.run.name) == (first.id, "n")
        assert again.id != first.id
        assert json.loads(json.loads(again.logs())["env"]["WANDB_CONFIG"]) == {"a": 1, "b": 2}

    def test_a_script_as_it_was(self) -> None:
        path = Path("s.py")
        path.write_text("import sys; print('first', sys.argv[1:])")
        assert cli.run(["run", "s.py", "-r", "local-process", "--run-id", "s", "--", "a b"]) == 0
        path.write_text("print('changed since')")
        again = Api().run("s").relaunch()
        assert again.wait(timeout=30) == "finished"
        assert again.logs() == "first ['a b']\n"

    def test_a_queued_run_goes_to_its_queue(self, agent: Serving) -> None:
        first = launch_add(config=cell("print('x')", run_id="once"), priority=1)
        first.wait_until_finished(timeout=30)
        again = first.relaunch()
        assert again.wait(timeout=30) == "finished"
        assert (again.run.queue, again.run.priority) == (Queue(ENTITY, "default"), 1)
        assert again.logs() == "x\n"

    def test_a_failed_one_fails_again_by_itself(self) -> None:
        with pytest.raises(ExecutionError):
            launch(None, config=cell("raise SystemExit(3)", run_id="bad"))
        again = Api().run("bad").relaunch()
        assert (again.wait(timeout=30), again.exit_code) == ("failed", 3)

    @pytest.mark.docker
    def test_an_image(self) -> None:
        first = launch(None, docker_image=TINY, entry_point=["echo", "$HOME"])
        again = first.relaunch()
        assert again.wait(timeout=30) == "finished"
        assert again.logs() == "$HOME\n"
