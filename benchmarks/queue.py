"""From a submit to its claim by an agent that waits on the same machine."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from jupyter_launch.runs import Queue, new_id
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import Store

from .measure import Row, Sample
from .submits import bare_inserts
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
    """Milliseconds."""

    seen: float
    """From calling submit until the caller sees the run claimed: two commits, two wake-ups."""
    recorded: float
    """From submit's return to the time of the leased event; the agent may well be the faster."""
    commit: float
    """One bare commit just before, for comparison: a disk that stalls shows here too."""


def rows(folder: Path) -> list[Row]:
    """Submit at random moments, each when the agent has been idle for 20 to 60 ms.

    The programs are processes that end at once; the agent executes each before the next submit.
    """
    store = open_store(store_url(folder))
    with closing(store), bare_inserts(folder) as insert, _agent(store):
        claims = [_claim(store, insert) for _ in range(SUBMITS + 1)][1:]
    seen, recorded, commit = (Sample(values) for values in zip(*claims, strict=True))
    peer = f"bare INSERT commit {_text(commit)}"
    return [
        _row(f"submit -> claimed by an idle agent, x{SUBMITS}", seen, peer),
        _row("... from its return to the leased event", recorded, "-"),
    ]


def _row(figure: str, sample: Sample, peer: str) -> Row:
    passed = sample.percentile(99) <= BAR_MS
    return Row(figure, _text(sample), peer, bar=f"p99 <= {BAR_MS} ms", passed=passed)


def _text(sample: Sample) -> str:
    low, high = sample.percentile(50), sample.percentile(99)
    return f"p50 {low:.1f}, p99 {high:.1f}, max {max(sample.values):.1f} ms"


def _claim(store: Store, insert: Callable[[], object]) -> Claim:
    time.sleep(random.uniform(0.02, 0.06))
    begun = time.perf_counter()
    insert()
    commit = time.perf_counter() - begun
    run_id, returned = new_id(), 0.0
    spec = SPEC.evolve(run_id=run_id)

    def submit() -> None:
        nonlocal returned
        store.submit(spec, queue=QUEUE)
        returned = time.time()

    seen = seconds_until(store, run_id, _claimed, submit)
    seconds_until(store, run_id, ended, lambda: None)
    (leased,) = [e.at for e in store.events(run_id) if e.data.get("state") == State.LEASED]
    return Claim(seen * 1000, (leased - returned) * 1000, commit * 1000)


def _claimed(store: Store, run_id: str) -> bool:
    return store.get(run_id).state is not State.PENDING


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
