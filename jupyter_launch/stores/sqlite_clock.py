"""The clock of leases in a SQLite file, which goes on evenly whatever is done to the wall clock.

It counts from the machine's boot. Who opens the file first after a boot records how far the wall
clock was ahead then, and all processes on the machine go by that, so that somebody whose wall clock
jumps neither loses its leases nor takes those of others. On other machines, and after the next
boot, the same count is near enough to be compared.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable

from ..owner import boot


def tick(connection: sqlite3.Connection) -> Callable[[], float]:
    """Give the clock that all processes of this boot share.

    Parameters
    ----------
    connection : sqlite3.Connection
        To the file, which has its table ``about``.
    """
    if not sys.platform.startswith("linux"):
        return time.time  # there is no name for a boot there
    ahead = time.time() - _since_boot()
    key = f"boot {boot().partition('-')[0]}"
    recorded = connection.execute("SELECT value FROM about WHERE key = ?", (key,)).fetchone()
    if recorded is None:
        connection.execute("INSERT OR IGNORE INTO about VALUES (?, ?)", (key, repr(ahead)))
        recorded = connection.execute("SELECT value FROM about WHERE key = ?", (key,)).fetchone()
    ahead = float(recorded["value"])
    return lambda: _since_boot() + ahead


def _since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
