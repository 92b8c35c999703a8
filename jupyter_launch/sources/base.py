"""The seam between sources and the store: files kept from submission to start."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Snapshots(Protocol):
    """Where the submitter's files are kept: a store, or memory for a dry run."""

    def put_snapshot(self, chunks: bytes | Iterable[bytes]) -> str:
        """Keep a tar archive and give its name."""

    def get_snapshot(self, name: str) -> bytes:
        """Give back a tar archive."""


class InMemory:
    """Snapshots that leave no trace."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def put_snapshot(self, chunks: bytes | Iterable[bytes]) -> str:
        """Keep a tar archive and give its name."""
        name = f"dry-run-{len(self._kept)}"
        self._kept[name] = chunks if isinstance(chunks, bytes) else b"".join(chunks)
        return name

    def get_snapshot(self, name: str) -> bytes:
        """Give back a tar archive."""
        return self._kept[name]
