"""A cheap look for runs without an owner, before anything heavy is imported."""

from __future__ import annotations

import sqlite3
import time

from ..owner import known_dead
from .sqlite_file import path_of


def any_orphans(url: str) -> bool:
    """Say whether a store may hold runs to take over. In doubt, yes; no store, no."""
    if not url.startswith("sqlite:///"):
        return True
    path = path_of(url)
    if not path.exists():
        return False
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        try:
            rows = connection.execute(
                "SELECT owner, lease_until FROM runs WHERE owner IS NOT NULL"
            ).fetchall()
        finally:
            connection.close()
    except sqlite3.Error:
        return False
    return any(until < time.time() or known_dead(owner) for owner, until in rows)
