"""What every store promises, held to it by one class of tests."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import signal
import sqlite3
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_launch.bell import Listener
from jupyter_launch.errors import (
    IllegalTransition,
    LeaseLost,
    QueueNotFound,
    RunNotFound,
    SpecError,
    StoreError,
)
from jupyter_launch.owner import host_of, new_owner
from jupyter_launch.runs import (
    Agent,
    LogPiece,
    LogPosition,
    Queue,
    QueueRecord,
    Room,
    Run,
    Sample,
    new_id,
)
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import OWNED, TERMINAL, State, legal
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import ANY_RUN, NEW_WORK, Change, Store, log_of
from tests.contract.stores import Site, postgres_site, said, sqlite_site, start
from tests.postgres import Server

SPEC = LaunchSpec.from_dict({"docker": {"docker_image": "tiny"}, "entity": "ann", "name": "first"})
QUEUE = Queue("ann", "default")
NOTHING = Change()

WAYS = {
    State.LEASED: [],
    State.STARTING: [State.STARTING],
    State.RUNNING: [State.STARTING, State.RUNNING],
    State.STOPPING: [State.STARTING, State.RUNNING, State.STOPPING],
    State.FINISHED: [State.STARTING, State.RUNNING, State.FINISHED],
    State.FAILED: [State.FAILED],
    State.STOPPED: [State.STOPPED],
    State.PREEMPTED: [State.STARTING, State.RUNNING, State.PREEMPTED],
    State.CRASHED: [State.CRASHED],
}
"""How a leased run gets into each state."""

LOOK = "import sys; from jupyter_launch.stores import open_store; store = open_store(sys.argv[1])\n"
FIND = LOOK + "print(store.get(sys.argv[2]).state)"
SUBMIT_AND_DIE = LOOK + (
    "import os; from jupyter_launch.spec import LaunchSpec; from jupyter_launch.runs import Queue\n"
    "spec = LaunchSpec.from_dict({'docker': {'docker_image': 'tiny'}})\n"
    "print(store.submit(spec, queue=Queue('ann', 'default')).id, flush=True)\n"
    "os.kill(os.getpid(), 9)"
)
CLAIM_ALL = LOOK + (
    "from jupyter_launch.runs import Queue; from jupyter_launch.owner import host_of, new_owner\n"
    "owner = new_owner(); print('ready', flush=True); sys.stdin.readline()\n"
    "while run := store.claim([Queue('ann', 'default')], owner, ()): print(run.id)"
)
LISTEN = LOOK + (
    "with store.listen(*sys.argv[2:]) as listener:\n"
    "    print('ready', flush=True)\n"
    "    print(listener.wait(60), flush=True)"
)
BE_SOMEBODY = (
    "import sys; from jupyter_launch.owner import host_of, new_owner\n"
    "print(new_owner(), flush=True); sys.stdin.read()"
)

any_size = st.integers(0, 2**62)
any_use = st.floats(0, 1e6)
any_samples = st.lists(
    st.builds(
        Sample, st.just(0.0), any_use, any_size, any_size, st.none() | any_use, st.none() | any_size
    ),
    max_size=30,
)
any_frames = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=30)), max_size=5)
on_one_store = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


def put(store: Store, state: State, owner: str, queue: Queue | None = None) -> Run:
    """Bring a new run into a state, in the hands of `owner` while it needs one."""
    if queue is None:
        run = store.submit(SPEC, owner=owner)
    else:
        submitted = store.submit(SPEC, queue=queue)
        claimed = store.claim([queue], owner, ())
        assert claimed is not None
        assert claimed.id == submitted.id
        run = claimed
    for step in WAYS[state]:
        run = store.move(run.id, owner, step, NOTHING)
    return run


def heard(store: Store, listener: Listener) -> bool:
    """Say whether a listener was rung by what the store did so far: rings come in their order."""
    with store.listen("the last") as last:
        store._ring("the last")  # type: ignore[attr-defined]
        assert last.wait(30)
    return listener.wait(0)


def quiet(store: Store, listener: Listener) -> None:
    """Forget what a listener heard of what was done before it listened."""
    heard(store, listener)


def in_fork(work: Callable[[], object]) -> int:
    """Start a forked child that does something and ends, soon or never; give its id."""
    child = os.fork()
    if child:
        return child
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(30)
    with contextlib.suppress(BaseException):
        work()
        os._exit(0)
    os._exit(1)


@pytest.fixture(scope="module")
def dead_owner() -> str:
    """An owner whose process was killed."""
    with start(BE_SOMEBODY) as process:
        name = said(process)
        process.kill()
    return name


class StoreContract:
    """A subclass says how a fresh store of its kind is made."""

    @pytest.fixture
    def site(self, tmp_path: Path) -> Site:
        raise NotImplementedError

    @pytest.fixture
    def store(self, site: Site) -> Iterator[Store]:
        with contextlib.closing(open_store(site.url)) as made:
            yield made

    @pytest.fixture
    def other(self, store: Store, site: Site) -> Iterator[Store]:
        """A second, independent connection to the same store."""
        with contextlib.closing(open_store(site.url)) as made:
            yield made

    @pytest.fixture
    def me(self) -> str:
        return new_owner()

    @pytest.fixture
    def rival(self) -> str:
        return new_owner()

    # -- the store itself ----------------------------------------------------------------------

    def test_its_id_stays_and_is_its_own(self, store: Store, other: Store, tmp_path: Path) -> None:
        assert store.id == other.id
        with contextlib.closing(open_store(f"sqlite:///{tmp_path}/another.db")) as another:
            assert another.id != store.id

    def test_a_forked_child_can_use_it(self, store: Store, me: str) -> None:
        run = put(store, State.RUNNING, me)

        def work() -> None:
            store.append_log(run.id, me, [(1, b"from the child\n")])
            store.append_event(run.id, "notice", {"text": store.get(run.id).state.value})

        assert os.waitpid(in_fork(work), 0)[1] == 0
        store.append_event(run.id, "notice", {"text": "parent"})
        assert [e.data.get("text") for e in store.events(run.id)[-2:]] == ["running", "parent"]
        assert store.read_log(run.id) == b"from the child\n"

    def test_a_forked_child_can_use_it_while_other_threads_do(self, store: Store, me: str) -> None:
        run = put(store, State.RUNNING, me)
        enough = threading.Event()

        def use(name: str) -> None:
            store.append_event(run.id, name, {})

        def keep_using() -> None:
            while not enough.is_set():
                use("thread")

        with ThreadPoolExecutor(2) as pool:
            busy = [pool.submit(keep_using) for _ in range(2)]
            children = [in_fork(lambda: use("child")) for _ in range(10)]
            assert [os.waitpid(child, 0)[1] for child in children] == [0] * 10
            enough.set()
            assert [thread.exception() for thread in busy] == [None, None]
        events = store.events(run.id)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert Counter(event.kind for event in events)["child"] == 10

    # -- submit --------------------------------------------------------------------------------

    def test_a_submitted_run_is_seen_by_another_process(self, store: Store, site: Site) -> None:
        run = store.submit(SPEC, queue=QUEUE)
        with start(FIND, site.url, run.id) as process:
            assert said(process) == "pending"

    def test_a_submitted_run_survives_the_death_of_who_submitted_it(
        self, store: Store, site: Site
    ) -> None:
        with start(SUBMIT_AND_DIE, site.url) as process:
            run_id = said(process)
        assert process.returncode == -signal.SIGKILL
        assert store.get(run_id).state is State.PENDING

    def test_a_run_is_recorded_as_it_was_asked_for(self, store: Store, other: Store) -> None:
        spec = SPEC.evolve(project="cars", priority=1, resource="local-process", run_id="my-run")
        before = time.time()
        run = store.submit(spec, queue=QUEUE, parent="older")
        assert other.get("my-run") == run
        assert run.spec == spec
        assert before <= run.created <= time.time()
        assert run.evolve(spec_json="", created=0.0) == Run(
            id="my-run",
            spec_json="",
            state=State.PENDING,
            created=0.0,
            entity="ann",
            project="cars",
            name="first",
            queue=QUEUE,
            priority=1,
            resource="local-process",
            parent="older",
            store=store.id,
        )

    def test_a_run_may_be_held_from_the_start(self, store: Store, me: str) -> None:
        run = store.submit(SPEC, owner=me)
        assert (run.state, run.owner, run.queue) == (State.LEASED, me, None)
        assert store.claim([QUEUE], new_owner(), ()) is None

    def test_a_run_id_is_taken_once(self, store: Store, other: Store) -> None:
        spec = SPEC.evolve(run_id="mine")
        store.submit(spec, queue=QUEUE)
        with pytest.raises(SpecError, match="There is a run 'mine' already") as failure:
            other.submit(spec, queue=QUEUE)
        assert failure.value.field == "run_id"
        assert failure.value.hint
        assert len(store.runs()) == 1

    def test_an_unknown_run_is_an_error_that_says_where_to_look(self, store: Store) -> None:
        assert store.find("nobody") is None
        with pytest.raises(RunNotFound) as failure:
            store.get("nobody")
        assert str(failure.value) == (
            f"There is no run 'nobody' in {store.url}.\n"
            "`jupyter launch list` shows the runs there are."
        )

    # -- claim ---------------------------------------------------------------------------------

    def test_every_run_is_claimed_by_exactly_one(
        self, store: Store, other: Store, site: Site
    ) -> None:
        submitted = [store.submit(SPEC, queue=QUEUE).id for _ in range(200)]
        processes = [start(CLAIM_ALL, site.url) for _ in range(2)]
        assert [said(process) for process in processes] == ["ready"] * 2

        def claim_all(number: int) -> list[str]:
            owner, own = new_owner(), (store, other)[number % 2]
            return [run.id for run in iter(lambda: own.claim([QUEUE], owner, ()), None)]

        with ThreadPoolExecutor(8) as pool:
            in_threads = pool.map(claim_all, range(8))
            elsewhere = [process.communicate("go\n")[0].split() for process in processes]
        claimed = Counter(itertools.chain(*in_threads, *elsewhere))
        assert claimed == Counter(submitted)
        assert {run.state for run in store.runs(limit=500)} == {State.LEASED}

    def test_claims_go_by_priority_then_by_submission(self, store: Store, me: str) -> None:
        priorities = [2, 3, 0, 2, 1, 0, 3, 2]
        runs = [store.submit(SPEC.evolve(priority=p), queue=QUEUE) for p in priorities]
        expected = [run.id for run in sorted(runs, key=lambda run: run.priority)]
        claimed = [run.id for run in iter(lambda: store.claim([QUEUE], me, ()), None)]
        assert claimed == expected

    def test_claims_are_made_from_the_first_queue_that_has_a_run(
        self, store: Store, me: str
    ) -> None:
        queues = [Queue(name, "default") for name in ("ann", "bob", "cid")]
        low, high, other = (
            store.submit(SPEC.evolve(priority=p), queue=q)
            for p, q in ((3, queues[0]), (0, queues[2]), (2, queues[0]))
        )
        claimed = [run.id for run in iter(lambda: store.claim(queues, me, ()), None)]
        assert claimed == [other.id, low.id, high.id]

    def test_a_claim_leaves_other_queues_alone(self, store: Store, me: str) -> None:
        store.submit(SPEC, queue=Queue("bob", "default"))
        assert store.claim([QUEUE, Queue("ann", "no such queue")], me, ()) is None
        assert store.claim([], me, ()) is None

    def test_a_claim_leaves_runs_whose_secrets_it_cannot_give(self, store: Store, me: str) -> None:
        wants = [("TOKEN", "KEY"), ("TOKEN",), ()]
        two, one, none = (store.submit(SPEC.evolve(secrets=w), queue=QUEUE).id for w in wants)

        def claimed(*names: str) -> str | None:
            run = store.claim([QUEUE], me, iter(names))
            return run.id if run else None

        assert claimed("HOME") == none
        assert claimed("HOME") is None
        assert claimed("HOME", "TOKEN") == one
        assert claimed("KEY") is None
        assert claimed("KEY", "TOKEN") == two

    def test_ahead_counts_what_will_be_claimed_before(self, store: Store, me: str) -> None:
        asked = [(2, QUEUE), (0, QUEUE), (3, QUEUE), (2, QUEUE), (0, Queue("bob", "default"))]
        runs = [store.submit(SPEC.evolve(priority=p), queue=q) for p, q in asked]
        assert [store.ahead(run) for run in runs] == [1, 0, 3, 2, 0]
        store.claim([QUEUE], me, ())
        assert [store.ahead(run) for run in (runs[0], runs[2], runs[3])] == [0, 2, 1]

    # -- leases --------------------------------------------------------------------------------

    def test_renew_gives_what_an_owner_holds(self, store: Store, me: str, rival: str) -> None:
        mine = {put(store, state, me).id for state in OWNED}
        put(store, State.RUNNING, rival)
        put(store, State.FINISHED, me)
        assert {run.id for run in store.renew(me)} == mine

    @pytest.mark.parametrize("state", sorted(OWNED))
    def test_what_the_living_hold_is_not_taken(
        self, store: Store, me: str, rival: str, state: State
    ) -> None:
        run = put(store, state, me)
        assert store.sweep(rival) == []
        assert store.get(run.id) == run

    def test_a_lease_is_taken_over_when_it_expires(
        self, store: Store, other: Store, site: Site, me: str, rival: str
    ) -> None:
        run = put(store, State.RUNNING, me)
        site.expire(run.id)
        assert other.sweep(rival) == [run.evolve(owner=rival)]
        assert store.renew(me) == []
        assert [held.id for held in store.renew(rival)] == [run.id]

    def test_a_renewed_lease_is_not_taken(
        self, store: Store, site: Site, me: str, rival: str
    ) -> None:
        run = put(store, State.RUNNING, me)
        site.expire(run.id)
        store.renew(me)
        assert store.sweep(rival) == []
        assert store.get(run.id).owner == me

    def test_nobody_takes_over_from_itself(self, store: Store, site: Site, me: str) -> None:
        run = put(store, State.RUNNING, me)
        site.expire(run.id)
        assert store.sweep(me) == []

    @pytest.mark.parametrize("state", sorted(OWNED))
    def test_what_the_dead_held_is_adopted_as_it_is(
        self, store: Store, me: str, dead_owner: str, state: State
    ) -> None:
        run = put(store, state, dead_owner)
        assert store.sweep(me) == [run.evolve(owner=me)]
        assert store.sweep(new_owner()) == []

    @pytest.mark.parametrize("state", sorted(OWNED - {State.LEASED}))
    def test_what_started_from_a_queue_is_adopted_too(
        self, store: Store, me: str, dead_owner: str, state: State
    ) -> None:
        run = put(store, state, dead_owner, QUEUE)
        assert store.sweep(me) == [run.evolve(owner=me)]

    def test_what_never_started_goes_back_to_its_queue(
        self, store: Store, me: str, dead_owner: str
    ) -> None:
        run = put(store, State.LEASED, dead_owner, QUEUE)
        with store.listen(NEW_WORK) as listener:
            assert store.sweep(me) == []
            assert listener.wait(5)
        back = store.get(run.id)
        assert (back.state, back.owner) == (State.PENDING, None)
        assert "agent ended before it started" in back.reason
        assert [e.data["state"] for e in store.events(run.id)] == ["leased", "pending"]
        again = store.claim([QUEUE], me, ())
        assert again is not None
        assert (again.id, again.reason) == (run.id, "")

    def test_each_lease_is_an_event_with_its_own_number(
        self, store: Store, other: Store, me: str
    ) -> None:
        run, begun = store.submit(SPEC, queue=QUEUE), time.time()
        expected: list[str | None] = []
        for _ in range(3):
            assert store.claim([QUEUE], me, ())
            store.append_event(run.id, "notice", {})
            store.move(run.id, me, State.PENDING, Change("once more"))
            expected += ["leased", None, "pending"]
        assert store.claim([QUEUE], me, ())
        events = other.events(run.id)
        assert [event.data.get("state") for event in events] == [*expected, "leased"]
        assert [event.seq for event in events] == list(range(1, 11))
        assert other.events(run.id, 9) == events[9:]
        times = [event.at for event in events]
        assert times == sorted(times)
        assert begun <= times[0] <= times[-1] <= time.time()
        assert other.check() == []

    def test_several_who_sweep_at_once_share_what_there_is(
        self, store: Store, other: Store, dead_owner: str
    ) -> None:
        left = [put(store, State.RUNNING, dead_owner).id for _ in range(20)]
        go = threading.Barrier(4)

        def sweep(number: int) -> list[str]:
            owner = new_owner()
            go.wait()
            return [run.id for run in (store, other)[number % 2].sweep(owner)]

        with ThreadPoolExecutor(4) as pool:
            taken = Counter(itertools.chain(*pool.map(sweep, range(4))))
        assert taken == Counter(left)

    def test_who_lost_its_lease_can_change_nothing(
        self, store: Store, other: Store, site: Site, me: str, rival: str
    ) -> None:
        run = put(store, State.RUNNING, me)
        store.append_log(run.id, me, [(1, b"mine\n")])
        site.expire(run.id)
        other.sweep(rival)
        for owner in (me, None):
            with pytest.raises(LeaseLost, match=f"Run {run.id} is not held by this process"):
                store.move(run.id, owner, State.FINISHED, NOTHING)
        with pytest.raises(LeaseLost):
            store.append_log(run.id, me, [(1, b"late\n")])
        assert store.get(run.id) == run.evolve(owner=rival)
        assert store.read_log(run.id) == b"mine\n"

    def test_a_run_that_comes_back_is_logged_on_where_it_is(
        self, store: Store, other: Store, site: Site, me: str, rival: str
    ) -> None:
        run = put(store, State.RUNNING, me)
        for holder, name, text in ((store, me, b"one "), (other, rival, b"two "), (store, me, b"")):
            holder.sweep(name)
            holder.append_log(run.id, name, [(1, text), (2, b"!")])
            site.expire(run.id)
        assert store.read_log(run.id) == b"one !two !!"
        assert other.log_position(run.id) == LogPosition(8, 3)

    # -- moves ---------------------------------------------------------------------------------

    @given(st.lists(st.sampled_from(list(State)), max_size=12))
    @on_one_store
    def test_moves_are_accepted_exactly_if_they_are_legal(
        self, store: Store, wishes: list[State]
    ) -> None:
        queue, me = Queue(new_id(), "default"), new_owner()
        run = store.submit(SPEC, queue=queue)
        passed = [run.state]
        for wish in wishes:
            before = store.get(run.id)
            if (before.state, wish) == (State.PENDING, State.LEASED):
                store.claim([queue], me, ())
            elif legal(before.state, wish):
                store.move(run.id, before.owner, wish, NOTHING)
            else:
                with pytest.raises(IllegalTransition, match=f"from {before.state} to {wish}"):
                    store.move(run.id, before.owner, wish, NOTHING)
                assert store.get(run.id) == before
                continue
            passed.append(wish)
        now, events = store.get(run.id), store.events(run.id)
        assert now.state is passed[-1]
        assert now.owner == (me if now.state in OWNED else None)
        assert [event.data["state"] for event in events] == passed[1:]
        assert [event.seq for event in events] == list(range(1, len(passed)))

    def test_a_move_records_what_changed_and_when(self, store: Store, me: str) -> None:
        began = time.time()
        run = store.submit(SPEC, owner=me)
        change = Change(handle="container-1", resource="local-container")
        run = store.move(run.id, me, State.STARTING, change)
        assert (run.handle, run.resource) == ("container-1", "local-container")
        assert run.started is None
        run = store.move(run.id, me, State.RUNNING, NOTHING)
        assert run.started is not None
        assert run.ended is None
        run = store.move(run.id, me, State.FAILED, Change(reason="out of memory", exit_code=137))
        assert run.ended is not None
        assert began <= (run.started or 0) <= run.ended <= time.time()
        assert (run.handle, run.reason, run.exit_code) == ("container-1", "out of memory", 137)
        assert store.get(run.id) == run
        last = store.events(run.id)[-1]
        assert last.kind == "state"
        assert last.data == {"state": "failed", "reason": "out of memory", "exit_code": 137}

    @pytest.mark.parametrize("state", sorted(TERMINAL))
    def test_nothing_changes_a_run_that_has_ended(
        self, store: Store, me: str, state: State
    ) -> None:
        run = put(store, state, me)
        before = store.get(run.id), store.events(run.id)
        for wish in State:
            with pytest.raises(IllegalTransition):
                store.move(run.id, None, wish, NOTHING)
            with pytest.raises(LeaseLost):
                store.move(run.id, me, wish, NOTHING)
        with pytest.raises(LeaseLost):
            store.append_log(run.id, me, [(1, b"late")])
        store.request_stop(run.id)
        store.sweep(new_owner())
        assert store.delete(run.id) is False
        assert (store.get(run.id), store.events(run.id)) == before

    def test_a_move_of_an_unknown_run_says_so(self, store: Store, me: str) -> None:
        with pytest.raises(RunNotFound):
            store.move("nobody", me, State.RUNNING, NOTHING)

    def test_leftovers_are_ended_runs_whose_traces_remain(self, store: Store, me: str) -> None:
        ended, running = put(store, State.LEASED, me), put(store, State.LEASED, me)
        for run in (ended, running):
            store.move(run.id, me, State.STARTING, Change(handle=f"container of {run.id}"))
            store.move(run.id, me, State.RUNNING, NOTHING)
        store.move(ended.id, me, State.FINISHED, NOTHING)
        put(store, State.FAILED, me)  # never had any
        assert store.leftovers(time.time() - 60, host_of(me)) == []
        assert [run.id for run in store.leftovers(time.time() + 1, host_of(me))] == [ended.id]
        for run in (ended, running):
            store.clear_handle(run.id, f"container of {run.id}")
        assert store.leftovers(time.time() + 1, host_of(me)) == []
        assert store.get(running.id).handle == f"container of {running.id}"

    # -- stopping and deleting -----------------------------------------------------------------

    def test_a_waiting_run_is_stopped_at_once(self, store: Store, me: str) -> None:
        run = store.submit(SPEC, queue=QUEUE)
        stopped = store.request_stop(run.id)
        assert stopped.state is State.STOPPED
        assert stopped.reason == "stopped before it started"
        assert store.get(run.id) == stopped
        assert store.claim([QUEUE], me, ()) is None

    @pytest.mark.parametrize("state", sorted(OWNED))
    def test_the_owner_of_a_run_hears_that_it_is_to_stop(
        self, store: Store, other: Store, me: str, state: State
    ) -> None:
        run = put(store, state, me)
        with store.listen(me) as listener:
            assert other.request_stop(run.id) == run.evolve(stop_requested=True)
            assert listener.wait(5)
        assert store.renew(me) == [run.evolve(stop_requested=True)]

    @pytest.mark.parametrize("asked", [[True], [False, True], [True, False]])
    def test_a_kill_is_recorded_and_heard_and_stays(
        self, store: Store, other: Store, me: str, asked: list[bool]
    ) -> None:
        run = put(store, State.RUNNING, me)
        with store.listen(me) as listener:
            for kill in asked:
                other.request_stop(run.id, kill=kill)
                assert listener.wait(5)
        assert store.renew(me) == [run.evolve(stop_requested=True, kill_requested=True)]
        assert store.get(run.id) == other.get(run.id) == store.renew(me)[0]

    def test_whoever_adopts_a_run_knows_that_it_is_to_be_killed(
        self, store: Store, me: str, dead_owner: str
    ) -> None:
        run = put(store, State.STOPPING, dead_owner)
        store.request_stop(run.id, kill=True)
        assert [adopted.kill_requested for adopted in store.sweep(me)] == [True]

    def test_stopping_an_unknown_run_says_so(self, store: Store) -> None:
        with pytest.raises(RunNotFound):
            store.request_stop("nobody")

    def test_a_deleted_run_leaves_no_trace(self, store: Store, other: Store, me: str) -> None:
        run = store.submit(SPEC, queue=QUEUE)
        assert other.delete(run.id) is True
        assert store.find(run.id) is None
        assert store.events(run.id) == []
        assert store.claim([QUEUE], me, ()) is None
        assert store.delete(run.id) is False

    @pytest.mark.parametrize("state", sorted(OWNED))
    def test_what_somebody_has_is_not_deleted(self, store: Store, me: str, state: State) -> None:
        run = put(store, state, me, QUEUE)
        assert store.delete(run.id) is False
        assert store.get(run.id) == run

    # -- lists ---------------------------------------------------------------------------------

    def test_runs_are_listed_newest_first(self, store: Store) -> None:
        ids = [store.submit(SPEC, queue=QUEUE).id for _ in range(5)]
        assert [run.id for run in store.runs()] == ids[::-1]
        assert [run.id for run in store.runs(limit=2)] == ids[:2:-1]

    def test_runs_are_listed_by_state_and_queue(self, store: Store, me: str) -> None:
        bobs = Queue("bob", "default")
        running = put(store, State.RUNNING, me, QUEUE).id
        failed = put(store, State.FAILED, me, bobs).id
        direct = put(store, State.RUNNING, me).id
        waiting = [store.submit(SPEC, queue=q).id for q in (QUEUE, bobs, QUEUE)]

        def listed(*states: State, queue: Queue | None = None, limit: int = 50) -> list[str]:
            return [run.id for run in store.runs(states=states, queue=queue, limit=limit)]

        assert listed(State.RUNNING) == [direct, running]
        assert listed(State.RUNNING, State.FAILED) == [direct, failed, running]
        assert listed(State.RUNNING, State.FAILED, limit=1) == [direct]
        assert listed(queue=QUEUE) == [waiting[2], waiting[0], running]
        assert listed(State.PENDING, queue=QUEUE, limit=1) == [waiting[2]]
        assert listed(State.FAILED, queue=QUEUE) == []
        assert listed(State.FINISHED) == []
        assert listed(queue=Queue("ann", "unknown")) == []

    def test_states_may_be_any_iterable(self, store: Store, me: str) -> None:
        run = put(store, State.RUNNING, me)
        assert store.runs(states=iter([State.RUNNING])) == [run]
        assert store.runs(states=[State.RUNNING, State.RUNNING]) == [run]

    def test_runs_are_listed_by_notebook(self, store: Store) -> None:
        def image(**origin: str) -> LaunchSpec:
            return LaunchSpec.from_dict({"docker": {"docker_image": "tiny"}, "origin": origin})

        ours = store.submit(image(notebook="/home/ann/a.ipynb", cell="c1"), queue=QUEUE)
        store.submit(image(notebook="/home/ann/b.ipynb"), queue=QUEUE)
        store.submit(image(), queue=QUEUE)
        assert store.runs(notebook="/home/ann/a.ipynb") == [ours]
        assert store.runs(notebook="/home/ann/a.ipynb", states=[State.PENDING]) == [ours]
        assert store.runs(notebook="/home/ann/a.ipynb", states=[State.FAILED]) == []

    def test_runs_are_found_by_a_text(self, store: Store) -> None:
        body = 'print("A \'quoted" 100%_text")'
        cell = {"source": {"kind": "cell", "body": body}, "name": "Fit Größe"}
        named = store.submit(LaunchSpec.from_dict(cell), queue=QUEUE)
        image = store.submit(SPEC, queue=QUEUE)
        for text in (named.id, "fit grö", "FIT", body, "100%_"):
            assert store.runs(text=text) == store.runs(text=text, states=[State.PENDING]) == [named]
        assert store.runs(text="tiny") == [image]
        assert store.runs(text="100__") == []
        assert store.runs(text="") == [image, named]

    def test_places_are_those_of_the_order_in_which_runs_are_claimed(self, store: Store) -> None:
        other = Queue("bob", "default")
        first, second = (store.submit(SPEC, queue=QUEUE) for _ in range(2))
        urgent = store.submit(SPEC.evolve(priority=0), queue=QUEUE)
        bobs = store.submit(SPEC, queue=other)
        places = {urgent.id: 0, first.id: 1, second.id: 2, bobs.id: 0}
        assert store.places() == places
        assert {id_: store.ahead(store.get(id_)) for id_ in places} == places
        store.request_stop(first.id)
        assert store.places() == {urgent.id: 0, second.id: 1, bobs.id: 0}

    def test_whatever_happens_to_a_run_rings_for_who_lists_all(self, store: Store, me: str) -> None:
        def rings(change: Callable[[], object]) -> bool:
            with store.listen(ANY_RUN) as bell:
                change()
                return bell.wait(5)

        run = store.submit(SPEC, queue=QUEUE)
        assert rings(lambda: store.submit(SPEC, owner=me))
        assert rings(lambda: store.claim([QUEUE], me, ()))
        assert rings(lambda: store.move(run.id, me, State.STARTING, NOTHING))
        assert rings(lambda: store.request_stop(run.id))
        waiting = store.submit(SPEC, queue=QUEUE)
        assert rings(lambda: store.delete(waiting.id))
        with store.listen(ANY_RUN) as bell:
            quiet(store, bell)
            store.append_log(run.id, me, [(1, b"a line")])
            assert not heard(store, bell)

    def test_attempts_are_a_chain_of_relaunches_from_any_of_them(self, store: Store) -> None:
        parents = {"a": "long gone", "b": "a", "x": None, "c": "b", "b2": "a", "c2": "b2", "y": "x"}
        for name, parent in parents.items():
            store.submit(SPEC.evolve(run_id=name), queue=QUEUE, parent=parent)
        for family in (["a", "b", "c", "b2", "c2"], ["x", "y"]):
            for name in family:
                assert [run.id for run in store.attempts(name)] == family
        assert store.attempts("a")[1] == store.get("b")
        assert store.attempts("unknown") == []

    def test_attempts_end_even_where_they_go_in_a_circle(self, store: Store) -> None:
        for name, parent in (("a", "b"), ("b", "a"), ("me", "me")):
            store.submit(SPEC.evolve(run_id=name), queue=QUEUE, parent=parent)
        assert [run.id for run in store.attempts("b")] == ["a", "b"]
        assert [run.id for run in store.attempts("me")] == ["me"]

    # -- events --------------------------------------------------------------------------------

    def test_events_are_numbered_without_gaps_whoever_adds_them(
        self, store: Store, other: Store, me: str
    ) -> None:
        run = store.submit(SPEC, owner=me)

        def add(number: int) -> list[int]:
            own = (store, other)[number % 2]
            data = {"text": f"{number}"}
            return [own.append_event(run.id, "notice", data).seq for _ in range(25)]

        with ThreadPoolExecutor(8) as pool:
            given_out = sorted(itertools.chain(*pool.map(add, range(8))))
        assert given_out == list(range(1, 201))
        assert [event.seq for event in store.events(run.id)] == given_out

    def test_events_are_given_from_a_number_on(self, store: Store, other: Store, me: str) -> None:
        run, another = store.submit(SPEC, owner=me), store.submit(SPEC, owner=me)
        data = {"text": "größer\n\x00 \"quoted\" 'x'; --", "list": [1, None, 2.5]}
        first = store.append_event(run.id, "progress", {})
        event = store.append_event(run.id, "notice", data)
        store.append_event(another.id, "notice", {})
        assert (event.run_id, event.seq, event.kind, event.data) == (run.id, 2, "notice", data)
        assert first.at <= event.at <= time.time()
        assert other.events(run.id) == [first, event]
        assert other.events(run.id, 1) == [event]
        assert other.events(run.id, 2) == []
        assert [event.seq for event in other.events(another.id)] == [1]

    # -- logs ----------------------------------------------------------------------------------

    @given(
        batches=st.lists(any_frames, max_size=4),
        reads=st.lists(st.tuples(st.integers(0, 150), st.integers(1, 100)), max_size=5),
    )
    @on_one_store
    def test_a_log_is_the_bytes_that_were_written(
        self,
        store: Store,
        site: Site,
        batches: list[list[tuple[int, bytes]]],
        reads: list[tuple[int, int]],
    ) -> None:
        me = new_owner()
        run = store.submit(SPEC, owner=me)
        whole, counts = b"", [0, 0, 0]
        for batch in batches:
            with contextlib.closing(open_store(site.url)) as again:
                again.append_log(run.id, me, iter(batch))
            for stream, data in batch:
                whole += data
                counts[stream] += len(data)
            assert store.log_position(run.id) == LogPosition(counts[1], counts[2])
        assert store.read_log(run.id) == whole
        for offset, limit in reads:
            assert store.read_log(run.id, offset, limit) == whole[offset : offset + limit]

    def test_a_reader_in_another_place_follows_the_log(
        self, store: Store, other: Store, me: str
    ) -> None:
        run = store.submit(SPEC, owner=me)
        seen = b""
        for number in range(20):
            store.append_log(run.id, me, [(1 + number % 2, b"line %d\n" % number)])
            seen += other.read_log(run.id, len(seen))
        assert seen == b"".join(b"line %d\n" % number for number in range(20))

    def test_a_large_log_is_read_in_pieces(self, store: Store, me: str) -> None:
        run = store.submit(SPEC, owner=me)
        piece = bytes(range(256)) * 4096
        for _ in range(3):
            store.append_log(run.id, me, [(1, piece)])
        assert len(store.read_log(run.id)) == 1 << 20
        assert store.read_log(run.id, 2 << 20) == piece
        assert store.read_log(run.id, 3 << 20) == b""

    def test_a_run_that_said_nothing_has_an_empty_log(self, store: Store, me: str) -> None:
        run = store.submit(SPEC, owner=me)
        assert store.read_log(run.id) == b""
        assert store.log_position(run.id) == LogPosition(0, 0)

    def test_a_log_stays_when_the_run_has_ended(self, store: Store, other: Store, me: str) -> None:
        run = put(store, State.RUNNING, me)
        store.append_log(run.id, me, [(1, b"out\n"), (2, b"err\n")])
        store.move(run.id, me, State.FINISHED, NOTHING)
        assert other.read_log(run.id) == b"out\nerr\n"
        assert other.log_position(run.id) == LogPosition(4, 4)

    @given(batches=st.lists(any_frames, max_size=6), parts=st.lists(st.integers(1, 9), min_size=1))
    @on_one_store
    def test_a_logs_pieces_say_where_its_bytes_are_from(
        self, store: Store, batches: list[list[tuple[int, bytes]]], parts: list[int]
    ) -> None:
        me = new_owner()
        run = store.submit(SPEC, owner=me)
        began = time.time()
        for batch in batches:
            store.append_log(run.id, me, batch)
        written = [(stream, len(data)) for batch in batches for stream, data in batch if data]
        found: list[LogPiece] = []
        for limit in itertools.cycle(parts):
            more = store.log_pieces(run.id, len(found), limit)
            assert len(more) <= limit
            if not more:
                break
            found += more
        assert [(piece.stream, piece.length) for piece in found] == written
        times = [piece.at for piece in found]
        assert times == sorted(times)
        assert all(began <= at <= time.time() for at in times)
        assert store.log_pieces(run.id) == found

    # -- samples -------------------------------------------------------------------------------

    @given(samples=any_samples, steps=st.lists(st.floats(0.5, 1e6), min_size=30, max_size=30))
    @on_one_store
    def test_samples_are_given_back_as_they_were_taken(
        self, store: Store, site: Site, samples: list[Sample], steps: list[float]
    ) -> None:
        me = new_owner()
        run = store.submit(SPEC, owner=me)
        times = list(itertools.accumulate(steps))
        taken = [sample._replace(at=at) for sample, at in zip(samples, times, strict=False)]
        for sample in taken:
            store.append_sample(run.id, me, sample)
        with contextlib.closing(open_store(site.url)) as again:
            assert again.samples(run.id) == taken
            for number, sample in enumerate(taken):
                assert again.samples(run.id, sample.at) == taken[number + 1 :]
                assert again.samples(run.id, sample.at - 0.25) == taken[number:]

    def test_samples_come_from_the_lease_holder_only_and_wake_nobody(
        self, store: Store, me: str, rival: str
    ) -> None:
        run = put(store, State.RUNNING, me)
        sample = Sample(1.0, 0.5, 1 << 20)
        with store.listen(run.id) as listener:
            quiet(store, listener)
            store.append_sample(run.id, me, sample)
            assert not heard(store, listener)
        with pytest.raises(LeaseLost):
            store.append_sample(run.id, rival, sample)
        store.move(run.id, me, State.FINISHED, NOTHING)
        with pytest.raises(LeaseLost):
            store.append_sample(run.id, me, sample)
        assert store.samples(run.id) == [sample]
        assert store.samples("unknown") == []

    # -- queues, agents, snapshots -------------------------------------------------------------

    def test_every_entity_has_a_first_queue(self, store: Store) -> None:
        assert store.queues() == []
        for entity in ("bob", "ann"):
            store.submit(SPEC, queue=Queue(entity, "default"))
            store.ensure_queue(Queue(entity, "default"))
        assert sorted(store.queues()) == [Queue("ann", "default"), Queue("bob", "default")]

    def test_an_unknown_queue_is_an_error_that_names_the_known_ones(self, store: Store) -> None:
        for name in ("default", "gpu"):
            store.create_queue(QueueRecord(Queue("ann", name), "local-container"))
        for use in (
            lambda queue: store.submit(SPEC, queue=queue),
            store.ensure_queue,
            store.queue,
        ):
            with pytest.raises(QueueNotFound) as failure:
                use(Queue("ann", "gpus"))
            assert str(failure.value) == (
                "There is no queue 'gpus' of 'ann'. Queues: ann/default, ann/gpu.\n"
                "Did you mean gpu? Make it: jupyter launch queue create gpus -e ann"
            )
        assert store.runs() == []

    def test_a_queue_has_a_resource_and_a_config(self, store: Store, other: Store) -> None:
        queue = Queue("ann", "gpu")
        config = {"resource_args": {"local-container": {"gpus": "all"}}}
        assert store.create_queue(QueueRecord(queue, "local-container", config))
        made = other.queue(queue)
        assert made == QueueRecord(queue, "local-container", config, created=made.created)
        assert not other.create_queue(QueueRecord(queue, "local-process")), "the first one stays"
        assert store.queue(queue) == made
        assert store.queues() == [queue]

    def test_queues_of_any_name_are_kept_apart(self, store: Store, me: str) -> None:
        queues = [Queue("a", "b/c"), Queue("a/b", "c"), Queue("a%2Fb", "c"), Queue("a", "é; '$x")]
        for queue in queues:
            store.create_queue(QueueRecord(queue, "local-container"))
        assert sorted(store.queues()) == sorted(queues)
        for queue in queues:
            run = store.submit(SPEC, queue=queue)
            assert run.queue == queue
            rest = [other for other in queues if other != queue]
            assert store.claim(rest, me, ()) is None
            claimed = store.claim([queue], me, ())
            assert claimed is not None
            assert claimed.id == run.id

    def test_agents_are_listed_while_they_live(
        self, store: Store, other: Store, site: Site, me: str, dead_owner: str
    ) -> None:
        queues = (QUEUE, Queue("bob", "x"))
        alive = Agent("alive", me, queues, 2, 1.0, 0.0, "running", Room(2, 10**9, 1))
        silent = Agent("silent", new_owner(), (QUEUE,), 1, 2.0, 0.0, "running")
        dead = Agent("dead", dead_owner, (QUEUE,), 1, 3.0, 0.0, "running")
        for agent in (alive, silent, dead):
            store.put_agent(agent)
        site.silence("silent")
        store.submit(SPEC, owner=me)
        (found,) = other.agents()
        assert abs(found.heartbeat - time.time()) < 60
        assert replace(found, heartbeat=0.0) == replace(alive, runs=1)
        store.put_agent(replace(silent, status="draining"))
        assert {agent.id: (agent.status, agent.runs) for agent in other.agents()} == {
            "alive": ("running", 1),
            "silent": ("draining", 0),
        }
        for name in ("alive", "silent", "unknown"):
            other.drop_agent(name)
        assert store.agents() == []

    def test_a_snapshots_name_follows_from_its_content(self, store: Store, other: Store) -> None:
        data = os.urandom(100_000)
        name = store.put_snapshot(data)
        assert other.put_snapshot(data) == name
        assert other.get_snapshot(name) == data
        assert other.put_snapshot(data[at : at + 999] for at in range(0, len(data), 999)) == name
        assert store.put_snapshot(data[:-1]) != name
        assert store.get_snapshot(store.put_snapshot(b"")) == b""

    def test_a_snapshot_whose_making_fails_is_not_kept(self, store: Store) -> None:
        def chunks() -> Iterator[bytes]:
            yield b"half"
            raise SpecError("It changed.")

        with pytest.raises(SpecError, match="It changed"):
            store.put_snapshot(chunks())
        with pytest.raises(StoreError, match="are gone"):
            store.get_snapshot(hashlib.sha256(b"half").hexdigest())

    def test_a_missing_snapshot_says_so(self, store: Store) -> None:
        with pytest.raises(StoreError, match="The stored files 0123456789ab are gone"):
            store.get_snapshot("0123456789abcdef")

    # -- waking up -----------------------------------------------------------------------------

    def test_a_listener_in_another_process_wakes_when_its_run_changes(
        self, store: Store, site: Site, me: str
    ) -> None:
        run = put(store, State.RUNNING, me)
        changes: list[Callable[[], object]] = [
            lambda: store.append_log(run.id, me, [(1, b"x")]),
            lambda: store.append_event(run.id, "notice", {}),
            lambda: store.request_stop(run.id),
            lambda: store.move(run.id, me, State.FINISHED, NOTHING),
        ]
        for change in changes:
            with start(LISTEN, site.url, run.id, log_of(run.id)) as process:
                assert said(process) == "ready"
                change()
                assert said(process) == "True"

    def test_who_waits_for_a_run_sleeps_while_it_writes(self, store: Store, me: str) -> None:
        run = put(store, State.RUNNING, me)
        with store.listen(run.id) as listener, store.listen(log_of(run.id)) as reader:
            quiet(store, listener)
            quiet(store, reader)
            store.append_log(run.id, me, [(1, b"x")])
            assert heard(store, reader)
            assert not heard(store, listener)
            store.move(run.id, me, State.FINISHED, NOTHING)
            assert heard(store, listener)
            assert not heard(store, reader)

    def test_those_who_look_for_work_wake_when_there_is_some(
        self, store: Store, other: Store, me: str
    ) -> None:
        with other.listen(NEW_WORK) as listener:
            store.submit(SPEC, owner=me)
            assert not heard(store, listener)
            run = put(store, State.LEASED, me, QUEUE)
            assert listener.wait(5)
            store.move(run.id, me, State.PENDING, Change(reason="the engine is away"))
            assert listener.wait(5)

    def test_wait_returns_as_soon_as_it_holds(self, store: Store, other: Store, me: str) -> None:
        run = put(store, State.RUNNING, me)
        with ThreadPoolExecutor(1) as pool:
            ended = pool.submit(other.wait, run.id, lambda now: now.state.terminal, 60)
            store.move(run.id, me, State.FINISHED, NOTHING)
            assert ended.result(30) == store.get(run.id)

    def test_wait_gives_up_after_its_timeout(self, store: Store, me: str) -> None:
        run = put(store, State.RUNNING, me)
        assert store.wait(run.id, lambda now: now.state.terminal, 0) is None
        assert store.wait(run.id, lambda now: now.state.terminal, 0.01) is None
        assert store.wait(run.id, lambda now: now.state is State.RUNNING, 0) == run


@pytest.mark.postgres
class TestPostgresStore(StoreContract):
    """The store of many machines, on a real server."""

    @pytest.fixture
    def site(self, postgres: Server) -> Site:
        return postgres_site(postgres)


class TestSQLiteStore(StoreContract):
    """The embedded store."""

    @pytest.fixture
    def site(self, tmp_path: Path) -> Site:
        return sqlite_site(tmp_path / "own" / "launch.db")

    def test_everything_it_makes_is_for_its_user_alone(
        self, store: Store, me: str, tmp_path: Path
    ) -> None:
        before = os.umask(0)
        try:
            with contextlib.closing(open_store(f"sqlite:///{tmp_path}/new/a.db")) as made:
                run = made.submit(SPEC, owner=me)
                made.append_log(run.id, me, [(1, b"x")])
                made.append_sample(run.id, me, Sample(1.0, 0.0, 0))
                made.put_snapshot(b"x")
                with made.listen(run.id):
                    paths = [tmp_path / "new", *(tmp_path / "new").rglob("*")]
                    modes = {str(p): stat.S_IMODE(p.lstat().st_mode) for p in paths}
                    folders = {str(p) for p in paths if p.is_dir()}
        finally:
            os.umask(before)
        names = {"a.db", "a.db-wal", *(f"{run.id}.{kind}" for kind in ("log", "idx", "stat"))}
        assert names <= {p.name for p in paths}
        assert modes == {path: 0o700 if path in folders else 0o600 for path in modes}

    def test_a_log_is_a_plain_file(self, store: Store, me: str, tmp_path: Path) -> None:
        run = store.submit(SPEC, owner=me)
        store.append_log(run.id, me, [(1, b"one\n"), (2, b"two\n")])
        path = tmp_path / "own" / "launch.db.d" / "logs" / f"{run.id}.log"
        assert path.read_bytes() == b"one\ntwo\n"

    def test_a_sample_cut_off_by_a_full_disk_is_written_over(
        self, store: Store, me: str, tmp_path: Path
    ) -> None:
        run = store.submit(SPEC, owner=me)
        first, second = Sample(1.0, 0.5, 7), Sample(2.0, 0.5, 8, 9, 1.0, 3)
        store.append_sample(run.id, me, first)
        with (tmp_path / "own" / "launch.db.d" / "logs" / f"{run.id}.stat").open("ab") as file:
            file.write(b"half a record")
        assert store.samples(run.id) == [first]
        store.append_sample(run.id, me, second)
        assert store.samples(run.id) == [first, second]

    @pytest.mark.parametrize("state", [State.LEASED, State.RUNNING])
    def test_an_owner_that_wakes_up_in_the_middle_of_a_sweep_keeps_its_run(
        self,
        store: Store,
        other: Store,
        site: Site,
        monkeypatch: pytest.MonkeyPatch,
        state: State,
    ) -> None:
        me = new_owner()
        run = put(store, state, me, QUEUE)
        site.expire(run.id)
        look = store._file.rows  # type: ignore[attr-defined]

        def look_and_be_overtaken(statement: str, /, **values: object) -> list[sqlite3.Row]:
            rows: list[sqlite3.Row] = look(statement, **values)
            if statement == "owned":
                other.renew(me)
            return rows

        monkeypatch.setattr(store._file, "rows", look_and_be_overtaken)  # type: ignore[attr-defined]
        assert store.sweep(new_owner()) == []
        assert other.get(run.id) == run
