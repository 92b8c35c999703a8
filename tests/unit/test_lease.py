"""A held run hears that it is to be stopped, and that it is to be killed: each once."""

from __future__ import annotations

import queue
from types import SimpleNamespace

import pytest

from jupyter_launch import lease
from jupyter_launch.errors import RunStopped
from jupyter_launch.lease import Claim, Keeper
from jupyter_launch.owner import new_owner
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.stores.base import LEASE_S, Store

SPEC = LaunchSpec.from_dict({"docker": {"docker_image": "tiny"}})


@pytest.mark.parametrize(
    ("asked", "heard"),
    [
        ([False], [False]),
        ([False, False], [False]),
        ([True], [True]),
        ([False, True], [False, True]),
        ([True, True, False], [True]),
        ([False, True, True, False], [False, True]),
    ],
)
def test_a_run_is_stopped_once_and_killed_once(asked: list[bool], heard: list[bool]) -> None:
    claim = Claim(adopted=False)
    done: queue.Queue[bool] = queue.Queue()
    claim.stop_with(lambda: done.put(claim.killing))
    told = []
    for kill in asked:
        before = claim.stopping, claim.killing
        claim.stop(kill=kill)
        if (claim.stopping, claim.killing) != before:
            told.append(done.get(timeout=30))
    assert told == heard
    assert done.empty()


def test_what_was_asked_before_it_could_be_stopped_happens_then() -> None:
    claim = Claim(adopted=True)
    claim.check()
    claim.stop()
    claim.stop(kill=True)
    with pytest.raises(RunStopped):
        claim.check()
    done: queue.Queue[bool] = queue.Queue()
    claim.stop_with(lambda: done.put(claim.killing))
    assert done.get(timeout=30) is True
    assert done.empty()


@pytest.mark.parametrize("kill", [False, True])
def test_a_run_that_is_adopted_is_stopped_as_was_asked(store: Store, kill: bool) -> None:
    run = store.submit(SPEC, owner=new_owner())
    keeper = Keeper(store, lambda *_: None)
    claim = keeper.hold(store.request_stop(run.id, kill=kill), adopted=True)
    assert claim is not None
    assert (claim.stopping, claim.killing) == (True, kill)


def test_who_could_not_renew_lets_others_do_so_first(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(lease, "time", SimpleNamespace(monotonic=lambda: now[0]))
    host, booted, _, _, number = new_owner().split(":")
    run = store.submit(SPEC, owner=f"{host}:{booted}:{2**30}:0:{number}")
    taken: list[str] = []
    keeper = Keeper(store, lambda run, _adopted: taken.append(run.id))
    now[0] += LEASE_S + 1  # the store was away
    keeper._beat()
    keeper.sweep()
    assert taken == []
    now[0] += LEASE_S
    keeper._beat()
    assert taken == [run.id]
