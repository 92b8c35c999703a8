"""Artifacts as files of a store: all or none, never outside of their folder, within limits."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_launch.artifact import Output
from jupyter_launch.errors import ArtifactNotFound, LeaseLost, StoreUnavailable
from jupyter_launch.stores.artifact_files import ArtifactFiles
from jupyter_launch.stores.artifact_verbs import Limits

RUN = "abcdefgh"


def held() -> None:
    """Allow: the lease is held."""


def content(name: str, data: bytes = b"x") -> Output:
    return Output(name, len(data), 1000.5, lambda: io.BytesIO(data))


def keep(files: ArtifactFiles, *outputs: Output, limits: Limits | None = None) -> list[str]:
    return files.keep(RUN, outputs, limits or Limits(), held)


@pytest.fixture
def files(tmp_path: Path) -> ArtifactFiles:
    return ArtifactFiles(tmp_path / "artifacts")


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_what_is_kept_is_listed_and_read(files: ArtifactFiles) -> None:
    assert keep(files, content("sub/b.txt", b"two"), content("a.bin", b"\x00")) == []
    assert [tuple(one) for one in files.list(RUN)] == [
        ("a.bin", 1, 1000.5),
        ("sub/b.txt", 3, 1000.5),
    ]
    assert files.path(RUN, "sub/b.txt").read_bytes() == b"two"
    assert [one.type for one in files.list(RUN)] == ["application/octet-stream", "text/plain"]


def test_nobody_else_may_read_them(files: ArtifactFiles, tmp_path: Path) -> None:
    keep(files, content("sub/b.txt"))
    assert stat.S_IMODE((tmp_path / "artifacts").stat().st_mode) == 0o700
    assert stat.S_IMODE(files.path(RUN, "sub/b.txt").stat().st_mode) == 0o600


def test_nothing_leaves_no_trace(files: ArtifactFiles, tmp_path: Path) -> None:
    assert keep(files) == []
    assert files.list(RUN) == []
    assert everything(tmp_path / "artifacts") == set()


HOSTILE = ["../evil", "/etc/evil", "a/../../evil", "..", ".", "", "a//b", "a/./b", "nul\0"]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_leads_out_of_the_folder(files: ArtifactFiles, tmp_path: Path, name: str) -> None:
    (told,) = keep(files, content(name), content("good"))[:1]
    assert "leads out of the folder" in told
    assert [one.name for one in files.list(RUN)] == ["good"]
    assert everything(tmp_path) >= {"artifacts", f"artifacts/{RUN}/files/good"}
    assert not [path for path in everything(tmp_path) if "evil" in path]
    assert not Path("/etc/evil").exists()


@given(st.lists(st.text(alphabet="ab./\\\0\udcff ~", max_size=8), max_size=6))
def test_whatever_the_names_all_stays_inside(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    top = tmp_path_factory.mktemp("top")
    files = ArtifactFiles(top / "in" / "artifacts")
    (top / "in").mkdir()
    left_out = keep(files, *(content(name, name.encode("utf-8", "replace")) for name in names))
    assert everything(top) - {"in"} <= {
        name for name in everything(top) if name.startswith("in/artifacts")
    }
    assert len(files.list(RUN)) + len(left_out) == len(names)
    for one in files.list(RUN):
        assert files.path(RUN, one.name).stat().st_size == one.size


def test_a_name_that_is_no_utf8_is_kept_under_one_that_is(files: ArtifactFiles) -> None:
    assert keep(files, content(os.fsdecode(b"caf\xe9.txt"), b"au lait")) == []
    assert files.path(RUN, r"caf\xe9.txt").read_bytes() == b"au lait"


def test_links_to_what_is_kept_are_its_content(files: ArtifactFiles) -> None:
    links = [Output("latest", link="middle"), Output("middle", link="model/1.pt")]
    assert keep(files, *links, content("model/1.pt", b"weights")) == []
    assert files.path(RUN, "latest").read_bytes() == b"weights"
    assert {one.size for one in files.list(RUN)} == {7}


def test_other_links_are_left_out(files: ArtifactFiles) -> None:
    outputs = [Output("out", link="../../secret"), Output("a", link="b"), Output("b", link="a")]
    told = keep(files, *outputs, content("good"))
    assert told == [f"{name}: a link to what is not kept" for name in ("out", "a", "b")]


def test_what_is_more_than_the_limit_is_left_out_and_named(files: ArtifactFiles) -> None:
    outputs = [content("a", b"x" * 60), content("b", b"x" * 60), content("c", b"x" * 40)]
    told = keep(files, *outputs, limits=Limits(size=100))
    assert [one.name for one in files.list(RUN)] == ["a", "c"]
    assert told == ["b: with it, it would be more than the limit of 1e-07 GB"]


def test_too_many_are_left_out(files: ArtifactFiles) -> None:
    told = keep(files, *(content(f"{n}") for n in range(5)), limits=Limits(files=3))
    assert len(files.list(RUN)) == 3
    assert told == [f"{n}: it would be more than 3 files" for n in (3, 4)]


class Breaks(io.RawIOBase):
    """A file that breaks off."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.given = False

    def read(self, size: int = -1) -> bytes:
        if self.given:
            raise self.error
        self.given = True
        return b"half"[:size]


def test_a_collection_that_breaks_off_keeps_nothing(files: ArtifactFiles, tmp_path: Path) -> None:
    lost = ConnectionAbortedError("gone")

    def outputs() -> Iterator[Output]:
        yield content("whole")
        raise RuntimeError(lost)

    with pytest.raises(RuntimeError):
        files.keep(RUN, outputs(), Limits(), held)
    assert files.list(RUN) == []
    assert everything(tmp_path / "artifacts") == set()
    assert keep(files, content("whole")) == []
    assert [one.name for one in files.list(RUN)] == ["whole"]


def test_a_file_that_cannot_be_read_is_named(files: ArtifactFiles) -> None:
    broken: IO[bytes] = Breaks(PermissionError(13, "Permission denied"))  # type: ignore[assignment]
    told = keep(files, Output("bad", 8, 0.0, lambda: broken), content("good"))
    assert told == ["bad: Permission denied"]
    assert [one.name for one in files.list(RUN)] == ["good"]


def test_without_space_nothing_is_kept_and_that_is_said(files: ArtifactFiles) -> None:
    full: IO[bytes] = Breaks(OSError(28, "No space left on device"))  # type: ignore[assignment]
    with pytest.raises(StoreUnavailable, match="No space left"):
        keep(files, content("first"), Output("big", 8, 0.0, lambda: full))
    assert files.list(RUN) == []


def test_what_a_killed_process_left_is_cleared_away(files: ArtifactFiles, tmp_path: Path) -> None:
    half = tmp_path / "artifacts" / f"{RUN}.dead"
    (half / "files").mkdir(parents=True)
    (half / "files" / "half").write_bytes(b"ha")
    assert files.list(RUN) == []
    keep(files, content("whole"))
    assert not half.exists()
    assert [one.name for one in files.list(RUN)] == ["whole"]


def test_what_was_kept_once_stays(files: ArtifactFiles) -> None:
    keep(files, content("a", b"first"))
    assert keep(files, content("a", b"second")) == []
    assert files.path(RUN, "a").read_bytes() == b"first"


def test_who_lost_the_run_keeps_nothing(files: ArtifactFiles) -> None:
    asked = iter([None, LeaseLost()])

    def may() -> None:
        if error := next(asked):
            raise error

    with pytest.raises(LeaseLost):
        files.keep(RUN, [content("a")], Limits(), may)
    assert files.list(RUN) == []


def test_the_error_for_a_wrong_name_says_which_there_are(files: ArtifactFiles) -> None:
    keep(files, content("model.pkl"))
    with pytest.raises(ArtifactNotFound, match=r"Did you mean 'model\.pkl'"):
        files.path(RUN, "modle.pkl")
    with pytest.raises(ArtifactNotFound, match=r"There are: model\.pkl"):
        files.path(RUN, "../../../etc/passwd")
    with pytest.raises(ArtifactNotFound, match="left none"):
        files.path("otherrun", "model.pkl")
