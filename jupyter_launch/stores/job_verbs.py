"""What every store promises about jobs, and about the code they and runs are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..job import Job, JobName, JobRef


class JobVerbs(ABC):
    """Jobs by entity, project, name and version, and snapshots by a name made of their content."""

    @abstractmethod
    def put_job(self, name: JobName, content: Mapping[str, Any], aliases: Sequence[str]) -> Job:
        """Make a version of a job, and let ``latest`` and the aliases point to it.

        Where its newest version says the same already (see `digest`), that one is given.
        """

    @abstractmethod
    def find_job(self, ref: JobRef) -> Job | None:
        """Give the version of a job that an alias points to, or ``None``."""

    @abstractmethod
    def jobs(self, entity: str | None = None, project: str | None = None) -> list[Job]:
        """Give all versions of all jobs, or of an entity's or project's: newest version first."""

    @abstractmethod
    def delete_job(self, job: Job) -> None:
        """Delete a version of a job; ``latest`` then points to the newest that is left.

        Raises
        ------
        StoreError
            Naming the runs that have not ended and need it: then nothing is deleted.
        """

    @abstractmethod
    def put_snapshot(self, chunks: bytes | Iterable[bytes]) -> str:
        """Keep a tar archive and give its name, which follows from its content alone."""

    @abstractmethod
    def get_snapshot(self, name: str) -> bytes:
        """Give back a tar archive. Raises `StoreError` if it is not there."""
