"""Artifacts from the terminal, over REST, and in the record that a notebook keeps."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from jupyter_launch.frontends.record import bundle_of
from jupyter_launch.frontends.saved import LIMIT, MIME, size
from jupyter_launch.handle import RunHandle
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.submit import Launcher
from tests.jupyter_server import JupyterServer, cell, serving

BEGIN = "import os, pathlib\nout = pathlib.Path(os.environ['JUPYTER_LAUNCH_OUTPUT_DIR'])\n"
LEAVES = """
(out / "sub").mkdir()
(out / "sub/a b?#.txt").write_text("hello")
(out / "page.html").write_text("<script>alert(1)</script>")
(out / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
(out / "t.csv").write_text("a,b")
(out / "plot.png").write_bytes(b"\\x89PNG")
(out / "bytes.bin").write_bytes(bytes(range(256)) * 10_000)
"""


def left_behind(launcher: Launcher, body: str) -> RunHandle:
    handle = launcher.launch(LaunchSpec.from_dict(cell(BEGIN + body)))
    handle.wait(60)
    assert handle.exit_code == 0, handle.logs()
    return handle


def jupyter_launch(*words: str) -> bytes:
    command = [sys.executable, "-m", "jupyter_launch", *words]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


# -- from the terminal -------------------------------------------------------------------------


def test_the_terminal_lists_prints_and_copies(launcher: Launcher, tmp_path: Path) -> None:
    run_id = left_behind(launcher, LEAVES).id
    head, *rows = jupyter_launch("artifacts", run_id).decode().splitlines()
    assert head.split() == ["NAME", "SIZE", "MODIFIED", "TYPE"]
    assert rows[0].split()[:3] == ["bytes.bin", "2.6", "MB"]
    found = json.loads(jupyter_launch("artifacts", run_id, "--json"))
    assert {one["name"]: one["size"] for one in found}["sub/a b?#.txt"] == 5
    assert jupyter_launch("artifacts", run_id, "bytes.bin") == bytes(range(256)) * 10_000
    told = jupyter_launch("artifacts", run_id, "sub/a b?#.txt", "--to", str(tmp_path / "one"))
    assert Path(told.decode().strip()).read_text() == "hello"
    jupyter_launch("artifacts", run_id, "--to", str(tmp_path / "all"))
    assert sum(path.is_file() for path in (tmp_path / "all").rglob("*")) == len(rows)


def test_the_terminal_names_the_artifact_that_was_meant(launcher: Launcher) -> None:
    run_id = left_behind(launcher, LEAVES).id
    command = [sys.executable, "-m", "jupyter_launch", "artifacts", run_id, "plto.png"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "Did you mean 'plot.png'?" in done.stderr
    nothing = left_behind(launcher, "").id
    assert jupyter_launch("artifacts", nothing) == b"no artifacts\n"


# -- what a notebook keeps ---------------------------------------------------------------------


def test_the_record_names_them_within_its_budget(launcher: Launcher) -> None:
    body = "for n in range(3000): (out / f'{n:04}{chr(0x1F680) * 40}').touch()\nprint('x' * 99_999)"
    handle = left_behind(launcher, body)
    bundle = bundle_of(handle)
    assert size(bundle) <= LIMIT
    record = bundle[MIME]
    assert record["artifact_count"] == 3000
    assert record["artifacts"][0][0].startswith("0000")
    assert "0000" in bundle["text/plain"]
    assert "and 2,980 more" in bundle["text/html"]


def test_hostile_names_are_shown_as_text(launcher: Launcher) -> None:
    name = "<img src=x onerror=alert(1)>\x1b[31m"
    bundle = bundle_of(left_behind(launcher, f"(out / {name!r}).touch()"))
    assert "<img" not in bundle["text/html"]
    assert "\x1b[31m" not in bundle["text/plain"].replace("\x1b[31m│", "")


# -- over REST ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    yield from serving(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def kept(server: JupyterServer) -> str:
    """Give the address of the artifacts of a run that left some behind."""
    store = server.store()
    launcher = Launcher(store)
    handle = left_behind(launcher, LEAVES)
    launcher.close()
    store.close()
    return f"{server.api}runs/{handle.id}/artifacts"


@pytest.fixture
def client(server: JupyterServer) -> Iterator[requests.Session]:
    with server.session() as made:
        yield made


def test_they_are_listed(client: requests.Session, kept: str) -> None:
    found = client.get(kept, timeout=30).json()["artifacts"]
    assert [one["name"] for one in found] == sorted(one["name"] for one in found)
    assert {one["name"]: one["type"] for one in found}["plot.png"] == "image/png"


def test_strangers_get_nothing(kept: str) -> None:
    with requests.Session() as stranger:
        stranger.trust_env = False
        for address in (kept, f"{kept}/plot.png"):
            assert stranger.get(address, timeout=30).status_code == 403


def test_all_of_one_and_parts_of_it(client: requests.Session, kept: str) -> None:
    whole = bytes(range(256)) * 10_000
    assert client.get(f"{kept}/bytes.bin", timeout=30).content == whole
    part = client.get(f"{kept}/bytes.bin", headers={"Range": "bytes=1000000-2000000"}, timeout=30)
    assert part.status_code == 206
    assert part.content == whole[1_000_000:2_000_001]
    beyond = client.get(f"{kept}/bytes.bin", headers={"Range": "bytes=9999999-"}, timeout=30)
    assert beyond.status_code == 416
    head = client.head(f"{kept}/bytes.bin", timeout=30)
    assert head.headers["Content-Length"] == str(len(whole))
    assert client.get(f"{kept}/sub/a%20b%3F%23.txt", timeout=30).text == "hello"


@pytest.mark.parametrize(
    ("name", "kind", "saved"),
    [
        ("plot.png", "image/png", False),
        ("t.csv", "text/plain; charset=utf-8", False),
        ("page.html", "application/octet-stream", True),
        ("drawing.svg", "application/octet-stream", True),
        ("bytes.bin", "application/octet-stream", True),
        ("plot.png?download=1", "image/png", True),
    ],
)
def test_nothing_acts_as_a_page_of_the_server(
    client: requests.Session, kept: str, name: str, kind: str, *, saved: bool
) -> None:
    answer = client.get(f"{kept}/{name}", timeout=30)
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers.get("Content-Disposition", "").startswith("attachment") == saved


@pytest.mark.parametrize(
    "name", ["nothing", "..%2findex.json", "%2e%2e%2f%2e%2e%2flaunch.db", "%00"]
)
def test_only_artifacts_can_be_had(client: requests.Session, kept: str, name: str) -> None:
    answer = client.get(f"{kept}/{name}", timeout=30)
    assert answer.status_code == 404
    assert answer.json()["error"] == "ArtifactNotFound"
