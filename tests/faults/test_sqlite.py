"""The embedded store under many processes: killed in the middle of a write, and the disk full."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jupyter_launch.runs import QueueRecord
from jupyter_launch.stores import open_store

from .conftest import LONG
from .hammer import QUEUE
from .hammering import HAMMER, Hammered, hammer

SECONDS = 60 if LONG else 6


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kills_every", [None, SECONDS / 12], ids=["in peace", "killed"])
def test_eight_processes_at_once(
    tmp_path: Path, figures: Callable[..., None], kills_every: float | None
) -> None:
    path = tmp_path / "launch.db"
    with closing(open_store(f"sqlite:///{path}")) as store:
        store.create_queue(QueueRecord(QUEUE, "local-process"))
        result = hammer(store.url, tmp_path / "said", SECONDS, kills_every=kills_every)
        figures(**result.check(store))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on a disk of 16 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk takes root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.timeout(300)
def test_on_a_disk_that_fills_up(
    small_disk: Path, tmp_path: Path, figures: Callable[..., None]
) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(15_000_000))
    url = f"sqlite:///{small_disk}/launch.db"
    with closing(open_store(url)) as store:
        store.create_queue(QueueRecord(QUEUE, "local-process"))
    said = tmp_path / "said"
    said.mkdir()
    for number in range(4):  # each goes on until the disk is full
        with (said / f"{number}.out").open("wb") as out, (tmp_path / "err").open("wb") as err:
            command = [sys.executable, str(HAMMER), url, "30", "both"]
            assert subprocess.run(command, stdout=out, stderr=err, check=False).returncode == 1
        told = (tmp_path / "err").read_text().splitlines()
        assert any("the disk is full" in line for line in told), told[-3:]
    ballast.unlink()
    after = hammer(url, tmp_path / "after", 1, processes=2)
    with closing(open_store(url)) as store:
        figures(**Hammered(kills=8).take(said).take(tmp_path / "after").check(store))
    assert after.submitted, "it can be written again"
