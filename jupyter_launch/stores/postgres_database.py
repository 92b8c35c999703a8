"""Named statements on a PostgreSQL database, in one place where a lost connection is survived.

A statement of its own is run again until its answer comes: those that add something find by their
`mark` that they did so before. Of a transaction whose last answer was lost, the server is asked
what became of it.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg

from ..errors import StoreUnavailable
from .database import Row
from .postgres_pool import Pool
from .postgres_schema import prepare
from .postgres_url import Connection, TryAgain, connect, explained, translated
from .sql import statements

T = TypeVar("T")

PATIENCE_S = 30.0
"""How long a server that went away is waited for, in seconds."""

_NAME = re.compile(r"(?<![:\w]):([a-z_]\w*)")


def bound(statement: str) -> str:
    """Write the ``:names`` of a statement as psycopg wants them."""
    return _NAME.sub(r"%(\1)s", statement.replace("%", "%%"))


@dataclass
class _Step:
    """A transaction under way in a thread."""

    connection: Connection
    number: str
    topics: list[str] = field(default_factory=list)


class _Here(threading.local):
    step: _Step | None = None


class PostgresDatabase:
    """Runs named statements; safe to use from several threads, and after a fork.

    Parameters
    ----------
    url : str
        Of the database, with a password if it needs one.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._raw = statements("postgres")
        self._sql = {name: bound(text) for name, text in self._raw.items()}
        self._names: dict[tuple[str, int], list[str]] = {}
        self._here = _Here()
        self._pool = Pool(self._made)
        self._known, self.found = False, 0
        self.about = {row["key"]: row["value"] for row in self.rows("about")}
        self._known = True

    def _made(self) -> Connection:
        connection = connect(self._url)
        try:
            with translated(self._url):
                found = prepare(connection, self._raw, new=not self._known)
                self.found = self.found if self._known else found
        except BaseException:
            connection.close()
            raise
        return connection

    def rows(self, statement: str, /, **values: Any) -> list[Row]:
        """Run the statement of that name and give its rows."""
        step = self._here.step
        if step:
            return self._run(step.connection, statement, values)
        values |= {"mark": os.urandom(8).hex(), "again": False}

        def alone() -> list[Row]:
            connection = self._pool.take()
            try:
                return self._run(connection, statement, values)
            finally:
                values["again"] = True
                self._pool.give_back(connection)

        return self._patiently(alone)

    def row(self, statement: str, /, **values: Any) -> Row | None:
        """Run the statement of that name and give its first row, if it has one."""
        rows = self.rows(statement, **values)
        return rows[0] if rows else None

    def one_step(self, act: Callable[[], T]) -> T:
        """Call something in one transaction, again from its beginning where that was lost."""
        if self._here.step:
            return act()

        def step() -> T:
            with self.transaction():
                return act()

        return self._patiently(step)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Do several statements of this thread as one step. Nests."""
        if self._here.step:
            yield
            return
        unknown = None
        with self._pool.borrowed() as connection:
            step = self._here.step = self._begun(connection)
            try:
                yield
            except BaseException:
                with contextlib.suppress(StoreUnavailable), translated(self._url):
                    connection.execute("ROLLBACK")
                raise
            finally:
                self._here.step = None
            try:
                self._commit(step)
            except TryAgain as lost:
                unknown = lost
        if unknown and not self._was_committed(step.number):
            raise unknown

    def ring(self, topics: list[str]) -> None:
        """Wake who listens to the topics: now, or once this thread's transaction is committed."""
        if self._here.step:
            self._here.step.topics += topics
        elif topics:
            self.rows("ring", topics=topics)

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
        self._pool.close()

    def _run(self, connection: Connection, statement: str, values: dict[str, Any]) -> list[Row]:
        try:
            cursor = connection.kept_cursor.execute(self._sql[statement], _clean(values))
            result = cursor.pgresult
            count = result.nfields if result else 0
            key = (statement, count)  # a newer version may have added some
            names = self._names.get(key)
            if result and names is None:
                found = [result.fname(at) or b"" for at in range(count)]
                names = self._names[key] = [name.decode() for name in found]
            return [dict(zip(names, row, strict=True)) for row in cursor] if names else []
        except psycopg.Error as error:
            raise explained(self._url, error) from error

    def _begun(self, connection: Connection) -> _Step:
        with translated(self._url):
            cursor = connection.execute(self._raw["begin"])
            cursor.nextset()
            row = cursor.fetchone()
        assert row is not None
        return _Step(connection, row["number"])

    def _commit(self, step: _Step) -> None:
        # Bound here, not there: so that both go in one message.
        with translated(self._url), psycopg.ClientCursor(step.connection) as cursor:
            cursor.execute(self._sql["commit"], {"topics": step.topics})

    def _was_committed(self, number: str) -> bool:
        def outcome() -> bool:
            (row,) = self.rows("outcome", number=number)
            if row["outcome"] == "in progress":
                self.rows("end_transaction", number=number)
                raise TryAgain("It is not known whether the last step was recorded.")
            return bool(row["outcome"] == "committed")

        return self._patiently(outcome)

    def _patiently(self, act: Callable[[], T]) -> T:
        """Do something that may be done twice, until it is not in vain."""
        until = time.monotonic() + (PATIENCE_S if self._known else 0)
        pause = 0.02
        while True:
            try:
                return act()
            except TryAgain as lost:
                if time.monotonic() + pause > until:
                    raise StoreUnavailable(lost.message, hint=lost.hint) from lost
            time.sleep(pause)  # a server that is back announces it to nobody
            pause = min(2 * pause, 1.0)


def _clean(values: dict[str, Any]) -> dict[str, Any]:
    """Replace zero bytes, which no text may have there."""
    return {
        name: value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value
        for name, value in values.items()
    }
