"""Which journal a SQLite file gets, and where that is told from."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_launch.errors import ConfigError, StoreUnavailable
from jupyter_launch.stores import open_store, sqlite_file, sqlite_journal
from jupyter_launch.stores.sqlite_journal import filesystem, shared, split

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
25 22 0:23 / /proc rw - proc proc rw
31 22 0:40 / /home rw,relatime shared:5 master:2 - nfs4 server:/home rw,vers=4.2
32 31 0:41 / /home/ann/fast\\040disk rw - xfs /dev/vdb rw
33 22 0:42 / /mnt/c rw - 9p drvfs rw
34 22 0:43 / /remote rw - fuse.sshfs ann@host:/ rw
35 22 0:44 / /over rw - nfs server:/over rw
36 35 0:45 / /over rw - tmpfs none rw
not a mount at all
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/launch.db", "ext4"),
        ("/home/ann/launch.db", "nfs4"),
        ("/homes/launch.db", "ext4"),
        ("/home/ann/fast disk/launch.db", "xfs"),
        ("/mnt/c/Users/launch.db", "9p"),
        ("/remote/launch.db", "fuse.sshfs"),
        ("/over/launch.db", "tmpfs"),
    ],
)
def test_a_path_is_on_the_filesystem_mounted_nearest_to_it(path: str, kind: str) -> None:
    assert filesystem(Path(path), MOUNTS) == kind


@given(st.text(), st.text(st.characters(exclude_characters="\0")))
def test_no_list_of_mounts_is_too_strange(mounts: str, path: str) -> None:
    filesystem(Path("/", path), mounts)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux has the list of mounts")
class TestOnThisMachine:
    @pytest.fixture
    def network(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A folder that the system's list calls one of another machine."""
        folder = tmp_path / "net"
        folder.mkdir()
        mounts = tmp_path / "mountinfo"
        mounts.write_text(
            f"1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 0:9 / {folder} rw - nfs4 server:/x rw\n"
        )
        monkeypatch.setattr(sqlite_journal, "MOUNTS", mounts)
        return folder

    def mode(self, path: Path) -> str:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            mode: str = connection.execute("PRAGMA journal_mode").fetchone()[0]
            return mode

    def test_a_new_store_fits_its_filesystem(self, network: Path, tmp_path: Path) -> None:
        assert (shared(network / "launch.db"), shared(tmp_path / "launch.db")) == (True, False)
        for folder, journal in ((network, "delete"), (tmp_path, "wal")):
            with contextlib.closing(open_store(f"sqlite:///{folder}/launch.db")) as store:
                assert self.mode(folder / "launch.db") == journal
                synchronous = store._file._open().execute("PRAGMA synchronous")  # type: ignore[attr-defined]
                assert synchronous.fetchone()["synchronous"] == {"wal": 2, "delete": 3}[journal]

    def test_a_link_leads_there_too(self, network: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(network)
        assert shared(tmp_path / "link" / "launch.db")

    def test_one_from_a_local_disk_is_changed(self, network: Path, tmp_path: Path) -> None:
        with contextlib.closing(open_store(f"sqlite:///{tmp_path}/launch.db")) as store:
            name = store.id
        (tmp_path / "launch.db").rename(network / "launch.db")
        with contextlib.closing(open_store(f"sqlite:///{network}/launch.db")) as store:
            assert store.id == name
        assert self.mode(network / "launch.db") == "delete"

    def test_one_that_others_use_with_a_write_ahead_log_stays_closed(
        self, network: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite_file, "BUSY_S", 0.05)
        url = f"sqlite:///{network}/launch.db"
        with contextlib.closing(open_store(f"{url}?journal=wal")) as store:
            with pytest.raises(StoreUnavailable, match="was held by another process"):
                open_store(url)
            assert store.runs() == []
        with contextlib.closing(open_store(url)):
            assert self.mode(network / "launch.db") == "delete"


def test_a_setting_stands_behind_the_path() -> None:
    assert split("/a/launch.db") == ("/a/launch.db", None)
    assert split("/a/launch.db?journal=delete") == ("/a/launch.db", "delete")
    assert split("/a/launch.db?journal=wal") == ("/a/launch.db", "wal")


@pytest.mark.parametrize("setting", ["", "jurnal=delete", "journal=off", "journal=delete&x=1"])
def test_another_setting_is_refused(tmp_path: Path, setting: str) -> None:
    with pytest.raises(ConfigError) as failure:
        open_store(f"sqlite:///{tmp_path}/launch.db?{setting}")
    assert str(failure.value) == (
        f"A store in a SQLite file has no setting {setting!r}.\n"
        "There is one: ?journal=delete on a network filesystem, or ?journal=wal."
    )
    assert not [*tmp_path.glob("launch.db*")]
