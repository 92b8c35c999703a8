"""Artifacts and snapshots of code in a PostgreSQL database.

Their bytes are written first, in chunks of a commit each; they can be found once all are there.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from ..artifact import Kept, Output
from ..errors import StoreError, StoreUnavailable
from .artifact_files import BLOCK, Collection, unavailable, unknown
from .artifact_verbs import Limits
from .database import Row
from .postgres_cache import Cache
from .postgres_database import PostgresDatabase
from .sql_runs import SQLStore, one_step


class FileVerbs(SQLStore):
    """Files in chunks."""

    _db: PostgresDatabase
    _cache: Cache

    def keep_artifacts(
        self, run_id: str, owner: str, outputs: Iterable[Output], limits: Limits
    ) -> list[str]:
        if self._db.rows("artifacts", id=run_id):
            return []
        self._check_lease(run_id, owner)
        with _folder() as folder:
            collection = Collection(folder, limits)
            collection.take(outputs)
            with self._blobs() as blobs:
                files = []
                for name, kept in collection.kept.items():
                    with collection.path(name).open("rb") as file:
                        files.append((kept, self._put(file, blobs)))
                self._seal(run_id, owner, files)
                blobs.clear()
        return collection.left_out

    @one_step
    def _seal(self, run_id: str, owner: str, files: list[tuple[Kept, int]]) -> None:
        if not self._db.rows("lock_owner", id=run_id, owner=owner):
            raise self._lost(run_id)
        for kept, blob in files:
            self._db.rows("add_artifact", id=run_id, blob=blob, **kept._asdict())

    def artifacts(self, run_id: str) -> list[Kept]:
        rows = self._db.rows("artifacts", id=run_id)
        return [Kept(row["name"], row["size"], row["modified"]) for row in rows]

    def artifact_path(self, run_id: str, name: str) -> Path:
        rows = {row["name"]: row for row in self._db.rows("artifacts", id=run_id)}
        if name not in rows:
            raise unknown(run_id, name, list(rows))
        row = rows[name]
        return self._cache.file(f"{row['blob']}", name, row["size"], self._chunks(row))

    def put_snapshot(self, chunks: bytes | Iterable[bytes]) -> str:
        with _spooled([chunks] if isinstance(chunks, bytes) else chunks) as (file, name, size):
            if self._db.row("touch_snapshot", name=name) is None:
                with self._blobs() as blobs:
                    blob = self._put(file, blobs)
                    if self._named(name, size, blob):
                        blobs.clear()
        return name

    @one_step
    def _named(self, name: str, size: int, blob: int) -> bool:
        return bool(self._db.rows("add_snapshot", name=name, size=size, blob=blob))

    def get_snapshot(self, name: str) -> bytes:
        row = self._db.row("snapshot", name=name)
        if row is None:
            raise StoreError(f"The stored files {name[:12]} are gone from {self.url}.")
        data = b"".join(self._chunks(row))
        if hashlib.sha256(data).hexdigest() != name:
            # So that the next launch stores them anew.
            self._db.rows("drop_damaged_snapshot", name=name, blob=row["blob"])
            raise StoreError(
                f"The stored files {name[:12]} in {self.url} were damaged.",
                hint="Launch them from where they are, and their content is stored again.",
            )
        return data

    @contextlib.contextmanager
    def _blobs(self) -> Iterator[list[int]]:
        """Note blobs that are to be deleted in the end, unless they are struck off."""
        self._db.rows("drop_unfinished_blobs")
        blobs: list[int] = []
        try:
            yield blobs
        finally:
            with contextlib.suppress(StoreError):  # they are found to be unfinished, later
                if blobs:
                    self._db.rows("drop_blobs", blobs=blobs)

    def _put(self, file: IO[bytes], blobs: list[int]) -> int:
        row = self._db.row("begin_blob")
        assert row is not None
        blob: int = row["id"]
        blobs.append(blob)
        for number in itertools.count():
            data = file.read(BLOCK)
            if not data:
                return blob
            self._db.rows("add_chunk", blob=blob, number=number, data=data)
        raise AssertionError

    def _chunks(self, row: Row) -> Iterator[bytes]:
        for number in range((row["size"] + BLOCK - 1) // BLOCK):
            chunk = self._db.row("chunk", blob=row["blob"], number=number)
            if chunk is None:
                raise StoreError(f"A part of a stored file is gone from {self.url}.")
            yield chunk["data"]


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    try:
        with tempfile.TemporaryDirectory(prefix="jupyter-launch-") as folder:
            yield Path(folder)
    except OSError as error:
        raise unavailable(Path(tempfile.gettempdir()), error) from error


@contextlib.contextmanager
def _spooled(chunks: Iterable[bytes]) -> Iterator[tuple[IO[bytes], str, int]]:
    """Write chunks to a file; give it with the SHA-256 and the number of its bytes."""
    digest, size = hashlib.sha256(), 0
    with tempfile.TemporaryFile() as file:
        try:
            for chunk in chunks:
                digest.update(chunk)
                size += file.write(chunk)
            file.seek(os.SEEK_SET)
        except OSError as error:
            raise StoreUnavailable(
                f"The snapshot cannot be written to {tempfile.gettempdir()}: {error.strerror}.",
                hint="Nothing was launched. Free some space and try again.",
            ) from error
        yield file, digest.hexdigest(), size
