"""What every store promises about whose turn it is: room, limits, pauses, retries, waiting."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from jupyter_launch.errors import IllegalTransition, QueueNotFound, StoreError
from jupyter_launch.owner import new_owner
from jupyter_launch.runs import (
    ATTEMPT,
    BUILD,
    DRAINING,
    NO_ROOM,
    PAUSED,
    RUNNING,
    Agent,
    LogPosition,
    Queue,
    QueueRecord,
    Room,
    Run,
)
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import LEASE_S, Change, Offer, Store
from tests.contract.stores import Site, postgres_site, said, sqlite_site, start

SPEC = LaunchSpec.from_dict({"docker": {"docker_image": "tiny"}, "entity": "ann"})
QUEUE = Queue("ann", "default")
SMALL, LARGE, HUGE = Room(1, 10**9, 0), Room(4, 4 * 10**9, 1), Room(64, 10**12, 8)
NOTHING = Change()

CLAIM_FEW = """
import sys
from jupyter_launch.owner import new_owner
from jupyter_launch.runs import Queue
from jupyter_launch.stores import open_store
store, owner = open_store(sys.argv[1]), new_owner()
print("ready", flush=True); sys.stdin.readline()
while run := store.claim([Queue("ann", "default")], owner, ()): print(run.id)
print("end", flush=True); sys.stdin.readline()
"""
WITH_A_WRONG_CLOCK = """
import sys, time
real = time.time
time.time = lambda: real() + float(sys.argv[2])
from jupyter_launch.owner import new_owner
from jupyter_launch.runs import Queue
from jupyter_launch.stores import open_store
store, owner = open_store(sys.argv[1]), new_owner()
run = store.claim([Queue("ann", "default")], owner, ())
store.renew(owner)
print(run.id, len(store.sweep(owner)), flush=True); sys.stdin.readline()
print(len(store.renew(owner)), len(store.sweep(owner)), flush=True); sys.stdin.readline()
"""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    if request.param == "postgres":
        return postgres_site(request.getfixturevalue("postgres"))
    return sqlite_site(tmp_path / "launch.db")


@pytest.fixture
def store(site: Site) -> Iterator[Store]:
    with contextlib.closing(open_store(site.url)) as made:
        yield made


@pytest.fixture
def me() -> str:
    return new_owner()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def add(store: Store, *, room: Room = NO_ROOM, **fields: object) -> str:
    return store.submit(SPEC.evolve(**fields), queue=QUEUE, room=room).id


def claim(store: Store, owner: str, offer: Offer | None = None) -> str | None:
    run = store.claim([QUEUE], owner, (), offer)
    return run.id if run else None


def started(store: Store, owner: str) -> Run:
    """Claim the next run and bring it to where its program runs."""
    run = store.claim([QUEUE], owner, ())
    assert run is not None
    store.move(run.id, owner, State.STARTING, Change(handle=f"of {run.id}"))
    return store.move(run.id, owner, State.RUNNING, NOTHING)


# -- room --------------------------------------------------------------------------------------


def test_a_run_that_does_not_fit_an_agent_is_left_to_others(store: Store, me: str) -> None:
    huge, small = add(store, room=HUGE), add(store, room=SMALL)
    assert claim(store, me, Offer(LARGE, LARGE)) == small
    assert claim(store, me, Offer(LARGE, LARGE)) is None
    assert claim(store, me, Offer(HUGE, HUGE)) == huge


def test_a_run_that_waits_for_room_holds_back_those_behind_it(store: Store, me: str) -> None:
    other = Queue("bob", "default")
    large, small = add(store, room=LARGE), add(store, room=SMALL)
    bobs = store.submit(SPEC, queue=other, room=SMALL).id
    assert store.claim([QUEUE, other], me, (), Offer(SMALL, LARGE)) is None
    assert store.get(large).state is State.PENDING
    first = store.claim([other, QUEUE], me, (), Offer(SMALL, LARGE))
    assert first is not None
    assert first.id == bobs
    assert claim(store, me, Offer(LARGE, LARGE)) == large
    assert claim(store, me, Offer(SMALL, LARGE)) == small


# -- how a queue gives what is on it -----------------------------------------------------------


def test_a_paused_queue_takes_and_gives_none(store: Store, me: str) -> None:
    first = add(store)
    assert store.update_queue(QUEUE, state=PAUSED).state == PAUSED
    second = add(store)
    assert claim(store, me) is None
    store.update_queue(QUEUE, state=RUNNING)
    assert [claim(store, me) for _ in range(3)] == [first, second, None]


def test_a_draining_queue_gives_and_takes_none(store: Store, me: str) -> None:
    first = add(store)
    store.update_queue(QUEUE, state=DRAINING)
    with pytest.raises(StoreError, match="takes nothing more"):
        add(store)
    assert claim(store, me) == first
    store.update_queue(QUEUE, state=RUNNING)
    assert add(store)


def test_a_limit_is_kept_however_many_claim(store: Store, site: Site) -> None:
    for _ in range(40):
        add(store)
    store.update_queue(QUEUE, max_running=5)
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(start(CLAIM_FEW, site.url)) for _ in range(8)]
        assert [said(other) for other in others] == ["ready"] * 8
        for other in others:
            go(other)
        claimed = [line for other in others for line in iter(partial(said, other), "end")]
        assert len(claimed) == len({*claimed}) == 5
        assert store.queue_counts() == {QUEUE: (35, 5)}
        owner = store.get(claimed[0]).owner
        store.move(claimed[0], owner, State.FAILED, NOTHING)
        me = new_owner()
        assert claim(store, me) is not None
        assert claim(store, me) is None
        for other in others:
            go(other)


def test_without_priorities_the_oldest_goes_first(store: Store, me: str) -> None:
    low, high = add(store, priority=3), add(store, priority=0)
    store.update_queue(QUEUE, prioritize=False)
    urgent = add(store, priority=0)
    assert [run.id for run in store.queue_items(QUEUE)] == [low, high, urgent]
    assert [store.get(name).priority for name in (low, high, urgent)] == [2, 2, 2]
    store.update_queue(QUEUE, prioritize=True)
    assert [claim(store, me) for _ in range(3)] == [high, urgent, low]


# -- retries -----------------------------------------------------------------------------------


def test_a_retry_is_a_new_attempt_that_waits_until_it_is_ready(store: Store, me: str) -> None:
    add(store)
    run = started(store, me)
    back = store.move(run.id, me, State.PENDING, Change("again", exit_code=3, retry_in=3600))
    assert (back.attempt, back.started, back.exit_code, back.owner) == (1, None, None, None)
    assert back.ready > time.time() + 3000
    assert back.handle == f"of {run.id}"
    assert claim(store, me) is None
    assert store.places() == {run.id: 0}


def test_a_retry_that_is_ready_is_claimed(store: Store, me: str) -> None:
    add(store)
    run = started(store, me)
    store.move(run.id, me, State.PENDING, Change("again", retry_in=0))
    again = started(store, me)
    assert (again.id, again.attempt) == (run.id, 1)
    assert store.move(run.id, me, State.FINISHED, Change(exit_code=0)).attempt == 1


def test_a_run_that_goes_back_without_a_retry_is_the_same_attempt(store: Store, me: str) -> None:
    run_id = add(store)
    claim(store, me)
    assert store.move(run_id, me, State.PENDING, Change("the engine is away")).attempt == 0


def test_attempts_are_kept_apart_in_the_log(store: Store, me: str) -> None:
    add(store)
    run = started(store, me)
    store.append_log(run.id, me, [(BUILD, b"layer\n"), (1, b"out\n"), (2, b"e")])
    assert store.log_position(run.id) == LogPosition(4, 1, 6, 0)
    store.append_log(run.id, me, [(ATTEMPT, b"-- again --\n")])
    assert store.log_position(run.id) == LogPosition(0, 0, 0, 23)
    store.append_log(run.id, me, [(1, b"ab"), (2, b"c")])
    assert store.log_position(run.id) == LogPosition(2, 1, 0, 23)
    store.append_log(run.id, me, [(1, b"d"), (ATTEMPT, b"!\n"), (2, b"ef"), (BUILD, b"g")])
    position = store.log_position(run.id)
    assert position == LogPosition(0, 2, 1, 29)
    whole = store.read_log(run.id)
    assert whole == b"layer\nout\ne-- again --\nabcd!\nefg"
    assert position.size == len(whole)
    assert store.read_log(run.id, 11, 12) == b"-- again --\n"


def test_what_is_left_of_an_older_attempt_is_forgotten_alone(store: Store, me: str) -> None:
    add(store)
    run = started(store, me)
    store.move(run.id, me, State.PENDING, Change("again", retry_in=0))
    assert claim(store, me) == run.id
    store.move(run.id, me, State.STARTING, Change(handle="the new one"))
    store.clear_handle(run.id, f"of {run.id}")
    assert store.get(run.id).handle == "the new one"
    store.clear_handle(run.id, "the new one")
    assert store.get(run.id).handle == "the new one", "it is at work"
    store.move(run.id, me, State.FAILED, NOTHING)
    store.clear_handle(run.id, f"of {run.id}")
    assert store.get(run.id).handle == "the new one"
    store.clear_handle(run.id, "the new one")
    assert store.get(run.id).handle is None


# -- changing what waits -----------------------------------------------------------------------


def test_a_waiting_run_is_moved_and_changed(store: Store, me: str) -> None:
    gpu = Queue("ann", "gpu")
    store.create_queue(QueueRecord(gpu))
    first, second = add(store), add(store)
    run = store.get(second)
    spec = SPEC.evolve(name="better")
    moved = store.requeue(run.evolve(queue=gpu, priority=0, spec_json=spec.to_json(), room=SMALL))
    assert (moved.queue, moved.priority, moved.room, moved.spec) == (gpu, 0, SMALL, spec)
    assert store.get(second) == moved
    assert claim(store, me) == first
    assert claim(store, me) is None
    found = store.claim([gpu], me, ())
    assert found is not None
    with pytest.raises(IllegalTransition, match="does not wait on a queue any more: it is leased"):
        store.requeue(found.evolve(queue=QUEUE))
    with pytest.raises(QueueNotFound):
        store.requeue(found.evolve(queue=Queue("ann", "nowhere")))


def test_a_run_that_is_moved_keeps_its_age(store: Store, me: str) -> None:
    gpu = Queue("ann", "gpu")
    store.create_queue(QueueRecord(gpu, prioritize=False))
    old = add(store, priority=0)
    young = store.submit(SPEC, queue=gpu).id
    store.requeue(store.get(old).evolve(queue=gpu))
    assert [run.id for run in store.queue_items(gpu)] == [old, young]
    assert store.get(old).priority == 2


def test_a_queue_is_updated_field_by_field(store: Store) -> None:
    record = QueueRecord(QUEUE, "local-process", {"resource_args": {"local-process": {}}})
    store.create_queue(record)
    store.update_queue(QUEUE, max_running=3)
    changed = store.update_queue(QUEUE, retry={"max_retries": 2}, config={})
    assert changed == replace(
        record, max_running=3, retry={"max_retries": 2}, config={}, created=changed.created
    )
    assert store.queue(QUEUE) == changed
    assert store.update_queue(QUEUE, max_running=None, retry=None).max_running is None
    with pytest.raises(QueueNotFound):
        store.update_queue(Queue("ann", "nowhere"), max_running=1)


def test_a_queue_with_items_is_deleted_only_by_force(store: Store, me: str) -> None:
    add(store)
    running = started(store, me)
    waiting = [add(store), add(store)]
    with pytest.raises(StoreError, match="2 items wait on the queue ann/default") as refused:
        store.delete_queue(QUEUE)
    assert "--force" in refused.value.hint
    assert store.queues() == [QUEUE]
    assert store.delete_queue(QUEUE, force=True) == 2
    assert store.queues() == []
    assert [store.get(name).state for name in waiting] == [State.STOPPED] * 2
    assert store.get(running.id) == running
    with pytest.raises(QueueNotFound):
        store.delete_queue(QUEUE)


def test_nothing_is_put_on_a_queue_that_is_deleted_meanwhile(store: Store, site: Site) -> None:
    gpu = Queue("ann", "gpu")
    for _ in range(10):
        store.create_queue(QueueRecord(gpu))
        with contextlib.closing(open_store(site.url)) as other, ThreadPoolExecutor(4) as pool:

            def submit(own: Store) -> str | None:
                with contextlib.suppress(QueueNotFound):
                    return own.submit(SPEC, queue=gpu).id
                return None

            added = [pool.submit(submit, own) for own in (store, other, store)]
            pool.submit(other.delete_queue, gpu, force=True).result()
            names = [one.result() for one in added]
        assert store.runs(states=[State.PENDING]) == []
        assert {store.get(name).state for name in names if name} <= {State.STOPPED}


# -- agents ------------------------------------------------------------------------------------


def test_an_agent_is_asked_and_hears_it(store: Store, me: str) -> None:
    agent = Agent("a1", me, (QUEUE,), 1, 1.0, 0.0, "running", SMALL)
    assert store.put_agent(agent) == ""
    with store.listen(me) as listener:
        assert store.ask_agent("a1", DRAINING).id == "a1"
        assert listener.wait(5)
    assert store.put_agent(agent) == DRAINING
    assert store.put_agent(agent) == DRAINING
    with pytest.raises(StoreError, match="There is no agent 'a2' at work") as unknown:
        store.ask_agent("a2", DRAINING)
    assert unknown.value.hint == "At work: a1."


# -- what waits too long, and what others left -------------------------------------------------


def test_what_waited_too_long_fails(store: Store, me: str) -> None:
    late, patient = add(store, max_wait_time=1e-6), add(store, max_wait_time=3600.0)
    assert claim(store, me) == patient
    with store.listen(late) as listener:
        assert store.sweep(me) == []
        assert listener.wait(5)
    run = store.get(late)
    assert run.state is State.FAILED
    assert "longer than its max_wait_time" in run.reason
    last = store.events(late)[-1].data
    assert (last["state"], last["error"]) == ("failed", "WaitedTooLong")


def test_what_runs_elsewhere_is_left_to_the_owners_there_first(store: Store, site: Site) -> None:
    host, elsewhere = "other-host", new_owner()
    owner = ":".join([host, "boot", "1", "birth", "abcd"])
    add(store)
    run = started(store, owner)
    assert run.host == host
    site.expire(run.id)
    # expired by more than a lease, so that it is anybody's
    assert [taken.id for taken in store.sweep(elsewhere)] == [run.id]
    assert store.leftovers(time.time() + 1, host) == []


def test_what_runs_elsewhere_is_not_taken_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = [":".join([host, "boot", "1", "birth", "abcd"]) for host in ("one", "two")]
    add(store)
    run = started(store, owners[0])
    monkeypatch.setattr("jupyter_launch.stores.sql_leases.LEASE_S", -LEASE_S / 3)
    store.renew(owners[0])
    monkeypatch.setattr("jupyter_launch.stores.sql_leases.LEASE_S", LEASE_S)
    assert store.sweep(owners[1]) == []
    assert store.get(run.id).owner == owners[0]
    neighbour = owners[0].replace("abcd", "efgh")
    assert [taken.id for taken in store.sweep(neighbour)] == [run.id]


def test_leftovers_are_those_of_one_machine(store: Store) -> None:
    owners = [":".join([host, "boot", "1", "birth", "abcd"]) for host in ("one", "two")]
    ids = []
    for owner in owners:
        add(store)
        ids.append(started(store, owner).id)
        store.move(ids[-1], owner, State.FINISHED, NOTHING)
    soon = time.time() + 1
    assert [[run.id for run in store.leftovers(soon, host)] for host in ("one", "two")] == [
        [ids[0]],
        [ids[1]],
    ]


@pytest.mark.parametrize("wrong", [-3600, 3600])
def test_a_clock_that_is_wrong_neither_takes_nor_loses_a_run(
    store: Store, site: Site, me: str, wrong: float
) -> None:
    add(store)
    mine = started(store, me)
    theirs = add(store)
    with start(WITH_A_WRONG_CLOCK, site.url, str(wrong)) as process:
        assert said(process) == f"{theirs} 0"
        assert store.sweep(new_owner()) == []
        go(process)
        assert said(process) == "1 0"
        assert [run.id for run in store.renew(me)] == [mine.id]
        go(process)


# -- at once -----------------------------------------------------------------------------------


def test_many_who_claim_by_turns_get_each_run_once(store: Store, site: Site) -> None:
    queues = [Queue("ann", name) for name in ("a", "b", "c")]
    for queue in queues:
        store.create_queue(QueueRecord(queue, max_running=None if queue.name == "a" else 100))
    runs = [store.submit(SPEC, queue=queue).id for queue in queues for _ in range(20)]

    def claim_all(number: int) -> list[str]:
        order = queues[number % 3 :] + queues[: number % 3]
        with contextlib.closing(open_store(site.url)) as own:
            owner = new_owner()
            return [run.id for run in iter(lambda: own.claim(order, owner, ()), None)]

    with ThreadPoolExecutor(6) as pool:
        claimed = Counter(itertools.chain(*pool.map(claim_all, range(6))))
    assert claimed == Counter(runs)
