"""Agents are killed while they execute: nothing is lost, and nothing executed twice."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_launch.states import State
from jupyter_launch.stores.base import LEASE_S, Store

from .conftest import LONG
from .fleet import Fleet, check_run

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800 if LONG else 300)]

RUNS, AGENTS, EVERY_S = (200, 3, 4.0) if LONG else (16, 3, 3.0)


@pytest.fixture
def fleet(store: Store, tmp_path: Path) -> Iterator[Fleet]:
    """Give three agents, and what is theirs."""
    made = Fleet(store, tmp_path / "shared", ["--max-jobs=2"])
    made.open()
    for _ in range(AGENTS):
        made.start()
    yield made
    made.close()


def test_agents_are_killed_now_and_then(fleet: Fleet, figures: Callable[..., None]) -> None:
    begun = time.monotonic()
    run_ids = fleet.submit(RUNS, pause="sleep 1")
    with fleet.faults(EVERY_S, fleet.kill_one):
        runs = fleet.wait(run_ids, 1500 if LONG else 240)
    effects = fleet.effects()
    for run in runs:
        check_run(fleet.store, run, effects)
    ends = Counter(str(run.state) for run in runs)
    assert ends.keys() <= {State.FINISHED}, ends
    figures(
        runs=RUNS,
        kills=fleet.kills,
        lost=0,
        doubled=0,
        attempts=sum(run.attempt + 1 for run in runs),
        seconds=round(time.monotonic() - begun),
    )


def test_who_adopts_does_so_within_two_leases(fleet: Fleet, figures: Callable[..., None]) -> None:
    (run_id,) = fleet.submit(1, pause="sleep 6")
    owned = fleet.store.wait(run_id, lambda run: run.state is State.RUNNING, 60)
    assert owned
    assert owned.owner
    for process in list(fleet.at_work):
        if f":{process.pid}:" in owned.owner:
            process.kill()
            process.wait()
            fleet.at_work.remove(process)
    killed = time.monotonic()
    adopted = fleet.store.wait(run_id, lambda run: run.owner != owned.owner, 2 * LEASE_S)
    assert adopted, fleet.said()
    recovery = time.monotonic() - killed
    (run,) = fleet.wait([run_id], 60)
    assert run.state is State.FINISHED
    check_run(fleet.store, run, fleet.effects())
    figures(recovery_s=round(recovery, 1))
