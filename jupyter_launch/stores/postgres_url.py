"""The URL of a PostgreSQL database: how it is shown, how to connect, and what may go wrong."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row, tuple_row
from psycopg.types.numeric import Int8Dumper

from ..errors import ConfigError, StoreUnavailable


class Connection(psycopg.Connection[dict[str, Any]]):
    """A connection to a database."""

    @cached_property
    def kept_cursor(self) -> psycopg.Cursor[tuple[Any, ...]]:
        """One cursor for every statement: a new one each time first learns how values are read."""
        return self.cursor(row_factory=tuple_row)


_DEFAULTS: dict[str, Any] = {
    "application_name": "jupyter_launch",
    "connect_timeout": 10,
    # A machine that went away without a word is noticed within half a minute, on both sides.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
}
_OLDEST = 130000


class TryAgain(StoreUnavailable):
    """Nothing was recorded, as the connection was lost or others were in the way."""


def shown(url: str) -> str:
    """Give a URL without the passwords in it."""
    url = re.sub(r"(?<=://)([^:/?@]*):.*@", r"\1@", url, flags=re.DOTALL)
    url = re.sub(r"(?<=[?&])(password|sslpassword)=[^&]*&?", "", url)
    return url.rstrip("?&")


def connect(url: str) -> Connection:
    """Connect to a database.

    Raises
    ------
    ConfigError
        When the URL is none.
    TryAgain
        When the server does not answer, or does not yet.
    StoreUnavailable
        When it refuses.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:  # whose words may hold the password
        raise ConfigError(
            f"{shown(url)!r} cannot be read as the URL of a PostgreSQL database.",
            hint="Write postgresql://user@host:5432/database; a sign with a meaning in URLs is "
            "written %40 for @, %2F for /, %3A for :.",
        ) from None
    with translated(url):
        connection = Connection.connect(
            **(_DEFAULTS | given),
            autocommit=True,
            row_factory=dict_row,
            prepare_threshold=1,
        )
    connection.adapters.register_dumper(int, Int8Dumper)  # one plan, however large the number
    if connection.info.server_version < _OLDEST:
        version = connection.info.server_version // 10000
        connection.close()
        raise StoreUnavailable(
            f"The store {shown(url)} is a PostgreSQL {version}; at least 13 is needed."
        )
    return connection


@contextlib.contextmanager
def translated(url: str) -> Iterator[None]:
    """Put the errors of a database into our words."""
    try:
        yield
    except psycopg.Error as error:
        raise explained(url, error) from error


_AGAIN = {
    "40001",  # serialization
    "40P01",  # deadlock
    "23505",  # somebody else was faster
    "57P01",  # the server is stopped
    "57P02",
    "57P03",  # or it is being started
    "53300",  # too many connections
    "25P03",  # idle in a transaction
    "55P03",  # locked
}
_STATES = {
    "53100": ("cannot be written: the server's disk is full", "Free some space and try again."),
    "25006": ("cannot be written: the server is a copy, or read-only", "Use its primary server."),
    "42501": (
        "does not allow it",
        "Its user needs CREATE on the database, or to own the schema jupyter_launch.",
    ),
}
_SIGN_IN = (
    "Put the right one into the URL, into PGPASSWORD, or into ~/.pgpass, which no other user sees."
)
_REFUSALS = {
    "password authentication failed": ("refuses the password", _SIGN_IN),
    "no password supplied": ("wants a password", _SIGN_IN),
    "pg_hba.conf": ("lets nobody in from here with this name", "Ask who runs the server."),
    "permission denied": ("lets this user not in", "Ask who runs the server."),
    'role "': ("does not know the user", "Make it on the server: createuser NAME"),
    'database "': ("does not have the database", "Make it on the server: createdb NAME"),
    "translate host name": ("names a host that is unknown", "Look for a typing error in it."),
    "name resolution": ("names a host that is unknown", "Look for a typing error in it."),
    "not known": ("names a host that is unknown", "Look for a typing error in it."),
    "invalid": ("cannot be read", "Write postgresql://user@host:5432/database"),
}


def explained(url: str, error: psycopg.Error) -> StoreUnavailable:
    """Put one error of the database of that URL into our words."""
    url, code, words = shown(url), error.sqlstate, _first_line(error)
    if code in _STATES:
        what, hint = _STATES[code]
        return StoreUnavailable(f"The store {url} {what} ({words}).", hint=hint)
    if code is None and isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        if "starting up" not in words and "shutting down" not in words:
            for clue, (what, hint) in _REFUSALS.items():
                if clue in words:
                    return StoreUnavailable(f"The store {url} {what}.", hint=hint)
        return _lost(url, words)
    if code in _AGAIN or (code or "").startswith("08"):
        return _lost(url, words)
    return StoreUnavailable(
        f"The store {url} answered with an error ({words}).",
        hint="This may be a bug: please report it.",
    )


def _lost(url: str, words: str) -> TryAgain:
    return TryAgain(
        f"The store {url} does not answer ({words}).",
        hint="See that the server runs and can be reached from here, and try again.",
    )


def _first_line(error: psycopg.Error) -> str:
    text = error.diag.message_primary or str(error)
    return text.strip().partition("\n")[0].rstrip(".")
