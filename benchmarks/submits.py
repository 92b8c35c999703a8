"""Durable submits per second, beside bare single-row inserts with the same settings."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from jupyter_launch.runs import Queue, new_id
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.stores import open_store
from jupyter_launch.stores.sqlite_file import _connect

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


def rows(folder: Path) -> list[Row]:
    """Submit one run per commit, and insert one row of the same text per commit beside it."""
    store = open_store(store_url(folder))
    text = SPEC.to_json()
    # Opened by the store's own function: whatever its settings become, the peer's are the same.
    with closing(_connect(folder / "bare.db")) as bare:
        bare.execute("CREATE TABLE runs (seq INTEGER PRIMARY KEY, id TEXT, spec TEXT, at REAL)")
        insert = "INSERT INTO runs (id, spec, at) VALUES (?, ?, ?)"
        ours, peer = in_turns(
            lambda: _rate(lambda: store.submit(SPEC, queue=QUEUE)),
            lambda: _rate(lambda: bare.execute(insert, (new_id(), text, time.time()))),
            times=TIMES,
        )
    store.close()
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
