"""Submitting what a form says, once for each time that it is meant."""

from __future__ import annotations

import threading
import time

from ..handle import RunHandle
from ..runs import new_id
from ..spec import LaunchSpec
from ..submit import Launcher

DOUBLE_S = 1.0
"""A second click on the same thing within so many seconds after the first is a double click."""


class Submissions:
    """The runs that were launched from one form.

    Each intent has a key, which becomes the run's id: whoever submits the same again with the same
    key, because of a double click or because the answer to the first try got lost, gets the run
    that is there.
    """

    def __init__(self) -> None:
        self.runs: list[RunHandle] = []
        self._key = new_id()
        self._said = ""
        self._done_at: float | None = None
        self._lock = threading.Lock()

    def submit(
        self, launcher: Launcher, spec: LaunchSpec, parent: str | None, *, queued: bool
    ) -> tuple[RunHandle, bool]:
        """Submit a spec. Give the run, and whether it is a new one. Raises `LaunchError`."""
        with self._lock:
            said = f"{queued} {spec.to_json()}"
            if self._again(said):
                return self.runs[-1], False
            tried = self._said == said and self._done_at is None
            if not tried:
                self._key = spec.run_id or new_id()
            self._said, self._done_at = said, None
            made = _found(launcher, self._key) if tried else None
            if made is None:
                spec = spec.evolve(run_id=self._key)
                verb = launcher.add if queued else launcher.launch
                made = verb(spec, parent=parent)
            self._done_at = time.monotonic()
            self.runs.append(made)
            return made, True

    def _again(self, said: str) -> bool:
        recent = self._done_at is not None and time.monotonic() - self._done_at < DOUBLE_S
        return recent and said == self._said


def _found(launcher: Launcher, run_id: str) -> RunHandle | None:
    run = launcher.store.find(run_id)
    return None if run is None else RunHandle(launcher, run.id)
