"""The embedded store where machines share no memory: all its promises, with a rollback journal."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from jupyter_launch.runs import Queue
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import Store

from .stores import Site, sqlite_site
from .test_stores import StoreContract, dead_owner  # noqa: F401 - a fixture

PROCESSES, EACH = 6, 40
WORK = (
    "import sys; from jupyter_launch.stores import open_store\n"
    "from jupyter_launch.runs import Queue; from jupyter_launch.spec import LaunchSpec\n"
    "from jupyter_launch.owner import new_owner\n"
    "store, queue, me = open_store(sys.argv[1]), Queue('ann', 'default'), new_owner()\n"
    "spec = LaunchSpec.from_dict({'docker': {'docker_image': 'tiny'}})\n"
    "for _ in range(int(sys.argv[2])):\n"
    "    print('put', store.submit(spec, queue=queue).id)\n"
    "    run = store.claim([queue], me, ()); store.renew(me); store.runs()\n"
    "    print('got', run and run.id)\n"
)


def journal(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        mode: str = connection.execute("PRAGMA journal_mode").fetchone()[0]
        return mode


class TestSQLiteOnANetworkFilesystem(StoreContract):
    @pytest.fixture
    def site(self, tmp_path: Path) -> Site:
        site = sqlite_site(tmp_path / "own" / "launch.db")
        return replace(site, url=f"{site.url}?journal=delete")

    def test_it_has_a_rollback_journal_for_all(self, store: Store, site: Site) -> None:
        path = Path(site.url.removeprefix("sqlite:///").partition("?")[0])
        assert store.url == site.url
        assert journal(path) == "delete"
        with contextlib.closing(open_store(f"sqlite:///{path}")) as unaware:
            assert unaware.id == store.id
            assert journal(path) == "delete"
        assert not Path(f"{path}-wal").exists()

    def test_many_at_once_wait_for_each_other(self, store: Store, site: Site) -> None:
        command = [sys.executable, "-c", WORK, site.url, str(EACH)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        workers = [
            subprocess.Popen(command, text=True, **pipes)  # type: ignore[call-overload]
            for _ in range(PROCESSES)
        ]
        said = [worker.communicate() for worker in workers]
        assert [errors for _, errors in said] == [""] * PROCESSES  # no "database is locked"
        lines = [line.split() for out, _ in said for line in out.splitlines()]
        put = [name for what, name in lines if what == "put"]
        got = Counter(name for what, name in lines if what == "got")
        assert len(put) == PROCESSES * EACH
        assert got == Counter(put)
        assert {store.get(name).state for name in put} == {State.LEASED}


def test_one_that_has_a_write_ahead_log_gets_the_other_journal(tmp_path: Path) -> None:
    path, queue = tmp_path / "launch.db", Queue("ann", "default")
    spec = LaunchSpec.from_dict({"docker": {"docker_image": "tiny"}})
    with contextlib.closing(open_store(f"sqlite:///{path}")) as store:
        run = store.submit(spec, queue=queue)
        assert journal(path) == "wal"
    with contextlib.closing(open_store(f"sqlite:///{path}?journal=delete")) as store:
        assert store.runs() == [run]
    assert journal(path) == "delete"
    with contextlib.closing(open_store(f"sqlite:///{path}?journal=wal")) as store:
        assert store.runs() == [run]
    assert journal(path) == "wal"
