"""Looking through, measuring and pruning: every store, and what only the embedded one can lose."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_launch.artifact import Output
from jupyter_launch.errors import StoreError
from jupyter_launch.frontends.cli import run as cli
from jupyter_launch.job import JobName
from jupyter_launch.owner import new_owner
from jupyter_launch.runs import Queue, Run, Sample
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores import open_store
from jupyter_launch.stores.artifact_verbs import Limits
from jupyter_launch.stores.base import Change, Store
from jupyter_launch.stores.upkeep_verbs import Sizes

from ..postgres import postgres, programs  # noqa: F401 - a fixture

QUEUE = Queue("ann", "default")
LONG_AGO_S = 10 * 86_400

ENDS = {
    State.FINISHED: [State.STARTING, State.RUNNING, State.FINISHED],
    State.FAILED: [State.STARTING, State.RUNNING, State.FAILED],
    State.CRASHED: [State.STARTING, State.CRASHED],
    State.STOPPED: [State.STOPPED],
    State.RUNNING: [State.STARTING, State.RUNNING],
    State.LEASED: [],
}

PRUNE = (
    "import sys; from jupyter_launch.stores import open_store\n"
    "from jupyter_launch.stores import sql_upkeep; sql_upkeep.BATCH = 3\n"
    "store = open_store(sys.argv[1]); print('ready', flush=True)\n"
    "sys.addaudithook(lambda name, _: name in ('os.rename', 'os.remove', 'shutil.rmtree',"
    " 'sqlite3.connect') and print(name, flush=True))\n"
    "store.prune(float(sys.argv[2])); print('done', flush=True)"
)


class Site:
    """A store of one kind, and what changes its records and files behind its back."""

    def __init__(
        self, url: str, execute: Callable[..., object], age: Callable[[str], None]
    ) -> None:
        self.url, self.execute, self.age_snapshot = url, execute, age


@pytest.fixture(params=["sqlite", "postgres"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    if request.param == "postgres":
        if programs() is None:
            pytest.skip("no PostgreSQL here")
        return postgres_site(request.getfixturevalue("postgres").new_database())
    return sqlite_site(tmp_path / "launch.db")


def sqlite_site(path: Path) -> Site:
    def execute(statement: str, *values: object) -> None:
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement, values)

    def age(name: str) -> None:
        before = time.time() - LONG_AGO_S
        os.utime(Path(f"{path}.d") / "snapshots" / name, (before, before))

    return Site(f"sqlite:///{path}", execute, age)


def postgres_site(url: str) -> Site:
    import psycopg  # noqa: PLC0415

    def execute(statement: str, *values: object) -> None:
        with psycopg.connect(url, options="-c search_path=jupyter_launch") as connection:
            connection.execute(statement.replace("?", "%s"), values)

    def age(name: str) -> None:
        execute(
            "UPDATE blobs SET begun = begun - 864000 "
            "WHERE id = (SELECT blob FROM snapshots WHERE name = ?)",
            name,
        )

    return Site(url, execute, age)


@pytest.fixture
def store(site: Site) -> Iterator[Store]:
    with contextlib.closing(open_store(site.url)) as made:
        yield made


def spec(snapshot: str | None = None) -> LaunchSpec:
    source = {"kind": "path", "path": "train.py", "main": "train.py", "snapshot": snapshot}
    return LaunchSpec.from_dict(
        {"entity": "ann", "source": source} if snapshot else {"docker": {"docker_image": "tiny"}}
    )


def put(
    store: Store, site: Site, state: State, *, days: float = 20, snapshot: str | None = None
) -> Run:
    """Make a run with a log, samples and an artifact, which ended so many days ago if it did."""
    me = new_owner()
    if state is State.PENDING:
        return store.submit(spec(snapshot), queue=QUEUE)
    run = store.submit(spec(snapshot), owner=me)
    store.append_log(run.id, me, [(1, b"out\n"), (2, b"err\n")])
    store.append_sample(run.id, me, Sample(1.0, 0.5, 7))
    output = Output("model.bin", 3, 1.0, read=lambda: io.BytesIO(b"abc"))
    store.keep_artifacts(run.id, me, [output], Limits())
    for step in ENDS[state]:
        run = store.move(run.id, me, step, Change())
    if state.terminal:
        site.execute("UPDATE runs SET ended = ? WHERE id = ?", time.time() - days * 86400, run.id)
    return store.get(run.id)


def everything(store: Store, run: Run) -> tuple[object, ...]:
    """All that a store has of a run."""
    return (
        store.find(run.id),
        store.events(run.id),
        store.read_log(run.id),
        store.log_pieces(run.id),
        store.samples(run.id),
        store.artifacts(run.id),
    )


NOTHING: tuple[object, ...] = (None, [], b"", [], [], [])


def prune(store: Store, days: float = 10, **asked: bool) -> Sizes:
    return store.prune(time.time() - days * 86400, **asked)


# -- pruning -----------------------------------------------------------------------------------


def test_runs_that_ended_long_ago_go_with_all_of_theirs(store: Store, site: Site) -> None:
    gone = [put(store, site, state) for state in ENDS if state.terminal]
    kept = [put(store, site, state) for state in (State.RUNNING, State.LEASED, State.PENDING)]
    kept += [put(store, site, State.FINISHED, days=5)]
    before = [everything(store, run) for run in kept]
    rows, size = prune(store)
    assert rows["runs"] == len(gone)
    assert rows["events"] == sum(len(ENDS[run.state]) for run in gone)
    assert size["artifacts"] >= 3 * len(gone)
    assert [everything(store, run) for run in gone] == [NOTHING] * len(gone)
    assert [everything(store, run) for run in kept] == before
    assert store.check() == []
    again = prune(store)
    assert not any((*again.rows.values(), *again.bytes.values()))


def test_a_dry_run_deletes_nothing_and_says_the_same(store: Store, site: Site) -> None:
    name = store.put_snapshot(b"old files")
    site.age_snapshot(name)
    run = put(store, site, State.FINISHED, snapshot=name)
    before = everything(store, run)
    said = prune(store, dry_run=True)
    assert everything(store, run) == before
    assert store.get_snapshot(name) == b"old files"
    assert prune(store) == said
    assert said.rows["runs"] == 1
    assert said.bytes["snapshots"] == len(b"old files")


def test_those_that_failed_can_be_kept(store: Store, site: Site) -> None:
    runs = {state: put(store, site, state) for state in ENDS if state.terminal}
    assert prune(store, keep_failed=True).rows["runs"] == 2
    left = {state for state, run in runs.items() if store.find(run.id)}
    assert left == {State.FAILED, State.CRASHED}


def test_what_is_still_at_its_backend_stays(store: Store, site: Site) -> None:
    run = put(store, site, State.FINISHED)
    site.execute("UPDATE runs SET handle = 'container' WHERE id = ?", run.id)
    assert not prune(store).rows
    store.clear_handle(run.id, "container")
    assert prune(store).rows["runs"] == 1


def test_many_runs_go_in_many_steps(
    store: Store, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_launch.stores.sql_upkeep.BATCH", 2)
    runs = [put(store, site, [State.FINISHED, State.RUNNING][n % 3 == 1]) for n in range(9)]
    assert prune(store).rows["runs"] == 6
    assert [run for run in runs if store.find(run.id)] == runs[1::3]


# -- snapshots ---------------------------------------------------------------------------------


def test_a_snapshot_goes_when_nobody_needs_it(store: Store, site: Site) -> None:
    names = {who: store.put_snapshot(who.encode()) for who in ("run", "job", "new", "old", "none")}
    for who in ("run", "job", "old", "none"):
        site.age_snapshot(names[who])
    put(store, site, State.RUNNING, snapshot=names["run"])
    put(store, site, State.FINISHED, snapshot=names["run"])
    put(store, site, State.FINISHED, snapshot=names["old"])
    job = JobName("ann", "proj", "train")
    content = {"spec": {"git": {"version": "abc", "snapshot": f"{'a' * 40}/{names['job']}"}}}
    store.put_job(job, content, ())
    prune(store)
    for who in ("run", "job", "new"):
        assert store.get_snapshot(names[who]) == who.encode()
    for who in ("old", "none"):
        with pytest.raises(StoreError, match="are gone"):
            store.get_snapshot(names[who])


def test_a_snapshot_that_was_just_handed_in_again_stays(store: Store, site: Site) -> None:
    name = store.put_snapshot(b"files")
    site.age_snapshot(name)
    assert store.put_snapshot(b"files") == name
    prune(store)
    assert store.get_snapshot(name) == b"files"


ends = st.sampled_from([*ENDS, State.PENDING])
made = st.lists(st.tuples(ends, st.sampled_from([1, 20]), st.integers(-1, 2)), max_size=6)


@settings(
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(made, st.booleans(), st.sampled_from([-1, 0, 2]))
def test_what_is_needed_is_never_deleted(
    store: Store, site: Site, runs: list[tuple[State, int, int]], keep_failed: bool, job: int
) -> None:
    texts = [hashlib.sha256(f"{store.id}{number}".encode()).digest() for number in range(3)]
    names = [store.put_snapshot(text) for text in texts]
    for name in names:
        site.age_snapshot(name)
    if job >= 0:
        store.put_job(JobName("ann", "p", "j"), {"source": {"snapshot": names[job]}}, ())
    before = {}
    for state, days, number in runs:
        snapshot = None if number < 0 else names[number]
        run = put(store, site, state, days=days, snapshot=snapshot)
        goes = {State.FINISHED, State.STOPPED} if keep_failed else {s for s in State if s.terminal}
        if days < 10 or state not in goes:
            before[run.id] = everything(store, run), number
    prune(store, keep_failed=keep_failed)
    for run_id, (was, number) in before.items():
        assert everything(store, store.get(run_id)) == was
        assert number < 0 or store.get_snapshot(names[number]) == texts[number]
    assert job < 0 or store.get_snapshot(names[job]) == texts[job]
    for run in store.runs(limit=1000):  # the next example begins with nothing
        site.execute("DELETE FROM events WHERE run_id = ?", run.id)
        site.execute("DELETE FROM runs WHERE id = ?", run.id)
    site.execute("DELETE FROM jobs")
    site.execute("DELETE FROM job_aliases")


@pytest.mark.parametrize("after", range(0, 40, 5))
def test_one_who_is_killed_leaves_nothing_that_the_next_does_not_delete(
    tmp_path: Path, after: int
) -> None:
    """Killed at its n-th step on files: the steps are those that the process announces."""
    site = sqlite_site(tmp_path / "launch.db")
    with contextlib.closing(open_store(site.url)) as store:
        runs = [put(store, site, State.FINISHED) for _ in range(7)]
        stays = put(store, site, State.FINISHED, days=1)
        whole = everything(store, stays)
        each = [everything(store, run) for run in runs]
        command = [sys.executable, "-c", PRUNE, site.url, str(time.time() - LONG_AGO_S)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(after + 1):
                process.stdout.readline()
            process.kill()
        for run, was in zip(runs, each, strict=True):
            # Rows go first: a run that can be found has all of its files.
            assert store.find(run.id) is None or everything(store, run) == was
        prune(store)
        assert everything(store, stays) == whole
        assert store.check() == []
        left = {path.stem for path in Path(tmp_path / "launch.db.d" / "logs").iterdir()}
        assert left == {stays.id}
        assert not (tmp_path / "launch.db.d" / "pruned").exists()


def test_writers_go_on_meanwhile(store: Store, site: Site) -> None:
    for _ in range(5):
        put(store, site, State.FINISHED)
    command = [sys.executable, "-c", PRUNE, site.url, str(time.time() - LONG_AGO_S)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        new = [put(store, site, State.RUNNING) for _ in range(5)]
        out, _ = process.communicate(timeout=60)
    assert out.endswith("done\n")
    assert [store.find(run.id) for run in new] == new
    assert len(store.runs()) == 5


# -- looking through ---------------------------------------------------------------------------


def test_a_store_in_use_is_whole(store: Store, site: Site) -> None:
    assert store.check() == []
    name = store.put_snapshot(b"files")
    for state in (*ENDS, State.PENDING):
        put(store, site, state, snapshot=name)
    assert store.check() == []


def test_sizes_count_what_is_there(store: Store, site: Site) -> None:
    assert store.sizes().rows["runs"] == 0
    assert store.oldest() is None
    first = put(store, site, State.FINISHED)
    put(store, site, State.PENDING)
    store.put_snapshot(b"12345")
    rows, size = store.sizes()
    assert (rows["runs"], rows["events"], rows["queues"]) == (2, 3, 1)
    assert size["snapshots"] == 5
    assert 3 <= size["artifacts"] < 200  # with its list, where that is a file
    assert size["logs"] >= 8
    assert store.oldest() == first.created


def test_gaps_in_events_are_found(store: Store, site: Site) -> None:
    run = put(store, site, State.FINISHED)
    site.execute("DELETE FROM events WHERE run_id = ? AND seq = 2", run.id)
    site.execute("INSERT INTO events VALUES ('nobody', 1, 1.0, 'notice', '{}')")
    gap, stray = store.check()
    assert gap.startswith(f"run {run.id}: its events have gaps")
    assert stray.startswith("1 events belong to no run")


def test_runs_whose_owner_is_gone_are_found(store: Store, site: Site) -> None:
    run = put(store, site, State.RUNNING)
    site.execute("UPDATE runs SET lease_until = 1 WHERE id = ?", run.id)
    (problem,) = store.check()
    assert problem.startswith(f"run {run.id} is running, and its owner is gone: start an agent")


def test_a_snapshot_that_is_needed_and_gone_is_found(store: Store, site: Site) -> None:
    gone = hashlib.sha256(b"gone").hexdigest()
    put(store, site, State.PENDING, snapshot=gone)
    put(store, site, State.FINISHED, snapshot=hashlib.sha256(b"of an old run").hexdigest())
    (problem,) = store.check()
    assert problem.startswith(f"snapshot {gone[:12]} is gone")


class TestFilesOfTheEmbeddedStore:
    @pytest.fixture
    def site(self, tmp_path: Path) -> Site:
        return sqlite_site(tmp_path / "launch.db")

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path / "launch.db.d"

    def test_files_of_no_run_are_found_and_deleted(
        self, store: Store, site: Site, folder: Path
    ) -> None:
        run = put(store, site, State.RUNNING)
        (folder / "logs" / "gone.log").write_bytes(b"12345")
        (folder / "artifacts" / "left.x7y" / "files").mkdir(parents=True)
        (problem,) = store.check()
        assert problem == (
            "2 runs that are gone left files (5 bytes): jupyter launch store prune deletes them"
        )
        assert prune(store, dry_run=True).bytes["logs"] == 5
        assert prune(store).bytes["logs"] == 5
        assert store.check() == []
        assert store.read_log(run.id) == b"out\nerr\n"

    def test_a_log_that_was_cut_off_is_found(self, store: Store, site: Site, folder: Path) -> None:
        cut, grown = put(store, site, State.FINISHED), put(store, site, State.FINISHED)
        at_work = put(store, site, State.RUNNING)
        os.truncate(folder / "logs" / f"{cut.id}.log", 6)
        for run in (grown, at_work):
            with (folder / "logs" / f"{run.id}.log").open("ab") as file:
                file.write(b"more")
        assert sorted(store.check()) == sorted(
            [
                f"run {cut.id}: the last 2 bytes of its log are lost",
                (
                    f"run {grown.id}: its log is whole, but it is not known of its last 4 bytes "
                    "when they came and from which stream"
                ),
            ]
        )

    def test_artifacts_that_are_not_whole_are_found(
        self, store: Store, site: Site, folder: Path
    ) -> None:
        cut, lost = put(store, site, State.FINISHED), put(store, site, State.FINISHED)
        os.truncate(folder / "artifacts" / cut.id / "files" / "model.bin", 1)
        (folder / "artifacts" / lost.id / "index.json").unlink()
        problems = sorted(store.check(), key=lambda text: "list" in text)
        assert problems[0] == f"run {cut.id}: artifacts are missing or cut off: model.bin"
        assert problems[1].startswith(f"run {lost.id}: the list of its artifacts is lost")

    def test_a_damaged_snapshot_is_found(self, store: Store, folder: Path) -> None:
        name = store.put_snapshot(b"files")
        (folder / "snapshots" / name).write_bytes(b"other")
        (problem,) = store.check()
        assert problem.startswith(f"snapshot {name[:12]} is damaged")

    def test_damage_in_the_file_is_found(self, store: Store, site: Site, tmp_path: Path) -> None:
        put(store, site, State.LEASED)
        store.close()
        with contextlib.closing(sqlite3.connect(tmp_path / "launch.db")) as connection, connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute(
                "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = 'runs_pending'",
                ("'pending'", "'leased'"),
            )
        assert any(f"{tmp_path}/launch.db is damaged (" in problem for problem in store.check())


# -- from a terminal ---------------------------------------------------------------------------


def test_the_command_line_says_what_was_done(
    store: Store, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--store", site.url]
    put(store, site, State.FINISHED)
    put(store, site, State.PENDING)
    assert cli(["store", "prune", *at, "--older-than", "2w", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("would delete 1 runs, 3 events, ")
    assert cli(["store", "prune", *at, "--older-than", "30d"]) == 0
    assert capsys.readouterr().out == "deleted nothing: no run ended so long ago\n"
    assert cli(["store", "prune", *at, "--older-than", "14d"]) == 0
    assert capsys.readouterr().out.startswith("deleted 1 runs, 3 events, ")
    assert cli(["store", "check", *at]) == 0
    assert capsys.readouterr().out.endswith(" is whole: 1 runs\n")
    assert cli(["store", "migrate", *at]) == 0
    assert " is up to date, in version " in capsys.readouterr().out
    assert cli(["store", "show", *at]) == 0
    assert "oldest run:" in capsys.readouterr().out


def test_trouble_is_the_exit_code(
    store: Store, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.execute("INSERT INTO events VALUES ('nobody', 1, 1.0, 'notice', '{}')")
    assert cli(["store", "check", "--store", site.url]) == 1
    assert "1 events belong to no run" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "30", "d", "30 days", "-1d", "1d1h", "٣d", "1e3d"])
def test_a_time_that_is_none_says_how_to_write_one(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--store", f"sqlite:///{tmp_path}/launch.db"]
    assert cli(["store", "prune", *at, f"--older-than={text}"]) == 2
    assert capsys.readouterr().err == (
        f"{text!r} is no duration.\n"
        "Write a number and one of s, m, h, d, w (weeks): 90s, 12h, 30d.\n"
    )
