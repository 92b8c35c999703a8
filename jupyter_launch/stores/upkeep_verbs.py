"""What every store promises about itself: that it can be looked through, measured and cleared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple


class Sizes(NamedTuple):
    """How much there is, or was deleted: rows by table, bytes by what they belong to."""

    rows: Mapping[str, int]
    bytes: Mapping[str, int]


class Schema(NamedTuple):
    """Versions of a store's tables: as they were when it was opened (0: none), and as they are."""

    found: int
    now: int


class UpkeepVerbs(ABC):
    """The store itself."""

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """The versions of its tables. Opening a store brings it up to date."""

    @abstractmethod
    def check(self) -> list[str]:
        """Look whether all is whole, and say what is not and what to do: one line each."""

    @abstractmethod
    def sizes(self) -> Sizes:
        """Count what is there."""

    @abstractmethod
    def oldest(self) -> float | None:
        """Give the Unix time at which the oldest run was recorded; ``None`` if there is none."""

    @abstractmethod
    def prune(self, before: float, *, keep_failed: bool = False, dry_run: bool = False) -> Sizes:
        """Delete runs that ended before a Unix time, with all that belongs to them alone.

        What has not ended stays, and so does what still has to be cleared away at its backend, and
        every snapshot that a run that stays, or a job, needs. In steps so small that nobody waits
        for long; where it is interrupted, the next one goes on.

        Parameters
        ----------
        before : float
            Unix time.
        keep_failed : bool
            Whether to delete only those that finished or were stopped.
        dry_run : bool
            Whether to delete nothing, and say what would be deleted.

        Returns
        -------
        Sizes
            What is gone.
        """
