"""The tables in a PostgreSQL database: made, and brought up to date, by whoever comes first."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from ..errors import StoreUnavailable
from .postgres_url import Connection

SCHEMA_VERSION = 4


def prepare(connection: Connection, sql: Mapping[str, str], *, new: bool) -> int:
    """Make a connection ready for use; if it is the first one of a store, see to its tables.

    Gives the version of the tables as they were.

    Parameters
    ----------
    connection : Connection
        In no transaction.
    sql : mapping
        Statements by name: ``schema``, and ``upgrade_<n>`` from version n to the next.
    new : bool
        Whether the tables are to be looked at.

    Raises
    ------
    StoreUnavailable
        When they were made by a newer version of ours.
    """
    connection.execute(sql["settings"])
    if not new or _version(connection, sql) == SCHEMA_VERSION:
        return SCHEMA_VERSION
    with connection.transaction():
        connection.execute(sql["lock_schema"])
        version = _version(connection, sql)
        if version > SCHEMA_VERSION:
            raise StoreUnavailable(
                f"The store was made by a newer jupyter_launch "
                f"(schema {version}, this one knows {SCHEMA_VERSION}).",
                hint="Upgrade: pip install -U jupyter_launch",
            )
        upgrades = [f"upgrade_{number}" for number in range(version, SCHEMA_VERSION)]
        for name in upgrades if version else ["schema", *upgrades[1:]]:
            connection.execute(sql[name])
        _note(connection, "schema", str(SCHEMA_VERSION))
        if version == 0:
            _note(connection, "id", uuid.uuid4().hex[:12])
    return version


def _note(connection: Connection, key: str, value: str) -> None:
    """Let the store say something of itself."""
    connection.execute(
        "INSERT INTO about VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )


def _version(connection: Connection, sql: Mapping[str, str]) -> int:
    """Give the version of the tables that are there; 0 where there are none."""
    there = connection.execute(sql["version"]).fetchone()
    if there is None or not there["there"]:
        return 0
    row = connection.execute("SELECT value FROM about WHERE key = 'schema'").fetchone()
    return int(row["value"]) if row else 0
