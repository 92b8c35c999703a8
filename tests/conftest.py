"""What every test shares: an environment of its own, stores, and which parts are missing."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors
import pytest
from hypothesis import settings

from jupyter_launch.errors import StoreError
from jupyter_launch.owner import known_dead, new_owner, pid_of
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import Store
from jupyter_launch.submit import Launcher, close_all
from tests.postgres import postgres

__all__ = ["postgres"]

TINY = "jupyter-launch-test/tiny:latest"
PYTHON = "jupyter-launch-test/python:latest"
# How long an example takes is news about the machine, not about the code.
settings.register_profile("without a clock", deadline=None)
settings.load_profile("without a clock")

MISSING = set(filter(None, os.environ.get("JUPYTER_LAUNCH_TEST_MISSING", "").split(",")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in MISSING & {mark.name for mark in item.iter_markers()}:
            reason = f"{mark} is missing on this machine (make test lists what is)"
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def own_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[None]:
    """Keep tests and the data, settings and W&B account of whoever runs them apart."""
    clean_environment(monkeypatch, tmp_path)
    yield
    close_all()
    monkeypatch.undo()  # a test may have pointed us at another engine, or at none
    if not (tmp_path / "store/launch.db").exists():
        return
    try:
        store = open_store(f"sqlite:///{tmp_path}/store/launch.db")
        end_agents(store)
    except StoreError:
        return  # a test that spoils its store leaves nothing running
    if request.node.get_closest_marker("docker"):
        remove_containers(store)


def clean_environment(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Point this process, and what it starts, at a store and a working directory in a folder."""
    for name in list(os.environ):
        if name.startswith(("JUPYTER_LAUNCH_", "WANDB_")) and "_TEST_" not in name:
            monkeypatch.delenv(name)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(folder / "data"))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(folder / "config"))
    monkeypatch.setenv("JUPYTER_LAUNCH_STORE", f"sqlite:///{folder}/store/launch.db")
    work = folder / "work"
    work.mkdir()
    monkeypatch.chdir(work)


def end_agents(store: Store) -> None:
    """End the agents that queues of a store started by themselves."""
    machine = new_owner().split(":")[:2]
    owners = [
        owner
        for owner in (agent.owner for agent in store.agents())
        if owner.split(":")[:2] == machine
        and pid_of(owner) != os.getpid()
        and not known_dead(owner)
    ]
    for owner in owners:
        os.kill(pid_of(owner), signal.SIGTERM)
    deadline = time.monotonic() + 20
    while not all(map(known_dead, owners)) and time.monotonic() < deadline:
        time.sleep(0.05)  # they are nobody's children here, so there is nothing to wait for


def remove_containers(store: Store) -> None:
    """Remove what is left of runs whose owner was killed before it could."""
    for container in docker.from_env().containers.list(
        all=True,
        filters={"label": f"jupyter_launch.store={store.id}"},
        ignore_removed=True,
    ):
        with contextlib.suppress(docker.errors.APIError):  # somebody is about to remove it
            container.remove(force=True, v=True)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Give a fresh store; the one that the settings of this test name."""
    made = open_store(f"sqlite:///{tmp_path}/store/launch.db")
    yield made
    made.close()


@pytest.fixture
def launcher(store: Store) -> Iterator[Launcher]:
    """Give a launcher on the fresh store."""
    made = Launcher(store)
    yield made
    made.close()
