"""Bad input and bad places: one clear message, nothing lost, no run left in a wrong state."""

from __future__ import annotations

import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jupyter_launch import Api, ExecutionError, LaunchError, SpecError, SubmittedRun, launch
from jupyter_launch.errors import StoreUnavailable
from jupyter_launch.frontends import cli
from jupyter_launch.states import State
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import Store
from jupyter_launch.stores.sqlite_file import SCHEMA_VERSION
from jupyter_launch.submit import close_all
from tests.conftest import PYTHON, TINY
from tests.kernels import kernel

PLACES = ["local-process", pytest.param("local-container", marks=pytest.mark.docker)]
TELL = (
    "import json, os, sys\n"
    "print(json.dumps({'argv': sys.argv[1:], 'env': dict(os.environ), 'cwd': os.getcwd()}))"
)


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    """Name each of the backends."""
    name: str = request.param
    return name


def start(place: str, body: str, **more: Any) -> SubmittedRun:
    """Launch a cell."""
    source = {"kind": "cell", "body": body}
    docker = {"docker_image": PYTHON} if place == "local-container" else {}
    config = {"source": source, "resource": place, "docker": docker, **more}
    return launch(None, config=config, synchronous=False)


def ended(place: str, body: str, **more: Any) -> SubmittedRun:
    """Launch a cell and wait for its end, whatever it is."""
    run = start(place, body, **more)
    run.wait(timeout=60)
    return run


def failure(run: SubmittedRun) -> str:
    """Give the message of a failed run, as its launch would raise it."""
    with pytest.raises(ExecutionError) as error:
        run.check()
    return str(error.value)


class TestPrograms:
    @pytest.mark.parametrize(
        "data",
        [
            b"caf\xe9 \xff\xfe\xc3",
            b"a\x00b\x00\n\x00",
            b"\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J\x1b[999A\n",
            b"".join(b"\r%3d %%" % n for n in range(101)) + b"\n",
            b"x" * 10_000_000,
            b"",
            b"\n" * 1000 + b"no end of line",
        ],
        ids=["no-utf8", "nul", "ansi", "progress", "10mb-line", "nothing", "no-newline"],
    )
    def test_output_of_every_kind_is_kept_exactly_and_shown_sanely(
        self, place: str, store: Store, data: bytes
    ) -> None:
        ratio = data if len(data) < 100_000 else None
        body = f"import sys\nsys.stdout.buffer.write({ratio!r} or b'x' * 10_000_000)"
        if not data:
            body = "pass"
        run = ended(place, f"{body}\nsys.exit(3)" if data else "raise SystemExit(3)")
        assert (run.status, run.exit_code) == ("failed", 3)
        stored = b"".join(iter_log(store, run.id))
        assert stored == data
        assert run.logs() == run.get_logs() == data.decode("utf-8", "replace")
        message = failure(run)
        assert message.startswith(f"Run {run.id} failed: the program ended with exit code 3")
        assert message.endswith(f"The whole log: jupyter launch logs {run.id}")
        assert len(message) < 20_000
        assert re.findall(r"[^\n\x20-\x7e\xa0-\uffff]", message) == []

    def test_it_may_delete_its_working_directory(self, place: str) -> None:
        body = "import os, shutil\nshutil.rmtree(os.getcwd())\nprint('gone', flush=True)"
        run = ended(place, body)
        assert (run.status, run.logs()) == ("finished", "gone\n")

    def test_it_may_close_its_output_and_go_on(self, place: str, tmp_path: Path) -> None:
        body = "import os, time\nprint('said', flush=True)\nfor fd in (0, 1, 2): os.close(fd)\n"
        run = ended(place, f"{body}time.sleep(0.7)\nos._exit(9)")
        assert (run.status, run.exit_code, run.logs()) == ("failed", 9, "said\n")

    def test_a_child_it_leaves_behind_keeps_nobody_waiting(self, place: str) -> None:
        body = "import subprocess\nsubprocess.Popen(['sleep', '600'])\nprint('left', flush=True)"
        begun = time.monotonic()
        run = ended(place, body)
        assert (run.status, run.logs()) == ("finished", "left\n")
        assert time.monotonic() - begun < 15

    def test_one_that_ignores_being_stopped_is_killed(self, place: str) -> None:
        body = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        run = start(place, f"{body}print('deaf', flush=True)\ntime.sleep(600)", grace_s=1)
        assert next(run.follow()).startswith(b"deaf")
        begun = time.monotonic()
        assert run.stop() == "stopped"
        assert 0.9 < time.monotonic() - begun < 10
        assert run.exit_code == 137

    def test_a_silent_one_is_stopped_at_once(self, place: str) -> None:
        run = start(place, "import time\ntime.sleep(600)")
        run.wait(timeout=60, until=lambda run: run.state is State.RUNNING)
        begun = time.monotonic()
        assert run.stop() == "stopped"
        assert time.monotonic() - begun < 5

    def test_one_that_is_stopped_before_it_runs_never_runs_on(self, place: str) -> None:
        for _ in range(5):
            run = start(place, "import time\ntime.sleep(600)")
            assert run.stop() == "stopped"
            assert run.run.owner is None

    def test_the_environment_may_be_too_large(self, place: str) -> None:
        run = ended(place, "print('never')", env={"BIG": "x" * 2_000_000})
        assert run.status == "failed"
        assert "argument list too long" in failure(run).lower()
        assert "never" not in run.logs()

    def test_its_config_may_be_large(self, place: str) -> None:
        config = {"a": "é" * 40_000, "b": list(range(10_000))}
        body = "import os, json\nparts = []\n"
        body += "while (name := f'WANDB_CONFIG_{len(parts)}') in os.environ:\n"
        body += "    parts.append(os.environ[name])\nprint(json.loads(''.join(parts))['b'][-1])"
        assert ended(place, body, overrides={"run_config": config}).logs() == "9999\n"


def iter_log(store: Store, run_id: str) -> Iterator[bytes]:
    offset = 0
    while piece := store.read_log(run_id, offset):
        offset += len(piece)
        yield piece


NASTY = [
    "two words",
    'it\'s "quoted"',
    "a\nnew\r\nline\ttab",
    "; touch pwned",
    "$(touch pwned) `touch pwned` ${HOME} $HOME %PATH%",
    "| > & < * ? ~ # ! [x] {a,b}",
    "\\ \\n \\' \\\"",
    "--help",
    "-",
    "é ü 日本語 🚀 \u202e \ufeff \u2028",
    "\x1b[31m\x07\x08\x7f",
    "{run_id} {0} %s %(a)s",
]
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40
)


class TestTexts:
    """Nothing in a spec is ever interpreted by a shell, or by us."""

    @pytest.mark.parametrize("text", NASTY)
    def test_arrive_verbatim_by_every_field(self, place: str, text: str) -> None:
        check_verbatim(place, text)
        assert not Path("pwned").exists()

    @given(text=TEXTS)
    @example(text="a" * 100_000)
    @settings(
        max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    def test_of_any_kind_arrive_in_a_process(self, text: str) -> None:
        check_verbatim("local-process", text)

    @pytest.mark.parametrize("field", ["env", "name", "args"])
    def test_with_a_nul_character_reach_no_program(
        self, place: str, store: Store, field: str
    ) -> None:
        bad = "a\0b"
        value: Any = {"env": {"A": bad}, "name": bad, "args": None}[field]
        more = {"overrides": {"args": [bad]}} if field == "args" else {field: value}
        try:
            run = ended(place, "print('never')", **more)
        except SpecError as error:
            assert "NUL" in str(error)  # noqa: PT017 - refused, or failed: both will do
            assert store.runs() == []
        else:
            assert run.status == "failed"
            assert "never" not in run.logs()

    @pytest.mark.parametrize("name", NASTY)
    def test_lists_of_runs_have_one_line_each_and_no_control_characters(
        self, capfd: pytest.CaptureFixture[str], store: Store, name: str
    ) -> None:
        run = ended("local-process", "pass", name=name, project=name)
        assert cli.run(["list"]) == 0
        head, line, *rest = capfd.readouterr().out.split("\n")
        assert line.startswith(run.id)
        assert rest == [""]
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", head + line)
        assert cli.run(["show", run.id]) == 0
        assert not re.search(r"[\x00-\x08\x0b-\x1f]", capfd.readouterr().out)


def check_verbatim(place: str, text: str) -> None:
    more = {"name": text, "project": text, "entity": text, "author": text, "sweep_id": text}
    run = ended(
        place,
        TELL,
        env={"ANY": text},
        overrides={"args": [text, "", text], "run_config": {text: [text, {text: text}]}},
        **more,
    )
    assert run.status == "finished", failure(run)
    said = json.loads(run.logs())
    env = said["env"]
    assert said["argv"] == [text, "", text]
    assert env["ANY"] == text
    for name in ("NAME", "PROJECT", "ENTITY", "USERNAME", "SWEEP_ID"):
        assert env[f"WANDB_{name}"] == text
    parts = [env[name] for name in env if re.fullmatch(r"WANDB_CONFIG(_\d+)?", name)]
    if len(parts) == 1:
        assert json.loads(parts[0]) == {text: [text, {text: text}]}
    record = run.run
    assert (record.name, record.project, record.entity) == (text, text, text)


class TestValues:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({}, "There is nothing to launch: exactly one of job and docker_image"),
            ({"docker_image": ""}, "There is nothing to launch"),
            ({"docker_image": "a", "job": "b"}, "Exactly one of job and docker_image can be"),
            ({"docker_image": 3}, "docker.docker_image: "),
            ({"docker_image": "a", "config": "x"}, "config takes a mapping, not a str."),
            ({"docker_image": "a", "config": {"git": {"vers": 1}}}, "Did you mean 'version'?"),
            ({"docker_image": "a", "config": {"_wandb_api_key": "x"}}, "has an API key in it"),
            ({"docker_image": "a", "config": {"name": object()}}, "a value that is no JSON: "),
            ({"docker_image": "a", "config": {"docker": 1}}, "docker: "),
            ({"docker_image": "a", "config": {"overrides": {"args": "x"}}}, "overrides.args: "),
            ({"docker_image": "a", "config": {"priority": -1}}, "priority: "),
            ({"docker_image": "a", "config": {"priority": 4}}, "priority: "),
            ({"docker_image": "a", "config": {"grace_s": -1}}, "grace_s: "),
            ({"docker_image": "a", "config": {"env": {"A=B": "c"}}}, "env: 'A=B' cannot be"),
            ({"docker_image": "a", "config": {"env": {"": "c"}}}, "env: '' cannot be the name"),
            ({"docker_image": "a", "config": {"env": {"A": 1}}}, "env.A: "),
            ({"docker_image": "a", "config": {"env": {"A": "\0"}}}, "has a NUL character"),
            ({"docker_image": "a", "config": {"secrets": ["A=B"]}}, "'A=B' cannot be the name"),
            ({"docker_image": "a", "config": {"secrets": ["NOPE"]}}, "The secret NOPE is not in"),
            ({"docker_image": "a", "entry_point": "echo hi"}, "overrides.entry_point: "),
            ({"docker_image": "a", "resource": "moon"}, "There is no resource 'moon'.\nKnown: "),
            ({"docker_image": "a", "resource_args": {"moon": {}}}, "There is no resource 'moon'."),
            ({"docker_image": "a", "resource_args": {"memory": "2g"}}, "resource_args.memory: "),
            ({"docker_image": "a", "resource_args": [1]}, "resource_args: "),
            ({"docker_image": "a", "parameters": [1]}, "parameters takes a mapping, not a list."),
            ({"docker_image": "a", "run_id": ""}, "run_id: a run id is 1 to 64 letters"),
            ({"docker_image": "a", "run_id": "a/../b"}, "run_id: a run id is 1 to 64 letters"),
            ({"docker_image": "a", "run_id": "x" * 65}, "run_id: a run id is 1 to 64 letters"),
            ({"docker_image": "a", "name": "\ud800"}, "surrogate"),
        ],
    )
    def test_that_are_wrong_are_refused_before_anything_is_recorded(
        self, store: Store, arguments: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(SpecError) as error:
            launch(None, **arguments)
        assert said in str(error.value)
        assert len(str(error.value)) < 1000
        assert store.runs() == []

    @pytest.mark.parametrize(("type_", "said"), [("moon", "There is no resource 'moon'.")])
    def test_a_queue_of_an_unknown_resource_is_refused(
        self, store: Store, type_: str, said: str
    ) -> None:
        with pytest.raises(SpecError, match=re.escape(said)):
            Api().create_run_queue("q", type=type_)
        assert store.queues() == []


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Give a function that makes, or changes, a small disk of this test's own."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = False

    def mount(options: str) -> Path:
        nonlocal mounted
        how = [f"remount,{options}"] if mounted else [options, "-t", "tmpfs"]
        done = subprocess.run(
            ["mount", "-o", *how, "tmpfs", path], capture_output=True, text=True, check=False
        )
        if done.returncode and not mounted:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        mounted = True
        return path

    yield mount
    close_all()
    if mounted:
        subprocess.run(["umount", "--lazy", path], check=True)


def use(monkeypatch: pytest.MonkeyPatch, path: Path) -> str:
    """Make a file the store of this test."""
    url = f"sqlite:///{path}"
    monkeypatch.setenv("JUPYTER_LAUNCH_STORE", url)
    return url


def elsewhere(body: str) -> None:
    """Use the store in a process of its own."""
    Path("used.py").write_text(body)
    command = [sys.executable, "-m", "jupyter_launch", "run", "used.py", "-r", "local-process"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def refusal(capfd: pytest.CaptureFixture[str]) -> str:
    """Launch something with a store that cannot be used; give the one message, whatever the way."""
    capfd.readouterr()
    with pytest.raises(StoreUnavailable) as error:
        launch(None, config={"source": {"kind": "cell", "body": "pass"}})
    assert cli.run(["list"]) in {0, 1}
    assert cli.run(["run", "-d", TINY]) == 1
    said = capfd.readouterr().err
    assert str(error.value) in said
    assert "Traceback" not in said
    return str(error.value)


class TestStores:
    def test_in_a_folder_that_is_a_file(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        path = tmp_path / "file" / "launch.db"
        use(monkeypatch, path)
        message = refusal(capfd)
        assert re.match(
            f"The store {path} cannot be written: (Not a directory|File exists)", message
        )
        assert "keep the store elsewhere: set JUPYTER_LAUNCH_STORE=" in message

    def test_that_is_a_folder(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        use(monkeypatch, tmp_path)
        assert f"The store {tmp_path} cannot be written: Is a directory." in refusal(capfd)

    @pytest.mark.parametrize("before", ["fresh", "used"])
    def test_on_a_read_only_disk(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
        disk: Callable[[str], Path],
        before: str,
    ) -> None:
        path = disk("size=4m") / "launch.db"
        use(monkeypatch, path)
        if before == "used":
            elsewhere("pass")
        disk("ro")
        message = refusal(capfd)
        assert f"The store {path} cannot be written: " in message
        assert "keep the store elsewhere: set JUPYTER_LAUNCH_STORE=" in message

    @pytest.mark.parametrize("before", ["fresh", "used"])
    def test_on_a_full_disk(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
        disk: Callable[[str], Path],
        before: str,
    ) -> None:
        path = disk("size=2m") / "launch.db"
        use(monkeypatch, path)
        if before == "used":
            elsewhere("pass")
        fill(path.parent)
        message = refusal(capfd)
        assert message.startswith(f"The store {path} cannot be written: ")
        assert "full" in message
        assert "Free some space" in message
        (path.parent / "filler").unlink()
        run = ended("local-process", "print('again')")
        assert (run.status, run.logs()) == ("finished", "again\n")
        assert len(run.store.runs()) == (2 if before == "used" else 1)

    def test_on_a_disk_that_fills_up_while_a_run_is_logged(
        self,
        monkeypatch: pytest.MonkeyPatch,
        disk: Callable[[str], Path],
        place: str,
    ) -> None:
        path = disk("size=2m") / "launch.db"
        use(monkeypatch, path)
        lines = 50_000
        # Digits on one stream, letters on the other: so the log tells them apart.
        body = f"import os\nfor n in range({lines}):\n"
        body += "    os.write(1, b'%059d\\n' % n)\n"
        body += "    if n % 10 == 0: os.write(2, bytes(c + 49 for c in b'%059d' % n) + b'\\n')\n"
        run = start(place, f"{body}os._exit(4)")
        while os.statvfs(path.parent).f_bavail:
            time.sleep(0.02)
        # The program goes on to its end although nobody can write down what it says.
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            assert run.status == "running"
            time.sleep(0.1)
        disk("size=64m")
        assert run.wait(timeout=60) == "failed"
        assert run.exit_code == 4
        said = run.logs()
        assert re.sub("[a-j\n]", "", said) == "".join(f"{n:059}" for n in range(lines))
        digits = re.sub("[0-9\n]", "", said).translate(str.maketrans("abcdefghij", "0123456789"))
        assert digits == "".join(f"{n:059}" for n in range(0, lines, 10))
        position = run.store.log_position(run.id)
        assert (position.stdout, position.stderr) == (lines * 60, lines // 10 * 60)

    @pytest.mark.parametrize("damage", ["noise", "header", "middle", "newer"])
    def test_that_is_damaged(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
        tmp_path: Path,
        damage: str,
    ) -> None:
        path = tmp_path / "damaged.db"
        use(monkeypatch, path)
        elsewhere("print('kept')")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if damage == "newer":
                connection.execute("PRAGMA user_version = 99")
        data = bytearray(path.read_bytes())
        if damage == "noise":
            data[:] = os.urandom(5000)
        elif damage == "header":
            data[:16] = b"-" * 16
        elif damage == "middle":
            data[4096:] = b"\xff" * (len(data) - 4096)
        path.write_bytes(data)
        message = refusal(capfd)
        if damage == "newer":
            assert message == (
                f"The store {path} was made by a newer jupyter_launch (schema 99, this one knows "
                f"{SCHEMA_VERSION}).\nUpgrade: pip install -U jupyter_launch"
            )
            return
        assert message.startswith(f"The store {path} is damaged")
        # What the message advises works.
        advised = re.search(r"\((mv .*?)\)", message)
        assert advised is not None
        subprocess.run(shlex.split(advised[1]), check=True)
        assert f"{path}.d/logs" in message
        (log,) = Path(f"{path}.d/logs").glob("*.log")
        assert log.read_text() == "kept\n"
        assert ended("local-process", "print('new')").status == "finished"

    @pytest.mark.parametrize(
        "url", ["mysql://x/y", "nonsense", "sqlite:", "sqlite://launch.db", ""]
    )
    def test_of_an_unknown_kind(self, url: str) -> None:
        with pytest.raises(LaunchError) as error:
            open_store(url)
        # What follows may have a password in it.
        assert repr(url.replace("x/y", "...")) in str(error.value)
        assert error.value.hint

    def test_of_two_kernels_at_once(self, store: Store) -> None:
        body = "from jupyter_launch import launch\n"
        body += "def spec(n): return {'source': {'kind': 'cell', 'body': f'print({n})'},\n"
        body += "                     'resource': 'local-process'}\n"
        body += "runs = [launch(None, config=spec(n), synchronous=False) for n in range(8)]\n"
        body += "print([(run.id, str(run.wait()), run.logs()) for run in runs])"
        results: list[list[tuple[str, str, str]]] = []
        with kernel(live=True) as one, kernel(live=True) as two:
            threads = [
                threading.Thread(target=lambda k=k: results.append(k.value(body)))
                for k in (one, two)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            assert [[row[1:] for row in rows] for rows in results] == [
                [("finished", f"{n}\n") for n in range(8)]
            ] * 2
            # Each sees and steers what the other launched.
            slow = "{'source': {'kind': 'cell', 'body': 'import time; time.sleep(60)'}}"
            run_id = one.value(
                f"run = launch(None, config={slow}, resource='local-process', synchronous=False)\n"
                "print(repr(run.id))"
            )
            assert (
                two.value(
                    "from jupyter_launch import Api\n"
                    f"print(repr(str(Api().run({run_id!r}).stop())))"
                )
                == "stopped"
            )
            assert one.value("print(repr(str(run.wait(timeout=10))))") == "stopped"
        assert len(store.runs()) == 17


def fill(folder: Path) -> None:
    """Write a file until there is no space left."""
    with (folder / "filler").open("wb", buffering=0) as file:
        for size in (1 << 16, 1):
            with suppress(OSError):
                while file.write(b"x" * size):
                    pass


def test_python_itself_is_the_one_that_runs(tmp_path: Path) -> None:
    """A process of the own host runs in the interpreter of who launched it."""
    run = ended("local-process", "import sys; print(sys.executable)")
    assert run.logs() == f"{sys.executable}\n"
