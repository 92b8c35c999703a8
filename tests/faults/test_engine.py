"""The engine is killed and started again while runs go on: none hangs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_launch.states import State
from jupyter_launch.stores.base import Store

from .conftest import LONG
from .engine import PrivateEngine
from .fleet import Fleet, check_run

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

RUNS = 10


@pytest.mark.parametrize("live_restore", [True, False], ids=["live-restore", "no live-restore"])
@pytest.mark.parametrize("retries", [0, 3] if LONG else [3])
def test_the_engine_is_killed_and_started_again(
    store: Store,
    tmp_path: Path,
    figures: Callable[..., None],
    live_restore: bool,
    retries: int,
) -> None:
    engine = PrivateEngine(tmp_path, live_restore=live_restore)
    fleet = Fleet(store, tmp_path / "shared", [f"--max-jobs={RUNS}"], {"DOCKER_HOST": engine.url})
    fleet.open()
    engine.start()
    try:
        engine.load()
        fleet.start()
        retry = {"max_retries": retries, "on": ["crashed", "failed"], "backoff_s": 0.5}
        # What ends while no engine reads its output cannot be whole, however long that takes.
        pause = "until [ -e /shared/back ]; do sleep 0.1; done"
        run_ids = fleet.submit(RUNS, pause, retry=retry)
        for run_id in run_ids:
            assert store.wait(run_id, lambda run: run.state is State.RUNNING, 60), fleet.said()
        engine.kill()
        engine.start()
        (fleet.shared / "back").touch()
        back = time.monotonic()
        runs = fleet.wait(run_ids, 180)
        recovery = time.monotonic() - back
    finally:
        fleet.close()
        engine.close()
    effects = fleet.effects()
    for run in runs:
        told = Counter(
            event.data["state"] for event in store.events(run.id) if event.kind == "state"
        )
        assert sum(told[state] for state in State if state.terminal) == 1
        assert max(effects[run.id, attempt] for attempt in range(run.attempt + 1)) == 1
    survived = [run for run in runs if run.attempt == 0 and run.state is State.FINISHED]
    if live_restore:
        assert len(survived) == RUNS, Counter((run.state, run.reason) for run in runs)
    elif retries:
        assert {run.state for run in runs} == {State.FINISHED}
        for run in runs:
            check_run(store, run, effects)
    else:
        assert {run.state for run in runs} <= {State.FINISHED, State.FAILED, State.CRASHED}
    figures(
        runs=RUNS,
        survived=len(survived),
        retried=sum(run.attempt for run in runs),
        recovery_s=round(recovery, 1),
    )
