"""Queues under load, ours beside others': submits, claims, waking up, and many items."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from jupyter_launch.runs import Run
from jupyter_launch.states import State
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import Store

from .crowd import crowd
from .measure import Row, Sample, in_turns
from .rivals import RIVALS, Ours, Rival
from .submits import QUEUE, SPEC

BATCH, TIMES = 25, 25
DRAINED, DRAINS = 1500, 7
"""As many items wait as in the comparison that the bars come from: one's cost grows with them."""
CROWD, ROUNDS = 250, 7
PICKUPS = 150
MANY, FEW, FINISHED = 100_000, 100, 1_000_000
CLAIMS = 20
LIST_MS = 20.0
CLAIM_RATIO = 1.5

CLAIMER = """
import sys, time
from benchmarks.rivals import Ours
from benchmarks.submits import QUEUE
from jupyter_launch.stores.base import NEW_WORK
ours = Ours(sys.argv[1])
ours.store.ensure_queue(QUEUE)
with ours.store.listen(NEW_WORK) as bell:
    print("ready", flush=True)
    while True:
        while name := ours.take():
            print(name, time.monotonic(), flush=True)
        bell.wait(2)
"""
"""What an idle agent does."""


def rates(ours: str, peer: str, url: str, peer_url: str) -> tuple[Sample, Sample]:
    """Measure one process that puts, of both in turns: items per second."""
    with closing(RIVALS[ours](url)) as mine, closing(RIVALS[peer](peer_url)) as other:
        samples = in_turns(lambda: _rate(mine.put), lambda: _rate(other.put), times=TIMES)
    return samples[0], samples[1]


def takes(peer: str, url: str, peer_url: str) -> tuple[Sample, Sample]:
    """Measure one process that takes, of both in turns: items per second."""
    with closing(Ours(url)) as mine, closing(RIVALS[peer](peer_url)) as other:
        for rival in (mine, other):
            rival.serve()
            rival.drain()  # what was put before
        samples = in_turns(lambda: _drained(mine), lambda: _drained(other), times=DRAINS)
    return samples[0], samples[1]


def _rate(once: Callable[[], object]) -> float:
    begun = time.perf_counter()
    for _ in range(BATCH):
        once()
    return BATCH / (time.perf_counter() - begun)


def _drained(rival: Rival) -> float:
    put = {rival.put() for _ in range(DRAINED)}
    begun = time.perf_counter()
    taken = rival.drain()
    rate = DRAINED / (time.perf_counter() - begun)
    if put != set(taken):
        raise RuntimeError(f"{len(put)} items were put, and {len(taken)} taken")
    return rate


def _fill(rival: Rival, count: int) -> None:
    for _ in range(count):
        rival.put()


def compare(figure: str, samples: tuple[Sample, Sample], peer: str, bar: float) -> Row:
    """Say how ours compares with a peer's."""
    ours, other = samples
    ratio = ours.median / other.median
    shown = (ours.text("/s"), f"{peer} {other.text('/s')}")
    return Row(figure, *shown, ratio, f">= {bar}x", ratio >= bar)


def crowds(peers: tuple[str, str], bars: tuple[float, float], urls: dict[str, str]) -> list[Row]:
    """Let four processes put at once, and four take; both in turns with a peer's."""
    puts: dict[str, list[float]] = {"ours": [], peers[0]: []}
    taken: dict[str, list[float]] = {"ours": [], peers[1]: []}
    lost = doubled = 0
    for _ in range(ROUNDS):
        for name, found in puts.items():
            work = crowd(name, urls[name], "put", CROWD)
            found.append(work.rate)
            if name == "ours":
                put = work.items
        if peers[1] not in puts:
            crowd(peers[1], urls[peers[1]], "put", CROWD)
        for name, found in taken.items():
            work = crowd(name, urls[name], "take", 0)
            found.append(work.rate)
            if name == "ours":
                got = Counter(work.items)
                lost += len(set(put) - got.keys())
                doubled += sum(count - 1 for count in got.values())
    rows = [
        compare(f"4 processes {what}", (Sample(found["ours"]), Sample(found[peer])), peer, bar)
        for what, found, peer, bar in (
            ("submit", puts, peers[0], bars[0]),
            ("claim", taken, peers[1], bars[1]),
        )
    ]
    said = f"{lost} lost, {doubled} twice"
    passed = lost == doubled == 0
    return [*rows, Row(f"... {4 * CROWD * ROUNDS} items", said, bar="none", passed=passed)]


def pickup(url: str, bars: tuple[float, float]) -> Row:
    """Measure from calling submit until an idle claimer in another process has the run."""
    with closing(open_store(url)) as store, _claimer(url) as answer:
        taken = []
        for _ in range(PICKUPS + 5):
            time.sleep(random.uniform(0.02, 0.06))  # so that the claimer is idle
            begun = time.monotonic()
            run = store.submit(SPEC, queue=QUEUE)
            name, at = answer()
            if name != run.id:
                raise RuntimeError(f"claimed {name}, not {run.id}")
            taken.append((at - begun) * 1000)
    sample = Sample(taken[5:])
    low, high = sample.percentile(50), sample.percentile(99)
    text = f"p50 {low:.1f}, p99 {high:.1f}, max {max(sample.values):.1f} ms"
    bar = f"p50 <= {bars[0]:.0f}, p99 <= {bars[1]:.0f} ms"
    passed = low <= bars[0] and high <= bars[1]
    return Row(f"submit -> claimed by an idle agent, x{PICKUPS}", text, bar=bar, passed=passed)


@contextmanager
def _claimer(url: str) -> Iterator[Callable[[], tuple[str, float]]]:
    process = subprocess.Popen(
        [sys.executable, "-c", CLAIMER, url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    out = process.stdout

    def answer() -> tuple[str, float]:
        name, at = out.readline().split()
        return name, float(at)

    try:
        if out.readline() != "ready\n":
            raise RuntimeError("the claimer does not start")
        yield answer
    finally:
        process.kill()
        process.wait()


def crowded(few: str, many: str, fill: Callable[[str, int, State], None]) -> Row:
    """Compare a claim among many waiting items with one among few."""
    for url, count in ((few, FEW), (many, MANY)):
        with closing(open_store(url)) as store:
            store.ensure_queue(QUEUE)
        fill(url, count, State.PENDING)

    def claims(ours: Ours) -> float:
        begun = time.perf_counter()
        for _ in range(CLAIMS):
            if ours.take() is None:
                raise RuntimeError("the queue is empty")
        seconds = time.perf_counter() - begun
        _fill(ours, CLAIMS)
        return seconds / CLAIMS

    with closing(Ours(few)) as short, closing(Ours(many)) as long:
        at_few, at_many = in_turns(lambda: claims(short), lambda: claims(long))
    ratio = at_many.median / at_few.median
    return Row(
        f"a claim, {MANY:,} waiting",
        at_many.text("us", 1e6),
        f"{FEW} waiting {at_few.text('us', 1e6)}",
        ratio,
        f"<= {CLAIM_RATIO}x",
        ratio <= CLAIM_RATIO,
    )


def newest(url: str, fill: Callable[[str, int, State], None]) -> list[Row]:
    """Measure listing the newest of very many runs: all of them, and those that finished."""
    with closing(open_store(url)) as store:
        store.ensure_queue(QUEUE)
        fill(url, FINISHED, State.FINISHED)
        return [
            _listing(f"newest 50 of {FINISHED:,} runs", lambda: store.runs(limit=50)),
            _listing("... of those that finished", lambda: _finished(store)),
        ]


def _finished(store: Store) -> list[Run]:
    return store.runs(states=[State.FINISHED], limit=50)


def _listing(figure: str, look: Callable[[], list[Run]]) -> Row:
    def once() -> float:
        begun = time.perf_counter()
        if len(look()) != 50:
            raise RuntimeError("there are not as many")
        return (time.perf_counter() - begun) * 1000

    (sample,) = in_turns(once)
    passed = sample.median <= LIST_MS
    text = f"{sample.median:.1f} ms (max {max(sample.values):.1f})"
    return Row(figure, text, bar=f"<= {LIST_MS:.0f} ms", passed=passed)


def folder_of(folder: Path, name: str) -> str:
    """Name a SQLite store in a folder."""
    return f"sqlite:///{folder}/{name}/launch.db"
