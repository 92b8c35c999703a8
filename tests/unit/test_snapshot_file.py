"""Snapshots on the disk: kept once, whole or not at all, whoever else writes and whatever ends."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_launch.errors import StoreError
from jupyter_launch.stores import snapshot_file
from jupyter_launch.stores.snapshot_file import LEFT_OVER_S, SnapshotFiles

PUT = (
    "import sys; from pathlib import Path; "
    "from jupyter_launch.stores.snapshot_file import SnapshotFiles\n"
    "chunks = [bytes([number]) * (1 << 20) for number in range(20)]\n"
    "print('ready', flush=True); sys.stdin.readline()\n"
    "print(SnapshotFiles(Path(sys.argv[1])).put(chunks))\n"
)
PUT_AND_DIE = (
    "import os, sys; from pathlib import Path; "
    "from jupyter_launch.stores.snapshot_file import SnapshotFiles\n"
    "def chunks():\n    yield b'x' * (1 << 20)\n    os.kill(os.getpid(), 9)\n"
    "SnapshotFiles(Path(sys.argv[1])).put(chunks())"
)


class Stamped:
    """Chunks that say what they are, and whether they were taken."""

    def __init__(self, stamp: str, *chunks: bytes) -> None:
        self.stamp, self.chunks, self.taken = stamp, chunks, False

    def __iter__(self) -> Iterator[bytes]:
        self.taken = True
        yield from self.chunks


@pytest.fixture
def folder() -> Path:
    path = Path("snapshots").resolve()
    path.mkdir()
    return path


@pytest.fixture
def files(folder: Path) -> SnapshotFiles:
    return SnapshotFiles(folder)


def listed(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"stamps"}


def name_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@given(st.lists(st.binary(max_size=50)))
def test_chunks_are_kept_as_what_they_are_together(chunks: list[bytes]) -> None:
    Path("here").mkdir(exist_ok=True)
    files = SnapshotFiles(Path("here"))
    whole = b"".join(chunks)
    assert files.put(chunks) == files.put(whole) == files.put(iter(chunks)) == name_of(whole)
    assert files.get(name_of(whole)) == whole
    assert all(len(name) == 64 for name in listed(Path("here")))


# -- what is known to be unchanged -------------------------------------------------------------


def test_what_has_a_known_stamp_is_not_taken_again(files: SnapshotFiles, folder: Path) -> None:
    first, again, other = (Stamped(stamp, b"a", b"b") for stamp in ("s1", "s1", "s2"))
    assert {files.put(one) for one in (first, again, other)} == {name_of(b"ab")}
    assert [one.taken for one in (first, again, other)] == [True, False, True]
    assert listed(folder) == {name_of(b"ab")}


def test_a_stamp_of_a_snapshot_that_is_gone_is_not_believed(
    files: SnapshotFiles, folder: Path
) -> None:
    name = files.put(Stamped("s1", b"a"))
    (folder / name).unlink()
    assert files.put(Stamped("s1", b"a")) == name
    assert files.get(name) == b"a"


@given(st.binary() | st.integers(0, 128))
def test_a_spoilt_index_is_not_believed(spoilt: bytes | int) -> None:
    Path("here").mkdir(exist_ok=True)
    files, index = SnapshotFiles(Path("here")), Path("here/stamps/s1")
    files.put(Stamped("s1", b"wrong"))
    index.write_bytes(spoilt if isinstance(spoilt, bytes) else index.read_bytes()[:spoilt])
    assert files.put(Stamped("s1", b"right")) == name_of(b"right")
    index.unlink()


def test_an_index_entry_in_the_wrong_place_is_not_believed(
    files: SnapshotFiles, folder: Path
) -> None:
    files.put(Stamped("s1", b"wrong"))
    (folder / "stamps/s1").rename(folder / "stamps/s2")
    assert files.put(Stamped("s2", b"right")) == name_of(b"right")


def test_only_so_many_stamps_are_remembered(
    files: SnapshotFiles, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_file, "STAMPS", 10)
    for number in range(100):
        files.put(Stamped(f"s{number}", b"a"))
        os.utime(folder / f"stamps/s{number}", (number, number))
    assert len(list((folder / "stamps").iterdir())) <= 10
    last = Stamped("s99", b"a")
    files.put(last)
    assert not last.taken


# -- damage, crashes, company ------------------------------------------------------------------


@pytest.mark.parametrize("damage", [b"", b"half", b"the whole texT", b"the whole text and more"])
def test_damage_is_found_and_mended_by_the_next_launch(
    files: SnapshotFiles, folder: Path, damage: bytes
) -> None:
    name = files.put(Stamped("s1", b"the whole text"))
    (folder / name).write_bytes(damage)
    with pytest.raises(StoreError) as failure:
        files.get(name)
    assert str(failure.value) == (
        f"The stored files {name[:12]} in {folder.parent} were damaged on the disk.\n"
        "Launch them from where they are, and their content is stored again."
    )
    assert files.put(Stamped("s1", b"the whole text")) == name
    assert files.get(name) == b"the whole text"


def test_a_snapshot_cut_short_is_mended_without_being_read(
    files: SnapshotFiles, folder: Path
) -> None:
    name = files.put(b"the whole text")
    (folder / name).write_bytes(b"the")
    assert files.put(b"the whole text") == name
    assert files.get(name) == b"the whole text"


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "stamps", "", "A" * 64, "a" * 63])
def test_a_name_leads_nowhere_else(files: SnapshotFiles, folder: Path, name: str) -> None:
    secret = folder.parent / "secret"
    secret.write_text("s3cret")
    with pytest.raises(StoreError, match="are gone from"):
        files.get(name)
    assert secret.read_text() == "s3cret"


def test_nothing_of_a_killed_process_is_believed_and_its_rest_is_cleared(
    files: SnapshotFiles, folder: Path
) -> None:
    died = subprocess.run([sys.executable, "-c", PUT_AND_DIE, folder], check=False, timeout=60)
    assert died.returncode == -signal.SIGKILL
    (rest,) = listed(folder)
    assert rest.endswith(".part")
    name = files.put(b"another")
    assert listed(folder) == {name, rest}, "it might be somebody's who is still writing"
    long_ago = time.time() - LEFT_OVER_S - 60
    os.utime(folder / rest, (long_ago, long_ago))
    assert listed(folder) == {name, rest}
    assert files.put(b"a third") in listed(folder)
    assert rest not in listed(folder)


def test_many_may_store_the_same_at_once(files: SnapshotFiles, folder: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", PUT, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    names = {writer.communicate(timeout=60)[0].strip().decode() for writer in writers}
    assert listed(folder) == names
    assert len(files.get(names.pop())) == 20 << 20
