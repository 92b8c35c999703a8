"""What every builder is given."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from docker.utils.build import PatternMatcher

DOCKERFILE = ".jupyter-launch.Dockerfile"
"""What a Dockerfile that is none of the context's files is called there: it displaces none."""

IGNORE = ".dockerignore"
LABEL = "jupyter_launch.built"
"""On every image that is built here: ``docker image prune -a --filter label=...`` finds them."""


@dataclass(frozen=True)
class Order:
    """An image to be built now.

    Parameters
    ----------
    tag : str
        Its name.
    context : bytes
        A tar archive with everything, the Dockerfile too.
    dockerfile : str
        The Dockerfile's name in the context.
    platform : str, optional
        Such as ``linux/amd64``.
    secrets : mapping of str to bytes
        Files that instructions may mount while they run.
    """

    tag: str
    context: bytes
    dockerfile: str
    platform: str | None = None
    secrets: Mapping[str, bytes] = field(default_factory=dict)


def without_ignored(context: bytes | None) -> bytes | None:
    """Leave out of a context what its ``.dockerignore`` says: engines do so for folders only."""
    if context is None:
        return None
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(context)) as files:
        try:
            rules = files.extractfile(IGNORE)
        except KeyError:
            rules = None
        if rules is None:
            return context
        lines = [line.strip() for line in rules.read().decode("utf-8", "replace").splitlines()]
        ignored: Any = PatternMatcher([line for line in lines if line and not line.startswith("#")])
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as kept:
            for entry in files:
                if not ignored.matches(entry.name):
                    kept.addfile(entry, files.extractfile(entry) if entry.isreg() else None)
    return out.getvalue()


def with_dockerfile(context: bytes | None, text: str) -> tuple[bytes, str]:
    """Give a context with the Dockerfile in it, and its name there.

    One that is a file of the context keeps its name: what copies the context copies no other.
    """
    data, out = text.encode(), io.BytesIO(context or b"")
    if context:
        with tarfile.open(fileobj=io.BytesIO(context)) as files:
            for entry in files:
                file = files.extractfile(entry) if entry.size == len(data) else None
                if file is not None and file.read() == data:
                    return context, entry.name
    with tarfile.open(fileobj=out, mode="a" if context else "w") as tar:
        entry = tarfile.TarInfo(DOCKERFILE)
        entry.size, entry.mode = len(data), 0o644
        tar.addfile(entry, io.BytesIO(data))
    return out.getvalue(), DOCKERFILE
