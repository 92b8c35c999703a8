"""A notebook as a source: what becomes of it before it runs."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from jupyter_launch import sources
from jupyter_launch.errors import SpecError
from jupyter_launch.report import Silent
from jupyter_launch.sources import notebook_runner
from jupyter_launch.sources.base import InMemory
from jupyter_launch.sources.code import PYTHON, from_path
from jupyter_launch.sources.notebook import RUNNER
from jupyter_launch.spec import LaunchSpec


def written(*cells: Any, **metadata: Any) -> Path:
    path = Path("nb.ipynb")
    nbformat.write(new_notebook(cells=list(cells), metadata=metadata), path)
    return path


def test_the_notebook_goes_along_without_its_folder() -> None:
    written(new_code_cell("1"))
    Path("secret.txt").touch()
    Path("data.csv").touch()
    keep = InMemory()
    source = from_path("nb.ipynb", ["data.csv"], keep)
    spec = LaunchSpec.from_dict({"source": source.model_dump(exclude_none=True)})
    program = sources.program(spec, keep, Silent())
    assert program.command == (PYTHON, RUNNER, "nb.ipynb")
    with tarfile.open(fileobj=io.BytesIO(program.archive or b"")) as tar:
        assert sorted(tar.getnames()) == [RUNNER, "data.csv", "nb.ipynb"]


def test_another_command_may_run_it() -> None:
    written(new_code_cell("1"))
    keep = InMemory()
    source = from_path("nb.ipynb", (), keep).model_dump(exclude_none=True)
    entry = {"entry_point": ["jupyter", "execute", "nb.ipynb"]}
    spec = LaunchSpec.from_dict({"source": source, "overrides": entry})
    program = sources.program(spec, keep, Silent())
    with tarfile.open(fileobj=io.BytesIO(program.archive or b"")) as tar:
        assert tar.getnames() == ["nb.ipynb"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no notebook"),
        ("[]", "is no notebook"),
        ('{"nbformat": 3, "cells": []}', "of version 3"),
        ('{"nbformat": 4, "cells": []}', "no code cell"),
        ('{"nbformat": 4, "cells": [{}]}', "is no notebook"),
        ("\xff", "is no notebook"),
    ],
)
def test_what_is_no_notebook_is_refused(text: str, why: str) -> None:
    Path("nb.ipynb").write_bytes(text.encode("latin-1"))
    with pytest.raises(SpecError, match=why):
        from_path("nb.ipynb", (), InMemory())


def test_a_notebook_takes_no_arguments() -> None:
    written(new_code_cell("1"))
    source = from_path("nb.ipynb", (), InMemory()).model_dump(exclude_none=True)
    spec = LaunchSpec.from_dict({"source": source, "overrides": {"args": ["--lr", "1"]}})
    with pytest.raises(SpecError, match="no arguments") as caught:
        sources.check(spec)
    assert "--set" in caught.value.hint


# -- parameters --------------------------------------------------------------------------------


def tagged(source: str, tag: str) -> Any:
    return new_code_cell(source, metadata={"tags": [tag]})


@pytest.fixture(params=["papermill", "without papermill"])
def papermill(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without papermill":
        monkeypatch.setitem(__import__("sys").modules, "papermill.parameterize", None)


def run_with(notebook: Any, values: dict[str, Any]) -> list[str]:
    return [cell.source for cell in notebook_runner.parameterised(notebook, values).cells]


@pytest.mark.usefixtures("papermill")
def test_values_stand_behind_the_parameters() -> None:
    notebook = new_notebook(cells=[new_markdown_cell("#"), tagged("lr = 1", "parameters")])
    sources_ = run_with(notebook, {"lr": 0.1, "name": "it's", "deep": {"a": [1, None, True]}})
    names: dict[str, Any] = {}
    exec(sources_[2], names)
    assert names["lr"] == 0.1
    assert names["name"] == "it's"
    assert names["deep"] == {"a": [1, None, True]}


@pytest.mark.usefixtures("papermill")
def test_values_stand_first_where_no_cell_is_tagged() -> None:
    notebook = new_notebook(cells=[new_code_cell("print(lr)")])
    assert "lr = 0.1" in run_with(notebook, {"lr": 0.1})[0]


@pytest.mark.usefixtures("papermill")
def test_values_of_an_earlier_run_are_replaced() -> None:
    old = tagged("lr = 5", "injected-parameters")
    notebook = new_notebook(cells=[tagged("lr = 1", "parameters"), old])
    found = run_with(notebook, {"lr": 0.1})
    assert len(found) == 2
    assert "lr = 0.1" in found[1]


def test_without_values_nothing_is_added() -> None:
    notebook = new_notebook(cells=[tagged("lr = 1", "parameters")])
    assert run_with(notebook, {}) == ["lr = 1"]


def test_only_names_of_variables_become_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    given = {"lr": 1, "not-a-name": 2, "class": 3}
    assert notebook_runner.parameters(given) == {"lr": 1}
    said = capsys.readouterr().err
    assert "'not-a-name'" in said
    assert "'class'" in said


def test_the_run_config_may_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps({"text": "x" * 100})
    monkeypatch.setenv("WANDB_CONFIG_0", text[:50])
    monkeypatch.setenv("WANDB_CONFIG_1", text[50:])
    assert notebook_runner.config() == {"text": "x" * 100}
    monkeypatch.setenv("WANDB_CONFIG", '{"a": 1}')
    assert notebook_runner.config() == {"a": 1}
