"""What a program needs to be installed: from the launch's own words, or from its source's files."""

from __future__ import annotations

import io
import posixpath
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SpecError
from . import uv_lock
from .requirement_lines import CONSTRAINT, LIMIT_BYTES, Reader, installs

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REQUIREMENTS, CONSTRAINTS = "requirements.txt", "constraints.txt"
NAME_THEM = (
    "Name the packages with --requirements, put a requirements.txt beside the code, or write a "
    "Dockerfile (--dockerfile)."
)


@dataclass(frozen=True)
class Dependencies:
    """What is to be installed, as the files that the installer reads.

    Parameters
    ----------
    files : mapping of str to bytes
        Their names and contents; among them ``requirements.txt``.
    kind : str
        ``pip``: the installer finds what these need in turn. ``uv``: a lock, complete.
    """

    files: Mapping[str, bytes]
    kind: str = "pip"

    @classmethod
    def from_lines(cls, lines: Sequence[str], kind: str = "pip") -> Dependencies:
        """Take lines as `read_requirements` gives them."""
        limits = [line.removeprefix(CONSTRAINT) for line in lines if line.startswith(CONSTRAINT)]
        wanted = [line for line in lines if not line.startswith(CONSTRAINT)]
        files = {REQUIREMENTS: _text([*wanted, *([f"-c {CONSTRAINTS}"] if limits else [])])}
        if limits:
            files[CONSTRAINTS] = _text(limits)
        return cls(files, kind)

    def context(self) -> bytes:
        """Give the files as a build context: a tar archive, equal for equal files."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, data in sorted(self.files.items()):
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(data), 0o644
                tar.addfile(entry, io.BytesIO(data))
        return out.getvalue()


def read_requirements(words: Sequence[str]) -> tuple[str, ...]:
    """Read the words of ``--requirements``: each a requirement, or a file of them.

    Files are read now, with those they name, so that what comes out says it all by itself; given
    to this function again, it comes out unchanged.

    Raises
    ------
    SpecError
        Naming the file and the line that is broken, and why.
    """
    reader = Reader(lambda name: Path(name).read_bytes())
    lines: list[str] = []
    for word in words:
        if word.endswith(".txt") or _is_file(word):
            lines += reader.file(word)
        else:
            lines += reader.line(word.strip(), f"The requirement {word!r}", "")
    return tuple(dict.fromkeys(lines))


def declared(archive: bytes | None) -> Dependencies | None:
    """Find what a source's own files ask for; ``None`` if nothing.

    The first counts of ``requirements.txt``, ``uv.lock``, and the dependencies of the project in
    ``pyproject.toml``, at the top of the archive.

    Raises
    ------
    SpecError
        When such a file is broken, or says it in a way that cannot be followed.
    """
    if archive is None:
        return None
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = set(tar.getnames())
        reader = Reader(lambda name: _member(tar, name))
        kind = "pip"
        if REQUIREMENTS in names:
            lines = list(reader.file(REQUIREMENTS))
        elif "uv.lock" in names:
            lines, kind = uv_lock.requirements(_toml(tar, "uv.lock")), "uv"
        elif "pyproject.toml" in names:
            lines = _of_project(_toml(tar, "pyproject.toml"), reader)
        elif found := names & {"environment.yml", "environment.yaml"}:
            raise SpecError(
                f"The code needs a conda environment ({found.pop()}), which cannot be built here.",
                hint=NAME_THEM,
                field="requirements",
            )
        else:
            return None
    return Dependencies.from_lines(lines, kind) if any(map(installs, lines)) else None


def _text(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except (OSError, ValueError):  # too long for a name, or a NUL character
        return False


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    try:
        file = tar.extractfile(posixpath.normpath(name))
    except KeyError:
        file = None
    if file is None:
        raise FileNotFoundError(2, "it is not there")
    return file.read(LIMIT_BYTES + 1)


def _toml(tar: tarfile.TarFile, name: str) -> dict[str, Any]:
    try:
        file = tar.extractfile(name)
        return tomllib.loads(file.read().decode()) if file else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{name} is broken: {error}.", field="requirements") from error


def _of_project(data: Mapping[str, Any], reader: Reader) -> list[str]:
    project = data.get("project", {})
    if "dependencies" in project.get("dynamic", ()):
        dynamic = data.get("tool", {}).get("setuptools", {}).get("dynamic", {})
        files = dynamic.get("dependencies", {}).get("file", [])
        if not files:
            raise SpecError(
                "pyproject.toml leaves the project's dependencies to its build system.",
                hint=NAME_THEM,
                field="requirements",
            )
        names = [files] if isinstance(files, str) else files
        return [line for name in names for line in reader.file(name)]
    if "poetry" in data.get("tool", {}) and "dependencies" not in project:
        raise SpecError(
            "pyproject.toml names the dependencies in Poetry's own way only.",
            hint=NAME_THEM,
            field="requirements",
        )
    what = "pyproject.toml, project.dependencies: "
    wanted = project.get("dependencies", [])
    return [line for item in wanted for line in reader.line(str(item), what + repr(item), "")]
