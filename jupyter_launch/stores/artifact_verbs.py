"""What every store promises about the files that programs leave behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ..artifact import Kept, Output


class Limits(NamedTuple):
    """How much one run may leave behind: bytes and files."""

    size: int = 10 * 1000**3
    files: int = 10_000


class ArtifactVerbs(ABC):
    """The artifacts of runs: all of a run's, or none."""

    @abstractmethod
    def keep_artifacts(
        self, run_id: str, owner: str, outputs: Iterable[Output], limits: Limits
    ) -> list[str]:
        """Keep what a run's program left behind, in one step: nobody ever sees a part of it.

        Where it was kept before, it stays as it is.

        Returns
        -------
        list of str
            What was left out and why, one line each.

        Raises
        ------
        LeaseLost
            When `owner` does not hold the run any more.
        StoreUnavailable
            When there is no space: then nothing is kept, and it can be tried again.
        """

    @abstractmethod
    def artifacts(self, run_id: str) -> list[Kept]:
        """Give what is kept of a run, by name."""

    @abstractmethod
    def artifact_path(self, run_id: str, name: str) -> Path:
        """Give a file on this machine with an artifact's content, to be read only.

        Raises
        ------
        ArtifactNotFound
        """
