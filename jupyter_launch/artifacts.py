"""Artifacts: what a run's program left behind, to be listed, read and downloaded."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from .errors import StoreError

if TYPE_CHECKING:
    from .artifact import Kept
    from .stores.base import Store


class Artifact:
    """A file that a run's program left behind.

    Parameters
    ----------
    store : Store
        Where it is kept.
    run_id : str
        The run.
    kept : Kept
        What the store says of it: `name`, `size` in bytes, `modified` as Unix time, `type`.
    """

    def __init__(self, store: Store, run_id: str, kept: Kept) -> None:
        self.name, self.size, self.modified = kept
        self.type = kept.type
        self._store, self._run_id = store, run_id

    def __repr__(self) -> str:
        return f"<Artifact {self.name} of run {self._run_id}: {self.size:,} bytes>"

    @property
    def path(self) -> Path:
        """A file on this machine with the content, to be read only."""
        return self._store.artifact_path(self._run_id, self.name)

    def open(self) -> BinaryIO:
        """Open it for reading bytes."""
        return self.path.open("rb")

    def read(self) -> bytes:
        """Give its content, all of it at once."""
        return self.path.read_bytes()


class Artifacts(Mapping[str, Artifact]):
    """The artifacts of a run by name; asked for when first needed.

    A run has them once it has ended.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self._store, self._run_id = store, run_id

    @cached_property
    def _found(self) -> dict[str, Artifact]:
        kept = self._store.artifacts(self._run_id)
        return {one.name: Artifact(self._store, self._run_id, one) for one in kept}

    def __getitem__(self, name: str) -> Artifact:
        if name not in self._found:
            self._store.artifact_path(self._run_id, name)  # raises, and says what there is
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return f"<Artifacts of run {self._run_id}: {', '.join(self) or 'none'}>"


def download(artifacts: Artifacts, dest: str | Path, names: Iterable[str] | None) -> list[Path]:
    """Copy artifacts into a folder, which is made if need be.

    Parameters
    ----------
    artifacts : Artifacts
        Of a run.
    dest : str or Path
        The folder. Files of the same names in it are replaced, each in one step.
    names : iterable of str, optional
        Which; default: all.

    Returns
    -------
    list of Path
        The copies.

    Raises
    ------
    ArtifactNotFound
        Before anything is copied.
    StoreError
        When something cannot be written there.
    """
    chosen = [artifacts[name] for name in (artifacts if names is None else names)]
    folder = Path(dest).expanduser()
    for artifact in chosen:
        if artifact.name.startswith("/") or ".." in artifact.name.split("/"):
            # No agent of ours names one so; but who shares a database may write anything to it.
            raise StoreError(
                f"The artifact {artifact.name[:200]!r} would not be written below {folder}.",
                hint="Nothing was copied. Name those you want.",
            )
    try:
        return [_copied(artifact, folder / artifact.name) for artifact in chosen]
    except OSError as error:
        raise StoreError(
            f"The artifacts cannot be written to {folder}: {error.strerror or error}.",
            hint="Name another folder, or make space.",
        ) from error


def _copied(artifact: Artifact, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    try:
        with artifact.open() as source, os.fdopen(descriptor, "wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
        os.utime(part, (artifact.modified, artifact.modified))
        Path(part).replace(path)
    finally:
        Path(part).unlink(missing_ok=True)
    return path
