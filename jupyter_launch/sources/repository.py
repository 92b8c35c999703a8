"""A git repository as a source: its files at one commit become a program."""

from __future__ import annotations

import io
import tarfile

from ..errors import SpecError
from ..program import Program
from ..report import Report
from ..spec import LaunchSpec
from ..spec_parts import Git
from . import code, git
from .base import Snapshots

MAIN = "main.py"
_SCRIPTS = (".py", ".sh")


def keep(commit: str, files: bytes, where: Snapshots) -> str:
    """Store the files of a commit, and give what is recorded of it."""
    return f"{commit}/{where.put_snapshot([files])}"


def kept(part: Git) -> str | None:
    """Name the stored files of the commit that a spec names, if they are of that one."""
    commit, _, name = (part.snapshot or "").partition("/")
    return name if name and commit == part.version else None


def program(spec: LaunchSpec, snapshots: Snapshots, report: Report) -> Program:
    """Make the program of a repository, whose files are fetched if need be.

    Raises
    ------
    SpecError
        When there is no telling what to run in it.
    SourceUnavailable
        When it cannot be fetched.
    """
    assert spec.uri is not None
    name, part = kept(spec.git), spec.git
    if name is not None:
        files = snapshots.get_snapshot(name)
    else:
        commit = part.version or git.resolve(spec.uri, None, part.token).commit
        files = git.archive(spec.uri, commit, ref=part.ref, token=part.token, report=report)
    own = () if spec.overrides.entry_point else _main(spec, files)
    made = code.made(spec, files, own)
    return made.evolve(foreign=not git.is_local(spec.uri))


def _main(spec: LaunchSpec, files: bytes) -> tuple[str, ...]:
    with tarfile.open(fileobj=io.BytesIO(files)) as tar:
        names = [entry.name for entry in tar if entry.isfile()]
    if MAIN in names:
        return (code.PYTHON, MAIN)
    scripts = [name for name in names if name.endswith(_SCRIPTS)]
    nearest = sorted(scripts, key=lambda name: (name.count("/"), name))[:10]
    listed = f" It has: {', '.join(map(ascii, nearest))}." if nearest else " It has no script."
    raise SpecError(
        f"The repository {spec.uri} has no {MAIN}, so there is no telling what to run in it."
        f"{listed}",
        hint='Name the command: -E "python train.py"',
        field="entry_point",
    )
