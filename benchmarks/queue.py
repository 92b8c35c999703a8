"""From a submit to its claim by an agent that waits on the same machine."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from jupyter_launch.runs import Queue
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import Store

from .measure import Row, Sample
from .tiny import PATIENCE_S, ended, seconds_until, store_url

SUBMITS = 200
BAR_MS = 50
QUEUE = Queue("benchmarks", "default")
SPEC = LaunchSpec.from_dict(
    {
        "resource": "local-process",
        "docker": {"docker_image": "none"},
        "overrides": {"entry_point": ["true"]},
    }
)


class Claim(NamedTuple):
    """Seconds until the lease of the agent."""

    since_submitted: float
    since_asked: float


def rows(folder: Path) -> list[Row]:
    """Submit at random moments, each when the agent has been idle for 20 to 60 ms.

    The programs are processes that end at once; the agent executes each before the next submit.
    The moment of the claim is the time of the run's ``leased`` event.
    """
    store = open_store(store_url(folder))
    with _agent(store):
        claims = [_claim(store) for _ in range(SUBMITS + 1)][1:]
    store.close()
    return [
        _row("submitted -> claimed by an idle agent", [c.since_submitted for c in claims]),
        _row("the same, submit itself included", [c.since_asked for c in claims]),
    ]


def _row(figure: str, seconds: list[float]) -> Row:
    sample = Sample([second * 1000 for second in seconds])
    low, high = sample.percentile(50), sample.percentile(99)
    shown = f"p50 {low:.1f} ms, p99 {high:.1f} ms, max {max(sample.values):.1f} ms"
    return Row(figure, shown, bar=f"p99 <= {BAR_MS} ms of {SUBMITS}", passed=high <= BAR_MS)


def _claim(store: Store) -> Claim:
    time.sleep(random.uniform(0.02, 0.06))
    asked = time.time()
    run = store.submit(SPEC, queue=QUEUE)
    submitted = time.time()
    seconds_until(store, run.id, ended, lambda: None)
    (leased,) = [e.at for e in store.events(run.id) if e.data.get("state") == State.LEASED]
    return Claim(leased - submitted, leased - asked)


@contextmanager
def _agent(store: Store) -> Iterator[None]:
    command = [sys.executable, "-m", "jupyter_launch", "agent", "--store", store.url]
    command += ["--entity", QUEUE.entity, "--queue", QUEUE.name]
    agent = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not store.agents():
            if agent.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("The agent does not start.")
            time.sleep(0.05)
        yield
    finally:
        agent.terminate()
        agent.wait(PATIENCE_S)
