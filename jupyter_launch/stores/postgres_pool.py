"""Connections of one process to a PostgreSQL database, for as many threads as there are."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from psycopg.pq import TransactionStatus

from ..errors import StoreUnavailable
from .forks import begins_anew
from .postgres_url import Connection

MOST = 8
"""How many connections are in use at once; further threads wait for one."""

KEPT = 3
"""How many stay open while nobody uses them."""

WAIT_S = 60.0
"""How long a thread waits for a connection, in seconds."""


class Pool:
    """Lends connections.

    Parameters
    ----------
    make : callable
        Makes one that is ready for use.
    """

    def __init__(self, make: Callable[[], Connection]) -> None:
        self._make = make
        begins_anew(self)

    def begin(self) -> None:
        """Have no connection. Those of a parent process stay its own."""
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(MOST)
        self._idle: list[Connection] = []

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[Connection]:
        """Lend a connection; one that was lost meanwhile is not lent again."""
        room = self._room
        if not room.acquire(timeout=WAIT_S):
            raise StoreUnavailable(f"No connection to the store was free for {WAIT_S:.0f} s.")
        try:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            connection = connection or self._make()
            try:
                yield connection
            finally:
                self._take_back(connection)
        finally:
            room.release()

    def _take_back(self, connection: Connection) -> None:
        with self._lock:
            sound = connection.info.transaction_status == TransactionStatus.IDLE
            if sound and len(self._idle) < KEPT:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
