"""A PostgreSQL store when its server goes away, and when it cannot be opened at all."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psycopg
import pytest

from jupyter_launch.agent import Serving
from jupyter_launch.errors import ConfigError, IllegalTransition, StoreError, StoreUnavailable
from jupyter_launch.job import JobName
from jupyter_launch.owner import new_owner
from jupyter_launch.runs import LogPosition, Queue
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores import open_store, postgres_schema
from jupyter_launch.stores.base import Change
from jupyter_launch.stores.postgres import PostgresStore
from jupyter_launch.stores.postgres_database import PostgresDatabase, bound
from jupyter_launch.stores.postgres_pool import KEPT, MOST, Pool
from jupyter_launch.stores.postgres_url import Connection, TryAgain, connect, shown
from jupyter_launch.stores.sql import statements
from jupyter_launch.submit import Launcher
from tests.postgres import PASSWORD, Server, running

pytestmark = pytest.mark.postgres

SPEC = LaunchSpec.from_dict({"docker": {"docker_image": "tiny"}})
QUEUE = Queue("ann", "default")
NOTHING = Change()


@pytest.fixture
def store(postgres: Server) -> Iterator[PostgresStore]:
    with contextlib.closing(PostgresStore(postgres.new_database())) as made:
        yield made


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    """A server that is killed, and keeps what it said it kept."""
    with running(settings=()) as server:
        yield server


class Cut:
    """Cuts a store's connections when it runs a certain statement, before or after that."""

    def __init__(
        self, store: PostgresStore, monkeypatch: pytest.MonkeyPatch, statement: str, *, after: bool
    ) -> None:
        self._statement, self._after = statement, after
        self.left = 1
        run = PostgresDatabase._run

        def cut(
            db: PostgresDatabase,
            connection: Connection,
            name: str,
            values: dict[str, object],
        ) -> Sequence[object]:
            hit = name == statement and self.left
            if hit and not after:
                self._now(connection)
            rows = run(db, connection, name, values)
            if hit and after:
                self._now(connection)
                raise TryAgain("cut")
            return rows

        monkeypatch.setattr(PostgresDatabase, "_run", cut)

    def _now(self, connection: psycopg.Connection[dict[str, object]]) -> None:
        self.left -= 1
        connection.close()


@pytest.mark.parametrize("after", [False, True])
class TestCut:
    """Whenever a connection is lost, a verb is done once."""

    def test_a_submit(
        self, store: PostgresStore, monkeypatch: pytest.MonkeyPatch, after: bool
    ) -> None:
        store.ensure_queue(QUEUE)
        cut = Cut(store, monkeypatch, "insert_run", after=after)
        run = store.submit(SPEC.evolve(run_id="mine"), queue=QUEUE)
        assert cut.left == 0
        assert [found.id for found in store.runs()] == [run.id] == ["mine"]

    def test_a_claim(
        self, store: PostgresStore, monkeypatch: pytest.MonkeyPatch, after: bool
    ) -> None:
        runs = [store.submit(SPEC, queue=QUEUE).id for _ in range(2)]
        me = new_owner()
        cut = Cut(store, monkeypatch, "claim", after=after)
        claimed = store.claim([QUEUE], me, ())
        assert cut.left == 0
        assert claimed is not None
        assert [run.id for run in store.renew(me)] == [claimed.id] == runs[:1]
        assert [event.data["state"] for event in store.events(claimed.id)] == ["leased"]

    @pytest.mark.parametrize("statement", ["lock_run", "append_event", "move"])
    def test_a_move(
        self, store: PostgresStore, monkeypatch: pytest.MonkeyPatch, after: bool, statement: str
    ) -> None:
        me = new_owner()
        run = store.submit(SPEC, owner=me)
        cut = Cut(store, monkeypatch, statement, after=after)
        moved = store.move(run.id, me, State.STARTING, NOTHING)
        assert cut.left == 0
        assert store.get(run.id) == moved
        assert [event.seq for event in store.events(run.id)] == [1]

    @pytest.mark.parametrize("statement", ["lock_owner", "append_log"])
    def test_a_piece_of_a_log(
        self, store: PostgresStore, monkeypatch: pytest.MonkeyPatch, after: bool, statement: str
    ) -> None:
        me = new_owner()
        run = store.submit(SPEC, owner=me)
        store.append_log(run.id, me, [(1, b"one ")])
        cut = Cut(store, monkeypatch, statement, after=after)
        store.append_log(run.id, me, iter([(1, b"two "), (2, b"three")]))
        assert cut.left == 0
        assert store.read_log(run.id) == b"one two three"
        assert store.log_position(run.id) == LogPosition(8, 5)


@pytest.mark.parametrize("committed", [False, True])
def test_a_step_whose_last_answer_is_lost_is_done_once(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    me = new_owner()
    run = store.submit(SPEC, owner=me)
    commit = PostgresDatabase._commit
    lost: list[object] = []

    def lose(db: PostgresDatabase, step: object) -> None:
        if not lost:
            lost.append(step)
            if committed:
                commit(db, step)  # type: ignore[arg-type]
            step.connection.close()  # type: ignore[attr-defined]
            raise TryAgain("cut")
        commit(db, step)  # type: ignore[arg-type]

    monkeypatch.setattr(PostgresDatabase, "_commit", lose)
    store.append_log(run.id, me, [(1, b"once")])
    assert lost
    assert store.read_log(run.id) == b"once"


def test_a_step_the_server_still_thinks_is_under_way_is_ended_there(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = new_owner()
    run = store.submit(SPEC, owner=me)
    commit = PostgresDatabase._commit
    lost: list[object] = []

    def lose(db: PostgresDatabase, step: object) -> None:
        if not lost:
            # The network lost it: neither side has closed the connection.
            lost.append(os.dup(step.connection.fileno()))  # type: ignore[attr-defined]
            raise TryAgain("cut")
        commit(db, step)  # type: ignore[arg-type]

    monkeypatch.setattr(PostgresDatabase, "_commit", lose)
    assert store.move(run.id, me, State.STARTING, NOTHING).state is State.STARTING
    assert len(store.events(run.id)) == 1


def test_a_server_that_is_restarted_is_waited_for(mortal: Server) -> None:
    me = new_owner()
    with (
        contextlib.closing(PostgresStore(mortal.new_database())) as store,
        ThreadPoolExecutor(2) as pool,
        store.listen(me) as listener,
    ):
        run = store.submit(SPEC, owner=me)
        mortal.stop()
        asked = pool.submit(store.get, run.id)
        written = pool.submit(store.append_log, run.id, me, [(1, b"late")])
        mortal.start()
        assert asked.result(60) == run
        written.result(60)
        assert store.read_log(run.id) == b"late"
        assert listener.wait(30), "what happened meanwhile was not heard"
        while listener.wait(1):
            pass
        store.request_stop(run.id)
        assert listener.wait(30)


def test_claims_are_announced_by_whoever_listens_before_and_after_a_restart(
    mortal: Server,
) -> None:
    url, me = mortal.new_database(), new_owner()
    with (
        contextlib.closing(PostgresStore(url)) as here,
        contextlib.closing(PostgresStore(url)) as elsewhere,
        here.listen("work") as listener,
    ):

        def heard_elsewhere() -> bool:
            run = here.submit(SPEC, queue=QUEUE)
            with elsewhere.listen(run.id) as bell:
                while bell.wait(0.5):
                    pass  # one that has just connected looks once
                assert here.claim([QUEUE], me, ()) == here.get(run.id)
                return bell.wait(30)

        assert heard_elsewhere()
        mortal.stop()
        mortal.start()
        assert listener.wait(30), "the connection that listens was not made again"
        assert heard_elsewhere()


def test_every_claim_is_announced(store: PostgresStore) -> None:
    me = new_owner()
    with (
        contextlib.closing(PostgresStore(store.address)) as elsewhere,
        store.listen("work"),
    ):
        for _ in range(200):
            run = store.submit(SPEC, queue=QUEUE)
            with elsewhere.listen(run.id) as bell:
                assert store.claim([QUEUE], me, ()) == store.get(run.id)
                assert bell.wait(10)


def test_what_was_submitted_survives_a_killed_server_and_none_twice(mortal: Server) -> None:
    url = mortal.new_database()
    recorded: list[str] = []
    enough = threading.Event()

    def submit(own: PostgresStore) -> None:
        while not enough.is_set():
            recorded.append(own.submit(SPEC, queue=QUEUE).id)

    with contextlib.ExitStack() as stack:
        stores = [stack.enter_context(contextlib.closing(PostgresStore(url))) for _ in range(3)]
        stores[0].submit(SPEC.evolve(run_id="first"), queue=QUEUE)
        pool = stack.enter_context(ThreadPoolExecutor(3))
        threads = [pool.submit(submit, own) for own in stores]
        for _ in range(2):
            before = len(recorded)
            while len(recorded) < before + 20:
                assert not any(thread.done() for thread in threads)
            mortal.kill()
            mortal.start()
        enough.set()
        assert [thread.result(60) for thread in threads] == [None] * 3
        found = Counter(run.id for run in stores[0].runs(limit=100_000))
        assert found == Counter([*recorded, "first"])


def test_a_server_that_stays_away_is_an_error_that_says_so(
    mortal: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_launch.stores.postgres_database.PATIENCE_S", 0.3)
    with contextlib.closing(PostgresStore(mortal.new_database())) as store:
        mortal.stop()
        try:
            with pytest.raises(StoreUnavailable, match="does not answer") as failure:
                store.runs()
        finally:
            mortal.start()
        assert "See that the server runs" in failure.value.hint
        assert PASSWORD not in str(failure.value)
        assert store.runs() == []


def test_an_agent_says_that_its_store_is_gone_and_that_it_is_back(
    mortal: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_launch.stores.postgres_database.PATIENCE_S", 0.3)
    monkeypatch.setattr("jupyter_launch.agent.TRY_AGAIN_S", 0.1)
    said: queue.Queue[str] = queue.Queue()
    with (
        contextlib.closing(PostgresStore(mortal.new_database())) as store,
        contextlib.closing(Launcher(store)) as launcher,
    ):
        agent = Serving(launcher, [QUEUE])
        agent.say = said.put
        thread = threading.Thread(target=agent.run)
        thread.start()
        mortal.stop()
        try:
            line = said.get(timeout=60)
        finally:
            mortal.start()
        assert "does not answer" in line
        assert line.endswith("What runs goes on; trying again.")
        assert said.get(timeout=60) == "the store answers again"
        agent.drain()
        thread.join(60)
        assert not thread.is_alive()
        assert said.empty()
        assert store.agents() == []


def test_a_wrong_move_is_not_tried_again(store: PostgresStore) -> None:
    me = new_owner()
    run = store.submit(SPEC, owner=me)
    with pytest.raises(IllegalTransition):
        store.move(run.id, me, State.FINISHED, NOTHING)
    assert store.events(run.id) == []


# -- connections -------------------------------------------------------------------------------


@pytest.fixture
def pool(postgres: Server) -> Iterator[Pool]:
    with contextlib.closing(Pool(partial(connect, postgres.new_database()))) as made:
        yield made


def test_a_thread_that_finds_all_connections_lent_waits_for_one(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent = [pool.take() for _ in range(MOST)]
    assert len({connection.info.backend_pid for connection in lent}) == MOST
    with ThreadPoolExecutor() as threads:
        waiting = [threads.submit(pool.take) for _ in range(2)]
        for connection in lent[:2]:
            pool.give_back(connection)
        assert {taken.result(60) for taken in waiting} == {*lent[:2]}
    monkeypatch.setattr("jupyter_launch.stores.postgres_pool.WAIT_S", 0.05)
    with pytest.raises(StoreUnavailable, match="No connection to the store was free"):
        pool.take()
    for connection in lent:
        pool.give_back(connection)
    assert sum(not connection.closed for connection in lent) == KEPT


def test_a_connection_that_was_lost_or_is_in_a_transaction_is_not_lent_again(pool: Pool) -> None:
    for spoil in ("BEGIN", "SELECT pg_terminate_backend(pg_backend_pid())"):
        with pool.borrowed() as connection, contextlib.suppress(psycopg.OperationalError):
            connection.execute(spoil)
        assert connection.closed
        with pool.borrowed() as other:
            assert other is not connection
            assert other.execute("SELECT 1 AS one").fetchone() == {"one": 1}


def test_a_connection_that_cannot_be_made_takes_up_no_room(pool: Pool) -> None:
    def refuse() -> Connection:
        raise StoreUnavailable("not now")

    make, pool._make = pool._make, refuse
    for _ in range(2 * MOST):
        with pytest.raises(StoreUnavailable, match="not now"):
            pool.take()
    pool._make = make
    for connection in [pool.take() for _ in range(MOST)]:
        pool.give_back(connection)


# -- opening -----------------------------------------------------------------------------------


def test_processes_that_open_an_empty_database_at_once_all_succeed(postgres: Server) -> None:
    url = postgres.new_database()
    code = (
        "import sys; from jupyter_launch.stores import open_store; sys.stdin.readline()\n"
        "print(open_store(sys.argv[1]).id)"
    )
    command = [sys.executable, "-c", code, url]
    openers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("go\n")
        opener.stdin.flush()
    said = [opener.communicate(timeout=60)[0].strip() for opener in openers]
    assert len({*said}) == 1
    assert len(said[0]) == 12


def test_a_newer_schema_is_refused_and_an_older_one_brought_up_to_date(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.new_database()
    PostgresStore(url).close()
    newer = postgres_schema.SCHEMA_VERSION + 1
    monkeypatch.setattr(postgres_schema, "SCHEMA_VERSION", newer)
    upgrade = {f"upgrade_{newer - 1}": "ALTER TABLE runs ADD COLUMN note text"}
    monkeypatch.setattr(
        "jupyter_launch.stores.postgres_database.statements",
        lambda dialect: statements(dialect) | upgrade,
    )
    with contextlib.closing(PostgresStore(url)) as store:
        store.submit(SPEC, queue=QUEUE)
        assert store.schema.found == newer - 1
        assert "note" in store._db.rows("list", limit=1)[0]
    monkeypatch.undo()
    with pytest.raises(StoreUnavailable, match=f"newer jupyter_launch .schema {newer}") as refused:
        open_store(url)
    assert refused.value.hint == "Upgrade: pip install -U jupyter_launch"


def test_an_older_store_knows_where_its_runs_were_launched(postgres: Server) -> None:
    url = postgres.new_database()
    source = {"kind": "cell", "body": "1", "notebook": "/a.ipynb", "cell": "c1"}
    config = {"lr": 1e-4, "name": "Größe"}
    with contextlib.closing(PostgresStore(url)) as store:
        cell, image = store.submit(SPEC, queue=QUEUE), store.submit(SPEC, queue=QUEUE)
        store.put_job(JobName("ann", "p", "old"), {"spec": {"source": source}}, ())
    with psycopg.connect(url, options="-c search_path=jupyter_launch") as connection:
        told = json.dumps({"source": source, "overrides": {"run_config": config}})
        connection.execute("UPDATE runs SET spec_json = %s WHERE id = %s", [told, cell.id])
        connection.execute("UPDATE about SET value = '1' WHERE key = 'schema'")
        connection.execute("DROP VIEW history")
    with contextlib.closing(PostgresStore(url)) as store:
        assert store.schema.found == 1
        assert [run.id for run in store.runs(notebook="/a.ipynb")] == [cell.id]
        spec, (job,) = store.get(cell.id).spec, store.jobs()
        assert (spec.origin.notebook, spec.origin.cell) == ("/a.ipynb", "c1")
        assert spec.overrides.run_config == config
        assert job.spec.source == spec.source
        assert store.get(image.id).spec == SPEC


def test_what_is_wrong_with_a_url_is_said_without_its_password(postgres: Server) -> None:
    good = postgres.url("postgres")
    port = f":{postgres.port}/"
    wrong = {
        good.replace(PASSWORD, "wr0ng-word"): "refuses the password",
        good.replace(f":{PASSWORD}", ""): "wants a password",
        postgres.url("nowhere"): "does not have the database",
        good.replace("127.0.0.1", "no-such-host.invalid"): "names a host that is unknown",
        good.replace(port, ":1/"): "does not answer",
        good.replace(port, ":port/"): "cannot be read",
    }
    for url, what in wrong.items():
        with pytest.raises((StoreUnavailable, ConfigError), match=what) as failure:
            open_store(url)
        assert failure.value.hint
        for secret in (PASSWORD, "wr0ng-word"):
            assert secret not in str(failure.value)


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("postgresql://ann:pw@h:1/d", "postgresql://ann@h:1/d"),
        ("postgresql://ann:p@w:/x@h/d", "postgresql://ann@h/d"),
        ("postgresql://h/d?password=pw&sslmode=require", "postgresql://h/d?sslmode=require"),
        ("postgresql://h/d?user=ann&password=pw", "postgresql://h/d?user=ann"),
        ("postgresql:///d", "postgresql:///d"),
        ("postgres://ann@h:1/d", "postgres://ann@h:1/d"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, seen: str) -> None:
    assert shown(url) == seen


def test_without_psycopg_the_extra_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from jupyter_launch.stores import open_store\n"
        "open_store('postgresql://ann:pw@h/d')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "pip install 'jupyter_launch[postgres]'" in ended.stderr
    assert "pw@" not in ended.stderr.splitlines()[-1] + ended.stderr.splitlines()[-2]


def test_names_are_bound_and_nothing_else() -> None:
    text = "SELECT :a::text, 'x%', '{\"k\": 1}', b::int FROM t WHERE c = :c_1 AND d LIKE '%:'"
    assert bound(text) == (
        "SELECT %(a)s::text, 'x%%', '{\"k\": 1}', b::int FROM t WHERE c = %(c_1)s AND d LIKE '%%:'"
    )


def test_zero_bytes_in_a_program_do_no_harm(store: PostgresStore) -> None:
    body = 'print("\0 \\u0000 \\\\u0000")'
    spec = LaunchSpec.from_dict({"source": {"kind": "cell", "body": body}})
    run = store.submit(spec, queue=QUEUE)
    assert store.get(run.id).spec.source.body == body  # type: ignore[union-attr]
    assert [found.id for found in store.runs(text="print")] == [run.id]
    assert json.loads(run.spec_json)["source"]["body"] == body


def test_a_long_topic_rings(store: PostgresStore) -> None:
    topic = "é" * 9000
    with store.listen(topic) as listener:
        store._ring(topic)
        assert listener.wait(10)


def test_many_topics_ring_at_once_whatever_they_are(store: PostgresStore) -> None:
    topics = [f"{number:04}" + "\U0001f514" * 245 for number in range(40)] + ["two\nlines", "plain"]
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(store.listen(topic)) for topic in topics]
        other = stack.enter_context(store.listen("two"))
        store._ring_soon(*topics)
        assert [
            topic for topic, heard in zip(topics, listeners, strict=True) if not heard.wait(10)
        ] == []
        assert not other.wait(0.2)


def test_files_that_were_never_finished_are_cleared_away(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = store.put_snapshot(b"x" * 3_000_000)
    monkeypatch.setattr("jupyter_launch.stores.postgres_files.FileVerbs._named", _fail)
    monkeypatch.setattr("jupyter_launch.stores.postgres_database.PATIENCE_S", 0)
    with pytest.raises(StoreUnavailable):
        store.put_snapshot(b"y" * 3_000_000)
    with psycopg.connect(store.address, autocommit=True) as connection:

        def count() -> int:
            (number,) = connection.execute("SELECT count(*) FROM jupyter_launch.blobs").fetchall()
            return int(number[0])

        assert count() == 1, "it was cleared away at once"
        connection.execute("INSERT INTO jupyter_launch.blobs (begun) VALUES (0)")
        monkeypatch.undo()
        store.put_snapshot(b"z")
        assert count() == 2
    assert store.get_snapshot(name) == b"x" * 3_000_000


def test_a_snapshot_that_was_damaged_is_stored_anew(store: PostgresStore) -> None:
    name = store.put_snapshot(b"whole")
    with psycopg.connect(store.address, autocommit=True) as connection:
        connection.execute("UPDATE jupyter_launch.blob_chunks SET data = 'hole'")
    with pytest.raises(StoreError, match="were damaged"):
        store.get_snapshot(name)
    assert store.put_snapshot(b"whole") == name
    assert store.get_snapshot(name) == b"whole"


def _fail(*_: object) -> bool:
    raise StoreUnavailable("The server is gone.")
