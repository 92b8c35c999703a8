"""Queues in a SQLite file, beside huey's: write-ahead log, synchronous=FULL, a commit per item."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from jupyter_launch.states import State
from jupyter_launch.stores.sqlite_file import path_of

from .measure import Row
from .queues import compare, crowded, crowds, folder_of, newest, pickup, rates, takes
from .submits import QUEUE, SPEC

SUBMITS, CLAIMS = 1.0, 0.7
PICKUP_MS = (8.0, 20.0)

FILL = """
WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < :count)
INSERT INTO runs (id, spec_json, state, created, started, ended, exit_code, queue, priority,
                  secrets, entity, name)
SELECT printf('f%09d', n), :spec, :state, :now, :ended, :ended, CASE WHEN :ended THEN 0 END,
       :queue, 2, '[]', 'benchmarks', 'filler' FROM number
"""


def rows(folder: Path) -> list[Row]:
    """Compare what both can do, then measure what only ours can."""
    (folder / "peer").mkdir()
    urls = {"ours": folder_of(folder, "ours"), "huey": f"{folder}/peer/huey.db"}
    both = ("huey", urls["ours"], urls["huey"])
    return [
        compare("durable submits, SQLite", rates("ours", *both), "huey", SUBMITS),
        compare("durable claims", takes(*both), "huey", CLAIMS),
        *crowds(("huey", "huey"), (SUBMITS, CLAIMS), urls),
        pickup(folder_of(folder, "pickup"), PICKUP_MS),
        crowded(folder_of(folder, "few"), folder_of(folder, "many"), fill),
        *newest(folder_of(folder, "finished"), fill),
    ]


def fill(url: str, count: int, state: State) -> None:
    """Record runs by the thousand, as no store would."""
    now = time.time()
    values = {"count": count, "spec": SPEC.to_json(), "state": state, "now": now}
    values |= {"queue": str(QUEUE), "ended": now if state.terminal else None}
    with closing(sqlite3.connect(path_of(url))) as connection, connection:
        connection.execute(FILL, values)
