"""What every backend promises about what programs leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_launch.errors import ArtifactNotFound
from jupyter_launch.handle import RunHandle
from jupyter_launch.runs import Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import Store
from jupyter_launch.submit import Launcher
from tests.conftest import PYTHON
from tests.proofs import proves

PLACES = ["local-process", pytest.param("local-container", marks=pytest.mark.docker)]
BEGIN = "import os, pathlib, sys\nout = pathlib.Path(os.environ['JUPYTER_LAUNCH_OUTPUT_DIR'])\n"
BIG = 30_000_000

LEAVES = f"""
(out / "a.txt").write_text("hello")
(out / "sub/deep").mkdir(parents=True)
(out / "sub/deep/big.bin").write_bytes(b"x" * {BIG})
(out / "empty folder").mkdir()
(out / "empty").touch()
(out / "latest").symlink_to("sub/deep/big.bin")
(out / "sub/whole").symlink_to(out / "a.txt")
os.link(out / "a.txt", out / "hard.txt")
"""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """Give a fresh store of each kind; the one that the settings of this test name."""
    url = f"sqlite:///{tmp_path}/store/launch.db"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").new_database()
    monkeypatch.setenv("JUPYTER_LAUNCH_STORE", url)
    made = open_store(url)
    yield made
    made.close()


def spec(place: str, body: str, **fields: Any) -> LaunchSpec:
    source = {"kind": "cell", "body": BEGIN + body, "python": sys.executable}
    image = {"docker": {"docker_image": PYTHON}} if place == "local-container" else {}
    return LaunchSpec.from_dict({"source": source, "resource": place, **image, **fields})


def notices(handle: RunHandle) -> str:
    return "\n".join(e.data["text"] for e in handle.events() if e.kind == "notice")


def done(launcher: Launcher, place: str, body: str, **fields: Any) -> RunHandle:
    handle = launcher.launch(spec(place, body, **fields))
    handle.wait(60)
    return handle


@pytest.mark.parametrize("place", PLACES)
class TestArtifacts:
    """One backend after the other serves all of these."""

    def test_what_is_in_the_folder_of_outputs_is_kept(
        self, launcher: Launcher, place: str, tmp_path: Path
    ) -> None:
        handle = done(launcher, place, LEAVES)
        assert handle.status is State.FINISHED, handle.logs()
        found = handle.artifacts()
        assert {name: one.size for name, one in found.items()} == {
            "a.txt": 5,
            "empty": 0,
            "hard.txt": 5,
            "latest": BIG,
            "sub/deep/big.bin": BIG,
            "sub/whole": 5,
        }
        assert found["hard.txt"].read() == found["sub/whole"].read() == b"hello"
        with found["latest"].open() as file:
            assert file.read(3) == b"xxx"
        assert found["a.txt"].type == "text/plain"
        assert abs(found["a.txt"].modified - (handle.run.ended or 0)) < 60
        assert notices(handle) == ""
        copies = handle.download(tmp_path / "to", ["a.txt", "sub/whole"])
        assert [copy.read_text() for copy in copies] == ["hello", "hello"]
        with pytest.raises(ArtifactNotFound):
            found["nothing"]
        assert found.get("nothing") is None

    @pytest.mark.parametrize("end", ["sys.exit(3)", "os.kill(os.getpid(), 9)"])
    def test_a_program_that_fails_leaves_as_much(
        self, launcher: Launcher, place: str, end: str
    ) -> None:
        handle = done(launcher, place, f"(out / 'a.txt').write_text('hello')\n{end}")
        assert handle.status is State.FAILED
        assert handle.artifacts()["a.txt"].read() == b"hello"

    def test_one_that_is_stopped_too(self, launcher: Launcher, place: str) -> None:
        body = "(out / 'a.txt').write_text('hello')\nprint('ready', flush=True)\nsys.stdin.close()"
        handle = launcher.launch(spec(place, body + "\nimport signal; signal.pause()"))
        next(piece for piece in handle.follow() if b"ready" in piece)
        assert handle.stop() is State.STOPPED
        assert handle.artifacts()["a.txt"].read() == b"hello"

    @proves("--output")
    def test_paths_that_were_asked_for_are_kept(self, launcher: Launcher, place: str) -> None:
        body = """
pathlib.Path("res/x").mkdir(parents=True)
pathlib.Path("res/x/t.csv").write_text("a,b")
pathlib.Path("res/link").symlink_to("x/t.csv")
pathlib.Path("one.json").write_text("{}")
pathlib.Path("other").touch()
"""
        outputs = ["res", "./one.json", "res/x/t.csv", "missing.pt"]
        handle = done(launcher, place, body, outputs=outputs)
        assert sorted(handle.artifacts()) == ["one.json", "res/link", "res/x/t.csv"]
        assert handle.artifacts()["res/link"].read() == b"a,b"
        assert "missing.pt: the program left no such file or folder" in notices(handle)
        assert "res/x/t.csv: there is another one of that name" in notices(handle)

    def test_links_out_and_special_files_are_left_out_and_named(
        self, launcher: Launcher, place: str
    ) -> None:
        body = """
(out / "evil").symlink_to("/etc/passwd")
(out / "up").symlink_to("../../../../etc")
(out / "round").symlink_to("round")
os.mkfifo(out / "pipe")
(out / "good").touch()
"""
        handle = done(launcher, place, body)
        assert list(handle.artifacts()) == ["good"]
        told = notices(handle)
        assert "pipe: it is a pipe" in told
        for name in ("evil", "up", "round"):
            assert f"{name}: a link to what is not kept" in told

    def test_a_folder_that_became_a_link_gives_nothing(
        self, launcher: Launcher, place: str
    ) -> None:
        body = "os.rmdir(out); out.symlink_to('/etc')"
        handle = done(launcher, place, body)
        assert handle.status is State.FINISHED, handle.logs()
        assert list(handle.artifacts()) == []

    def test_names_of_any_bytes(self, launcher: Launcher, place: str) -> None:
        names = [
            b"caf\xe9.txt",
            "日本 🚀.txt".encode(),
            b"new\nline",
            b"-rf",
            b"\x1b[31m",
            b"a%2fb",
        ]
        names += [b"x" * 200 + b".txt"]
        body = f"for n in {names!r}: open(os.fsencode(out) + b'/' + n, 'w').write('x')"
        handle = done(launcher, place, body)
        expected = {name.decode("utf-8", "backslashreplace") for name in names}
        assert set(handle.artifacts()) == expected, notices(handle)
        assert all(one.read() == b"x" for one in handle.artifacts().values())

    def test_what_is_too_much_is_left_out_and_named(
        self, launcher: Launcher, place: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("JUPYTER_LAUNCH_ARTIFACTS_LIMIT", "2 MB")
        body = "[(out / f'{n}').write_bytes(b'x' * 1_500_000) for n in range(9)]"
        handle = done(launcher, place, body)
        assert len(handle.artifacts()) == 1
        assert "more than the limit of 0.002 GB" in notices(handle)
        assert "and 3 more" in notices(handle)

    def test_a_limit_that_is_no_size_loses_nothing(
        self, launcher: Launcher, place: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("JUPYTER_LAUNCH_ARTIFACTS_LIMIT", "lots")
        handle = done(launcher, place, "(out / 'a').touch()")
        assert list(handle.artifacts()) == ["a"]
        assert "is no size: 'lots'" in notices(handle)

    def test_whoever_takes_the_run_over_collects_again(self, store: Store, place: str) -> None:
        run = killed_while_collecting(store, place)
        assert store.artifacts(run.id) == []
        launcher = Launcher(store)
        launcher.sweep()
        handle = launcher.handle(run.id)
        assert handle.wait(60) is State.FINISHED
        assert {name: one.size for name, one in handle.artifacts().items()} == {"big": BIG}
        launcher.close()

    def test_a_program_cannot_be_told_another_folder(self, launcher: Launcher, place: str) -> None:
        env = {"JUPYTER_LAUNCH_OUTPUT_DIR": "/tmp"}
        handle = done(launcher, place, "(out / 'mine').touch()", env=env)
        assert list(handle.artifacts()) == ["mine"]


DIES = """
import signal, sys
import jupyter_launch.stores.artifact_files as files
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.submit import launcher

def half(source, file, size):
    file.write(source.read(size // 2))
    file.flush()
    print("half", flush=True)
    signal.pause()

files._copy = half
print(launcher().launch(LaunchSpec.from_json(sys.argv[1])).id, flush=True)
signal.pause()
"""


def killed_while_collecting(store: Store, place: str) -> Run:
    """Kill a run's owner when it has stored half of what the program left behind."""
    asked = spec(place, f"(out / 'big').write_bytes(b'x' * {BIG})").to_json()
    command = [sys.executable, "-c", DIES, asked]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        run_id = owner.stdout.readline().strip()
        assert owner.stdout.readline() == "half\n"
        os.kill(owner.pid, signal.SIGKILL)
    run = store.get(run_id)
    assert run.state is State.RUNNING
    return run
