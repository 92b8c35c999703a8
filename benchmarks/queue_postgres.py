"""Queues in PostgreSQL as it comes (fsync, synchronous_commit), beside others' in the same.

A submit and a claim of ours are one durable commit each, as is an enqueue of pgqueuer.
procrastinate's own worker takes, as where the bars come from: see `Procrastinate`.
"""

from __future__ import annotations

import time
from pathlib import Path

import psycopg

from jupyter_launch.states import State
from tests.postgres import programs, running

from .measure import Row
from .queues import compare, crowded, crowds, newest, pickup, rates, takes
from .rivals import PgQueuer, Procrastinate
from .submits import QUEUE, SPEC

SUBMITS, CLAIMS = 1.0, 5.0
PICKUP_MS = (5.0, 10.0)

FILL = """
INSERT INTO jupyter_launch.runs (id, spec_json, state, created, started, ended, exit_code, queue,
                                 priority, secrets, entity, name)
SELECT 'f' || n, %(spec)s, %(state)s, %(now)s, %(ended)s, %(ended)s,
       CASE WHEN %(ended)s::double precision IS NULL THEN NULL ELSE 0 END, %(queue)s, 2, '[]',
       'benchmarks', 'filler' FROM generate_series(1, %(count)s) AS n
"""


def rows(_: Path) -> list[Row]:
    """Compare what both can do, then measure what only ours can."""
    if programs() is None:
        return [Row("queues in PostgreSQL", "not measured: there is no server here")]
    with running(()) as server:
        names = ("ours", "pgqueuer", "procrastinate")
        urls = {name: server.new_database() for name in names}
        PgQueuer.install(urls["pgqueuer"])
        Procrastinate.install(urls["procrastinate"])
        submits = rates("ours", "pgqueuer", urls["ours"], urls["pgqueuer"])
        claims = takes("procrastinate", urls["ours"], urls["procrastinate"])
        return [
            compare("durable submits, PostgreSQL", submits, "pgqueuer", SUBMITS),
            compare("durable claims", claims, "procrastinate", CLAIMS),
            *crowds(("pgqueuer", "procrastinate"), (SUBMITS, CLAIMS), urls),
            pickup(server.new_database(), PICKUP_MS),
            crowded(server.new_database(), server.new_database(), fill),
            *newest(server.new_database(), fill),
        ]


def fill(url: str, count: int, state: State) -> None:
    """Record runs by the thousand, as no store would."""
    now = time.time()
    values = {"count": count, "spec": SPEC.to_json(), "state": str(state), "now": now}
    values |= {"queue": str(QUEUE), "ended": now if state.terminal else None}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILL, values)
        connection.execute("ANALYZE jupyter_launch.runs")
