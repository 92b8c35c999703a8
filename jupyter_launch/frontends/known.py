"""What a store and an engine have, as far as it is known: asking never waits for either.

Each question is answered from memory. An answer that is older than `FRESH_S` is read again in the
background, for the next time; only the first time somebody asks, a moment is spent on waiting.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar, cast

from ..job import Job
from ..runs import Queue, Run
from ..stores.base import Store

T = TypeVar("T")
FRESH_S = 2.0
PATIENCE_S = 0.02
"""How long the first answer to a question may keep somebody waiting, in seconds."""

NEWEST = 200
"""Of how many runs the ids, projects and run configs are known."""


class Answer:
    """What is remembered of one question."""

    def __init__(self) -> None:
        self.value: Any = None
        self.at = float("-inf")
        self.reading = False
        self.known = threading.Event()


class Known:
    """Answers from memory, and reads in the background.

    Parameters
    ----------
    open_store : callable
        Gives the store, or ``None`` where there is none yet. Called in the background.
    """

    def __init__(self, open_store: Callable[[], Store | None]) -> None:
        self._open_store = open_store
        self._store: Store | None = None
        self._opening = threading.Lock()
        self._lock = threading.Lock()
        self._answers: dict[Hashable, Answer] = {}
        self._closed = False

    def queues(self) -> Sequence[Queue]:
        """Give all queues."""
        found: Sequence[Queue] = self._of_store("queues", lambda store: store.queues())
        return found

    def queue_config(self, queue: Queue) -> dict[str, Any]:
        """Give a queue's default config."""
        record = self._of_store(("queue", queue), lambda store: store.queue(queue))
        return dict(record.config) if record else {}

    def jobs(self) -> Sequence[Job]:
        """Give all versions of all jobs."""
        found: Sequence[Job] = self._of_store("jobs", lambda store: store.jobs())
        return found

    def runs(self) -> Sequence[Run]:
        """Give the newest runs, newest first."""
        found: Sequence[Run] = self._of_store("runs", lambda store: store.runs(limit=NEWEST))
        return found

    def last_config(self) -> dict[str, Any]:
        """Give the run config of this notebook's last launches, or of the store's last."""
        return dict(self._of_store("config", lambda store: _config(store.runs(limit=NEWEST // 10))))

    def images(self) -> Sequence[str]:
        """Give the names of the images on the engine."""
        return self.get("images", _images)

    def get(self, question: Hashable, read: Callable[[], Sequence[T]]) -> Sequence[T]:
        """Answer a question from memory.

        Parameters
        ----------
        question : hashable
            What is asked.
        read : callable
            Finds the answer out; it may take long, or fail.
        """
        with self._lock:
            answer = self._answers.setdefault(question, Answer())
            stale = time.monotonic() - answer.at > FRESH_S
            if stale and not answer.reading and not self._closed:
                answer.reading = True
                args = (answer, read)
                threading.Thread(
                    target=self._read, args=args, name="launch-completion", daemon=True
                ).start()
        if answer.value is None:
            answer.known.wait(PATIENCE_S)
        return cast("Sequence[T]", answer.value or ())

    def close(self) -> None:
        """Let go of the store."""
        with self._lock:
            self._closed = True
        if self._opening.acquire(blocking=False):  # whoever is opening it sees that it is too late
            try:
                self._let_go()
            finally:
                self._opening.release()

    def _of_store(self, question: Hashable, ask: Callable[[Store], Any]) -> Any:
        def read() -> Any:
            store = self._opened()
            return () if store is None else ask(store)

        return self.get(question, read)

    def _opened(self) -> Store | None:
        with self._opening:
            if self._store is None and not self._closed:
                self._store = self._open_store()
            return self._store

    def _let_go(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.close()

    def _read(self, answer: Answer, read: Callable[[], Any]) -> None:
        try:
            answer.value = read()
        except Exception:  # noqa: BLE001 - a border: who presses Tab did not ask for an error
            if answer.value is None:
                answer.value = ()
        answer.at, answer.reading = time.monotonic(), False
        answer.known.set()
        if self._closed:
            self.close()


def _config(runs: Sequence[Run]) -> dict[str, Any]:
    """Put the run configs of runs together, the newest on top."""
    specs = [json.loads(run.spec_json) for run in reversed(runs)]
    here = os.environ.get("JPY_SESSION_NAME")
    ours = [s for s in specs if here and (s.get("origin") or {}).get("notebook") == here]
    configs = [(spec.get("overrides") or {}).get("run_config") or {} for spec in ours or specs]
    together: dict[str, Any] = {}
    for config in configs if ours else list(filter(None, configs))[-1:]:
        together |= config
    return together


def _images() -> list[str]:
    from ..docker_engine import address, connect, translated  # noqa: PLC0415 - slow to import

    where = address()
    with translated(where):
        images: list[Any] = connect(where).images()
    names = {name for image in images for name in image.get("RepoTags") or ()}
    return sorted(name.removesuffix(":latest") for name in names if "<none>" not in name)
