"""Images that have to be fetched, from a real registry on this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.submit import Launcher
from tests.conftest import TINY

pytestmark = [pytest.mark.docker, pytest.mark.registry]

CONFIG = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    """Give the name of an image that only a registry has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "registry.yml"
    config.write_text(CONFIG.format(folder=tmp_path / "registry", port=port))
    quiet = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
    registry = subprocess.Popen(
        ["docker-registry", "serve", str(config)],
        env=quiet,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(f"http://127.0.0.1:{port}/v2/")
    engine = docker.from_env()
    name = f"127.0.0.1:{port}/tiny"
    engine.images.get(TINY).tag(name, "v1")
    pushed = engine.images.push(name, "v1")
    assert "error" not in pushed
    engine.images.remove(f"{name}:v1")
    yield f"{name}:v1"
    registry.terminate()
    registry.wait()
    leftover = [tag for tags in (i.tags for i in engine.images.list()) for tag in tags]
    if f"{name}:v1" in leftover:
        engine.images.remove(f"{name}:v1")


def wait_for(url: str) -> None:
    retry = "for _ in $(seq 100); do (exec 3<>/dev/tcp/$0/$1) && exit; sleep 0.1; done; exit 1"
    host, port = url.split("/")[2].split(":")
    subprocess.run(["bash", "-c", retry, host, port], check=True, stderr=subprocess.DEVNULL)
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.status == 200


def test_a_missing_image_is_pulled_and_the_progress_is_told(launcher: Launcher, image: str) -> None:
    spec = {"docker": {"docker_image": image}, "overrides": {"args": ["echo", "pulled"]}}
    handle = launcher.launch(LaunchSpec.from_dict(spec))
    assert handle.wait(60) is State.FINISHED
    assert handle.logs() == "pulled\n"
    told = [event.data["text"] for event in handle.events() if event.kind == "progress"]
    assert told
    assert told[0].startswith(f"pulling image {image}")


def test_an_image_that_the_registry_has_not_is_said_to_be_missing(
    launcher: Launcher, image: str
) -> None:
    wrong = image.replace("tiny:v1", "tiny:v2")
    handle = launcher.launch(LaunchSpec.from_dict({"docker": {"docker_image": wrong}}))
    assert handle.wait(60) is State.FAILED
    assert f"Image '{wrong}' is not on this engine, and pulling it failed" in handle.run.reason
    assert "Check the name" in handle.run.reason


def test_the_pull_option_never_refuses_and_always_pulls_again(
    launcher: Launcher, image: str
) -> None:
    def launched(pull: str) -> tuple[State, str]:
        spec = {
            "docker": {"docker_image": image},
            "overrides": {"args": ["true"]},
            "resource_args": {"local-container": {"pull": pull}},
        }
        handle = launcher.launch(LaunchSpec.from_dict(spec))
        return handle.wait(60), handle.run.reason

    state, reason = launched("never")
    assert state is State.FAILED
    assert "the option pull is 'never'" in reason
    assert launched("always")[0] is State.FINISHED
    assert launched("never")[0] is State.FINISHED
