"""Programs that are tried again, or may not run for ever: here, and on queues."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from jupyter_launch import backends, owner
from jupyter_launch.agent import Serving
from jupyter_launch.backends.base import Backend
from jupyter_launch.leftovers import clear_strays
from jupyter_launch.owner import pid_of
from jupyter_launch.runs import ATTEMPT, Queue, QueueRecord, Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores import base, open_store
from jupyter_launch.stores.base import Change, Store, log_of
from jupyter_launch.submit import Launcher
from tests.conftest import PYTHON

FIRST = Queue("me", "default")
PLACES = [
    pytest.param("local-process", id="local-process"),
    pytest.param("local-container", id="local-container", marks=pytest.mark.docker),
]
AT_ONCE = {"backoff_s": 0}
TELLS = "import os\nn = int(os.environ['JUPYTER_LAUNCH_ATTEMPT'])\nprint('this is', n)\n"
BLOCKS = "import pathlib, time\nprint('begun', flush=True)\n"
BLOCKS += "while not pathlib.Path({!r}).exists():\n    time.sleep(0.02)"


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_LAUNCH_ENTITY", "me")
    backends._made.cache_clear()  # the one of another test has its folders elsewhere


@pytest.fixture
def ends() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def spec_of(body: str, place: str = "local-process", **more: Any) -> LaunchSpec:
    source = {"kind": "cell", "body": body}
    image = {"docker": {"docker_image": PYTHON}} if place == "local-container" else {}
    return LaunchSpec.from_dict(
        {"source": source, "resource": place, "entity": "me", **image, **more}
    )


def ended(store: Store, run_id: str) -> Run:
    run = store.wait(run_id, lambda run: run.state.terminal, timeout=60)
    assert run is not None, store.get(run_id)
    return run


def serve(store: Store, **more: Any) -> None:
    """Serve the first queue with an agent of its own until there is nothing to do."""
    with closing(open_store(store.url)) as own, closing(Launcher(own)) as its:
        Serving(its, [FIRST], idle_s=0, **more).run()


def launching(ends: ExitStack, *words: str) -> subprocess.Popen[str]:
    """Launch in another process, which can be killed."""
    command = [sys.executable, "-m", "jupyter_launch", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    ends.enter_context(process)
    ends.callback(process.kill)
    return process


def newest(store: Store, *states: State) -> Run:
    """Wait until the one run there is, is in one of the states."""
    with store.listen(base.ANY_RUN) as listener:
        while True:
            runs = store.runs()
            if runs and runs[0].state in states:
                return runs[0]
            assert listener.wait(30)


class TestAgain:
    @pytest.mark.parametrize("place", PLACES)
    def test_attempts_are_kept_apart(self, launcher: Launcher, place: str) -> None:
        body = TELLS + "open(os.path.join(os.environ['JUPYTER_LAUNCH_OUTPUT_DIR'], f'{n}'), 'w')"
        body += "\nraise SystemExit(0 if n == 2 else 3)"
        retry = {"max_retries": 3, "on": ["3"], **AT_ONCE}
        handle = launcher.launch(spec_of(body, place, retry=retry))
        run = ended(launcher.store, handle.id)
        assert (run.state, run.exit_code, run.attempt, run.reason) == (State.FINISHED, 0, 2, "")
        assert handle.logs() == (
            "this is 0\n--- attempt 2 of 4 ---\nthis is 1\n--- attempt 3 of 4 ---\nthis is 2\n"
        )
        position = launcher.store.log_position(run.id)
        assert position.stdout == len("this is 2\n")
        assert position.size == len(handle.logs())
        streams = [piece.stream for piece in launcher.store.log_pieces(run.id)]
        assert streams.count(ATTEMPT) == 2
        told = [attempt.outcome for attempt in handle.attempts()]
        failed = "attempt {} of 4 failed with exit code 3"
        assert told == [failed.format(1), failed.format(2), "finished"]
        assert all(one.started and one.ended for one in handle.attempts())
        assert list(handle.artifacts()) == ["2"]
        reasons = [event.data.get("reason", "") for event in handle.events()]
        assert f"{failed.format(1)}; the next one in 0 s" in reasons
        launcher.close()
        assert launcher.store.get(run.id).handle is None

    def test_attempts_come_to_an_end(self, launcher: Launcher) -> None:
        retry = {"max_retries": 2, "on": ["failed"], **AT_ONCE}
        handle = launcher.launch(spec_of(TELLS + "raise SystemExit(n + 5)", retry=retry))
        run = ended(launcher.store, handle.id)
        assert (run.state, run.exit_code, run.attempt) == (State.FAILED, 7, 2)
        assert run.reason == "the program ended with exit code 7"

    @pytest.mark.parametrize(
        "retry",
        [{}, {"max_retries": 3, **AT_ONCE}, {"max_retries": 0, "on": ["failed"]}],
    )
    def test_what_the_policy_does_not_name_is_the_end(
        self, launcher: Launcher, retry: dict[str, Any]
    ) -> None:
        run = ended(launcher.store, launcher.launch(spec_of("exit(3)", retry=retry)).id)
        assert (run.state, run.attempt) == (State.FAILED, 0)

    def test_what_cannot_start_is_not_tried_again(self, launcher: Launcher) -> None:
        retry = {"max_retries": 3, "on": ["failed", "crashed"], **AT_ONCE}
        spec = spec_of("", retry=retry).evolve(overrides={"entry_point": ["no-such-program"]})
        run = ended(launcher.store, launcher.launch(spec).id)
        assert (run.state, run.attempt) == (State.FAILED, 0)

    def test_an_item_goes_back_to_its_queue_by_the_queues_policy(self, store: Store) -> None:
        retry = {"max_retries": 1, "on": ["failed"], "backoff_s": 0.3}
        store.create_queue(QueueRecord(FIRST, "local-process", retry=retry))
        run = store.submit(spec_of(TELLS + "raise SystemExit(1 - n)"), queue=FIRST)
        serve(store)
        events = [e for e in store.events(run.id) if e.kind == "state"]
        assert [e.data["state"] for e in events] == [
            "leased", "starting", "running", "pending", "leased", "starting", "running", "finished"
        ]  # fmt: skip
        assert events[4].at - events[3].at >= 0.3
        assert store.read_log(run.id) == b"this is 0\n--- attempt 2 of 2 ---\nthis is 1\n"

    def test_a_run_is_stopped_while_it_waits_for_its_next_attempt(self, launcher: Launcher) -> None:
        retry = {"max_retries": 3, "on": ["failed"], "backoff_s": 600}
        handle = launcher.launch(spec_of("exit(3)", retry=retry))
        waiting = launcher.store.wait(handle.id, lambda run: run.attempt == 1, timeout=30)
        assert waiting is not None
        assert waiting.state is State.LEASED
        assert handle.stop() is State.STOPPED
        assert handle.run.reason == "stopped before its next attempt"

    def test_an_unfinished_line_does_not_join_the_next_attempt(self, launcher: Launcher) -> None:
        body = TELLS + "print('no end', end='')\nraise SystemExit(1 - n)"
        retry = {"max_retries": 1, "on": ["failed"], **AT_ONCE}
        handle = launcher.launch(spec_of(body, retry=retry))
        ended(launcher.store, handle.id)
        assert handle.logs() == ("this is 0\nno end\n--- attempt 2 of 2 ---\nthis is 1\nno end")


class TestKilled:
    @pytest.mark.parametrize("place", PLACES)
    def test_a_program_that_is_gone_is_tried_again(
        self, store: Store, ends: ExitStack, place: str, tmp_path: Path
    ) -> None:
        """The agent is killed, and the program with all traces of it, before another one comes."""
        body = TELLS + "import time\nprint('x', flush=True)\nif n == 0:\n    time.sleep(600)"
        retry = {"max_retries": 1, "on": ["crashed"], **AT_ONCE}
        run = store.submit(spec_of(body, place, retry=retry), queue=FIRST)
        agent = launching(ends, "agent")
        running = newest(store, State.RUNNING)
        kill_after(agent, store, run, b"x\n")
        backend = backends.backend(place)
        assert running.handle is not None
        backend.stop(running.handle, 0)
        backend.remove(running.handle)
        serve_until_swept(store)
        now = ended(store, run.id)
        assert (now.state, now.attempt) == (State.FINISHED, 1)
        assert store.read_log(run.id) == (b"this is 0\nx\n--- attempt 2 of 2 ---\nthis is 1\nx\n")

    def test_another_process_goes_on_with_the_attempts(
        self, launcher: Launcher, ends: ExitStack
    ) -> None:
        """The one who launched it is killed while the run waits for its next attempt."""
        Path("p.py").write_text(TELLS + "raise SystemExit(1 - n)")
        launching(
            ends, "run", "p.py", "-r", "local-process", "--retries", "1", "--retry-on", "failed"
        )
        waiting = newest(launcher.store, State.RUNNING, State.LEASED)
        found = launcher.store.wait(waiting.id, lambda run: run.attempt == 1, timeout=30)
        assert found is not None
        assert found.owner is not None
        os.kill(pid_of(found.owner), signal.SIGKILL)
        handle = launcher.handle(found.id)
        while handle.run.owner == found.owner:
            launcher.keeper.sweep()
        assert ended(launcher.store, found.id).state is State.FINISHED
        assert handle.logs() == "this is 0\n--- attempt 2 of 2 ---\nthis is 1\n"


def kill_after(agent: subprocess.Popen[str], store: Store, run: Run, line: bytes) -> None:
    """Kill an agent once the program that it executes has written a line."""
    with store.listen(run.id, log_of(run.id)) as listener:
        while line not in store.read_log(run.id):
            assert listener.wait(30)
    agent.kill()
    agent.wait()


def serve_until_swept(store: Store) -> None:
    with closing(open_store(store.url)) as own, closing(Launcher(own)) as its:
        its.sweep()
        Serving(its, [FIRST], idle_s=0).run()


class TestElsewhere:
    """A machine that is not heard of any more, which is the same one under another name."""

    @pytest.fixture
    def stale(
        self, store: Store, ends: ExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[tuple[Run, Backend, str]]:
        """Give a run of another machine, whose owner was killed, with its program alive."""
        gate = Path("gate").absolute()
        body = TELLS + "if n == 0:\n    " + BLOCKS.format(str(gate)).replace("\n", "\n    ")
        retry = {"max_retries": 1, "on": ["crashed"], **AT_ONCE}
        run = store.submit(spec_of(body, retry=retry), queue=FIRST)
        agent = launching(ends, "agent")
        run = newest(store, State.RUNNING)
        kill_after(agent, store, run, b"begun\n")
        assert run.handle is not None
        backend = backends.backend("local-process")
        yield run, backend, run.handle
        gate.touch()

    def test_it_is_tried_again_here_and_cleared_away_there(
        self,
        store: Store,
        stale: tuple[Run, Backend, str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        run, backend, handle = stale
        monkeypatch.setattr(owner, "_host", lambda: "elsewhere")
        monkeypatch.setattr("jupyter_launch.stores.sql_leases.LEASE_S", 0.0)
        with closing(open_store(store.url)) as own, closing(Launcher(own)) as its:
            while store.get(run.id).owner == run.owner:
                its.keeper.sweep()
            after = ended_or_pending(store, run.id)
            assert after.attempt == 1
            told = [one.outcome for one in its.handle(run.id).attempts()]
            assert told[0].startswith(f"attempt 1 of 2 crashed (the machine {run.host} that it ran")
            assert backend.find(handle)
            Serving(its, [FIRST], idle_s=0).run()
        now = ended(store, run.id)
        assert (now.state, now.host) == (State.FINISHED, "elsewhere")
        monkeypatch.undo()
        clear_strays(store)
        assert not backend.find(handle)

    def test_without_a_retry_it_crashes_and_is_cleared_away_there(
        self,
        store: Store,
        stale: tuple[Run, Backend, str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        run, backend, handle = stale
        update_spec(store, run, retry={"max_retries": 0})
        monkeypatch.setattr(owner, "_host", lambda: "elsewhere")
        monkeypatch.setattr("jupyter_launch.stores.sql_leases.LEASE_S", 0.0)
        with closing(open_store(store.url)) as own, closing(Launcher(own)) as its:
            while store.get(run.id).owner == run.owner:
                its.keeper.sweep()
            now = ended(store, run.id)
        assert now.state is State.CRASHED
        assert run.host is not None
        assert run.host in now.reason
        assert now.handle == handle
        assert backend.find(handle)
        monkeypatch.undo()
        monkeypatch.setattr("jupyter_launch.leftovers.SETTLED_S", -1.0)
        with closing(open_store(store.url)) as own, closing(Launcher(own)) as its:
            its.sweep()
        assert not backend.find(handle)
        assert store.get(run.id).handle is None


def update_spec(store: Store, run: Run, **changes: Any) -> None:
    spec = run.spec.evolve(**changes).to_json()
    store.move(run.id, run.owner, State.STOPPING, Change(spec_json=spec))


def ended_or_pending(store: Store, run_id: str) -> Run:
    run = store.wait(run_id, lambda r: r.state.terminal or r.state is State.PENDING, timeout=30)
    assert run is not None
    return run


class TestAsleep:
    @pytest.mark.parametrize("last", ["while True:\n    print(flush=True)", "time.sleep(600)"])
    def test_who_was_given_up_ends_what_it_started_when_it_wakes_up(
        self, store: Store, ends: ExitStack, last: str
    ) -> None:
        """A suspended machine, on which a program goes on, be it noisy or silent."""
        body = f"import time\nprint('tick', flush=True)\n{last}"
        if "while" in last:
            body += "\n    time.sleep(0.05)"
        retry = {"max_retries": 1, "on": ["crashed"], **AT_ONCE}
        run = store.submit(spec_of(body, retry=retry), queue=FIRST)
        agent = launching(ends, "agent")
        running = newest(store, State.RUNNING)
        assert running.handle is not None
        with store.listen(run.id, log_of(run.id)) as listener:
            while b"tick\n" not in store.read_log(run.id):
                assert listener.wait(30)
        agent.send_signal(signal.SIGSTOP)
        assert running.owner is not None
        # What the owners elsewhere do once its lease and one more are over.
        retried = Change("given up", retry_in=600)
        store.move(run.id, running.owner, State.PENDING, retried)
        agent.send_signal(signal.SIGCONT)
        backend = backends.backend("local-process")
        until = time.monotonic() + 30
        while backend.find(running.handle) and time.monotonic() < until:
            time.sleep(0.02)
        assert not backend.find(running.handle)
        assert store.get(run.id).state is State.PENDING
        agent.terminate()
        assert agent.wait(30) == 0


class TestDeadline:
    @pytest.mark.parametrize("place", PLACES)
    def test_a_run_is_ended_when_its_time_is_over(self, launcher: Launcher, place: str) -> None:
        retry = {"max_retries": 2, "on": ["failed"], **AT_ONCE}
        body = "import time\nprint('begun', flush=True)\ntime.sleep(600)"
        handle = launcher.launch(spec_of(body, place, max_run_time=1.5, retry=retry))
        run = ended(launcher.store, handle.id)
        assert (run.state, run.attempt) == (State.FAILED, 0)
        assert run.reason == "ran longer than its max_run_time of 1.5 s"
        assert handle.logs() == "begun\n"

    def test_who_takes_a_run_over_ends_it_in_time(
        self, launcher: Launcher, ends: ExitStack
    ) -> None:
        Path("p.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(600)")
        launching(ends, "run", "p.py", "-r", "local-process", "--max-run-time", "3")
        run = newest(launcher.store, State.RUNNING)
        assert run.owner is not None
        os.kill(pid_of(run.owner), signal.SIGKILL)
        while launcher.store.get(run.id).owner == run.owner:
            launcher.keeper.sweep()
        now = ended(launcher.store, run.id)
        assert now.state is State.FAILED
        assert now.reason == "ran longer than its max_run_time of 3 s"
        assert now.ended is not None
        assert now.started is not None
        assert now.ended - now.started >= 3

    def test_one_that_ends_in_time_is_left_alone(self, launcher: Launcher) -> None:
        handle = launcher.launch(spec_of("print(1)", max_run_time=1e300))
        assert ended(launcher.store, handle.id).state is State.FINISHED
