"""`local-process` when something is killed, and what is its own alone."""

from __future__ import annotations

import io
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_launch.backends import process_stats
from jupyter_launch.backends.base import STDERR, STDOUT, Result
from jupyter_launch.backends.gpus import GpuMeter
from jupyter_launch.backends.local_process import LocalProcess
from jupyter_launch.errors import BackendError, SpecError, StartFailed, Unsupported
from jupyter_launch.program import Program
from jupyter_launch.runs import LogPosition, Run, new_id
from jupyter_launch.states import State

BEGINNING = LogPosition()
ENVIRONMENT = os.environ.copy()

LAUNCH_AND_FOLLOW = """
import os, sys, time
from pathlib import Path
from jupyter_launch.backends.local_process import LocalProcess
from jupyter_launch.program import Program
from jupyter_launch.runs import LogPosition, Run
from jupyter_launch.states import State
place = LocalProcess(Path(sys.argv[1]))
run = Run(id="abc", spec_json="{}", state=State.LEASED, created=time.time())
place.start(Program(command=(sys.executable, "-c", sys.argv[2])), run, os.environ.copy())
for batch in place.attach(place.handle(run), LogPosition()):
    for frame in batch:
        sys.stdout.buffer.write(frame.data)
        sys.stdout.buffer.flush()
"""
FOLLOW = """
import sys
from pathlib import Path
from jupyter_launch.backends.local_process import LocalProcess
from jupyter_launch.runs import LogPosition
place, handle = LocalProcess(Path(sys.argv[1])), sys.argv[2]
for batch in place.attach(handle, LogPosition(int(sys.argv[3]), 0)):
    for frame in batch:
        sys.stdout.buffer.write(frame.data)
sys.stdout.buffer.flush()
sys.exit(place.result(handle).exit_code)
"""
COUNT = """
import sys, time
for i in range(3000):
    print(f"line {i:06d}", flush=True)
    if i % 30 == 0:
        time.sleep(0.01)
sys.exit(9)
"""
IGNORE_TERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


class Processes:
    """The backend in a folder of its own, and its runs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.backend = LocalProcess(root)
        self.runs: list[Run] = []

    def new_run(self) -> Run:
        self.runs.append(Run(new_id(), "{}", State.LEASED, created=time.time()))
        return self.runs[-1]

    def start(self, *command: str, **changes: object) -> str:
        run = self.new_run()
        program = Program(command=command).evolve(**changes)
        self.backend.start(program, run, ENVIRONMENT)
        return self.backend.handle(run)

    def python(self, code: str, **changes: object) -> str:
        return self.start(sys.executable, "-c", code, **changes)

    def read(self, handle: str) -> dict[int, bytes]:
        said = {STDOUT: b"", STDERR: b""}
        for batch in self.backend.attach(handle, BEGINNING):
            for stream, data in batch:
                said[stream] += data
        return said

    def first_line(self, handle: str) -> str:
        said = b""
        for batch in self.backend.attach(handle, BEGINNING):
            said += b"".join(frame.data for frame in batch)
            if b"\n" in said:
                break
        return said.partition(b"\n")[0].decode()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path / "processes")
    yield made
    for run in made.runs:
        made.backend.stop(made.backend.handle(run), 0)
        made.backend.remove(made.backend.handle(run))


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def ends(pid: int, within_s: float = 20) -> bool:
    """Wait for the end of a process that is not our child."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    ready, _, _ = select.select([process], [], [], within_s)
    os.close(process)
    return bool(ready)


def packed(*members: tarfile.TarInfo) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"\0" * member.size))
    return file.getvalue()


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


class TestKilled:
    @pytest.mark.parametrize("whole_group", [False, True], ids=["process", "group"])
    def test_launcher_in_the_middle_of_output(self, tmp_path: Path, whole_group: bool) -> None:
        launcher = subprocess.Popen(
            [sys.executable, "-c", LAUNCH_AND_FOLLOW, tmp_path, COUNT],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert launcher.stdout is not None
        seen = launcher.stdout.read(1000)
        if whole_group:
            os.killpg(launcher.pid, signal.SIGKILL)
        else:
            launcher.kill()
        seen += launcher.stdout.read()
        launcher.wait()
        launcher.stdout.close()
        rest = subprocess.run(
            [sys.executable, "-c", FOLLOW, tmp_path, tmp_path / "abc", str(len(seen))],
            stdout=subprocess.PIPE,
            check=False,
        )
        assert (seen + rest.stdout).splitlines() == [b"line %06d" % i for i in range(3000)]
        assert rest.returncode == 9
        assert 0 < len(seen) < 3000 * 12, "it was killed in the middle"

    def test_exit_code_survives_although_nobody_watched(self, tmp_path: Path) -> None:
        launch = LAUNCH_AND_FOLLOW.partition("for batch")[0] + "os.kill(os.getpid(), 9)"
        killed = subprocess.run(
            [sys.executable, "-c", launch, tmp_path, "print('done'); raise SystemExit(4)"],
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL
        place = LocalProcess(tmp_path)
        assert place.result(str(tmp_path / "abc")).exit_code == 4
        assert next(place.attach(str(tmp_path / "abc"), BEGINNING)) == [(STDOUT, b"done\n")]

    @linux
    def test_supervisor(self, processes: Processes) -> None:
        handle = processes.python(
            "import os, subprocess, sys, time\n"
            "child = subprocess.Popen(['sleep', '600'])\n"
            "print(os.getppid(), os.getpid(), child.pid, flush=True)\n"
            "time.sleep(600)"
        )
        supervisor, program, child = map(int, processes.first_line(handle).split())
        follower = processes.backend.attach(handle, BEGINNING)
        next(follower)
        os.kill(supervisor, signal.SIGKILL)
        began = time.monotonic()
        assert list(follower) == []
        result = processes.backend.result(handle)
        assert time.monotonic() - began < 5
        assert result.exit_code is None
        assert "supervisor" in result.reason
        assert ends(program)
        assert ends(child)

    @linux
    def test_supervisor_asked_to_end_stops_the_program(self, processes: Processes) -> None:
        handle = processes.python(
            "import os, time; print(os.getppid(), flush=True); time.sleep(600)"
        )
        os.kill(int(processes.first_line(handle)), signal.SIGTERM)
        assert processes.backend.result(handle) == Result(143, "killed by signal SIGTERM")

    @pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
    def test_supervisor_does_not_mind_a_closing_terminal(
        self, processes: Processes, name: str
    ) -> None:
        handle = processes.start("sh", "-c", f"kill -{name[3:]} $PPID; echo still heard; exit 3")
        assert processes.read(handle)[STDOUT] == b"still heard\n"
        assert processes.backend.result(handle).exit_code == 3

    @pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGUSR1"])
    def test_program(self, processes: Processes, name: str) -> None:
        handle = processes.start("sh", "-c", f"kill -{name[3:]} $$")
        result = processes.backend.result(handle)
        assert result.exit_code == 128 + signal.Signals[name]
        assert result.reason == f"killed by signal {name}"


class TestProcess:
    @linux
    def test_is_nobodys_child(self, processes: Processes) -> None:
        handle = processes.python(
            "import os, time; print(os.getppid(), flush=True); time.sleep(600)"
        )
        supervisor = int(processes.first_line(handle))
        assert parent_of(supervisor) != os.getpid()

    @linux
    def test_starts_with_clean_signals_and_files(self, processes: Processes) -> None:
        code = (
            "import os, signal\n"
            "print([s.name for s in signal.Signals if signal.getsignal(s) == signal.SIG_IGN])\n"
            "print(signal.pthread_sigmask(signal.SIG_BLOCK, []))\n"
            "print([fd for fd in range(100) if os.path.exists(f'/proc/self/fd/{fd}')])"
        )
        # Python itself ignores two.
        assert processes.read(processes.python(code))[STDOUT].decode().splitlines() == [
            "['SIGPIPE', 'SIGXFSZ']",
            "set()",
            "[0, 1, 2]",
        ]
        shell = processes.start("sh", "-c", "yes | head -1; kill -PIPE $$; echo ignored")
        assert processes.read(shell)[STDOUT] == b"y\n"

    def test_order_between_the_streams_is_kept(self, processes: Processes) -> None:
        code = (
            "import os, time\nfor i in range(20): os.write(i % 2 + 1, b'%d ' % i); time.sleep(.02)"
        )
        said = b""
        for batch in processes.backend.attach(processes.python(code), BEGINNING):
            said += b"".join(frame.data for frame in batch)
        assert said.split() == [b"%d" % i for i in range(20)]

    @linux
    def test_what_it_leaves_in_the_background_ends_with_it(self, processes: Processes) -> None:
        handle = processes.start("sh", "-c", "sleep 600 & echo $!; exit 6")
        began = time.monotonic()
        left = int(processes.read(handle)[STDOUT])
        assert time.monotonic() - began < 10
        assert processes.backend.result(handle).exit_code == 6
        assert ends(left)

    def test_a_daemon_of_its_own_that_floods_the_output_keeps_nobody(
        self, processes: Processes
    ) -> None:
        code = (
            "import subprocess, sys\n"
            "loop = ['sh', '-c', 'while echo flood; do :; done']\n"
            "subprocess.Popen(loop, start_new_session=True); sys.exit(2)"
        )
        handle = processes.python(code)
        began = time.monotonic()
        assert processes.backend.result(handle).exit_code == 2
        assert time.monotonic() - began < 10

    def test_output_closed_by_the_program_is_not_its_end(self, processes: Processes) -> None:
        code = "import os, time; os.close(1); os.close(2); time.sleep(0.3); os._exit(8)"
        assert processes.backend.result(processes.python(code)).exit_code == 8


class TestStop:
    def test_reaches_the_children(self, processes: Processes) -> None:
        handle = processes.start("sh", "-c", "sleep 600; echo never")
        processes.backend.stop(handle, 60)
        assert processes.read(handle)[STDOUT] == b""
        assert processes.backend.result(handle).exit_code == 143

    @linux
    def test_reaches_a_suspended_program(self, processes: Processes) -> None:
        handle = processes.python(
            "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
        )
        os.kill(int(processes.first_line(handle)), signal.SIGSTOP)
        began = time.monotonic()
        processes.backend.stop(handle, 60)
        assert time.monotonic() - began < 10

    def test_a_child_may_use_the_grace_when_its_parent_is_gone(self, processes: Processes) -> None:
        child = (
            "import signal, time; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
            "print('ready', flush=True); signal.sigwait([signal.SIGTERM]); time.sleep(1.5)\n"
            "print('saved')"
        )
        code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
        handle = processes.python(code)
        assert processes.first_line(handle) == "ready"
        processes.backend.stop(handle, 60)
        assert processes.read(handle)[STDOUT] == b"ready\nsaved\n"

    def test_an_impatient_second_stop_shortens_the_grace(self, processes: Processes) -> None:
        handle = processes.python(IGNORE_TERM + "print('ready', flush=True)\nwhile True: pass")
        assert processes.first_line(handle) == "ready"
        stop = "import sys; from jupyter_launch.backends.local_process import LocalProcess as L\n"
        stop += "L().stop(sys.argv[1], 600)"
        patient = subprocess.Popen([sys.executable, "-c", stop, handle])
        processes.backend.stop(handle, 0.2)
        assert patient.wait(20) == 0
        assert processes.backend.result(handle).exit_code == 137


class TestStats:
    def test_gpus_are_asked_for(
        self, processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text("#!/bin/sh\nprintf '25, 1024\\n75, 1024\\n'\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr(process_stats, "METER", GpuMeter())
        handle = processes.python("print('ready', flush=True)\nwhile True: pass")
        assert processes.first_line(handle) == "ready"
        used = processes.backend.stats(handle)
        assert used is not None
        assert (used.gpu, used.gpu_memory) == (0.5, 2 << 30)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        used = processes.backend.stats(handle)
        assert used is not None
        assert (used.gpu, used.gpu_memory) == (None, None)

    def test_the_supervisor_is_no_part_of_the_program(self, processes: Processes) -> None:
        handle = processes.start("sleep", "600")
        while not (used := processes.backend.stats(handle)):
            time.sleep(0.01)
        assert used.memory < 8 << 20, "a Python would be larger than that"

    def test_without_its_session_nobody_can_tell(self, processes: Processes) -> None:
        handle = processes.start("sleep", "600")
        session = Path(handle, "session")
        while not session.exists():
            time.sleep(0.01)
        for content in ("", "1 2"):
            session.write_text(content)
            assert processes.backend.stats(handle) is None


class TestOptions:
    def test_workdir(self, processes: Processes, tmp_path: Path) -> None:
        handle = processes.start("pwd", "-P", options={"workdir": str(tmp_path)})
        assert processes.read(handle)[STDOUT].decode() == f"{tmp_path.resolve()}\n"

    def test_workdir_inside_the_files(self, processes: Processes) -> None:
        member = tarfile.TarInfo("src/a")
        handle = processes.start("ls", archive=packed(member), options={"workdir": "src"})
        assert processes.read(handle)[STDOUT] == b"a\n"

    def test_nice(self, processes: Processes) -> None:
        handle = processes.python("import os; print(os.nice(0))", options={"nice": 3})
        assert int(processes.read(handle)[STDOUT]) == os.nice(0) + 3

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"shm": "2g"}, r"no option 'shm'\.\nKnown: nice, workdir, cpus, memory, gpus"),
            ({"nice": "x"}, "int"),
            ({"memory": "much"}, "memory must be a size such as 512m or 2g, not 'much'"),
            ({"cpus": []}, "cpus must be "),
            ({"gpus": True}, "gpus must be "),
        ],
    )
    def test_a_wrong_one_is_named(
        self, processes: Processes, options: dict[str, object], message: str
    ) -> None:
        with pytest.raises(SpecError, match=message) as failure:
            processes.backend.check(options)
        assert failure.value.field == f"resource_args.local-process.{next(iter(options))}"


class TestRefusal:
    """A start that fails says why, and leaves nothing."""

    def refusal(self, processes: Processes, *command: str, **changes: object) -> str:
        with pytest.raises(StartFailed) as failure:
            processes.start(*command, **changes)
        assert list(processes.root.iterdir()) == []
        return str(failure.value)

    def test_not_found(self, processes: Processes) -> None:
        said = self.refusal(processes, "xyz-nowhere")
        assert "'xyz-nowhere' was not found on this machine" in said
        assert f"PATH was {ENVIRONMENT['PATH']}" in said

    def test_not_executable(self, processes: Processes) -> None:
        assert "chmod +x ./a" in self.refusal(
            processes, "./a", archive=packed(tarfile.TarInfo("a"))
        )

    def test_no_interpreter_line_is_not_given_to_a_shell(self, processes: Processes) -> None:
        script = tarfile.TarInfo("a")
        script.mode, script.size = 0o755, 10
        assert "no #! line" in self.refusal(processes, "./a", archive=packed(script))

    def test_workdir_missing(self, processes: Processes) -> None:
        assert "/nowhere cannot be used" in self.refusal(
            processes, "true", options={"workdir": "/nowhere"}
        )

    def test_nul_character(self, processes: Processes) -> None:
        assert "null" in self.refusal(processes, "echo", "a\0b")

    def test_too_many_arguments(self, processes: Processes) -> None:
        assert "rgument list too long" in self.refusal(processes, "echo", *["x" * 100_000] * 100)

    @pytest.mark.parametrize("name", ["../out", "a/../../out"])
    def test_files_outside_the_folder(self, processes: Processes, name: str) -> None:
        assert "out" in self.refusal(processes, "true", archive=packed(tarfile.TarInfo(name)))

    def test_links_out_of_the_folder(self, processes: Processes) -> None:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        assert "link" in self.refusal(processes, "true", archive=packed(link))

    def test_broken_archive(self, processes: Processes) -> None:
        assert "unpacked" in self.refusal(processes, "true", archive=b"not a tar file")

    def test_images(self, processes: Processes) -> None:
        with pytest.raises(Unsupported, match="busybox"):
            processes.start(image="busybox")


class TestFolder:
    def test_only_the_user_gets_in(self, processes: Processes) -> None:
        os.umask(before := os.umask(0))
        os.umask(0)
        try:
            handle = processes.start("sh", "-c", "umask; echo x > made")
            assert processes.read(handle)[STDOUT] == b"0000\n"
        finally:
            os.umask(before)
        for path in (processes.root, Path(handle), Path(handle, "work")):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
        for path in (Path(handle, "output"), Path(handle, "result")):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_secrets_are_written_nowhere(self, processes: Processes) -> None:
        run = processes.new_run()
        secret = "xyzzy-" + new_id()
        program = Program(command=("sh", "-c", 'test -n "$TOKEN"'), secrets=("TOKEN",))
        processes.backend.start(program, run, {**ENVIRONMENT, "TOKEN": secret})
        assert processes.backend.result(processes.backend.handle(run)).exit_code == 0
        for path in processes.root.rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes()

    def test_a_half_written_end_is_given_as_far_as_it_goes(self, processes: Processes) -> None:
        handle = processes.start("echo", "whole")
        processes.backend.result(handle)
        with Path(handle, "output").open("ab") as spool:
            spool.write(b"\x02\x00\x00\x00\x09part")
        assert processes.read(handle) == {STDOUT: b"whole\n", STDERR: b"part"}

    def test_locked_folders_are_removed(self, processes: Processes) -> None:
        handle = processes.start("sh", "-c", "mkdir -p a/b; touch a/b/c; chmod 0 a/b; chmod 500 a")
        processes.backend.result(handle)
        processes.backend.remove(handle)
        assert list(processes.root.iterdir()) == []

    def test_left_overs_of_a_killed_start_are_removed(self, processes: Processes) -> None:
        handle = processes.start("true")
        processes.backend.result(handle)
        Path(f"{handle}.half").mkdir()
        other = Path(f"{handle}x")
        other.mkdir()
        processes.backend.remove(handle)
        assert list(processes.root.iterdir()) == [other]

    @pytest.mark.parametrize("inside", ["..", "../outside", "a/b", "", "a/..", ".hidden"])
    def test_nothing_else_is_removed(
        self, processes: Processes, tmp_path: Path, inside: str
    ) -> None:
        (tmp_path / "outside").mkdir()
        (processes.root / "a" / "b").mkdir(parents=True)
        with pytest.raises(BackendError):
            processes.backend.remove(str(processes.root) + "/" + inside)
        with pytest.raises(BackendError):
            processes.backend.remove(str(tmp_path / "outside"))
        assert (tmp_path / "outside").is_dir()
        assert (processes.root / "a" / "b").is_dir()
        shutil.rmtree(processes.root / "a")

    def test_place_is_told_by_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = Run("abc", "{}", State.LEASED, created=0)
        monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
        monkeypatch.delenv("JUPYTER_LAUNCH_PROCESS_DIR", raising=False)
        assert LocalProcess().handle(run) == str(tmp_path / "jupyter_launch" / "processes" / "abc")
        monkeypatch.setenv("JUPYTER_LAUNCH_PROCESS_DIR", str(tmp_path / "here"))
        assert LocalProcess().handle(run) == str(tmp_path / "here" / "abc")

    def test_describe(self, processes: Processes) -> None:
        program = Program(
            command=("python3", "main.py"),
            args=("1",),
            env={"A": "b"},
            secrets=("TOKEN",),
            archive=packed(tarfile.TarInfo("main.py")),
        )
        run = processes.new_run()
        assert processes.backend.describe(program, run) == {
            "resource": "local-process",
            "argv": ["python3", "main.py", "1"],
            "workdir": f"{processes.root}/{run.id}/work",
            "nice": 0,
            "env": {
                "A": "b",
                "JUPYTER_LAUNCH_OUTPUT_DIR": f"{processes.root}/{run.id}/outputs",
            },
            "files": ["main.py"],
        }
        assert not processes.root.exists()


def test_output_that_cannot_be_kept_ends_the_program(processes: Processes) -> None:
    """A full disk, played by a limit on the size of files that the supervisor inherits."""
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))\n"
        "from jupyter_launch.backends.local_process import LocalProcess\n"
        "from jupyter_launch.program import Program\n"
        "from jupyter_launch.runs import Run\n"
        "run = Run('abc', '{}', 'leased', 0)\n"
        "LocalProcess(Path(sys.argv[1])).start(Program(command=('yes',)), run, {})"
    )
    subprocess.run([sys.executable, "-c", code, processes.root], check=True)
    handle = str(processes.root / "abc")
    result = processes.backend.result(handle)
    assert result.reason == "its output could not be kept: File too large"
    assert result.exit_code in (137, 143)
    assert 90_000 < len(processes.read(handle)[STDOUT]) < 100_000
