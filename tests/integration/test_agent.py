"""Agents at work: serving, draining, ending, and what they leave to others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from jupyter_launch import launch_add, submit
from jupyter_launch.agent import Serving
from jupyter_launch.errors import SpecError
from jupyter_launch.owner import known_dead, pid_of
from jupyter_launch.rooms import asked_room
from jupyter_launch.runs import Queue, QueueRecord, Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import Store, log_of
from jupyter_launch.submit import Launcher
from tests.conftest import TINY

COMMAND = [sys.executable, "-m", "jupyter_launch", "agent"]
FIRST = Queue("me", "default")
BLOCK = "import pathlib, time\nprint('begun', flush=True)\n"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
BLOCK += "while not pathlib.Path({!r}).exists():\n    time.sleep(0.02)"


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_LAUNCH_ENTITY", "me")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """Give a path; programs of `BLOCK` end when there is something."""
    path = tmp_path / "gate"
    yield path
    path.touch()


@pytest.fixture
def agents(store: Store) -> Iterator[ExitStack]:
    """Give a stack of agent processes; at the end, those that other processes started end too."""
    with ExitStack() as stack:
        yield stack
        for agent in store.agents():
            if pid_of(agent.owner) != os.getpid():
                os.kill(pid_of(agent.owner), signal.SIGKILL)


def start(agents: ExitStack, *words: str) -> subprocess.Popen[str]:
    """Start an agent and return when it serves."""
    process = subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    agents.enter_context(process)
    agents.callback(process.kill)
    assert said(process).startswith("agent ")
    return process


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def cli(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False)


def signals(process: subprocess.Popen[str], number: int) -> None:
    """Ask an agent to end, so many times, each once it has said what the last one did."""
    for sign in ("taking no more runs", "stopping the runs")[:number]:
        process.terminate()
        while not said(process).startswith(sign):
            pass


def await_log(store: Store, run_id: str, text: bytes) -> None:
    with store.listen(run_id, log_of(run_id)) as listener:
        while text not in store.read_log(run_id):
            assert listener.wait(30)


def put(store: Store, body: str = "pass", queue: Queue = FIRST, **more: Any) -> str:
    """Put a cell on a queue, without starting an agent for it."""
    source = {"kind": "cell", "body": body}
    data = {"source": source, "resource": "local-process", "entity": queue.entity, **more}
    return store.submit(LaunchSpec.from_dict(data), queue=queue).id


def wait(store: Store, run_id: str, *states: State) -> Run:
    """Wait for one of the states, or for the end."""
    run = store.wait(run_id, lambda run: run.state in states or run.state.terminal, timeout=30)
    assert run is not None, store.get(run_id)
    return run


class TestServing:
    def test_serves_several_queues_in_turn_and_ends_when_idle(
        self, store: Store, agents: ExitStack
    ) -> None:
        other = Queue("me", "other")
        store.create_queue(QueueRecord(other, "local-process"))
        runs = [
            put(store, "print('a')", priority=3),
            put(store, "print('b')", other, priority=1),
            put(store, "raise SystemExit(3)"),
            put(store, "print('c')", other, priority=0),
        ]
        process = start(agents, "-q", "default", "-q", "other", "--idle", "0")
        listed = json.loads(subprocess.check_output([*COMMAND, "--json"], text=True))
        rest = process.communicate(timeout=60)[0].splitlines()
        assert process.returncode == 0
        a, b, failed, c = runs
        assert rest == [
            f"run {failed} claimed from me/default",
            f"run {c} claimed from me/other",
            f"run {a} claimed from me/default",
            f"run {b} claimed from me/other",
        ]
        states = ["finished", "finished", "failed", "finished"]
        assert [store.get(run).state for run in runs] == states
        if listed:  # it may have ended by then
            assert (listed[0]["queues"], listed[0]["max_jobs"]) == (["me/default", "me/other"], 1)
        assert store.agents() == []

    def test_runs_as_many_at_once_as_it_may(
        self, store: Store, agents: ExitStack, tmp_path: Path
    ) -> None:
        meet = "import pathlib, time\nhere = pathlib.Path({!r})\n(here / '{}').touch()\n"
        meet += "while len(list(here.iterdir())) < 2:\n    time.sleep(0.02)"
        place = tmp_path / "meeting"
        place.mkdir()
        both = [put(store, meet.format(str(place), name)) for name in "ab"]
        process = start(agents, "--max-jobs", "2", "--idle", "0")
        assert process.wait(60) == 0
        assert [store.get(run).state for run in both] == ["finished", "finished"]

    def test_one_at_a_time_is_one_at_a_time(self, store: Store, agents: ExitStack) -> None:
        ids = [put(store) for _ in range(4)]
        assert start(agents, "--idle", "0").wait(60) == 0
        runs = [store.get(run) for run in ids]
        for before, after in pairwise(runs):
            assert before.ended is not None
            assert after.started is not None
            assert before.ended <= after.started

    def test_no_room_at_all_is_refused(self, launcher: Launcher) -> None:
        with pytest.raises(SpecError, match="max_jobs"):
            Serving(launcher, [FIRST], max_jobs=0)

    def test_an_item_that_cannot_run_fails_and_the_next_one_runs(
        self, store: Store, agents: ExitStack
    ) -> None:
        bad = put(store, resource_args={"local-process": {"nicer": 1}})
        secret = put(store, secrets=["NOT_HERE"])
        good = put(store, "print('good')")
        assert start(agents, "--idle", "0").wait(60) == 0
        assert store.get(bad).state is State.FAILED
        assert "local-process has no option 'nicer'.\nKnown: " in store.get(bad).reason
        assert store.get(secret).state is State.PENDING  # for an agent that has the secret
        assert store.get(good).state is State.FINISHED

    def test_two_agents_share_a_queue(self, store: Store, agents: ExitStack) -> None:
        ids = [put(store, f"print({n})") for n in range(8)]
        both = [start(agents, "--idle", "0.2") for _ in range(2)]
        assert [process.wait(60) for process in both] == [0, 0]
        assert [store.read_log(run) for run in ids] == [b"%d\n" % n for n in range(8)]
        starts = [
            [e.data["state"] for e in store.events(run) if e.kind == "state"].count("running")
            for run in ids
        ]
        assert starts == [1] * 8


class TestEnding:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_the_first_signal_drains(
        self, store: Store, agents: ExitStack, gate: Path, number: signal.Signals
    ) -> None:
        running, waiting = put(store, BLOCK.format(str(gate))), put(store)
        process = start(agents)
        wait(store, running, State.RUNNING)
        process.send_signal(number)
        lines = [said(process), said(process)]
        assert lines[0] == f"run {running} claimed from me/default\n"
        assert lines[1].startswith("taking no more runs; ")
        gate.touch()
        assert process.wait(30) == 0
        assert store.get(running).state is State.FINISHED
        assert store.get(waiting).state is State.PENDING
        assert store.agents() == []

    def test_a_second_signal_stops_its_runs(
        self, store: Store, agents: ExitStack, gate: Path
    ) -> None:
        running, waiting = put(store, BLOCK.format(str(gate))), put(store)
        process = start(agents)
        wait(store, running, State.RUNNING)
        signals(process, 2)
        assert process.wait(30) == 0
        run = store.get(running)
        assert run.state is State.STOPPED
        assert run.reason == "stopped because its agent was told to end"
        assert store.get(waiting).state is State.PENDING
        assert store.agents() == []

    def test_a_third_signal_leaves_its_runs_to_the_next_agent(
        self, store: Store, agents: ExitStack, gate: Path
    ) -> None:
        running = put(store, STUBBORN + BLOCK.format(str(gate)), grace_s=600)
        process = start(agents)
        wait(store, running, State.RUNNING)
        await_log(store, running, b"begun\n")
        signals(process, 2)
        wait(store, running, State.STOPPING)
        process.terminate()
        assert process.wait(30) != 0
        assert store.get(running).state is State.STOPPING
        gate.touch()
        assert start(agents, "--idle", "0").wait(60) == 0
        assert store.get(running).state is State.STOPPED
        assert store.read_log(running) == b"begun\n"

    @pytest.mark.parametrize("now", [False, True])
    def test_it_is_ended_from_anywhere(
        self, store: Store, agents: ExitStack, gate: Path, now: bool
    ) -> None:
        running, waiting = put(store, BLOCK.format(str(gate))), put(store)
        process = start(agents)
        wait(store, running, State.RUNNING)
        (agent,) = store.agents()
        said_here = cli("stop", agent.id, *["--now"][: int(now)]).stdout
        assert f"agent {agent.id} takes no more runs" in said_here
        assert "1 run" in said_here
        if not now:
            while [agent.status for agent in store.agents()] != ["draining"]:
                time.sleep(0.01)
            assert store.get(running).state is State.RUNNING
            gate.touch()
        assert process.wait(30) == 0
        assert store.get(running).state is (State.STOPPED if now else State.FINISHED)
        assert store.get(waiting).state is State.PENDING

    def test_an_unknown_agent_is_named(self, store: Store, agents: ExitStack) -> None:
        start(agents)
        (agent,) = store.agents()
        done = cli("stop", agent.id[:-1])
        assert done.returncode == 1
        assert f"There is no agent {agent.id[:-1]!r} at work." in done.stderr
        assert f"Did you mean {agent.id}?" in done.stderr
        assert done.stdout == ""

    def test_idle_agents_end_without_work(self, agents: ExitStack) -> None:
        begun = time.monotonic()
        assert start(agents, "--idle", "0.3").wait(30) == 0
        assert time.monotonic() - begun > 0.3

    def test_a_submission_in_the_moment_of_its_end_is_not_stranded(
        self, store: Store, launcher: Launcher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each run is submitted when the one before ends, which is when its idle agent goes."""
        started: list[threading.Thread] = []

        def serve(queue: Queue) -> None:
            with closing(open_store(store.url)) as own, closing(Launcher(own)) as its:
                Serving(its, [queue], idle_s=0).run()

        def start_in_thread(_url: str, queue: Queue) -> None:
            started.append(threading.Thread(target=serve, args=[queue]))
            started[-1].start()

        monkeypatch.setattr(submit, "start_agent", start_in_thread)
        monkeypatch.setattr(submit, "AGENT_IDLE_S", 0)  # or it would not start two in a row
        source = {"kind": "cell", "body": "never"}
        spec = LaunchSpec.from_dict(
            {"source": source, "resource": "local-process", "entity": "me"}
        ).evolve(overrides={"entry_point": ["true"]})
        for _ in range(60):
            handle = launcher.add(spec)
            # Waiting in the store, not by the handle: nobody comes to rescue.
            ended = store.wait(handle.id, lambda run: run.state.terminal, timeout=10)
            assert ended is not None, (handle.run, store.agents())
            assert ended.state is State.FINISHED
        for thread in started:
            thread.join(10)
        assert store.agents() == []


class TestRoom:
    def put(self, store: Store, body: str, **room: Any) -> str:
        data = {"source": {"kind": "cell", "body": body}, "resource": "local-process"}
        data |= {"entity": "me", "resource_args": {"local-process": room}}
        spec = LaunchSpec.from_dict(data)
        room_ = asked_room(spec, store.queue(FIRST))
        return store.submit(spec, queue=FIRST, room=room_).id

    def test_what_does_not_fit_does_not_run_at_once(
        self, store: Store, agents: ExitStack, tmp_path: Path
    ) -> None:
        store.ensure_queue(FIRST)
        one = "import pathlib, time\nbusy = pathlib.Path({!r})\nassert not busy.exists()\n"
        one += "busy.touch()\ntime.sleep(0.05)\nbusy.unlink()"
        body = one.format(str(tmp_path / "busy"))
        runs = [self.put(store, body, cpus=1.5, memory="1g", gpus=1) for _ in range(4)]
        offer = ["--cpus", "2", "--memory", "4g", "--gpus", "4"]
        process = start(agents, "--max-jobs", "4", *offer, "--idle", "0")
        (listed,) = json.loads(cli("list", "--json").stdout) or [{"room": None}]
        assert process.wait(60) == 0
        assert [store.get(run).state for run in runs] == ["finished"] * 4
        if listed["room"]:
            assert listed["room"] == {"cpus": 2.0, "memory": 4 * 2**30, "gpus": 4}

    def test_what_no_agent_has_waits_for_one_that_does(
        self, store: Store, agents: ExitStack
    ) -> None:
        store.ensure_queue(FIRST)
        large, small = self.put(store, "pass", gpus=2), self.put(store, "pass")
        assert start(agents, "--gpus", "1", "--idle", "0").wait(60) == 0
        assert store.get(small).state is State.FINISHED
        assert store.get(large).state is State.PENDING
        assert start(agents, "--gpus", "2", "--idle", "0").wait(60) == 0
        assert store.get(large).state is State.FINISHED

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--memory", "lots"], "--memory must be a size such as 512m or 2g, not 'lots'."),
            (["--cpus", "-1"], "--cpus must be a number from 0 to 2147483647, not -1.0."),
            (["--cpus", "nan"], "--cpus must be a number from 0 to 2147483647, not nan."),
            (["--gpus", "-2"], "--gpus must be a number from 0 to 2147483647, not -2."),
        ],
    )
    def test_a_wrong_offer_is_named(self, words: list[str], message: str) -> None:
        done = cli(*words)
        assert (done.returncode, done.stderr) == (2, message + "\n")


def test_agents_are_listed(store: Store, agents: ExitStack) -> None:
    assert cli("list").stdout == "no agents\n"
    process = start(agents, "-j", "3")
    assert store.agents()
    head, row = cli("list").stdout.splitlines()
    assert head.split() == ["ID", "STATUS", "HOST", "PID", "RUNS", "OFFERS", "SEEN", "QUEUES"]
    assert str(process.pid) in row
    assert "0 of 3" in row
    assert row.endswith("me/default")


class TestLeavingToOthers:
    @pytest.mark.docker
    def test_a_dead_engine_does_not_empty_the_queue(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        socket = tmp_path / "docker.sock"
        real = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        if not real.startswith("unix://"):
            pytest.skip("the engine has no socket on this machine to put elsewhere")
        monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
        monkeypatch.setattr(submit, "RETRY_S", 0.1)
        made = submit.launcher()
        ids = [
            put(
                store,
                source=None,
                resource="local-container",
                docker={"docker_image": TINY},
                overrides={"entry_point": ["echo", str(n)]},
            )
            for n in range(3)
        ]
        serving = Serving(made, [FIRST], idle_s=0)
        thread = threading.Thread(target=serving.run)
        thread.start()
        tried = store.wait(
            ids[0], lambda run: run.state is State.PENDING and bool(run.reason), timeout=30
        )
        assert tried is not None
        assert f"unix://{socket} does not answer (no such file" in tried.reason
        assert "Start it (Docker Desktop" in tried.reason
        assert "does not answer" in made.handle(ids[0]).waiting_for()
        assert {store.get(run).state for run in ids} <= {State.PENDING, State.LEASED}
        socket.symlink_to(real.removeprefix("unix://"))
        ended = [wait(store, run) for run in ids]
        assert [run.state for run in ended] == ["finished"] * 3
        assert [store.read_log(run) for run in ids] == [b"0\n", b"1\n", b"2\n"]
        thread.join(30)
        assert not thread.is_alive()

    def test_a_draining_agent_does_not_count(
        self, store: Store, agents: ExitStack, gate: Path
    ) -> None:
        running = put(store, BLOCK.format(str(gate)))
        process = start(agents)
        wait(store, running, State.RUNNING)
        process.terminate()
        while [agent.status for agent in store.agents()] != ["draining"]:
            time.sleep(0.01)
        source = {"kind": "cell", "body": "print('by another')"}
        run = launch_add(config={"source": source, "resource": "local-process"})
        assert wait(store, run.id).state is State.FINISHED
        assert store.get(running).state is State.RUNNING
        (other,) = [a for a in store.agents() if pid_of(a.owner) != process.pid]
        assert not known_dead(other.owner)

    def test_an_item_with_a_secret_gets_an_agent_that_has_it(
        self, store: Store, agents: ExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        start(agents)
        monkeypatch.setenv("MY_TOKEN", "t" * 30)
        source = {"kind": "cell", "body": "import os; print(len(os.environ['MY_TOKEN']))"}
        run = launch_add(
            config={"source": source, "resource": "local-process", "secrets": ["MY_TOKEN"]}
        )
        assert wait(store, run.id).state is State.FINISHED
        assert run.logs() == "30\n"

    @pytest.mark.parametrize("name", ["-q", "$(touch pwned)", "é; ü'\""])
    def test_queues_may_have_any_name(self, store: Store, agents: ExitStack, name: str) -> None:
        queue = Queue("me", name)
        store.create_queue(QueueRecord(queue, "local-process"))
        source = {"kind": "cell", "body": "import os; print(os.environ['WANDB_LAUNCH_QUEUE_NAME'])"}
        run = launch_add(queue_name=name, config={"source": source})
        assert wait(store, run.id).state is State.FINISHED, agent_log()
        assert run.logs() == f"{name}\n"
        assert run.queue_name == name


def agent_log() -> str:
    path = Path(os.environ["JUPYTER_DATA_DIR"]) / "jupyter_launch" / "agent.log"
    return path.read_text()
