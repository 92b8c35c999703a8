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
        self._room = threading.Condition(self._lock)
        self._lent = 0
        self._idle: list[Connection] = []

    def take(self) -> Connection:
        """Lend a connection, which is to be given back."""
        with self._lock:
            if not (self._lent < MOST or self._room.wait_for(lambda: self._lent < MOST, WAIT_S)):
                raise StoreUnavailable(f"No connection to the store was free for {WAIT_S:.0f} s.")
            self._lent += 1
            if self._idle:
                return self._idle.pop()
        try:
            return self._make()
        except BaseException:
            with self._lock:
                self._make_room()
            raise

    def give_back(self, connection: Connection) -> None:
        """Take a connection back; one that was lost meanwhile is not lent again."""
        sound = connection.pgconn.transaction_status == TransactionStatus.IDLE
        with self._lock:
            self._make_room()
            kept = sound and len(self._idle) < KEPT
            if kept:
                self._idle.append(connection)
        if not kept:
            connection.close()

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[Connection]:
        """Lend a connection for as long as the block runs."""
        connection = self.take()
        try:
            yield connection
        finally:
            self.give_back(connection)

    def _make_room(self) -> None:
        self._lent -= 1
        self._room.notify()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
