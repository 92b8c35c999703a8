"""One agent's wall clock jumps by an hour: nobody's lease is taken, and none is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_launch.states import State
from jupyter_launch.stores.base import Store

from .conftest import LONG
from .fleet import Fleet, check_run

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

JUMPING = """
import threading, time
wall, ahead = time.time, 0.0
time.time = lambda: wall() + ahead
def jump():
    global ahead
    while True:
        time.sleep(2)
        ahead = {3600.0: -3600.0, -3600.0: 0.0, 0.0: 3600.0}[ahead]
threading.Thread(target=jump, daemon=True).start()
"""
"""What a Python process does first whose clock goes an hour ahead, then back, and so on."""


def test_the_clock_of_one_agent_jumps(
    store: Store, tmp_path: Path, figures: Callable[..., None]
) -> None:
    (tmp_path / "jumping").mkdir()
    (tmp_path / "jumping/sitecustomize.py").write_text(JUMPING)
    fleet = Fleet(store, tmp_path / "shared", ["--max-jobs=2"])
    fleet.open()
    try:
        fleet.start()
        jumping = fleet.start(PYTHONPATH=str(tmp_path / "jumping"))
        run_ids = fleet.submit(60 if LONG else 8, pause="sleep 5")
        owners: dict[str, set[str]] = {run_id: set() for run_id in run_ids}
        while at_work := [run for run in map(store.get, run_ids) if not run.state.terminal]:
            for run in at_work:
                owners[run.id] |= {run.owner} if run.owner else set()
            store.wait(at_work[0].id, lambda run: run.state.terminal, 0.2)
        runs = fleet.wait(run_ids, 60)
    finally:
        fleet.close()
    effects = fleet.effects()
    for run in runs:
        assert (run.state, run.attempt) == (State.FINISHED, 0)
        check_run(store, run, effects)
    assert all(len(seen) <= 1 for seen in owners.values()), owners
    held = {owner for seen in owners.values() for owner in seen}
    assert any(f":{jumping.pid}:" in owner for owner in held), fleet.said()
    figures(runs=len(runs), owners_each=1, doubled=0)
