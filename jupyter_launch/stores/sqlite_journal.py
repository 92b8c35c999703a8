"""How a SQLite file keeps what a power cut may interrupt: a write-ahead log, or a rollback journal.

The write-ahead log is the faster one, and lets readers go on beside a writer. It needs memory that
all processes share, which machines on a network filesystem do not.
"""

from __future__ import annotations

import re
import sqlite3
import sys
import time
from pathlib import Path

from ..errors import ConfigError

WAL, DELETE = "wal", "delete"

RETRY_S = 0.02
"""How long to wait before trying once more to change the journal."""

NETWORK = frozenset(
    {
        *("9p", "afs", "beegfs", "ceph", "cifs", "coda", "glusterfs", "gpfs", "lustre", "ncpfs"),
        *("nfs", "nfs4", "orangefs", "prl_fs", "smb2", "smb3", "smbfs"),
        *("vboxsf", "virtiofs", "vmhgfs"),
    }
)
"""Filesystems that other machines may have mounted too; so may those of ``fuse.``."""

_SETTING = re.compile(r"journal=(wal|delete)")
_ESCAPED = re.compile(r"\\([0-7]{3})")
MOUNTS = Path("/proc/self/mountinfo")


def split(name: str) -> tuple[str, str | None]:
    """Split a store's file name from the journal that is asked for behind it.

    Parameters
    ----------
    name : str
        A path, and ``?journal=wal`` or ``?journal=delete`` if it is to be one of them.

    Raises
    ------
    ConfigError
        When something else stands behind the question mark.
    """
    path, asked, settings = name.partition("?")
    if not asked:
        return path, None
    found = _SETTING.fullmatch(settings)
    if found is None:
        raise ConfigError(
            f"A store in a SQLite file has no setting {settings!r}.",
            hint="There is one: ?journal=delete on a network filesystem, or ?journal=wal.",
        )
    return path, found[1]


def choose(connection: sqlite3.Connection, path: Path, asked: str | None, patience: float) -> None:
    """Give the file the journal that is asked for, or else the one that fits its filesystem.

    A file that has a rollback journal keeps it unless told otherwise: another machine may need it.

    Parameters
    ----------
    connection : sqlite3.Connection
        To the file at `path`.
    asked : str, optional
        `WAL` or `DELETE`.
    patience : float
        How long to wait for others who are using the file, in seconds.

    Raises
    ------
    sqlite3.Error
    """
    fresh = path.stat().st_size == 0
    wanted = asked or (WAL if fresh and not shared(path) else None)
    deadline = time.monotonic() + patience
    while True:
        try:
            present = _mode(connection, "")
            if wanted is None:
                wanted = DELETE if present == WAL and shared(path) else present
            if present != wanted:
                present = _mode(connection, f" = {wanted}")
            break
        except sqlite3.OperationalError as error:
            # Whoever changes it must be alone, and is not made to wait by SQLite itself.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(RETRY_S)  # what the others do is announced to nobody
    # Only so is the removal of a rollback journal, which is the commit, on the disk as well.
    connection.execute(f"PRAGMA synchronous = {'FULL' if present == WAL else 'EXTRA'}")


def _mode(connection: sqlite3.Connection, change: str) -> str:
    mode: str = connection.execute(f"PRAGMA journal_mode{change}").fetchone()["journal_mode"]
    return mode


def shared(path: Path) -> bool:
    """Say whether a path is on a filesystem that other machines may write to as well."""
    if not sys.platform.startswith("linux"):
        return False  # there is no list of mounts to read there
    try:
        mounts = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return False
    kind = filesystem(path.resolve(), mounts)
    return kind in NETWORK or kind.startswith("fuse.")


def filesystem(path: Path, mounts: str) -> str:
    """Name the kind of filesystem that a path is on; empty if that cannot be told.

    Parameters
    ----------
    path : Path
        Absolute, without links.
    mounts : str
        As in ``/proc/self/mountinfo``: see proc(5).
    """
    found, depth = "", -1
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) < 5 or not right:
            continue
        point = Path(_ESCAPED.sub(lambda code: chr(int(code[1], 8)), fields[4]))
        # What was mounted last over a folder hides what was there.
        if path.is_relative_to(point) and len(point.parts) >= depth:
            found, depth = right.split(" ")[0], len(point.parts)
    return found
