"""What stands in a store that others may write is no order to this machine."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from jupyter_launch.artifact import Kept
from jupyter_launch.artifacts import Artifacts, download
from jupyter_launch.backends.local_container import LocalContainer
from jupyter_launch.backends.local_process import LocalProcess
from jupyter_launch.errors import BackendError, StoreError
from jupyter_launch.stores.base import Store


class Forged:
    """A store with an artifact of any name."""

    def __init__(self, file: Path, name: str) -> None:
        self._file, self._name = file, name

    def artifacts(self, _run_id: str) -> list[Kept]:
        return [Kept("good", 1, 0.0), Kept(self._name, 1, 0.0)]

    def artifact_path(self, _run_id: str, _name: str) -> Path:
        return self._file


@pytest.mark.parametrize("name", ["../escaped", "a/../../escaped", "/tmp/../escaped", ".."])
def test_no_artifact_is_copied_out_of_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "content").write_text("x")
    store = cast("Store", Forged(tmp_path / "content", name))
    with pytest.raises(StoreError, match="Nothing was copied"):
        download(Artifacts(store, "run"), tmp_path / "to", None)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "work") == ["content"]
    assert download(Artifacts(store, "run"), tmp_path / "to", ["good"])[0].read_text() == "x"


def test_only_containers_of_runs_are_touched() -> None:
    backend, handle = LocalContainer(), "unix:///nowhere.sock#somebodys-database"
    for act in (backend.find, backend.remove, backend.result, lambda it: backend.stop(it, 0)):
        with pytest.raises(BackendError, match="no container of a run"):
            act(handle)


def test_only_folders_of_runs_are_touched(tmp_path: Path) -> None:
    folder = tmp_path / ".ssh"
    folder.mkdir()
    (folder / "control").write_text("kept")
    backend = LocalProcess()
    assert not backend.find(str(folder))
    assert backend.result(str(folder)).exit_code is None
    backend.stop(str(folder), 0)
    with pytest.raises(BackendError):
        backend.remove(str(folder))
    assert (folder / "control").read_text() == "kept"
