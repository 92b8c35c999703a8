"""What every backend promises, held to it by one class of tests."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from jupyter_launch import multiplex, sampling
from jupyter_launch.backends import backend
from jupyter_launch.backends.base import STDERR, STDOUT, Backend, Frame
from jupyter_launch.backends.local_process import LocalProcess
from jupyter_launch.errors import StartFailed
from jupyter_launch.handle import RunHandle
from jupyter_launch.program import Program
from jupyter_launch.runs import LogPosition, Run, new_id
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.submit import Launcher

BEGINNING = LogPosition()
IMAGE = "jupyter-launch-test/python:latest"

AWKWARD = ["two words", 'a "quoted" one', "it's", "a\nnew line", ";false", "$(id)", "`id`", "$HOME"]
AWKWARD += ["", "*", "--", "-x", "back\\slash", "é ü 日本 🚀", "a&b|c>d", "{braces} %s"]

TALK = r"""
import os, sys
out, err = sys.stdout.buffer, sys.stderr.buffer
out.write(b"caf\xe9 \xff\xfe\x00 not UTF-8\n"); out.flush()
err.write(b"a warning\r\n"); err.flush()
out.write(b"x" * 10_000_000); out.flush()
err.write(b"\x00" * 100_000 + b"\n"); err.flush()
out.write(b"\n" * 3 + b"progress 1%\rprogress 2%\r"); out.flush()
err.write(b"\xf0\x9f\x9a"); err.flush()
out.write(b"the last line has no end"); out.flush()
"""
SAID = {
    STDOUT: b"caf\xe9 \xff\xfe\x00 not UTF-8\n"
    + b"x" * 10_000_000
    + b"\n\n\nprogress 1%\rprogress 2%\rthe last line has no end",
    STDERR: b"a warning\r\n" + b"\x00" * 100_000 + b"\n\xf0\x9f\x9a",
}

HEED = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
signal.signal(signal.SIGTERM, lambda *_: None)
print("ready", flush=True)
def wait(): signal.sigwait([signal.SIGTERM])
"""
"""Begins a program that waits to be asked to end; a handler alone may run after the next sleep."""

DEAF = (
    HEED
    + """
while True:
    wait()
    print("asked", flush=True)
"""
)

TWO_WRITES = r"""
import os, threading
def write(stream, word):
    for n in range(5000):
        os.write(stream, b"<%s %d" % (word, n))
        os.write(stream, b">\n")
threads = [threading.Thread(target=write, args=one) for one in ((1, b"out"), (2, b"err"))]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""

BUSY = """
import os
held = b"x" * (64 << 20)
if os.fork():  # a child of its own is busy
    print("busy", flush=True)
    os.wait()
while True:
    pass
"""

FOLLOW = """
import sys
from jupyter_launch.backends import backend
from jupyter_launch.runs import LogPosition
place, handle = backend(sys.argv[1]), sys.argv[2]
assert place.find(handle)
for batch in place.attach(handle, LogPosition(int(sys.argv[3]), 0)):
    for frame in batch:
        sys.stdout.buffer.write(frame.data)
        sys.stdout.buffer.flush()
sys.exit(place.result(handle).exit_code)
"""


@dataclass
class Place:
    """A backend with what a test needs to start Python programs there."""

    backend: Backend
    python: str
    environment: Mapping[str, str]
    runs: list[Run] = field(default_factory=list)

    def new_run(self) -> Run:
        run = Run(id=new_id(), spec_json="{}", state=State.LEASED, created=time.time())
        self.runs.append(run)
        return run

    def program(self, code: str, *args: str) -> Program:
        return Program(command=(self.python, "-c", code), args=args, image=IMAGE)

    def start(self, program: Program, **environment: str) -> str:
        run = self.new_run()
        self.backend.start(program, run, {**self.environment, **environment})
        return self.backend.handle(run)

    def read(self, handle: str, position: LogPosition = BEGINNING) -> dict[int, bytes]:
        return joined(self.backend.attach(handle, position))

    def read_until(self, handle: str, text: bytes) -> None:
        """Return as soon as the program's standard output has the text."""
        follow_until(self.backend.attach(handle, BEGINNING), text)

    def output(self, code: str, *args: str) -> str:
        """Run Python code to its end and give what it wrote to its standard output."""
        return self.read(self.start(self.program(code, *args)))[STDOUT].decode()


def follow_until(batches: Iterator[list[Frame]], text: bytes) -> None:
    """Return as soon as the standard output has the text."""
    said = b""
    for batch in batches:
        said += b"".join(frame.data for frame in batch if frame.stream == STDOUT)
        if text in said:
            return
    raise AssertionError(f"the program ended without saying {text!r}: {said!r}")


def joined(batches: Iterator[list[Frame]]) -> dict[int, bytes]:
    parts: dict[int, list[bytes]] = {STDOUT: [], STDERR: []}
    for batch in batches:
        for stream, data in batch:
            parts[stream].append(data)
    return {stream: b"".join(data) for stream, data in parts.items()}


def archive(files: Mapping[str, bytes], mode: int = 0o644) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), mode
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


@pytest.fixture(
    scope="module",
    params=["local-process", pytest.param("local-container", marks=pytest.mark.docker)],
)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    here = request.param == "local-process"
    root = tmp_path_factory.mktemp("processes")
    made = Place(
        backend=LocalProcess(root) if here else backend(request.param),
        python=sys.executable if here else "python3",
        environment=os.environ.copy() if here else {},
    )
    with contextlib.ExitStack() as cleaning:  # one that fails does not keep the others
        yield made
        for handle in map(made.backend.handle, made.runs):
            cleaning.callback(made.backend.remove, handle)
            cleaning.callback(made.backend.stop, handle, 0)


@dataclass(frozen=True)
class Talk:
    """A program that said awkward things and ended, and what its first follower got."""

    handle: str
    live: dict[int, bytes]


@pytest.fixture(scope="module")
def talk(place: Place) -> Talk:
    handle = place.start(place.program(TALK))
    return Talk(handle, place.read(handle))


class TestBackend:
    """One instance of each backend serves all of these."""

    def test_it_can_be_used_here(self, place: Place) -> None:
        assert place.backend.available() is None

    # -- what goes in --------------------------------------------------------------------------

    def test_arguments_arrive_verbatim(self, place: Place) -> None:
        said = place.output("import json, sys; print(json.dumps(sys.argv[1:]))", *AWKWARD)
        assert json.loads(said) == AWKWARD

    def test_environment_arrives_with_secrets(self, place: Place) -> None:
        given = {"PLAIN": "value", "AWKWARD": "a=b; $(id)\n'\"é", "EMPTY": "", "TOKEN": "s3cret"}
        code = "import json, os; print(json.dumps(dict(os.environ)))"
        program = place.program(code).evolve(secrets=("TOKEN",))
        said = place.read(place.start(program, **given))[STDOUT]
        assert json.loads(said).items() >= given.items()

    def test_files_are_in_the_working_directory(self, place: Place) -> None:
        files = {
            "main.py": b"print(open('data/in.bin', 'rb').read())",
            "data/in.bin": b"\0\xff\r\n",
        }
        program = Program(command=(place.python, "main.py"), image=IMAGE, archive=archive(files))
        assert place.read(place.start(program))[STDOUT].decode() == "b'\\x00\\xff\\r\\n'\n"

    def test_a_file_may_be_the_program(self, place: Place) -> None:
        packed = archive({"go": b'#!/bin/sh\necho "$0: $1"\n'}, mode=0o755)
        program = Program(command=("./go",), args=("on",), image=IMAGE, archive=packed)
        assert place.read(place.start(program))[STDOUT] == b"./go: on\n"

    def test_the_working_directory_can_be_written(self, place: Place) -> None:
        assert place.output("open('new', 'w').write('text'); print(open('new').read())") == "text\n"

    def test_standard_input_is_empty(self, place: Place) -> None:
        assert place.output("import sys; print(repr(sys.stdin.read()))") == "''\n"

    # -- what comes out ------------------------------------------------------------------------

    def test_output_is_complete_and_exact(self, place: Place, talk: Talk) -> None:
        assert talk.live == SAID

    def test_output_is_the_same_a_second_time(self, place: Place, talk: Talk) -> None:
        assert place.read(talk.handle) == SAID

    @pytest.mark.parametrize(
        "position",
        [
            LogPosition(1, 0),
            LogPosition(5, 3),  # in the middle of a character
            LogPosition(20, 11),
            LogPosition(5_000_000, 0),
            LogPosition(65_536, 65_536),
            LogPosition(10_000_021, 100_012),
            LogPosition(0, len(SAID[STDERR])),
            LogPosition(len(SAID[STDOUT]) - 1, len(SAID[STDERR]) - 1),
            LogPosition(len(SAID[STDOUT]), len(SAID[STDERR])),
        ],
    )
    def test_attach_gives_exactly_the_rest(
        self, place: Place, talk: Talk, position: LogPosition
    ) -> None:
        rest = {STDOUT: SAID[STDOUT][position.stdout :], STDERR: SAID[STDERR][position.stderr :]}
        assert place.read(talk.handle, position) == rest

    def test_batches_are_small_and_never_empty(self, place: Place, talk: Talk) -> None:
        for batch in place.backend.attach(talk.handle, BEGINNING):
            assert 0 < sum(len(frame.data) for frame in batch) <= 4 << 20
            assert all(frame.data for frame in batch)

    def test_a_follower_that_comes_back_while_it_runs_misses_nothing(self, place: Place) -> None:
        code = "import time\nfor i in range(40): print(i, flush=True); time.sleep(0.02)"
        handle = place.start(place.program(code))
        said = b""
        while True:
            batch = next(place.backend.attach(handle, LogPosition(len(said), 0)), None)
            if batch is None:
                break
            assert batch
            said += b"".join(frame.data for frame in batch)
        assert said.split() == [b"%d" % i for i in range(40)]

    def test_many_lines_are_followed_quickly(self, place: Place) -> None:
        code = "for i in range(100_000): print(f'{i:071d}')"
        said = place.output(code)
        assert said.splitlines() == [f"{i:071d}" for i in range(100_000)]

    def test_two_followers_get_the_same(self, place: Place) -> None:
        handle = place.start(place.program("import time; print(1); time.sleep(0.2); print(2)"))
        first = place.backend.attach(handle, BEGINNING)
        second = place.backend.attach(handle, BEGINNING)
        heads = [next(first), next(second)]
        assert [
            joined(iter([head, *rest]))[STDOUT]
            for head, rest in zip(heads, (first, second), strict=True)
        ] == [b"1\n2\n"] * 2

    def test_a_program_that_says_nothing_ends_the_attach(self, place: Place) -> None:
        assert place.read(place.start(place.program(""))) == {STDOUT: b"", STDERR: b""}

    # -- how it ends ---------------------------------------------------------------------------

    @pytest.mark.parametrize("code", [0, 1, 3, 255])
    def test_exit_code_is_the_programs(self, place: Place, code: int) -> None:
        handle = place.start(place.program(f"raise SystemExit({code})"))
        assert place.backend.result(handle).exit_code == code

    def test_result_stays_until_it_is_removed(self, place: Place, talk: Talk) -> None:
        assert place.backend.result(talk.handle) == place.backend.result(talk.handle)

    @pytest.mark.timeout(60)
    def test_result_comes_although_nobody_follows(self, place: Place) -> None:
        code = "for i in range(100_000): print(f'{i:099d}')\nraise SystemExit(3)"
        handle = place.start(place.program(code))
        assert place.backend.result(handle).exit_code == 3
        assert place.read(handle)[STDOUT].splitlines() == [b"%099d" % i for i in range(100_000)]

    @pytest.mark.timeout(60)
    def test_stop_works_although_nobody_follows(self, place: Place) -> None:
        handle = place.start(place.program("while True: print('x' * 99)"))
        # Somebody else sees that it runs: in its first moment a container hears no signal.
        elsewhere = type(place.backend)()
        follow_until(elsewhere.attach(handle, BEGINNING), b"x")
        place.backend.stop(handle, 60)
        assert place.backend.result(handle).exit_code == 143

    def test_another_process_follows_it_and_gets_its_exit_code(self, place: Place) -> None:
        code = "import sys, time; print('ab', flush=True); time.sleep(1); print('cd'); sys.exit(7)"
        handle = place.start(place.program(code))
        name = place.backend.name
        other = subprocess.run(
            [sys.executable, "-c", FOLLOW, name, handle, "1"], capture_output=True, check=False
        )
        assert other.stderr == b""
        assert (other.stdout, other.returncode) == (b"b\ncd\n", 7)

    def test_a_program_that_sleeps_is_stopped_at_once(self, place: Place) -> None:
        code = "import time; print('ready', flush=True); time.sleep(600)"
        handle = place.start(place.program(code))
        place.read_until(handle, b"ready\n")
        began = time.monotonic()
        place.backend.stop(handle, 60)
        assert time.monotonic() - began < 10
        assert place.backend.result(handle).exit_code == 143

    def test_a_program_may_end_gracefully_when_stopped(self, place: Place) -> None:
        handle = place.start(place.program(HEED + "wait(); print('saved'); sys.exit(5)"))
        place.read_until(handle, b"ready\n")
        place.backend.stop(handle, 60)
        assert place.read(handle)[STDOUT] == b"ready\nsaved\n"
        assert place.backend.result(handle).exit_code == 5

    def test_a_program_that_will_not_end_is_killed_after_its_grace(self, place: Place) -> None:
        code = (
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "print('ready', flush=True); time.sleep(600)"
        )
        handle = place.start(place.program(code))
        place.read_until(handle, b"ready\n")
        began = time.monotonic()
        place.backend.stop(handle, 1)
        assert 0.9 < time.monotonic() - began < 15
        assert place.backend.result(handle).exit_code == 137

    @pytest.mark.timeout(60)
    def test_a_kill_ends_somebody_elses_grace(self, place: Place) -> None:
        handle = place.start(place.program(DEAF))
        follower = place.backend.attach(handle, BEGINNING)
        follow_until(follower, b"ready\n")
        patient = threading.Thread(target=place.backend.stop, args=(handle, 600))
        patient.start()
        follow_until(follower, b"asked\n")
        place.backend.stop(handle, 0)
        assert place.backend.result(handle).exit_code == 137
        patient.join()
        place.backend.stop(handle, 0)  # a second time is no error

    @pytest.mark.timeout(60)
    def test_a_kill_alone_gives_no_grace(self, place: Place) -> None:
        handle = place.start(place.program(DEAF))
        place.read_until(handle, b"ready\n")
        place.backend.stop(handle, 0)
        assert place.backend.result(handle).exit_code == 137

    def test_stopping_what_has_ended_does_nothing(self, place: Place, talk: Talk) -> None:
        place.backend.stop(talk.handle, 10)
        assert place.backend.result(talk.handle).exit_code == 0

    # -- what it uses --------------------------------------------------------------------------

    def test_stats_count_what_its_processes_use(self, place: Place) -> None:
        handle = place.start(place.program(BUSY))
        place.read_until(handle, b"busy\n")
        used = place.backend.stats(handle)
        assert used is not None
        assert 64 << 20 <= used.memory <= used.memory_limit
        while (later := place.backend.stats(handle)) and later.cpu_s < used.cpu_s + 0.5:
            assert later.cpu_s >= used.cpu_s
        assert later, "it goes on"
        place.backend.stop(handle, 0)
        while place.backend.stats(handle):  # its child may take a moment to die
            time.sleep(0.01)

    def test_there_are_no_stats_of_what_never_ran(self, place: Place, talk: Talk) -> None:
        assert place.backend.stats(place.backend.handle(place.new_run())) is None
        assert place.backend.stats(talk.handle) is None

    # -- traces --------------------------------------------------------------------------------

    def test_it_is_found_from_start_to_remove(self, place: Place) -> None:
        run = place.new_run()
        handle = place.backend.handle(run)
        assert not place.backend.find(handle)
        place.backend.start(place.program("print(1)"), run, place.environment)
        assert place.backend.find(handle)
        place.backend.result(handle)
        assert place.backend.find(handle)
        place.backend.remove(handle)
        assert not place.backend.find(handle)
        place.backend.remove(handle)  # a second time is no error

    def test_what_never_started_has_no_output_and_no_exit_code(self, place: Place) -> None:
        handle = place.backend.handle(place.new_run())
        assert list(place.backend.attach(handle, BEGINNING)) == []
        result = place.backend.result(handle)
        assert result.exit_code is None
        assert result.reason

    def test_a_second_start_does_not_run_it_twice(self, place: Place) -> None:
        run = place.new_run()
        program = place.program("print('once')")
        place.backend.start(program, run, place.environment)
        place.backend.start(program, run, place.environment)
        assert place.read(place.backend.handle(run))[STDOUT] == b"once\n"
        place.backend.start(program, run, place.environment)
        assert place.read(place.backend.handle(run))[STDOUT] == b"once\n"

    def test_a_command_that_does_not_exist_says_so(self, place: Place) -> None:
        run = place.new_run()
        program = Program(command=("no-such-command",), args=("x",), image=IMAGE)
        with pytest.raises(StartFailed, match="no-such-command") as failure:
            place.backend.start(program, run, place.environment)
        assert "not found" in failure.value.message
        assert not place.backend.find(place.backend.handle(run))

    def test_describe_does_nothing_and_has_no_secrets(self, place: Place) -> None:
        run = place.new_run()
        packed = archive({"main.py": b"pass"})
        program = Program(
            command=(place.python, "main.py"),
            args=("--lr", "1"),
            image=IMAGE,
            archive=packed,
            env={"PLAIN": "value"},
            secrets=("TOKEN",),
        )
        shown = json.dumps(place.backend.describe(program, run))
        for part in (place.backend.name, "main.py", "--lr", "PLAIN", "value"):
            assert part in shown
        assert not place.backend.find(place.backend.handle(run))


@pytest.mark.parametrize(
    "resource",
    ["local-process", pytest.param("local-container", marks=pytest.mark.docker)],
)
class TestRun:
    """What a run does at each of them, as its record shows it."""

    @pytest.fixture
    def launch(self, launcher: Launcher, resource: str) -> Callable[[str], RunHandle]:
        def launched(code: str) -> RunHandle:
            spec = {
                "source": {"kind": "cell", "body": code},
                "docker": {"docker_image": IMAGE},
                "resource": resource,
                "grace_s": 600,
            }
            return launcher.launch(LaunchSpec.from_dict(spec))

        return launched

    @pytest.fixture
    def deaf(self, launch: Callable[[str], RunHandle]) -> RunHandle:
        """A run with a long grace whose program was heard and will not end."""
        handle = launch(DEAF)
        heard(handle, b"ready\n")
        return handle

    @pytest.mark.timeout(60)
    def test_a_second_stop_that_kills_ends_its_grace(self, deaf: RunHandle) -> None:
        assert deaf.stop(wait=False) in {State.RUNNING, State.STOPPING}
        heard(deaf, b"asked\n")
        assert deaf.stop(kill=True) is State.STOPPED
        run = deaf.run
        assert (run.reason, run.exit_code) == ("killed on request", 137)
        assert deaf.logs() == "ready\nasked\n"
        states = [event.data["state"] for event in deaf.events() if event.kind == "state"]
        assert states == ["starting", "running", "stopping", "stopped"]

    @pytest.mark.timeout(60)
    def test_it_may_be_killed_without_being_asked(self, deaf: RunHandle) -> None:
        assert deaf.stop(kill=True) is State.STOPPED
        assert (deaf.run.reason, deaf.exit_code) == ("killed on request", 137)

    def test_it_is_sampled_while_it_runs(
        self, launch: Callable[[str], RunHandle], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for pause in ("FIRST_S", "OFTEN_S", "SELDOM_S"):
            monkeypatch.setattr(sampling, pause, 0.05)
        handle = launch(BUSY)
        while len(seen := handle.store.samples(handle.id)) < 3:
            assert not handle.status.terminal
            time.sleep(0.02)  # samples ring for nobody
        assert max(sample.cpu for sample in seen) > 0
        assert max(sample.memory for sample in seen) >= 64 << 20
        events = handle.events()
        assert handle.stop(kill=True) is State.STOPPED
        assert handle.store.samples(handle.id)[:3] == seen
        assert len(handle.events()) == len(events) + 2, "stopping and stopped, nothing of samples"

    def test_its_lines_are_whole_although_two_streams_write_them_in_parts(
        self, launch: Callable[[str], RunHandle], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(multiplex, "HOLD_S", 60.0)  # however busy this machine is
        handle = launch(TWO_WRITES)
        assert handle.wait(60) is State.FINISHED
        lines = handle.logs().splitlines()
        for word in ("out", "err"):
            said = [line for line in lines if line.startswith(f"<{word}")]
            assert said == [f"<{word} {number}>" for number in range(5000)]
        assert len(lines) == 10_000


def heard(handle: RunHandle, text: bytes) -> None:
    """Return as soon as a run's log has the text."""
    said = b""
    for piece in handle.follow():
        said += piece
        if text in said:
            return
    raise AssertionError(f"the program ended without saying {text!r}: {said!r}")
