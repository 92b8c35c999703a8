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

from jupyter_launch.runs import Queue, new_id
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
    """Seconds from calling submit until we see the claim, and from its return to the event."""

    seen: float
    recorded: float


def rows(folder: Path) -> list[Row]:
    """Submit at random moments, each when the agent has been idle for 20 to 60 ms.

    The programs are processes that end at once; the agent executes each before the next submit.
    """
    store = open_store(store_url(folder))
    with _agent(store):
        claims = [_claim(store) for _ in range(SUBMITS + 1)][1:]
    store.close()
    return [
        _row(f"submit -> claimed by an idle agent, x{SUBMITS}", [claim.seen for claim in claims]),
        _row("... from its return to the leased event", [claim.recorded for claim in claims]),
    ]


def _row(figure: str, seconds: list[float]) -> Row:
    sample = Sample([second * 1000 for second in seconds])
    low, high = sample.percentile(50), sample.percentile(99)
    shown = f"p50 {low:.1f} ms, p99 {high:.1f} ms, max {max(sample.values):.1f} ms"
    return Row(figure, shown, bar=f"p99 <= {BAR_MS} ms", passed=high <= BAR_MS)


def _claim(store: Store) -> Claim:
    time.sleep(random.uniform(0.02, 0.06))
    spec = SPEC.evolve(run_id=new_id())
    run_id = str(spec.run_id)
    returned = [0.0]

    def submit() -> None:
        store.submit(spec, queue=QUEUE)
        returned[0] = time.time()

    seen = seconds_until(store, run_id, _claimed, submit)
    seconds_until(store, run_id, ended, lambda: None)
    (leased,) = [e.at for e in store.events(run_id) if e.data.get("state") == State.LEASED]
    return Claim(seen, leased - returned[0])


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
