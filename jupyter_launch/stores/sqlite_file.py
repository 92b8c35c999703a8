"""One SQLite file: opening it, transactions, and its errors in our words."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ..config import user_path
from ..errors import ConfigError, StoreUnavailable
from . import sqlite_journal
from .database import Row
from .sql import statements
from .sqlite_clock import tick

T = TypeVar("T")

SCHEMA_VERSION = 6
BUSY_S = 60.0
"""How long a statement waits for another process's transaction, in seconds."""
PAUSE_S, LONG_S = 0.003, 0.5
"""How long it waits before it tries again, and after how long it does so less often."""
_NO_VALUES: Mapping[str, Any] = {}


def parse(url: str) -> tuple[Path, str | None]:
    """Give the path in a store's URL, which follows ``sqlite:///``, and the journal asked for.

    Raises
    ------
    ConfigError
    """
    _, slashes, rest = url.partition(":///")
    name, journal = sqlite_journal.split(rest)
    if not slashes or not name:
        raise ConfigError(f"{url!r} names no file.", hint="Write sqlite:///path/of/it.db")
    return user_path(name).absolute(), journal


def path_of(url: str) -> Path:
    """Give the path in a store's URL. Raises `ConfigError`."""
    return parse(url)[0]


class SQLiteFile:
    """A connection for all threads of this process, one at a time; made anew after a fork.

    Parameters
    ----------
    path : Path
        The file. It and its folder are made, for this user's eyes only.
    journal : str, optional
        ``wal`` or ``delete``; default: what fits the filesystem.
    """

    def __init__(self, path: Path, journal: str | None = None) -> None:
        self.path = path
        self._journal = journal
        self.found: int | None = None
        """The version of the tables as it was at first."""
        self._sql = statements("sqlite")
        self.lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._later: list[Callable[[], None]] = []
        _FILES.add(self)
        with self.transaction():
            pass

    def rows(self, statement: str, /, **values: Any) -> list[Row]:
        """Run the statement of that name and give its rows."""
        with self.lock:
            try:
                return _patiently(self._open(), self._sql[statement], values)
            except sqlite3.Error as error:
                raise _unavailable(self.path, error) from error

    def row(self, statement: str, /, **values: Any) -> Row | None:
        """Run the statement of that name and give its first row, if it has one."""
        rows = self.rows(statement, **values)
        return rows[0] if rows else None

    def changed(self, statement: str, /, **values: Any) -> bool:
        """Run the statement of that name and say whether it changed anything."""
        with self.lock:
            before = self._open().total_changes
            self.rows(statement, **values)
            return self._open().total_changes > before

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Do several statements as one step. Nests within a thread."""
        with self.lock, _translated(self.path):
            connection = self._open()
            if connection.in_transaction:
                yield
                return
            _patiently(connection, "BEGIN IMMEDIATE")
            try:
                yield
                _patiently(connection, "COMMIT")
            except BaseException:
                self._later.clear()
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            later, self._later = self._later, []
        for act in later:
            act()

    def one_step(self, act: Callable[[], T], /) -> T:
        """Call something in one transaction."""
        with self.transaction():
            return act()

    def afterwards(self, act: Callable[[], None]) -> None:
        """Call something now, or once this thread's transaction is committed."""
        with self.lock:
            if self._connection is not None and self._connection.in_transaction:
                self._later.append(act)
                return
        act()

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self.lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = connect(self.path, self._journal)
            try:
                self._migrate(connection)
            except BaseException:
                connection.close()  # with it goes what an upgrade that failed had begun
                raise
            connection.create_function("launch_now", 0, time.time)
            connection.create_function("launch_tick", 0, tick(connection))
            connection.execute(self._sql["claimable"])
            connection.execute("PRAGMA busy_timeout = 0")  # from here on, see `_patiently`
            self._connection = connection
        return self._connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        version = _version(connection)
        if self.found is None:
            self.found = version
        if version == SCHEMA_VERSION:
            return
        connection.execute("BEGIN IMMEDIATE")
        version = _version(connection)
        upgrades = [f"upgrade_{number}" for number in range(version, SCHEMA_VERSION)]
        for name in upgrades if version else ["schema", *upgrades[1:]]:
            for statement in self._sql[name].split(";\n"):
                connection.execute(statement)
        if version == 0:
            connection.execute("INSERT INTO about VALUES ('id', ?)", (uuid.uuid4().hex[:12],))
        connection.execute("COMMIT")
        if version > SCHEMA_VERSION:
            raise StoreUnavailable(
                f"The store {self.path} was made by a newer jupyter_launch "
                f"(schema {version}, this one knows {SCHEMA_VERSION}).",
                hint="Upgrade: pip install -U jupyter_launch",
            )


def _patiently(
    connection: sqlite3.Connection, statement: str, values: Mapping[str, Any] = _NO_VALUES
) -> list[Row]:
    """Run a statement, again as long as others are at it, and give its rows.

    SQLite itself would look again after up to 0.1 s, where others are done within a millisecond;
    to look more often than this only makes them slower. What is refused has changed nothing.
    """
    deadline = None
    while True:
        try:
            return connection.execute(statement, values).fetchall()
        except sqlite3.OperationalError as error:
            now = time.monotonic()
            deadline = deadline or now + BUSY_S
            if "is locked" not in str(error) or now > deadline:
                raise
        long = now > deadline - BUSY_S + LONG_S
        # Those who wait must not all look at the same moments.
        time.sleep(random.uniform(0.5, 1.5) * (PAUSE_S * 10 if long else PAUSE_S))  # noqa: S311


_FILES: weakref.WeakSet[SQLiteFile] = weakref.WeakSet()
_FORKING: list[SQLiteFile] = []


def _before_fork() -> None:
    # SQLite's connections survive a fork only while no statement is under way in any thread.
    files = list(_FILES)
    for file in files:
        file.lock.acquire()
    _FORKING.extend(files)


def _after_fork() -> None:
    while _FORKING:
        _FORKING.pop().lock.release()


def _after_fork_in_child() -> None:
    for file in _FORKING:
        file.close()
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
    )


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()["user_version"]
    return version


def _as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> Row:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}


def connect(path: Path, journal: str | None = None) -> sqlite3.Connection:
    """Open, or make, a file with the settings of every store. Raises `StoreUnavailable`."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreUnavailable(
            f"The store {path} cannot be written: {error.strerror}.", hint=_ELSEWHERE
        ) from error
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = _as_dict
    try:
        sqlite_journal.choose(connection, path, journal, BUSY_S)
    except BaseException:
        connection.close()
        raise
    return connection


_ELSEWHERE = (
    "Make the folder writable, or keep the store elsewhere: "
    "set JUPYTER_LAUNCH_STORE=sqlite:////folder/launch.db"
)
_CAUSES = {
    "readonly": ("cannot be written: the file or its folder is read-only", _ELSEWHERE),
    "unable to open": ("cannot be opened", _ELSEWHERE),
    "is full": (
        "cannot be written: the disk is full",
        "Nothing was recorded and what is there is unharmed. Free some space and try again.",
    ),
    "disk I/O": (
        "cannot be written: the disk is full, or it fails",
        "Nothing was recorded. Free some space, look after the disk, and try again.",
    ),
    "not a database": ("is damaged, or no store at all", ""),
    "malformed": ("is damaged", ""),
    "locked": (
        f"was held by another process for more than {BUSY_S:.0f} s",
        "Try again; if it stays so, look for a stopped process that uses it.",
    ),
}


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _unavailable(path, error) from error


def _unavailable(path: Path, error: sqlite3.Error) -> StoreUnavailable:
    words = str(error)
    unknown = ("answered with an error", "This may be a bug: please report it.")
    what, hint = next((cause for clue, cause in _CAUSES.items() if clue in words), unknown)
    return StoreUnavailable(
        f"The store {path} {what} ({words}).",
        hint=hint
        or f"Move it away (mv {path} {path}.damaged) and a new one is made. The logs in "
        f"{path}.d/logs are plain text and stay readable.",
    )
