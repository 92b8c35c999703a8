"""Jobs in a SQL database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import StoreError
from ..job import LATEST, VERSION, Job, JobName, JobRef, digest
from .database import Row
from .sql_runs import SQLStore, one_step


class JobVerbs(SQLStore):
    """Jobs and their versions."""

    @one_step
    def put_job(self, name: JobName, content: Mapping[str, Any], aliases: Sequence[str]) -> Job:
        said = {
            "content": json.dumps(content, ensure_ascii=False),
            "digest": digest(content),
        }
        named = name._asdict()
        newest = self._db.row("newest_job", **named)
        if newest is None or newest["digest"] != said["digest"]:
            self._db.rows("insert_job", **named, **said)
        for alias in (LATEST, *aliases):
            self._db.rows("point_alias", **named, alias=alias)
        made = self.find_job(JobRef(name, LATEST))
        assert made is not None
        return made

    def find_job(self, ref: JobRef) -> Job | None:
        named = ref.job._asdict()
        number = VERSION.fullmatch(ref.alias)
        if number:
            row = self._db.row("job_version", **named, version=int(number[1]))
        else:
            row = self._db.row("job_alias", **named, alias=ref.alias)
        return self._job(row) if row else None

    def jobs(self, entity: str | None = None, project: str | None = None) -> list[Job]:
        rows = self._db.rows("jobs", entity=entity, project=project)
        return [self._job(row) for row in rows]

    @one_step
    def delete_job(self, job: Job) -> None:
        named = {**job.name._asdict(), "version": job.version}
        needed = [row["id"] for row in self._db.rows("runs_of_job", ref=str(job.ref))]
        if needed:
            raise StoreError(
                f"The job {job.ref} is needed by {', '.join(needed)}.",
                hint=f"Stop what needs it first: jupyter launch stop {' '.join(needed)}",
            )
        self._db.rows("delete_aliases", **named)
        self._db.rows("delete_job", **named)
        self._db.rows("point_latest", **job.name._asdict())

    def _job(self, row: Row) -> Job:
        name = JobName(row["entity"], row["project"], row["name"])
        found = self._db.rows("aliases", **name._asdict(), version=row["version"])
        aliases = tuple(alias["alias"] for alias in found)
        return Job(name, row["version"], aliases, row["created"], row["content"])
