"""Why a run waits: in the words that every view shows, one look at the store for many of them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from jupyter_launch.owner import new_owner
from jupyter_launch.runs import NO_ROOM, Agent, Queue, QueueRecord, Room, Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores.base import Change, Store
from jupyter_launch.waiting import Waiting, waiting_because, waits

GPU = Queue("me", "gpu")
GIB = 2**30


def waiting(store: Store, room: Room = NO_ROOM, **fields: Any) -> Run:
    store.create_queue(QueueRecord(GPU, "local-process"))
    spec = LaunchSpec.from_dict({"source": {"kind": "cell", "body": "1"}, **fields})
    return store.submit(spec, queue=GPU, room=room)


def serving(store: Store, name: str = "a1", **fields: Any) -> Agent:
    known = {"max_jobs": 1, "started": 0.0, "heartbeat": 0.0, "status": "running", **fields}
    agent = Agent(name, new_owner(), (GPU,), **known)
    store.put_agent(agent)
    return agent


def test_its_place_comes_first(store: Store) -> None:
    first, second = waiting(store), waiting(store)
    assert waiting_because(store, first) == "next in queue me/gpu, no agent yet"
    assert waiting_because(store, second) == "1 ahead in queue me/gpu, no agent yet"


def test_nobody_is_looked_for_on_a_paused_queue(store: Store) -> None:
    run = waiting(store)
    store.update_queue(GPU, state="paused")
    assert Waiting(store).why(run) == "the queue is paused"


def test_a_limit_that_is_reached(store: Store) -> None:
    agent = serving(store, max_jobs=4)
    waiting(store)
    store.update_queue(GPU, max_running=1)
    assert store.claim([GPU], agent.owner, ()) is not None
    assert Waiting(store).why(waiting(store)) == "the queue's limit of 1 at work is reached"


def test_agents_that_take_nothing_more_or_are_busy(store: Store) -> None:
    agent = serving(store)
    run = waiting(store)
    assert Waiting(store).why(run) == ""
    assert store.claim([GPU], agent.owner, ()) is not None
    assert Waiting(store).why(waiting(store)) == "its agent is busy"
    store.ask_agent("a1", "draining")
    store.put_agent(Agent("a1", agent.owner, (GPU,), 1, 0.0, 0.0, "draining"))
    assert Waiting(store).why(waiting(store)) == "its agents take nothing more"


def test_more_room_than_any_agent_has(store: Store) -> None:
    serving(store, room=Room(4.0, 8 * GIB, 0))
    small, large = waiting(store, Room(1.0, GIB // 16, 0)), waiting(store, Room(2.0, 16 * GIB, 1))
    assert Waiting(store).why(small) == ""
    said = "no agent has room for it: it asks for 2 CPUs, 16 GiB, 1 GPU"
    assert Waiting(store).why(large) == said


def test_a_secret_that_an_idle_agent_may_not_have(store: Store) -> None:
    serving(store)
    run = waiting(store, secrets=["HF_TOKEN"])
    assert Waiting(store).why(run) == "for an agent that has HF_TOKEN"


def test_what_it_ended_with_before_and_when_it_goes_on(store: Store) -> None:
    agent = serving(store)
    run = waiting(store)
    assert store.claim([GPU], agent.owner, ()) is not None
    store.move(run.id, agent.owner, State.STARTING, Change())
    change = Change("attempt 1 of 3 failed\nmore", retry_in=600.0)
    back = store.move(run.id, agent.owner, State.PENDING, change)
    assert re.fullmatch(
        r"attempt 1 of 3 failed; not before \d\d:\d\d:\d\d", Waiting(store).why(back)
    )


def test_many_are_told_of_with_few_questions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [waiting(store) for _ in range(1000)]
    asked: list[str] = []
    for name in ("queue", "agents", "queue_counts", "places", "ahead", "events", "get"):
        verb = getattr(store, name)

        def count(*args: Any, _name: str = name, _verb: Any = verb) -> Any:
            asked.append(_name)
            return _verb(*args)

        monkeypatch.setattr(store, name, count)
    said = waits(store, runs)
    assert len(asked) <= 4
    assert said[runs[0].id] == "next, no agent yet"
    assert said[runs[-1].id] == "999 ahead, no agent yet"


def test_what_does_not_wait_says_nothing_or_what_it_does(store: Store) -> None:
    run = store.submit(
        LaunchSpec.from_dict({"source": {"kind": "cell", "body": "1"}}), owner=new_owner()
    )
    assert waits(store, [run]) == {}
    assert waiting_because(store, run) == "starting"
    store.append_event(run.id, "progress", {"text": "pulling busybox, 3 MB of 5 MB"})
    assert waiting_because(store, run) == "pulling busybox, 3 MB of 5 MB"
