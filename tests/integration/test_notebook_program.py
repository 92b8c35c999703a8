"""A whole notebook as a program: in this interpreter, failing, stopped, without what runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from jupyter_launch.handle import RunHandle
from jupyter_launch.sources.code import from_path
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.submit import Launcher
from tests.conftest import PYTHON
from tests.kernels import kernel

CELLS = [
    new_markdown_cell("# A notebook"),
    new_code_cell("lr = 1.0\nepochs = 1", metadata={"tags": ["parameters"]}),
    new_code_cell("import os, sys\nprint(f'lr is {lr}')\nprint('careful', file=sys.stderr)"),
    new_code_cell("lr * 2"),
    new_code_cell("if lr > 5:\n    raise ValueError('lr is too large')"),
    new_code_cell("open('side.txt', 'w').write('x')\nsys.executable"),
]


def notebook(*cells: Any) -> Path:
    path = Path("train.ipynb")
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path


def launched(launcher: Launcher, path: Path, **fields: Any) -> RunHandle:
    source = from_path(str(path), (), launcher.store).model_dump(exclude_none=True)
    data = {"source": source, "resource": "local-process", **fields}
    return launcher.launch(LaunchSpec.from_dict(data))


def executed(handle: RunHandle) -> Any:
    text = handle.artifacts()["train.ipynb"].read().decode()
    found = nbformat.reads(text, as_version=4)
    nbformat.validate(found)
    return found


def test_it_runs_with_parameters_and_comes_back(launcher: Launcher) -> None:
    config = {"overrides": {"run_config": {"lr": 0.5, "layers": [1, 2]}}}
    handle = launched(launcher, notebook(*CELLS), **config)
    assert handle.wait(60) is State.FINISHED, handle.logs()
    log = handle.logs()
    assert "lr is 0.5\n" in log
    assert "careful\n" in log
    assert re.search(r"\[4/6\] lr \* 2.*\n1\.0\n", log)
    assert sys.executable in log  # the submitter's own
    cells = executed(handle).cells
    assert cells[2].metadata.tags == ["injected-parameters"]
    assert cells[3].outputs[0].text == "lr is 0.5\n"
    assert [cell.execution_count for cell in cells if cell.cell_type == "code"] == [*range(1, 7)]


def test_a_cell_that_fails_fails_the_run_and_the_notebook_comes_back(launcher: Launcher) -> None:
    handle = launched(launcher, notebook(*CELLS), overrides={"run_config": {"lr": 9}})
    assert handle.wait(60) is State.FAILED
    assert handle.exit_code == 1
    assert "The notebook failed: ValueError: lr is too large" in handle.logs()
    cells = executed(handle).cells
    assert cells[5].outputs[0].output_type == "error"
    assert cells[6].outputs == []


def test_one_that_is_stopped_comes_back_as_far_as_it_was(launcher: Launcher) -> None:
    cells = [
        new_code_cell("print('first')"),
        new_code_cell("print('now')\nimport signal\nsignal.pause()"),
    ]
    handle = launched(launcher, notebook(*cells))
    next(piece for piece in handle.follow() if b"now" in piece)
    assert handle.stop() is State.STOPPED
    assert executed(handle).cells[0].outputs[0].text == "first\n"


def test_a_kernel_that_dies_is_told(launcher: Launcher) -> None:
    handle = launched(launcher, notebook(new_code_cell("import os\nos._exit(7)")))
    assert handle.wait(60) is State.FAILED
    assert "died" in handle.logs().lower()
    assert executed(handle).cells


def test_old_outputs_are_not_taken_for_new_ones(launcher: Launcher) -> None:
    stale = new_code_cell("1", outputs=[nbformat.v4.new_output("stream", text="old")])
    handle = launched(launcher, notebook(new_code_cell("raise SystemError"), stale))
    assert handle.wait(60) is State.FAILED
    assert executed(handle).cells[1].outputs == []


@pytest.mark.docker
def test_without_what_runs_notebooks_the_log_says_what_to_do(launcher: Launcher) -> None:
    handle = launched(
        launcher,
        notebook(*CELLS),
        resource="local-container",
        docker={"docker_image": PYTHON},
    )
    assert handle.wait(60) is State.FAILED
    assert handle.exit_code == 1
    assert "--requirements papermill ipykernel" in handle.logs()


def test_the_magic_launches_it(launcher: Launcher) -> None:
    notebook(*CELLS)
    with kernel(live=True) as live:
        live.run("%load_ext jupyter_launch")
        live.run("%launch train.ipynb -r local-process --set lr=0.25 -o run")
        run_id = live.value("print(repr(run.id))")
        handle = launcher.handle(run_id)
        assert handle.wait(60) is State.FINISHED, handle.logs()
    assert "lr is 0.25\n" in handle.logs()
    assert list(handle.artifacts()) == ["train.ipynb"]


def test_the_terminal_launches_it(launcher: Launcher) -> None:
    notebook(*CELLS)
    words = ["run", "train.ipynb", "-r", "local-process", "--set", "lr=9", "--output", "side.txt"]
    command = [sys.executable, "-m", "jupyter_launch", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "lr is 9\n" in done.stdout
    (run,) = launcher.store.runs()
    assert list(launcher.handle(run.id).artifacts()) == ["train.ipynb"]
