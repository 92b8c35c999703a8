"""What a cell, script, folder or image becomes: a program, the same wherever it runs."""

from __future__ import annotations

import io
import os
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_launch import sources
from jupyter_launch.errors import SpecError, StoreError
from jupyter_launch.program import Program
from jupyter_launch.report import Silent
from jupyter_launch.sources.base import InMemory
from jupyter_launch.sources.code import PYTHON, from_cell, from_path
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.spec_parts import Source
from jupyter_launch.stores.base import Store

SLIM = f"python:{sys.version_info[0]}.{sys.version_info[1]}-slim"

texts = st.text(st.characters(exclude_categories=["Cs"]))


def write(name: str, text: str = "", mode: int = 0o644) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def unpacked(archive: bytes | None) -> dict[str, bytes]:
    assert archive is not None
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {m.name: file.read() for m in tar if (file := tar.extractfile(m))}


def program(source: Source, keep: InMemory, **fields: Any) -> Program:
    return sources.program(LaunchSpec(source=source).evolve(**fields), keep, Silent())


def from_body(body: str, *include: str, **fields: Any) -> Program:
    keep = InMemory()
    return program(from_cell(body, include, keep), keep, **fields)


def from_text(path: str, *include: str, **fields: Any) -> Program:
    keep = InMemory()
    return program(from_path(path, include, keep), keep, **fields)


# -- cells -------------------------------------------------------------------------------------


def test_a_cell_is_python_by_default() -> None:
    made = from_body("print('größe')\n")
    assert made.command == (PYTHON, "cell.py")
    assert unpacked(made.archive) == {"cell.py": "print('größe')\n".encode()}
    assert made.image == SLIM
    assert not made.foreign


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("#!/bin/sh", ("/bin/sh", "cell")),
        ("#!/usr/bin/env bash", ("/usr/bin/env", "bash", "cell")),
        ("#! /usr/bin/perl -w", ("/usr/bin/perl", "-w", "cell")),
        ("#!/bin/sh\r", ("/bin/sh", "cell")),
    ],
)
def test_a_first_line_chooses_another_interpreter(line: str, command: tuple[str, ...]) -> None:
    body = f"{line}\necho not Python (at all"
    made = from_body(body)
    assert made.command == command
    assert unpacked(made.archive) == {"cell": body.encode()}


@given(texts)
def test_a_cells_text_arrives_byte_for_byte(text: str) -> None:
    body = f"#!/bin/sh\n{text}"
    assert unpacked(from_body(body).archive)["cell"] == body.encode()


def test_included_files_come_along_with_their_folders() -> None:
    write("data/in.csv", "1,2")
    write("data/deep/x.txt", "x")
    write("util.py", "def f(): pass")
    write("../outside/far.txt", "far")
    made = from_body("import util", "data", "util.py", "../outside/far.txt")
    assert unpacked(made.archive) == {
        "data/in.csv": b"1,2",
        "data/deep/x.txt": b"x",
        "util.py": b"def f(): pass",
        "far.txt": b"far",
        "cell.py": b"import util",
    }


def test_a_missing_file_to_include_is_refused() -> None:
    with pytest.raises(SpecError) as failure:
        from_body("1", "nothing.csv")
    expected = f"There is no file or folder 'nothing.csv' to include in {Path.cwd()}."
    assert str(failure.value) == expected


def test_the_spec_chooses_image_command_and_arguments() -> None:
    made = from_body(
        "print(1)",
        docker={"docker_image": "mine"},
        overrides={"args": ["--lr", "1; ls"], "entry_point": ["sh", "-c", "cat cell.py"]},
        grace_s=3.0,
    )
    assert (made.command, made.args) == (("sh", "-c", "cat cell.py"), ("--lr", "1; ls"))
    assert (made.image, made.grace_s) == ("mine", 3.0)


# -- scripts and folders -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("train.py", (PYTHON, "train.py")),
        ("it's here.py", (PYTHON, "it's here.py")),
        ("job.sh", ("/bin/sh", "job.sh")),
        ("tool", ("./tool",)),
    ],
)
def test_a_script_is_run_by_what_its_name_says(name: str, command: tuple[str, ...]) -> None:
    write(f"sub/{name}", "text")
    made = from_text(f"sub/{name}")
    assert made.command == command
    assert unpacked(made.archive) == {name: b"text"}
    assert not made.foreign


def test_a_folder_is_run_by_its_main() -> None:
    for name in ("main.py", "lib/a.py", ".env", "__pycache__/a.pyc", ".git/HEAD", "venv/x"):
        write(f"code/{name}", name)
    made = from_text("code")
    assert made.command == (PYTHON, "main.py")
    assert set(unpacked(made.archive)) == {"main.py", "lib/a.py", ".env"}


def test_a_folder_without_a_main_needs_a_command() -> None:
    write("code/train.py")
    assert from_text("code", overrides={"entry_point": ["python", "train.py"]}).command == (
        "python",
        "train.py",
    )
    with pytest.raises(SpecError) as failure:
        from_text("code")
    assert str(failure.value) == (
        "The folder code has no main.py, so there is no telling what to run in it.\n"
        'Name the command: -E "python train.py"'
    )


@pytest.mark.parametrize(
    ("words", "folder", "command"),
    [
        ("train.py -v train.py", None, (PYTHON, "train.py", "-v", "train.py")),
        ("sub/it.sh", None, ("/bin/sh", "sub/it.sh")),
        ("it.sh", "sub", ("/bin/sh", "it.sh")),
        ("../train.py", "sub", (PYTHON, "../train.py")),
        ("nb.ipynb", None, (PYTHON, ".run_notebook.py", "nb.ipynb")),
        ("../nb.ipynb", "./sub/", (PYTHON, "../.run_notebook.py", "../nb.ipynb")),
        ("./train.py", None, ("./train.py",)),
        ("/train.py", None, ("/train.py",)),
        ("it.sh", None, ("it.sh",)),
        ("train.py", "sub", ("train.py",)),
        ("sub", None, ("sub",)),
        ("data.py", None, ("data.py",)),
        ("python train.py", None, ("python", "train.py")),
    ],
)
def test_a_script_of_the_source_needs_no_interpreter_before_it(
    words: str, folder: str | None, command: tuple[str, ...]
) -> None:
    for name in ("train.py", "nb.ipynb", "sub/it.sh", "data.py/x", "-rf.py"):
        write(f"code/{name}", name)
    made = from_text("code", overrides={"entry_point": words.split(), "working_dir": folder})
    assert made.command == command
    assert (".run_notebook.py" in unpacked(made.archive)) == ("nb.ipynb" in words)


def test_a_notebook_that_is_named_as_a_command_takes_no_arguments() -> None:
    write("code/nb.ipynb")
    for overrides in (
        {"entry_point": ["nb.ipynb", "--lr"]},
        {"entry_point": ["nb.ipynb"], "args": ["--lr"]},
    ):
        with pytest.raises(SpecError, match=r"takes no arguments, and '--lr' was given"):
            from_text("code", overrides=overrides)


def test_files_that_are_executable_stay_so() -> None:
    write("code/main.py")
    write("code/tool", "#!/bin/sh", mode=0o750)
    archive = from_text("code").archive
    with tarfile.open(fileobj=io.BytesIO(archive or b"")) as tar:
        assert {m.name: m.mode for m in tar} == {"main.py": 0o644, "tool": 0o755}
        assert {(m.uid, m.gid, m.mtime) for m in tar} == {(0, 0, 0)}


# -- snapshots ---------------------------------------------------------------------------------


def test_the_same_content_is_the_same_snapshot(store: Store) -> None:
    write("one/main.py", "print(1)")
    write("one/b/x.txt", "x")
    write("two/b/x.txt", "x")
    write("two/main.py", "print(1)")
    long_ago = time.time() - 10_000
    os.utime("two/main.py", (long_ago, long_ago))
    names = [from_path(folder, (), store).snapshot for folder in ("one", "two")]
    assert names[0] == names[1]
    write("two/main.py", "print(2)")
    assert from_path("two", (), store).snapshot != names[0]


def test_a_snapshot_is_what_was_submitted_not_what_is_there_later(store: Store) -> None:
    write("main.py", "print(1)")
    spec = LaunchSpec(source=from_path("main.py", (), store))
    write("main.py", "print(2)")
    assert unpacked(sources.program(spec, store, Silent()).archive) == {"main.py": b"print(1)"}


def test_a_snapshot_that_is_gone_says_so(store: Store) -> None:
    spec = LaunchSpec(source=Source(kind="path", main="main.py", snapshot="0" * 64))
    with pytest.raises(StoreError, match="The stored files 000000000000 are gone"):
        sources.program(spec, store, Silent())


# -- images, and what is not there yet ---------------------------------------------------------


def test_an_image_is_foreign_code_with_its_own_command() -> None:
    spec = LaunchSpec.from_dict({"docker": {"docker_image": "tiny"}, "overrides": {"args": ["a"]}})
    made = sources.program(spec, InMemory(), Silent())
    assert made == Program(image="tiny", args=("a",), foreign=True)


@pytest.mark.parametrize(
    ("field", "named"),
    [
        ({"git": {"version": "main"}}, "version"),
        ({"git": {"repo": "x"}}, "version"),
        ({"build": True}, "build"),
        ({"registry": {"url": "x"}}, "repository"),
        ({"builder": {"destination": "x"}}, "repository"),
        ({"python_version": "3.12"}, "python_version"),
        ({"overrides": {"dockerfile": "x"}}, "dockerfile"),
        ({"overrides": {"working_dir": "x"}}, "working_dir"),
    ],
)
def test_what_has_no_effect_on_an_image_is_refused_by_name(
    field: dict[str, Any], named: str
) -> None:
    with pytest.raises(SpecError) as failure:
        sources.check(LaunchSpec.from_dict({"docker": {"docker_image": "tiny"}, **field}))
    assert failure.value.field == named
    assert failure.value.hint


def test_a_spec_without_a_source_is_refused() -> None:
    with pytest.raises(SpecError, match="There is nothing to launch"):
        sources.program(LaunchSpec(), InMemory(), Silent())
