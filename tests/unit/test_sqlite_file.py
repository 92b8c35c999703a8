"""The embedded store in trouble: what it says, and that nothing is lost when it is over."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_launch.errors import ConfigError, StoreUnavailable
from jupyter_launch.job import JobName
from jupyter_launch.owner import new_owner
from jupyter_launch.runs import Queue
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores import open_store, sqlite_file
from jupyter_launch.stores.base import Change, Store

SPEC = LaunchSpec.from_dict({"docker": {"docker_image": "tiny"}})
QUEUE = Queue("ann", "default")
NOBODY = 65534

ELSEWHERE = (
    "Make the folder writable, or keep the store elsewhere: "
    "set JUPYTER_LAUNCH_STORE=sqlite:////folder/launch.db"
)


FIRST_SCHEMA = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE runs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    spec_json TEXT NOT NULL,
    state TEXT NOT NULL,
    created REAL NOT NULL,
    entity TEXT,
    project TEXT,
    name TEXT,
    queue TEXT,
    priority INTEGER NOT NULL,
    secrets TEXT NOT NULL,
    resource TEXT,
    owner TEXT,
    lease_until REAL,
    handle TEXT,
    started REAL,
    ended REAL,
    exit_code INTEGER,
    reason TEXT NOT NULL DEFAULT '',
    parent TEXT,
    stop_requested INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX runs_pending ON runs (queue, priority, seq) WHERE state = 'pending';
CREATE INDEX runs_owned ON runs (owner) WHERE owner IS NOT NULL;
CREATE INDEX runs_left ON runs (ended) WHERE handle IS NOT NULL;
CREATE TABLE events (
    run_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;
CREATE TABLE queues (
    queue TEXT PRIMARY KEY,
    resource TEXT NOT NULL,
    config TEXT NOT NULL,
    created REAL NOT NULL
);
CREATE TABLE agents (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    queues TEXT NOT NULL,
    max_jobs INTEGER NOT NULL,
    started REAL NOT NULL,
    heartbeat REAL NOT NULL,
    status TEXT NOT NULL
);
PRAGMA user_version = 1;
"""
"""The tables of the first version, as it made them."""

BACK_TO_4 = """
DROP TRIGGER keep_leases;
DROP VIEW history;
ALTER TABLE runs DROP COLUMN leased;
ALTER TABLE runs DROP COLUMN lease_event;
PRAGMA user_version = 4;
"""

MAKE = (
    "import sys; from jupyter_launch.stores import open_store\n"
    "print('ready', flush=True); sys.stdin.readline(); print(open_store(sys.argv[1]).id)"
)


@contextlib.contextmanager
def holding(path: Path) -> Iterator[sqlite3.Connection]:
    """Be somebody else in the middle of a transaction."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with contextlib.closing(connection):
        connection.execute("BEGIN IMMEDIATE")
        yield connection


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Store]:
    with contextlib.closing(open_store(f"sqlite:///{path}")) as store:
        yield store


def why_not(path: Path) -> str:
    """Give the whole message with which a store cannot be opened and used."""
    with pytest.raises(StoreUnavailable) as failure, opened(path) as store:
        store.submit(SPEC, queue=QUEUE)
    return str(failure.value)


def damaged(path: Path, what: str) -> str:
    return (
        f"The store {path} {what}.\n"
        f"Move it away (mv {path} {path}.damaged) and a new one is made. The logs in "
        f"{path}.d/logs are plain text and stay readable."
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with one run in it, and a log."""
    path = tmp_path / "launch.db"
    with opened(path) as store:
        owner = new_owner()
        run = store.submit(SPEC.evolve(run_id="old"), owner=owner)
        store.append_log(run.id, owner, [(1, b"a line\n")])
    return path


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of somebody whom permissions bind: they do not bind root."""
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    if root:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    yield folder
    if root:
        os.seteuid(0)
    folder.chmod(0o700)
    shutil.rmtree(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:  # noqa: PLW1510
        pytest.skip("mounting a small disk takes root")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Write to a disk until it is full; give the file to remove."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 512)
    return filler


# -- no store at all ---------------------------------------------------------------------------


def test_an_unknown_scheme_names_the_known_ones() -> None:
    with pytest.raises(ConfigError) as failure:
        open_store("mysql://host/db")
    assert str(failure.value) == (
        "No store is known for 'mysql://...'.\nKnown schemes: postgres, postgresql, sqlite."
    )


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are my notes.\n" * 100, encoding="utf-8")
    before = path.read_bytes()
    what = "is damaged, or no store at all (file is not a database)"
    assert why_not(path) == damaged(path, what)
    assert path.read_bytes() == before


def test_a_path_below_a_file_is_no_place(path: Path) -> None:
    below = path / "below" / "launch.db"
    assert why_not(below) == f"The store {below} cannot be written: Not a directory.\n{ELSEWHERE}"


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    assert why_not(tmp_path) == (
        f"The store {tmp_path} cannot be written: Is a directory.\n{ELSEWHERE}"
    )


def test_the_folder_beside_it_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "launch.db.d").write_text("", encoding="utf-8")
    with pytest.raises(StoreUnavailable, match=r"launch\.db\.d cannot be made: File exists"):
        open_store(f"sqlite:///{tmp_path}/launch.db")


# -- damage ------------------------------------------------------------------------------------


def test_a_damaged_store_says_what_is_left_and_what_to_do(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xde" * (len(data) - 4096))
    message = why_not(path)
    assert message == damaged(path, "is damaged (database disk image is malformed)")
    assert Path(f"{path}.d/logs/old.log").read_bytes() == b"a line\n"
    path.rename(f"{path}.damaged")  # as it says
    with opened(path) as store:
        assert store.runs() == []
        assert store.submit(SPEC, queue=QUEUE) == store.runs()[0]


def test_a_store_cut_off_is_damaged(path: Path) -> None:
    os.truncate(path, 2 * 4096)
    assert why_not(path) == damaged(path, "is damaged (database disk image is malformed)")


def test_a_store_of_a_newer_version_is_left_alone(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    expected = (
        f"The store {path} was made by a newer jupyter_launch (schema 99, this one knows "
        f"{sqlite_file.SCHEMA_VERSION}).\n"
        "Upgrade: pip install -U jupyter_launch"
    )
    assert why_not(path) == expected
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT id FROM runs").fetchall() == [("old",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (99,)


def test_a_store_that_was_upgraded_meanwhile_stays_closed(path: Path) -> None:
    with opened(path) as store:
        store.close()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 99")
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="made by a newer jupyter_launch"):
                store.submit(SPEC, queue=QUEUE)


# -- of an older version -----------------------------------------------------------------------


@pytest.fixture
def old_path(tmp_path: Path) -> Path:
    """A store as the first version left it: one run that ended, one that waits."""
    path = tmp_path / "old.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(FIRST_SCHEMA)
        connection.execute("INSERT INTO about VALUES ('id', 'old-store')")
        connection.execute(
            "INSERT INTO runs (id, spec_json, state, created, priority, secrets, stop_requested)"
            " VALUES ('ended', ?, 'stopped', 1.5, 2, '[]', 1)",
            [SPEC.to_json()],
        )
        connection.execute("INSERT INTO queues VALUES ('ann/default', 'local-container', '{}', 1)")
        connection.execute(
            "INSERT INTO runs (id, spec_json, state, created, priority, secrets, queue, parent)"
            " VALUES ('waits', ?, 'pending', 2.5, 2, '[]', 'ann/default', 'ended')",
            [SPEC.to_json()],
        )
    return path


def test_a_store_of_the_first_version_goes_on(old_path: Path) -> None:
    with opened(old_path) as store:
        assert store.id == "old-store"
        ended, waits = store.get("ended"), store.get("waits")
        assert (ended.state, ended.created, ended.spec) == ("stopped", 1.5, SPEC)
        assert (ended.stop_requested, ended.kill_requested) == (True, False)
        owner = new_owner()
        claimed = store.claim([QUEUE], owner, ())
        assert claimed == waits.evolve(state=claimed and claimed.state, owner=owner)
        assert store.request_stop("waits", kill=True).kill_requested
        again = store.submit(SPEC, queue=QUEUE, parent="waits")
        assert [run.id for run in store.attempts(again.id)] == ["ended", "waits", again.id]


def test_a_run_that_an_older_version_leased_goes_on(old_path: Path) -> None:
    owner, leased = new_owner(), '{"state": "leased", "reason": "", "exit_code": null}'
    with contextlib.closing(sqlite3.connect(old_path)) as connection, connection:
        connection.execute(
            "UPDATE runs SET state = 'leased', owner = ? WHERE queue NOTNULL", [owner]
        )
        connection.execute("INSERT INTO events VALUES ('waits', 1, 3.5, 'state', ?)", [leased])
    with opened(old_path) as store:
        store.move("waits", owner, State.PENDING, Change("once more"))
        assert store.claim([QUEUE], owner, ())
        store.append_event("waits", "notice", {})
        events = store.events("waits")
        assert store.check() == []
    states = [event.data.get("state") for event in events]
    assert states == ["leased", "pending", "leased", None]
    assert [event.seq for event in events] == [1, 2, 3, 4]
    assert events[0].at == 3.5


def test_a_process_of_an_older_version_keeps_no_run_from_being_leased(path: Path) -> None:
    owner = new_owner()
    with opened(path) as store, contextlib.closing(sqlite3.connect(path)) as before:
        run = store.submit(SPEC, queue=QUEUE)
        assert store.claim([QUEUE], owner, ())
        with before:  # which does not look for numbers in the run's row
            before.execute("INSERT INTO events VALUES (?, 1, 1.5, 'notice', '{}')", [run.id])
        store.move(run.id, owner, State.PENDING, Change("once more"))
        assert store.claim([QUEUE], owner, ())
        events = store.events(run.id)
    told = [(event.seq, event.kind, event.data.get("state")) for event in events]
    assert told == [(1, "notice", None), (2, "state", "pending"), (3, "state", "leased")]


def test_an_older_store_knows_where_its_runs_were_launched(old_path: Path) -> None:
    source = {"kind": "cell", "body": "1", "notebook": "/a.ipynb", "cell": "c1"}
    kept = {"spec": {"source": source}}
    with opened(old_path) as store:
        store.put_job(JobName("ann", "p", "old"), kept, ())
    with contextlib.closing(sqlite3.connect(old_path)) as connection, connection:
        for run_id, part in (("ended", source), ("waits", {**source, "cell": None})):
            told = [json.dumps({"source": part}), run_id]
            connection.execute("UPDATE runs SET spec_json = ? WHERE id = ?", told)
        connection.executescript(BACK_TO_4)
    with opened(old_path) as store:
        assert [run.id for run in store.runs(notebook="/a.ipynb")] == ["waits", "ended"]
        specs = [store.get(run_id).spec for run_id in ("ended", "waits")]
        (job,) = store.jobs()
        assert job.spec.source == specs[0].source == specs[1].source
    assert [spec.origin.cell for spec in specs] == ["c1", None]


def test_an_upgraded_store_is_made_as_a_new_one(old_path: Path, path: Path) -> None:
    def shape(path: Path) -> tuple[object, ...]:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            columns = connection.execute("SELECT name, type FROM pragma_table_info('runs')")
            others = (
                "SELECT name, sql FROM sqlite_schema"
                " WHERE name NOT IN ('runs', 'sqlite_sequence') ORDER BY name"
            )
            version = connection.execute("PRAGMA user_version").fetchone()
            return version, columns.fetchall(), connection.execute(others).fetchall()

    with opened(old_path):
        pass
    assert shape(old_path) == shape(path)


def test_an_upgrade_that_fails_leaves_everything_as_it_was(old_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(old_path)) as connection:
        before = list(connection.iterdump())
        connection.execute("CREATE VIEW runs_parent AS SELECT 1")  # in the way of the last step
        assert "already a" in why_not(old_path)
        connection.execute("DROP VIEW runs_parent")
        assert list(connection.iterdump()) == before
    with opened(old_path) as store:
        assert store.get("waits").kill_requested is False


def test_who_has_an_old_store_open_goes_on_when_another_upgrades_it(old_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(old_path, isolation_level=None)) as before:
        before.row_factory = sqlite3.Row
        assert len(before.execute("SELECT * FROM runs").fetchall()) == 2
        with opened(old_path) as store:
            store.request_stop("waits")
        row = before.execute("SELECT * FROM runs WHERE id = 'waits'").fetchone()
        assert (row["state"], row["stop_requested"]) == ("stopped", 0)


# -- not writable ------------------------------------------------------------------------------


def test_a_folder_that_is_not_writable_says_so(folder: Path) -> None:
    folder.chmod(0o500)
    for path in (folder / "launch.db", folder / "below" / "launch.db"):
        assert why_not(path) == (
            f"The store {path} cannot be written: Permission denied.\n{ELSEWHERE}"
        )


def test_a_store_that_became_read_only_goes_on_when_it_is_writable_again(folder: Path) -> None:
    path = folder / "launch.db"
    with opened(path) as store:
        store.submit(SPEC.evolve(run_id="old"), queue=QUEUE)
    path.chmod(0o400)
    assert why_not(path) == f"The store {path} cannot be written: Permission denied.\n{ELSEWHERE}"
    path.chmod(0o600)
    folder.chmod(0o500)
    assert why_not(path) == (
        f"The store {path} cannot be written: the file or its folder is read-only "
        f"(attempt to write a readonly database).\n{ELSEWHERE}"
    )
    folder.chmod(0o700)
    with opened(path) as store:
        assert [run.id for run in store.runs()] == ["old"]
        store.submit(SPEC, queue=QUEUE)


# -- no space ----------------------------------------------------------------------------------


def test_a_full_disk_loses_nothing(small_disk: Path) -> None:
    path, me = small_disk / "launch.db", new_owner()
    with opened(path) as store:
        run = store.submit(SPEC, owner=me)
        store.append_log(run.id, me, [(1, b"before\n")])
        before = store.get(run.id)
        filler = fill(small_disk)

        with pytest.raises(StoreUnavailable) as failure:
            store.submit(SPEC, queue=QUEUE)
        assert str(failure.value) == (
            f"The store {path} cannot be written: the disk is full (database or disk is full).\n"
            "Nothing was recorded and what is there is unharmed. Free some space and try again."
        )
        with pytest.raises(StoreUnavailable) as failure:
            store.append_log(run.id, me, [(1, b"x" * 20_000)])
        assert str(failure.value) == (
            f"The log {path}.d/logs/{run.id}.log cannot be written: No space left on device.\n"
            "The program goes on, and its output is fetched once there is space again."
        )
        with pytest.raises(StoreUnavailable) as failure:
            store.put_snapshot(os.urandom(20_000))
        assert "cannot be written: No space left on device" in str(failure.value)
        assert "Nothing was launched. Free some space and try again." in str(failure.value)
        assert store.runs() == [before]

        filler.unlink()
        stored = store.log_position(run.id)
        rest = b"x" * (20_000 - (stored.stdout - len(b"before\n")))
        store.append_log(run.id, me, [(1, rest), (2, b"after\n")])
        assert store.read_log(run.id) == b"before\n" + b"x" * 20_000 + b"after\n"
        added = store.submit(SPEC, queue=QUEUE)
        assert store.runs() == [added, before]
        assert sorted(p.name for p in Path(f"{path}.d/snapshots").iterdir()) == []


def test_a_store_that_found_no_space_for_itself_can_be_made_later(small_disk: Path) -> None:
    filler = fill(small_disk)
    path = small_disk / "launch.db"
    assert "cannot be written: the disk is full" in why_not(path)
    filler.unlink()
    with opened(path) as store:
        store.submit(SPEC, queue=QUEUE)


# -- in use ------------------------------------------------------------------------------------


def test_a_store_that_others_hold_for_too_long_says_so(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_S", 0.05)
    with opened(path) as store, holding(path) as holder:
        with pytest.raises(StoreUnavailable) as failure:
            store.submit(SPEC, queue=QUEUE)
        assert str(failure.value) == (
            f"The store {path} was held by another process for more than 60 s "
            "(database is locked).\n"
            "Try again; if it stays so, look for a stopped process that uses it."
        )
        assert [run.id for run in store.runs()] == ["old"]
        holder.execute("ROLLBACK")
        store.submit(SPEC, queue=QUEUE)


def test_a_store_that_others_hold_for_a_while_is_waited_for(path: Path) -> None:
    with opened(path) as store, holding(path) as holder:
        release = threading.Timer(0.1, holder.execute, ["COMMIT"])
        release.start()
        run = store.submit(SPEC, queue=QUEUE)
        release.join()
        assert store.get(run.id) == run


def test_two_who_make_a_store_at_once_make_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAKE, f"sqlite:///{tmp_path}/launch.db"]
    makers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for maker in makers:
        assert maker.stdout is not None
        assert maker.stdout.readline() == "ready\n"
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("go\n")
        maker.stdin.flush()
    ids = {maker.communicate()[0].strip() for maker in makers}
    with opened(tmp_path / "launch.db") as store:
        assert ids == {store.id}
