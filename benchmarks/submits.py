"""Durable submits per second, beside bare single-row inserts with the same settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from jupyter_launch.runs import Queue, new_id
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.stores import open_store
from jupyter_launch.stores.sqlite_file import connect

from .measure import Row, in_turns
from .tiny import TINY, store_url

BATCH, TIMES = 20, 25
BAR = 0.5
QUEUE = Queue("benchmarks", "default")
SPEC = LaunchSpec.from_dict(
    {
        "docker": {"docker_image": TINY},
        "overrides": {"entry_point": ["echo", "hello"], "run_config": {"lr": 0.1, "epochs": 5}},
        "name": "a run of a benchmark",
        "entity": QUEUE.entity,
        "project": "speed",
        "resource": "local-container",
    }
)


@contextmanager
def bare_inserts(folder: Path) -> Iterator[Callable[[], object]]:
    """Give a function that commits one row of a spec's text, as plainly as SQLite can."""
    # Opened by the store's own function: whatever its settings become, these are the same.
    with closing(connect(folder / "bare.db")) as bare:
        bare.execute("CREATE TABLE runs (seq INTEGER PRIMARY KEY, id TEXT, spec TEXT, at REAL)")
        insert, text = "INSERT INTO runs (id, spec, at) VALUES (?, ?, ?)", SPEC.to_json()
        yield lambda: bare.execute(insert, (new_id(), text, time.time()))


def rows(folder: Path) -> list[Row]:
    """Submit one run per commit, and insert one row of the same text per commit beside it."""
    with closing(open_store(store_url(folder))) as store, bare_inserts(folder) as insert:
        ours, peer = in_turns(
            lambda: _rate(lambda: store.submit(SPEC, queue=QUEUE)),
            lambda: _rate(insert),
            times=TIMES,
        )
    ratio = ours.median / peer.median
    return [
        Row(
            "durable submits",
            ours.text("/s"),
            f"bare INSERT commits {peer.text('/s')}",
            ratio,
            f">= {BAR}x",
            ratio >= BAR,
        )
    ]


def _rate(once: Callable[[], object]) -> float:
    begun = time.perf_counter()
    for _ in range(BATCH):
        once()
    return BATCH / (time.perf_counter() - begun)
