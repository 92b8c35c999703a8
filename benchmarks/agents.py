"""An agent that works a queue off, beside Docker's command line; how soon its ends are seen."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from jupyter_launch.docker_engine import address, connect
from jupyter_launch.runs import Queue, Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import Store

from .measure import Row, Sample
from .tiny import DOCKER_RUN, PATIENCE_S, TINY, store_url

RUNS, AT_ONCE = 40, 2
ENDS = 20
RATE, END_S = 0.95, 0.3
QUEUE = Queue("benchmarks", "default")


def rows(folder: Path) -> list[Row]:
    """Let an agent do 40 trivial runs, two at once; then look from outside how each one ends."""
    with closing(open_store(store_url(folder))) as store:
        store.ensure_queue(QUEUE)
        with _agent(store):
            _seconds(store, 2)  # all is warm
            ours = [RUNS / _seconds(store, RUNS) * 60]
            peer = [RUNS / _xargs() * 60]
            ours.append(RUNS / _seconds(store, RUNS) * 60)
            peer.append(RUNS / _xargs() * 60)
            ends = Sample([_end(store) for _ in range(ENDS)])
    mine, other = Sample(ours), Sample(peer)
    ratio = mine.median / other.median
    late = ends.percentile(95)
    return [
        Row(
            f"{RUNS} runs of an agent, {AT_ONCE} at once",
            mine.text("/min"),
            f"xargs -P{AT_ONCE} docker run {other.text('/min')}",
            ratio,
            f">= {RATE}x",
            ratio >= RATE,
        ),
        Row(
            f"container's exit -> end seen elsewhere, x{ENDS}",
            f"p50 {ends.median * 1000:.0f}, p95 {late * 1000:.0f} ms",
            bar=f"p95 <= {END_S * 1000:.0f} ms",
            passed=late <= END_S,
        ),
    ]


def _spec(*command: str) -> LaunchSpec:
    return LaunchSpec.from_dict(
        {
            "entity": QUEUE.entity,
            "resource": "local-container",
            "docker": {"docker_image": TINY},
            "overrides": {"entry_point": list(command)},
        }
    )


def _seconds(store: Store, count: int) -> float:
    begun = time.perf_counter()
    runs = [store.submit(_spec("true"), queue=QUEUE) for _ in range(count)]
    for run in runs:
        _ended(store, run)
    return time.perf_counter() - begun


def _ended(store: Store, run: Run) -> Run:
    ended = store.wait(run.id, lambda now: now.state.terminal, PATIENCE_S)
    if ended is None or ended.exit_code != 0:
        raise RuntimeError(f"Run {run.id}: {ended or store.get(run.id)}")
    return ended


def _xargs() -> float:
    command = ["xargs", f"-P{AT_ONCE}", "-n1", "sh", "-c", f"exec {' '.join(DOCKER_RUN)} true"]
    begun = time.perf_counter()
    names = "\n".join(map(str, range(RUNS)))
    subprocess.run(command, input=names, text=True, check=True, capture_output=True)
    return time.perf_counter() - begun


def _end(store: Store) -> float:
    """Give the seconds from the engine's own time of a container's exit until its end is seen."""
    run = store.submit(_spec("sleep", "0.3"), queue=QUEUE)
    since = time.time()
    _ended(store, run)
    seen = time.time()
    events = connect(address()).events(
        since=int(since) - 1,
        until=int(seen) + 1,
        decode=True,
        filters={"event": "die", "type": "container"},
    )
    died: list[float] = [float(event["timeNano"]) / 1e9 for event in events]
    return seen - max(at for at in died if at <= seen)


@contextmanager
def _agent(store: Store) -> Iterator[None]:
    command = [sys.executable, "-m", "jupyter_launch", "agent", "--store", store.url]
    command += ["--entity", QUEUE.entity, "--queue", QUEUE.name, "--max-jobs", str(AT_ONCE)]
    agent = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        agent.terminate()
        agent.wait(PATIENCE_S)
