"""The notebooks, executed in a fresh real kernel, as papermill or a reader would."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from jupyter_launch.runs import Run
from jupyter_launch.states import State
from jupyter_launch.stores.base import Store

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
QUICKSTART = NOTEBOOKS / "01_quickstart.ipynb"
QUEUES = NOTEBOOKS / "02_queues_and_agents.ipynb"
FORM = NOTEBOOKS / "03_form_and_relaunch.ipynb"
OWN_CODE = ("cell", "config", "script", "shell", "failure", "queue")
"""The cells of the quickstart that leave it to us where they run."""
ABSENT_IMAGE = "jupyter-launch-test/absent:latest"


@pytest.fixture(autouse=True)
def python_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `!jupyter` be this environment's own, as it is where people start Jupyter."""
    folder = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", os.pathsep.join([folder, os.environ["PATH"]]))


def executed(path: Path) -> dict[str, Any]:
    """Execute a notebook and give its cells by their ids."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    return {cell.id: cell for cell in notebook.cells}


def printed(cell: Any) -> str:
    """Give what a cell wrote, standard output before standard error."""
    streams = [out for out in cell.outputs if out.output_type == "stream"]
    return "".join(out.text for out in sorted(streams, key=lambda out: out.name == "stderr"))


def shown(cell: Any) -> list[str]:
    """Give the lines of text of all that a cell displayed."""
    texts = (out.data["text/plain"] for out in cell.outputs if "data" in out)
    return [line for text in texts for line in text.splitlines()]


def runs_of(store: Store) -> list[Run]:
    """Give the runs, first one first."""
    return store.runs()[::-1]


def assert_outcome(cells: dict[str, Any], store: Store) -> None:
    """Every cell of the quickstart shows what its text promises, and the store knows it."""
    text = {name: printed(cell) for name, cell in cells.items() if cell.cell_type == "code"}
    steps = "".join(f"step {n} of 4\n" for n in range(1, 5))
    assert steps in text["cell"]
    for line in ("lr 0.1, loss 0.100", "lr 0.1, loss 0.050", "lr 0.1, loss 0.033"):
        assert line in text["config"]
    assert "arguments: ['--batch-size', '32']\n" in text["script"]
    assert "a shell script in /" in text["shell"]
    assert "an agent ran this\n" in text["queue"]
    assert text["python"].splitlines() == [
        "finished epoch 1: lr 0.5, loss 0.500",
        "finished epoch 1: lr 0.25, loss 0.250",
    ]
    assert_failed(cells["failure"])
    runs = runs_of(store)
    assert [run.id for run in runs[::-1]] == [
        line.split()[0] for line in text["record"].splitlines()[1:]
    ]
    ends = [State.FINISHED] * 4 + [State.FAILED] + [State.FINISHED] * 3
    assert [run.state for run in runs] == ends
    assert [run.queue is not None for run in runs] == [False] * 5 + [True] * 3
    assert runs[5].priority == 1
    assert [run.resource for run in runs[6:]] == ["local-process"] * 2
    assert store.read_log(runs[0].id).endswith(steps.encode())


def assert_failed(cell: Any) -> None:
    """The cell failed, and says with what, why, and where there is more."""
    errors = [out for out in cell.outputs if out.output_type == "error"]
    assert [error.ename for error in errors] == ["ExecutionError"]
    message = errors[0].evalue
    assert "exit code 1" in message
    assert "| reading the data" in message
    assert "| there is no data.csv" in message
    assert "jupyter launch logs" in message


def assert_fell_back(cells: dict[str, Any], store: Store, why: str) -> None:
    """Every cell ran as a process of this machine, and said so, with the reason."""
    for name, run in zip(OWN_CODE, runs_of(store), strict=False):
        assert run.resource == "local-process"
        assert [event.kind for event in store.events(run.id)].count("notice") == 1
        assert "No container" in printed(cells[name])
        assert why in printed(cells[name])
    assert f"hello from {platform.node()}\n" in printed(cells["cell"])


def test_quickstart_without_an_engine(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    cells = executed(QUICKSTART)
    assert_outcome(cells, store)
    assert_fell_back(cells, store, "does not answer")


@pytest.mark.docker
def test_quickstart_with_an_engine(store: Store) -> None:
    cells = executed(QUICKSTART)
    assert_outcome(cells, store)
    assert {run.resource for run in runs_of(store)[:6]} == {"local-container"}
    for name in OWN_CODE:
        assert "No container" not in printed(cells[name])
    assert f"hello from {platform.node()}\n" not in printed(cells["cell"])


@pytest.mark.docker
def test_quickstart_with_an_engine_that_lacks_the_image(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_LAUNCH_IMAGE", ABSENT_IMAGE)
    cells = executed(QUICKSTART)
    assert_outcome(cells, store)
    assert_fell_back(cells, store, ABSENT_IMAGE)


def test_queues_and_agents(store: Store) -> None:
    cells = executed(QUEUES)
    text = {name: printed(cell) for name, cell in cells.items() if "outputs" in cell}
    made, paused = shown(cells["make"])
    assert made.startswith("made ")
    assert paused.endswith("night is paused")
    *_, first, second = shown(cells["show"])
    assert "first" in first
    assert "second" in second
    assert first.endswith("the queue is paused")
    assert text["order"] == "['second', 'first']\n"
    assert text["go"] == "finished second\nfinished first\n"
    assert text["who"] == "True\n"
    assert "attempt 0\n--- attempt 2 of 3 ---\nattempt 1\n" in text["retry"]
    assert [(run.state, run.attempt) for run in runs_of(store)] == [
        (State.FINISHED, attempt) for attempt in (0, 0, 1)
    ]


def test_the_form_and_launching_again(store: Store) -> None:
    text = {name: printed(cell) for name, cell in executed(FORM).items() if "outputs" in cell}
    assert "epoch 2: lr 0.1, loss 0.050" in text["launch"]
    assert "epoch 2: lr 0.5, loss 0.250" in text["relaunch"]
    assert text["again"] == "finished epoch 1: lr 0.1, loss 0.100\n"
    assert text["magic"].startswith(
        "%%launch --set lr=0.25 epochs=2 -n training -r local-process\n"
    )
    assert "Did you mean 'local-process'?" in text["wrong"]
    assert text["wrong"].endswith("\n{}\n")
    assert text["submit"].startswith("finished epoch 1: lr 0.25, loss 0.250\n")
    assert text["record"].splitlines() == [
        "False {'lr': 0.1, 'epochs': 2}",
        "True {'lr': 0.5, 'epochs': 2}",
        "True {'lr': 0.1, 'epochs': 1}",
        "True {'lr': 0.25, 'epochs': 2}",
    ]
    assert {run.state for run in runs_of(store)} == {State.FINISHED}


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_clean(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert cell.metadata.keys() <= {"tags"}
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.keys() <= {"kernelspec", "language_info"}
