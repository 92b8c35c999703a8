"""The command line, as a process of its own: what it prints and its exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from jupyter_launch.frontends import cli
from jupyter_launch.frontends.copy_as import FORMS
from jupyter_launch.owner import pid_of
from jupyter_launch.runs import Queue, QueueRecord, Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores.base import Store, log_of
from tests.conftest import TINY
from tests.proofs import proves

COMMAND = [sys.executable, "-m", "jupyter_launch"]
VERBS = ["run", "add", "agent", "list", "logs", "attach", "stop", "show"]
HERE = ["-r", "local-process"]
BLOCK = "import pathlib, time\nprint('begun', flush=True)\n"
BLOCK += "while not pathlib.Path({!r}).exists():\n    time.sleep(0.02)\nprint('ended')\n"


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_LAUNCH_ENTITY", "me")


def call(*words: str, typed: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words],
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )


def output(*words: str) -> str:
    done = call(*words)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def mistaken(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Give a function that runs a command, in this process, that must end with 2."""

    def complaint(*words: str) -> str:
        try:
            code: object = cli.run(words)
        except SystemExit as end:
            code = end.code
        out, err = capfd.readouterr()
        assert (code, out) == (2, "")
        return err

    return complaint


@pytest.fixture
def script() -> str:
    Path("s.py").write_text("import sys\nprint('args', sys.argv[1:])\nsys.exit(len(sys.argv) - 1)")
    return "s.py"


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """Give a path; the program of `blocked` ends when there is something."""
    path = tmp_path / "gate"
    yield path
    path.touch()


@pytest.fixture
def blocked(store: Store, gate: Path) -> str:
    """Start a program that waits for `gate`, in the care of a process left behind; give its id."""
    Path("block.py").write_text(BLOCK.format(str(gate)))
    return output("run", "block.py", *HERE, "--no-wait").strip()


def ended(store: Store, run_id: str) -> State:
    run = store.wait(run_id, lambda run: run.state.terminal, timeout=30)
    assert run is not None
    return run.state


def keeper(store: Store, run_id: str) -> int:
    """Wait until a process that lives holds the run, and give its pid."""

    def alive(run: Run) -> bool:
        return run.owner is not None and Path(f"/proc/{pid_of(run.owner)}").exists()

    held = store.wait(run_id, alive, timeout=30)
    assert held is not None
    assert held.owner is not None
    return pid_of(held.owner)


class TestRun:
    def test_shows_the_log_and_ends_with_0(self, script: str, store: Store) -> None:
        first, log, last = output("run", script, *HERE, "-n", "named").splitlines()
        (run,) = store.runs()
        assert first == f"run {run.id}: s.py"
        assert log == "args []"
        assert re.fullmatch(rf"✓ finished · .*{run.id} · .* · exit code 0", last)
        assert run.state is State.FINISHED

    def test_standard_input_is_launched_like_a_cell(self, store: Store) -> None:
        done = call("run", "-", *HERE, "--", "b", typed="#!/bin/sh\necho cell $1\n")
        assert (done.returncode, done.stderr) == (0, "")
        assert "\ncell b\n" in done.stdout
        spec = {"source": {"kind": "cell", "body": "print('whole')\n"}, "resource": "local-process"}
        Path("spec.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
        for path, typed in (("-", json.dumps(spec)), ("spec.yaml", "")):
            done = call("run", "--spec", path, typed=typed)
            assert (done.returncode, done.stderr) == (0, "")
            assert "\nwhole\n" in done.stdout
        sources = [run.spec.source for run in store.runs()]
        assert [source and source.kind for source in sources] == ["cell", "cell", "cell"]

    def test_a_copied_command_launches_the_same(self, script: str, store: Store) -> None:
        output("run", script, *HERE, "--set", "lr=1e-3", "--env", "A=b'c")
        (run,) = store.runs()
        words = shlex.split(FORMS["cli"](run))
        assert words[:2] == ["jupyter", "launch"]
        output(*words[2:])
        assert [run.spec] * 2 == [run.spec for run in store.runs()]

    def test_a_failed_run_ends_with_1(self, script: str, store: Store) -> None:
        done = call("run", script, *HERE, "--", "a b", "--json", "-x")
        assert done.returncode == 1
        assert "args ['a b', '--json', '-x']\n" in done.stdout
        assert "exit code 3" in done.stdout
        assert (store.runs()[0].state, store.runs()[0].exit_code) == (State.FAILED, 3)

    def test_json_is_the_record_and_nothing_else(self, script: str) -> None:
        done = call("run", script, *HERE, "--json", "--set", "lr=1e-3", "--", "x")
        record = json.loads(done.stdout)
        assert (done.returncode, record["state"], record["exit_code"]) == (1, "failed", 1)
        assert record["spec"]["overrides"] == {"args": ["x"], "run_config": {"lr": 1e-3}}

    def test_no_wait_leaves_the_run_to_a_process_that_stays(
        self, store: Store, gate: Path, blocked: str
    ) -> None:
        assert store.get(blocked).state is State.RUNNING
        gate.touch()
        assert ended(store, blocked) is State.FINISHED
        assert store.read_log(blocked) == b"begun\nended\n"

    def test_an_interrupt_stops_the_run(self, store: Store, gate: Path) -> None:
        Path("block.py").write_text(BLOCK.format(str(gate)))
        words = [*COMMAND, "run", "block.py", *HERE]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert b"begun\n" in [process.stdout.readline() for _ in range(2)]
            process.send_signal(signal.SIGINT)
            said, complaint = process.communicate(timeout=30)
        assert process.returncode == 1
        (run,) = store.runs()
        assert run.state is State.STOPPED
        assert f"Stopping run {run.id}" in said.decode()
        assert complaint.decode() == f"Run {run.id} was stopped by an interrupt.\n"

    def test_an_interrupt_stops_it_without_a_log_too(self, store: Store, gate: Path) -> None:
        Path("block.py").write_text(BLOCK.format(str(gate)))
        words = [*COMMAND, "run", "block.py", *HERE, "--json", "--run-id", "cut"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while not store.read_log("cut"):
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
        assert process.returncode == 1
        assert store.get("cut").state is State.STOPPED

    def test_a_reader_that_goes_away_leaves_the_run_to_others(
        self, store: Store, gate: Path
    ) -> None:
        Path("block.py").write_text(BLOCK.format(str(gate)) + "print('more')\n" * 3)
        words = [*COMMAND, "run", "block.py", *HERE, "--run-id", "left"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert b"begun\n" in [process.stdout.readline() for _ in range(2)]
            process.stdout.close()
            gate.touch()
            assert process.stderr.read() == b""
        assert process.returncode == 0
        assert ended(store, "left") is State.FINISHED
        assert store.read_log("left") == b"begun\nended\n" + b"more\n" * 3

    def test_dry_run_prints_the_program_and_records_nothing(
        self, script: str, store: Store
    ) -> None:
        shown = output("run", script, "-r", "local-process", "--dry-run", "--", "a")
        assert "- s.py\n" in shown
        assert store.runs() == []

    def test_the_store_may_be_named(self, script: str, store: Store, tmp_path: Path) -> None:
        other = f"sqlite:///{tmp_path}/elsewhere.db"
        output("run", script, *HERE, "--store", other)
        assert store.runs() == []
        (record,) = json.loads(output("list", "--store", other, "--json"))
        assert record["state"] == "finished"
        assert output("logs", record["id"], "--store", other) == "args []\n"

    @proves("--secret")
    def test_a_secret_is_taken_from_the_environment(self, store: Store) -> None:
        Path("s.py").write_text("import os; print(len(os.environ['TOKEN']))")
        done = call("run", "s.py", *HERE, "--secret", "TOKEN", TOKEN="x" * 40)
        assert "\n40\n" in done.stdout
        refused = call("run", "s.py", *HERE, "--secret", "TOKEN")
        assert refused.returncode == 2
        assert "The secret TOKEN is not in the environment" in refused.stderr


class TestHelp:
    def test_the_program_names_its_verbs(self) -> None:
        shown = output("--help")
        assert [verb for verb in VERBS if f"\n    {verb} " not in shown] == []
        assert output("--version").strip()

    @pytest.mark.parametrize("verb", ["run", "add"])
    def test_submitting_verbs_show_the_one_table(self, verb: str) -> None:
        shown = output(verb, "--help")
        assert shown.startswith(f"usage: jupyter launch {verb} ")
        for flag in ("--docker-image", "--entry-point", "--secret", "--set", "--resource-args"):
            assert flag in shown

    def test_jupyter_finds_the_command(self) -> None:
        scripts = Path(sysconfig.get_path("scripts"))
        path = f"{scripts}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [scripts / "jupyter", "launch", "list", "--json"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={**os.environ, "PATH": path},
        )
        assert json.loads(done.stdout) == []


class TestReading:
    def test_list_show_and_logs(self, script: str, store: Store) -> None:
        call("run", script, *HERE, "-n", "one", "--", "x")
        call("run", script, *HERE, "-n", "two")
        two, one = store.runs()
        assert [line.split()[:2] for line in output("list").splitlines()[1:]] == [
            [two.id, "finished"],
            [one.id, "failed"],
        ]
        records = json.loads(output("list", "--json"))
        assert [record["name"] for record in records] == ["two", "one"]
        (failed,) = json.loads(output("list", "--state", "failed", "--json"))
        assert (failed["id"], failed["exit_code"]) == (one.id, 1)
        assert len(json.loads(output("list", "-n", "1", "--json"))) == 1
        assert json.loads(output("show", one.id, "--json")) == failed
        assert failed["reason"] in output("show", one.id)
        assert output("logs", one.id) == "args ['x']\n"
        log = json.loads(output("logs", one.id, "--json"))
        assert log == {"id": one.id, "state": "failed", "log": "args ['x']\n"}

    def test_an_empty_store_is_no_error(self) -> None:
        assert output("list") == "no runs\n"
        assert json.loads(output("list", "--json")) == []
        assert json.loads(output("agent", "--json")) == []
        assert json.loads(output("queue", "list", "--json")) == []

    def test_queues_are_made_and_listed(self) -> None:
        output("queue", "create", "gpu", "-r", "local-process")
        (queue,) = json.loads(output("queue", "list", "--json"))
        assert queue.items() >= {"entity": "me", "name": "gpu", "resource": "local-process"}.items()
        assert output("queue", "list").splitlines()[1].split()[:3] == ["me", "gpu", "local-process"]
        refused = call("queue", "create", "x", "-r", "nowhere")
        assert refused.returncode == 2
        assert refused.stderr.startswith("There is no resource 'nowhere'.\nKnown: auto, ")

    def test_the_log_is_printed_byte_for_byte(self, store: Store) -> None:
        data = b"\xff\x00\x1b[31m\r\n\xe9"
        Path("s.py").write_text(f"import sys; sys.stdout.buffer.write({data!r})")
        call("run", "s.py", *HERE)
        (run,) = store.runs()
        for verb in ("logs", "attach"):
            words = [*COMMAND, verb, run.id]
            assert subprocess.check_output(words, timeout=60) == data
        assert json.loads(output("logs", run.id, "--json"))["log"] == data.decode(
            "utf-8", "replace"
        )

    def test_a_reader_that_goes_away_is_no_error(self, store: Store) -> None:
        Path("s.py").write_text("for n in range(200_000): print('line', n)")
        call("run", "s.py", *HERE)
        (run,) = store.runs()
        for words in (["logs", run.id], ["attach", run.id]):
            with subprocess.Popen(
                [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ) as process:
                assert process.stdout is not None
                assert process.stderr is not None
                assert process.stdout.readline() == b"line 0\n"
                process.stdout.close()
                assert process.stderr.read() == b""
            assert process.returncode == 0

    def test_attach_prints_from_the_first_byte_and_follows_to_the_end(
        self, store: Store, gate: Path, blocked: str
    ) -> None:
        words = [*COMMAND, "attach", blocked]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
            gate.touch()
            assert process.stdout.read() == b"ended\n"
        assert process.returncode == 0

    def test_attach_as_json_gives_events_and_log_a_line_each(self, script: str) -> None:
        record = json.loads(call("run", script, *HERE, "--json", "--", "x").stdout)
        done = call("attach", record["id"], "--json")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 1
        assert "".join(line.get("log", "") for line in lines) == "args ['x']\n"
        states = [line["state"] for line in lines if line.get("kind") == "state"]
        assert states[-1] == "failed"

    def test_attach_to_a_failed_run_says_why(self, script: str) -> None:
        record = json.loads(call("run", script, *HERE, "--json", "--", "x").stdout)
        done = call("attach", record["id"])
        assert (done.returncode, done.stdout) == (1, "args ['x']\n")
        assert done.stderr == f"Run {record['id']} failed: the program ended with exit code 1\n"


class TestStop:
    def test_waits_until_it_is_stopped(self, store: Store, blocked: str) -> None:
        with store.listen(blocked, log_of(blocked)) as listener:
            while not store.read_log(blocked):
                listener.wait(5)
        assert output("stop", blocked) == f"{blocked} stopped\n"
        run = store.get(blocked)
        assert (run.state, run.reason) == (State.STOPPED, "stopped on request")
        assert output("stop", blocked) == f"{blocked} stopped\n"
        done = call("attach", blocked)
        assert (done.returncode, done.stdout) == (1, "begun\n")
        assert done.stderr == f"Run {blocked} was stopped.\n"

    def test_a_run_whose_owner_was_killed_is_stopped_too(self, store: Store, blocked: str) -> None:
        os.kill(keeper(store, blocked), signal.SIGKILL)
        assert output("stop", blocked) == f"{blocked} stopped\n"

    @proves("--retries", "--retry-on")
    def test_a_program_is_tried_again_after_what_was_named(self, store: Store) -> None:
        Path("s.py").write_text("import os; raise SystemExit(3 + int(os.environ[ATTEMPT]))")
        Path("s.py").write_text("ATTEMPT = 'JUPYTER_LAUNCH_ATTEMPT'\n" + Path("s.py").read_text())
        done = call("run", "s.py", *HERE, "--run-id", "r", "--retries", "5", "--retry-on", "3")
        assert done.returncode == 1
        run = store.get("r")
        assert (run.attempt, run.exit_code, run.state) == (1, 4, State.FAILED)

    @proves("--max-run-time")
    def test_a_program_is_stopped_when_its_time_is_over(self, store: Store) -> None:
        Path("s.py").write_text("import time; print('up', flush=True); time.sleep(60)")
        done = call("run", "s.py", *HERE, "--run-id", "r", "--max-run-time", "0.5")
        assert done.returncode == 1
        assert "ran longer than its max_run_time of 0.5 s" in done.stdout
        assert store.get("r").state is State.FAILED

    @proves("--max-wait-time")
    def test_what_waits_for_too_long_fails(self, store: Store) -> None:
        store.create_queue(QueueRecord(Queue("me", "shut"), "local-process", state="paused"))
        Path("s.py").touch()
        run_id = output("add", "s.py", "-q", "shut", "--max-wait-time", "0.1").strip()
        assert call("attach", run_id).returncode == 1
        run = store.get(run_id)
        assert (run.state, run.started) == (State.FAILED, None)
        assert "max_wait_time" in run.reason

    @proves("--grace")
    def test_a_program_that_ignores_the_request_is_killed_after_its_grace(
        self, store: Store
    ) -> None:
        Path("s.sh").write_text("trap '' TERM\necho deaf\nwhile true; do sleep 0.1; done")
        run_id = output("run", "s.sh", *HERE, "--grace", "0.5", "--no-wait").strip()
        with store.listen(run_id, log_of(run_id)) as listener:
            while not store.read_log(run_id):
                listener.wait(5)
        begun = time.monotonic()
        assert output("stop", run_id) == f"{run_id} stopped\n"
        assert 0.5 < time.monotonic() - begun < 5
        assert store.get(run_id).exit_code == 128 + signal.SIGKILL

    @pytest.mark.timeout(60)
    def test_kill_does_not_wait_for_the_grace(self, store: Store) -> None:
        Path("s.sh").write_text("trap '' TERM\necho deaf\nwhile true; do sleep 0.1; done")
        run_id = output("run", "s.sh", *HERE, "--grace", "600", "--no-wait").strip()
        with store.listen(run_id, log_of(run_id)) as listener:
            while not store.read_log(run_id):
                listener.wait(5)
        with subprocess.Popen([*COMMAND, "stop", run_id], stdout=subprocess.PIPE) as patient:
            assert store.wait(run_id, lambda run: run.state is State.STOPPING, timeout=30)
            assert output("stop", run_id, "--kill") == f"{run_id} stopped\n"
            assert patient.communicate()[0].decode() == f"{run_id} stopped\n"
        assert (store.get(run_id).reason, store.get(run_id).exit_code) == ("killed on request", 137)

    def test_a_pending_run_is_stopped_at_once(self, store: Store) -> None:
        spec = LaunchSpec.from_dict({"docker": {"docker_image": TINY}})
        run = store.submit(spec, queue=Queue("me", "default"))
        assert output("stop", run.id) == f"{run.id} stopped\n"
        assert store.get(run.id).state is State.STOPPED


class TestMistakes:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ([], "the following arguments are required: VERB"),
            (["frobnicate"], "invalid choice: 'frobnicate'"),
            (["list", "--frob"], "unrecognized arguments: --frob"),
            (["list", "--state", "asleep"], "invalid choice: 'asleep'"),
            (["stop"], "Stop which runs?\nGive their ids, or --all"),
            (["run", "--dockerimage", "x"], "there is no option '--dockerimage'.\nDid you mean"),
            (["run"], "There is nothing to launch: exactly one of job and docker_image"),
            (["run", "-d", "x", "-j", "a/b/c:d"], "Exactly one of job and docker_image can be"),
            (["run", "-d", "x", "-c", "no.yaml"], "the file 'no.yaml' cannot be read: No such"),
            (["run", "-d", "x", "-c", "bad.yaml"], "--config: the file bad.yaml is no YAML or"),
            (["run", "-d", "x", "-c", "list.yaml"], "list.yaml must be a mapping of names to"),
            (["run", "-d", "x", "-c", "bytes.yaml"], "the file 'bytes.yaml' cannot be read: "),
            (["run", "-d", "x", "-c", "."], "the file '.' cannot be read: Is a directory."),
            (["run", "-d", "x", "-r", "moon"], "There is no resource 'moon'."),
            (["run", "-d", "x", "-R", "{moon: {a: 1}}"], "There is no resource 'moon'."),
            (["run", "-d", "x", "-R", "{local-process: 1}"], "resource_args.local-process: "),
            (["run", "-d", "x", "-P", "-1"], "--priority takes critical, high, medium, low"),
            (["run", "-d", "x", "-P", "9"], "--priority takes critical, high, medium, low"),
            (["run", "-d", "x", "--grace", "-1"], "grace_s: "),
            (["run", "-d", "x", "--grace", "soon"], "--grace takes a number, not 'soon'."),
            (["run", "-d", "x", "--env", "A"], "--env takes NAME=VALUE, not 'A'."),
            (["run", "-d", "x", "--env", "=A"], "--env takes NAME=VALUE, not '=A'."),
            (["run", "-d", ""], "There is nothing to launch"),
            (["run", "--spec"], "--spec takes the launch spec from a file, and none is named."),
            (["run", "--spec", "no.yaml"], "--spec: the file 'no.yaml' cannot be read: "),
            (["run", "--spec", "list.yaml"], "list.yaml must be a mapping of names to values"),
            (["run", "-d", "x", "-E", "sh -c 'a"], "--entry-point: No closing quotation"),
            (["run", "-d", "x", "--run-id", "../x"], "run_id: a run id is 1 to 64 letters"),
            (["run", "-d", "x", "-q", "gpu"], "'gpu'"),
            (["run", "-u", "https://me:pw@x/y.git"], "credential"),
            (["run", "-j", "trian"], "There is no job 'me/uncategorized/trian'."),
            (["run", "-u", "~nobody-here/x"], "~nobody-here/x"),
            (["run", "~nobody-here/x"], "There is no script or folder '~nobody-here/x'"),
            (["run", "a.py", "b.py"], "Arguments of the program go after --"),
            (["add", "-d", "x", "-q", "gpu"], "There is no queue 'gpu' of 'me'. Queues: none yet."),
            (["attach", "nope"], "There is no run 'nope' in sqlite:"),
            (["agent", "-q", "gpu"], "There is no queue 'gpu' of 'me'."),
        ],
    )
    def test_end_with_2_and_say_what_to_do(
        self, store: Store, mistaken: Callable[..., str], words: list[str], said: str
    ) -> None:
        Path("bad.yaml").write_text("a: [1")
        Path("list.yaml").write_text("- a\n- b")
        Path("bytes.yaml").write_bytes(b"\xff\xfe\x00")
        assert said in mistaken(*words)
        assert store.runs() == []

    @pytest.mark.parametrize("option", [["--spec"], ["-o", "name"]])
    def test_options_of_notebooks_are_not_passed_over(
        self, script: str, store: Store, mistaken: Callable[..., str], option: list[str]
    ) -> None:
        assert option[0] in mistaken("run", script, *HERE, *option)
        assert store.runs() == []

    def test_arguments_that_are_no_unicode_are_refused(
        self, store: Store, mistaken: Callable[..., str]
    ) -> None:
        assert "surrogate" in mistaken("run", "-d", TINY, "--", os.fsdecode(b"\xff"))
        assert store.runs() == []

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("queue: [", "cannot be read: "),
            ("- a", "must hold names and values"),
            ("quue: x", "has a setting nobody knows: quue.\nDid you mean queue? Known: entity, "),
        ],
    )
    def test_a_malformed_project_file_is_named(
        self, store: Store, mistaken: Callable[..., str], text: str, said: str
    ) -> None:
        path = Path(".jupyter-launch.yaml").absolute()
        path.write_text(text)
        assert f"The project file {path} {said}" in mistaken("run", "-d", TINY)
        assert store.runs() == []
