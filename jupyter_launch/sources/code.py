"""The submitter's own code as a source: a cell's body, or a snapshot of a script or folder."""

from __future__ import annotations

import io
import posixpath
import shlex
import sys
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import user_path
from ..errors import SpecError
from ..program import Program
from ..redact import redact_text
from ..spec_parts import Source
from . import notebook

if TYPE_CHECKING:
    from ..spec import LaunchSpec
    from .base import Snapshots

CELL_FILE = "cell"
_EMPTY = bytes(2 * tarfile.BLOCKSIZE)
PYTHON = "{python}"
"""Stands for the interpreter until the backend is known: the image's, or the submitter's own."""


def from_cell(body: str, include: Sequence[str], keep: Snapshots) -> Source:
    """Take a cell's body as a source.

    Parameters
    ----------
    body : str
        The whole text; a first line ``#!/bin/sh`` chooses another interpreter than Python.
    include : sequence of str
        Files and folders that come along.
    keep : Snapshots
        Where they are kept.

    Raises
    ------
    SpecError
        When the cell is empty, is no Python, or a file is not there.
    """
    if not body.strip():
        raise SpecError("The cell is empty: there is nothing to launch.", field="source")
    if body.startswith("#!"):
        interpreter(body.partition("\n")[0])
    else:
        _check_python(body)
    files = _keep(_included(include), keep) if include else None
    return Source(kind="cell", body=body, snapshot=files, include=tuple(include), **_interpreter())


def from_path(text: str, include: Sequence[str], keep: Snapshots) -> Source:
    """Take a script or folder as a source, with its content as it is now.

    Raises
    ------
    SpecError
        When it is not there, too large, or leads out of itself.
    """
    path = user_path(text)
    if not path.exists():
        said = redact_text(text)
        address = "://" in text or text.startswith("git@")
        where = f"A git repository is named with -u {said}" if address else "Check the path"
        raise SpecError(
            f"There is no script or folder {said!r} in {Path.cwd()}.",
            hint=f"{where}, or name an image with -d IMAGE.",
            field="path",
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SpecError(
            f"The name {text!a} is no UTF-8, and cannot be recorded.",
            hint="Rename it, or launch it from within: %launch .",
            field="path",
        ) from error
    if path.is_dir():
        files = [*_tree(path), *_included(include)]
        main = "main.py" if any(name == "main.py" for name, _ in files) else None
    else:
        if notebook.is_notebook(path.name):
            notebook.check_notebook(path)
        files = [(path.name, path), *_included(include)]
        main = path.name
    kept = _keep(files, keep)
    return Source(
        kind="path", path=text, main=main, snapshot=kept, include=tuple(include), **_interpreter()
    )


def _keep(files: Iterable[tuple[str, Path]], keep: Snapshots) -> str:
    # A cell that stands by itself does not pay for these imports.
    from .snapshot import pack  # noqa: PLC0415

    return keep.put_snapshot(pack(files))


def _tree(folder: Path) -> Iterator[tuple[str, Path]]:
    from .snapshot import tree  # noqa: PLC0415 - as above

    return tree(folder)


def _interpreter() -> dict[str, str]:
    return {"python": sys.executable, "python_version": "{}.{}".format(*sys.version_info)}


def _check_python(body: str) -> None:
    try:
        compile(body, "<cell>", "exec", dont_inherit=True)
    except SyntaxError as error:
        where = f"Line {error.lineno} of the cell" if error.lineno else "The cell"
        line = f": {error.text.strip()}" if error.text else "."
        hint = "Magics and !commands do not work in a launched cell; a first line #!/bin/sh makes "
        raise SpecError(
            f"{where} is not Python: {error.msg}{line}",
            hint=f"{hint}it a shell script.",
            field="source.body",
        ) from error
    except ValueError as error:  # what is no text, such as a NUL character
        raise SpecError(f"The cell is not Python: {error}.", field="source.body") from error


def _included(paths: Sequence[str]) -> Iterator[tuple[str, Path]]:
    for text in paths:
        path = user_path(text)
        outside = path.is_absolute() or ".." in path.parts
        name = path.name if outside else path.as_posix()
        if path.is_dir():
            yield from ((f"{name}/{inner}", file) for inner, file in _tree(path))
        elif path.is_file():
            yield name, path
        else:
            raise SpecError(
                f"There is no file or folder {text!r} to include in {Path.cwd()}.", field="include"
            )


def program(spec: LaunchSpec, snapshots: Snapshots) -> Program:
    """Make the program of a cell, script or folder.

    Raises
    ------
    SpecError
        When there is no telling what to run.
    StoreError
        When the stored files are gone.
    """
    source = spec.source
    assert source is not None
    files = snapshots.get_snapshot(source.snapshot) if source.snapshot else None
    if source.body is not None:
        files = _with_cell(files, cell_name(source.body), source.body)
    return made(spec, files, command(source) if not spec.overrides.entry_point else ())


def made(spec: LaunchSpec, files: bytes | None, own: tuple[str, ...]) -> Program:
    """Make the program of code: its files, and the command asked for, or its own.

    Raises
    ------
    SpecError
        When there is no such folder to run in.
    """
    workdir = _workdir(spec, files)
    command = own or _in_source(spec.overrides.entry_point, files, workdir)
    if notebook.RUNNER in map(posixpath.basename, command):
        files = notebook.with_runner(files)
    return Program(
        command=command,
        args=spec.overrides.args,
        image=spec.image or default_image(spec),
        archive=files,
        workdir=workdir,
        user_id=spec.docker.user_id,
        grace_s=spec.grace_s,
    )


def default_image(spec: LaunchSpec) -> str:
    """Name the image code runs in when none is asked for: the submitter's version of Python."""
    asked = spec.python_version or (spec.source.python_version if spec.source else None)
    version = asked or f"{sys.version_info[0]}.{sys.version_info[1]}"
    return f"python:{version}-slim"


def _workdir(spec: LaunchSpec, files: bytes | None) -> str | None:
    asked = spec.overrides.working_dir
    if asked is None:
        return None
    folder = posixpath.normpath(asked)
    with tarfile.open(fileobj=io.BytesIO(files or _EMPTY)) as tar:
        there = any(name.startswith(f"{folder}/") for name in tar.getnames())
    if folder == ".":
        return None
    if not there:
        raise SpecError(
            f"The code has no folder {asked!r} to run in.",
            hint="A working_dir is a folder of the source, named from its top.",
            field="overrides.working_dir",
        )
    return folder


def cell_name(body: str) -> str:
    """Name the file a cell's body becomes."""
    return CELL_FILE if body.startswith("#!") else f"{CELL_FILE}.py"


def interpreter(first_line: str) -> tuple[str, ...]:
    """Give the argument vector of a shebang line, without arguments for plain Python."""
    try:
        words = shlex.split(first_line.removeprefix("#!"))
    except ValueError as error:
        raise SpecError(f"The line {first_line!r}: {error}.", field="source.body") from error
    if not words:
        raise SpecError("The first line '#!' names no interpreter.", field="source.body")
    return tuple(words)


def command(source: Source) -> tuple[str, ...]:
    """Give the command that runs a source when none is asked for. Raises `SpecError`."""
    if source.body is not None:
        if source.body.startswith("#!"):
            return (*interpreter(source.body.partition("\n")[0]), CELL_FILE)
        return (PYTHON, cell_name(source.body))
    if source.main is None:
        raise SpecError(
            f"The folder {source.path} has no main.py, so there is no telling what to run in it.",
            hint='Name the command: -E "python train.py"',
            field="entry_point",
        )
    return _run_by(source.main) or (f"./{source.main}",)


def _run_by(file: str, folder: str = ".") -> tuple[str, ...]:
    """Give the command that runs a file of the source, by its name; none for a program."""
    suffix = posixpath.splitext(file)[1]
    if suffix == ".py":
        return (PYTHON, file)
    if suffix == notebook.SUFFIX:
        return (PYTHON, posixpath.relpath(notebook.RUNNER, folder), file)
    return ("/bin/sh", file) if suffix == ".sh" else ()


def _in_source(words: tuple[str, ...], files: bytes | None, folder: str | None) -> tuple[str, ...]:
    """Put the interpreter before a script of the source: W&B's own default is ``main.py``.

    What begins with ``./`` asks for the file itself to be the program.
    """
    top, first = folder or ".", words[0]
    run_by = _run_by(first, top)
    if not run_by or first.startswith("./"):
        return words
    name = posixpath.normpath(posixpath.join(top, first))
    with tarfile.open(fileobj=io.BytesIO(files or _EMPTY)) as tar:
        there = any(entry.name == name and not entry.isdir() for entry in tar)
    return (*run_by, *words[1:]) if there else words


def _with_cell(files: bytes | None, name: str, body: str) -> bytes:
    out = io.BytesIO(files or b"")
    with tarfile.open(fileobj=out, mode="a" if files else "w") as tar:
        data = body.encode("utf-8", "surrogatepass")
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(data), 0o644
        tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()
