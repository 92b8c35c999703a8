"""Wake-ups through a PostgreSQL server: one connection listens for all of a process."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import psycopg

from ..errors import ConfigError, StoreUnavailable
from .forks import begins_anew
from .postgres_database import bound
from .postgres_url import Connection, translated
from .sql import statements

CHANNEL = "jupyter_launch"
WAKES = 64
RING = bound(statements("postgres")["ring"])

READY_S = 10.0
"""How long who begins to listen waits until the server knows of it, in seconds."""

GATHER_S = 0.05
"""How long after an announcement further ones wait for each other, in seconds."""

AGAIN_S = 0.5
"""How long after it failed the connection is tried again, in seconds."""


class Bell:
    """One listener. Use as a context manager; make it *before* looking at what it announces."""

    def __init__(self, leave: Callable[[Bell], None]) -> None:
        self._rung = threading.Event()
        self._leave = leave

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep until the bell rings, at most `timeout` seconds. Say whether it rang."""
        rang = self._rung.wait(timeout)
        self._rung.clear()
        return rang

    def ring(self) -> None:
        """Wake this listener alone."""
        self._rung.set()

    def close(self) -> None:
        """Stop listening."""
        self._leave(self)

    def __enter__(self) -> Bell:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Bells:
    """All listeners of a process to one store.

    Parameters
    ----------
    url : callable
        Connects to the database.
    """

    def __init__(self, connect: Callable[[], Connection], url: str) -> None:
        self._connect, self._url = connect, url
        begins_anew(self)

    def begin(self) -> None:
        """Have no listeners, no connection and no thread."""
        self._lock = threading.Lock()
        self._bells: defaultdict[str, set[Bell]] = defaultdict(set)
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._end = (-1, -1)
        self._said: set[str] = set()

    def listen(self, topics: Sequence[str]) -> Bell:
        """Listen to any of the topics.

        If the server does not answer now, the bell rings once it does: then look.
        """
        with self._lock:
            if self._thread is None:
                self._end = os.pipe()
                self._thread = threading.Thread(
                    target=self._run, args=[self._end[0]], name="launch-bells", daemon=True
                )
                self._thread.start()
        self._ready.wait(READY_S)
        bell = Bell(lambda bell: self._forget(topics, bell))
        with self._lock:
            for topic in topics:
                self._bells[topic].add(bell)
        return bell

    def ring(self, topics: Sequence[str]) -> bool:
        """Announce topics through the connection that listens, without waiting for that.

        Gives whether there is one. What it cannot announce is lost: whoever misses it looks again.
        """
        with self._lock:
            if self._thread is None or not self._ready.is_set():
                return False
            asleep = not self._said
            self._said.update(topics)
            if asleep:  # only now: who is woken looks at once
                os.write(self._end[1], b"r")
            return True

    def close(self) -> None:
        """Stop listening to anything; the next listener begins again."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            ours, self._end = self._end, (-1, -1)
        os.write(ours[1], b"!")
        thread.join()
        for end in ours:
            os.close(end)

    def _forget(self, topics: Sequence[str], bell: Bell) -> None:
        with self._lock:
            for topic in topics:
                self._bells[topic].discard(bell)
                if not self._bells[topic]:
                    del self._bells[topic]

    def _run(self, end: int) -> None:
        while self._thread is threading.current_thread():
            with contextlib.suppress(StoreUnavailable, ConfigError), translated(self._url):
                connection = self._connect()
                try:
                    connection.add_notify_handler(lambda heard: self._ring(heard.payload))
                    connection.execute(f"LISTEN {CHANNEL}")
                    self._ring_all()  # what was announced meanwhile was not heard
                    self._ready.set()
                    self._serve(connection, end)
                finally:
                    self._ready.clear()
                    connection.close()
            if select.select([end], [], [], AGAIN_S)[0]:
                os.read(end, WAKES)

    def _serve(self, connection: Connection, end: int) -> None:
        """Pass on what the server announces and what this process does, until it is closed."""
        server = connection.pgconn
        poller = select.poll()
        poller.register(server.socket, select.POLLIN)
        poller.register(end, select.POLLIN)
        due = 0.0
        while self._thread is threading.current_thread():
            if self._said and time.monotonic() >= due:
                with self._lock:
                    said, self._said = self._said, set()
                connection.execute(RING, {"topics": list(said)})
                due = time.monotonic() + GATHER_S
            while heard := server.notifies():  # some may have come with an earlier answer
                self._ring(heard.extra.decode())
            rest = max(0.0, due - time.monotonic()) * 1000 if self._said else None
            if any(descriptor == end for descriptor, _ in poller.poll(rest)):
                os.read(end, WAKES)
            server.consume_input()
            if server.status != psycopg.pq.ConnStatus.OK:
                raise psycopg.OperationalError("the server closed the connection")

    def _ring(self, topics: str) -> None:
        with self._lock:
            for topic in topics.split("\n"):
                for bell in self._bells.get(topic, ()):
                    bell.ring()

    def _ring_all(self) -> None:
        with self._lock:
            for bells in self._bells.values():
                for bell in bells:
                    bell.ring()
