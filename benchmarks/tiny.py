"""Programs in the tiny image: launched by us, and by Docker's own command line."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_launch.runs import new_id
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import OWNED
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import Store, log_of
from jupyter_launch.submit import Launcher

TINY = "jupyter-launch-test/tiny:latest"
DOCKER_RUN = ("docker", "run", "--rm", TINY)
PATIENCE_S = 60.0


def store_url(folder: Path) -> str:
    """Name a store of that folder."""
    return f"sqlite:///{folder}/store/launch.db"


class Warm:
    """A launcher in a process where everything is imported and a launch was made before.

    Parameters
    ----------
    launcher : Launcher
        Used for nothing else.
    """

    def __init__(self, launcher: Launcher) -> None:
        self.store = launcher.store
        self._launcher = launcher
        self._free = threading.Event()
        launcher.on_free = self._free.set
        self.seconds(first_line, "echo", "warm")

    def seconds(self, until: Callable[[Store, str], bool], *command: str) -> float:
        """Launch a command and say how long it takes until something holds for its run.

        Returns when the container is removed, so that it disturbs nothing that follows.
        """
        spec = LaunchSpec.from_dict(
            {
                "run_id": new_id(),
                "resource": "local-container",
                "docker": {"docker_image": TINY},
                "overrides": {"entry_point": list(command)},
            }
        )
        return self.seconds_of(spec, until)

    def seconds_of(self, spec: LaunchSpec, until: Callable[[Store, str], bool]) -> float:
        """Do the same for a spec, which names its run's id."""
        self._free.clear()
        seconds = seconds_until(
            self.store, str(spec.run_id), until, lambda: self._launcher.launch(spec)
        )
        if not self._free.wait(PATIENCE_S):
            raise TimeoutError(f"Run {spec.run_id} does not end.")
        deadline = time.monotonic() + PATIENCE_S
        while self.store.get(str(spec.run_id)).handle and time.monotonic() < deadline:
            time.sleep(0.005)  # the removal, which nobody waits for, is announced to nobody
        return seconds


@contextmanager
def warm(folder: Path) -> Iterator[Warm]:
    """Open a store in a folder for launches; nothing of them is left behind."""
    launcher = Launcher(open_store(store_url(folder)))
    try:
        yield Warm(launcher)
    finally:
        for run in launcher.store.runs(states=OWNED):
            launcher.handle(run.id).stop()
        launcher.close()
        launcher.store.close()


def seconds_until(
    store: Store, run_id: str, happened: Callable[[Store, str], bool], begin: Callable[[], object]
) -> float:
    """Say how long it takes from `begin` until something is in the store."""
    with store.listen(run_id, log_of(run_id)) as listener:
        begun = time.perf_counter()
        begin()
        while not happened(store, run_id):
            if time.perf_counter() > begun + PATIENCE_S:
                raise TimeoutError(f"Run {run_id}: {store.find(run_id)}")
            listener.wait(1)
        return time.perf_counter() - begun


def first_line(store: Store, run_id: str) -> bool:
    """Say whether a whole line of the program's output can be read."""
    return b"\n" in store.read_log(run_id)


def ended(store: Store, run_id: str) -> bool:
    """Say whether the run's end is recorded."""
    return store.get(run_id).state.terminal


def docker_run(*command: str) -> float:
    """Say how long Docker's command line takes for a command, from its start to its end."""
    begun = time.perf_counter()
    subprocess.run([*DOCKER_RUN, *command], check=True, capture_output=True, timeout=PATIENCE_S)
    return time.perf_counter() - begun
