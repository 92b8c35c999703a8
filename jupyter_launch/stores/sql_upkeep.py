"""Looking through, measuring and pruning a SQL database."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from ..owner import known_dead
from .sql_runs import SQLStore
from .upkeep_verbs import Sizes

BATCH = 200
"""How many runs are deleted in one step."""

FOR_EVER = 1e300
_SNAPSHOT = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


class UpkeepVerbs(SQLStore):
    """The store itself. Each says how its runs' logs and files are measured and cleared away."""

    def check(self) -> list[str]:
        return [*self._check_whole(), *self._check_rows(), *self._check_files()]

    def sizes(self) -> Sizes:
        rows = {row["name"]: row["count"] for row in self._db.rows("count_rows")}
        return Sizes(rows, self._bytes())

    def oldest(self) -> float | None:
        row = self._db.row("oldest_run")
        return row["created"] if row else None

    def prune(self, before: float, *, keep_failed: bool = False, dry_run: bool = False) -> Sizes:
        rows: Counter[str] = Counter()
        size: Counter[str] = Counter()
        asked = {"before": before, "keep_failed": keep_failed}
        for batch in self._batches("prunable", asked):
            ids = [row["id"] for row in batch]
            events, freed = self._weigh(ids)
            # Rows go first: whatever happens next, no run is left without its log.
            gone = len(ids) if dry_run else self._delete_runs(ids, asked)
            rows.update(runs=gone, events=events)
            size.update(freed)
        size.update(self._clear(asked, dry_run=dry_run))
        if not dry_run:
            self._db.rows("drop_lost_agents")
        return Sizes(rows, size)

    def _delete_runs(self, ids: Sequence[str], asked: dict[str, Any]) -> int:
        """Delete those of the runs that may be deleted still, with what is in the database."""
        with self._db.transaction():
            rows = self._db.rows("prune_runs", ids=json.dumps(ids), **asked)
            gone = json.dumps([row["id"] for row in rows])
            for statement in self._PARTS:
                self._db.rows(statement, ids=gone)
        self._put_away([row["id"] for row in rows])
        return len(rows)

    _PARTS: tuple[str, ...] = ("prune_events",)
    """Statements that delete what belongs to runs."""

    def _weigh(self, ids: Sequence[str]) -> tuple[int, Counter[str]]:
        """Count the events of runs, and the bytes of their files."""
        row = self._db.row("count_events", ids=json.dumps(ids))
        assert row is not None
        return row["count"], self._run_bytes(ids)

    def _needed(self, asked: dict[str, Any]) -> set[str]:
        """Name the snapshots that jobs need, and runs that would not be deleted."""
        texts = [row["content"] for row in self._db.rows("job_contents")]
        names = {name for text in texts for name in _SNAPSHOT.findall(text)}
        for batch in self._batches("kept_specs", asked):
            for row in batch:
                names.update(_SNAPSHOT.findall(row["spec_json"]))
        return names

    def _batches(self, statement: str, values: dict[str, Any]) -> Iterator[list[Any]]:
        """Give the rows of a statement on runs, some at a time, in order of submission."""
        last = 0
        while rows := self._db.rows(statement, after=last, limit=BATCH, **values):
            last = rows[-1]["seq"]
            yield rows

    def _check_rows(self) -> Iterator[str]:
        for row in self._db.rows("gaps"):
            yield (
                f"run {row['id']}: its events have gaps: something else wrote to the store. Its "
                "state and its log are not affected"
            )
        stray = self._db.row("stray_events")
        if stray and stray["count"]:
            yield (
                f"{stray['count']} events belong to no run: restore the store from a copy, or "
                "leave them: they do no harm"
            )
        for row in self._db.rows("owned"):
            if known_dead(row["owner"]) or row["lease_until"] < row["tick"]:
                yield (
                    f"run {row['id']} is {row['state']}, and its owner is gone: start an agent on "
                    f"{row['host'] or 'this machine'} (jupyter launch agent), which takes it over"
                )

    def _put_away(self, ids: Sequence[str]) -> None:
        """Delete what belongs to runs that are gone, and is not in the database."""

    @abstractmethod
    def _check_whole(self) -> Iterator[str]:
        """Say what is damaged in the database."""

    @abstractmethod
    def _check_files(self) -> Iterator[str]:
        """Say what of logs, artifacts and snapshots is missing, damaged, or of no use."""

    @abstractmethod
    def _bytes(self) -> dict[str, int]:
        """Count all bytes, by what they belong to."""

    @abstractmethod
    def _run_bytes(self, ids: Sequence[str]) -> Counter[str]:
        """Count the bytes of what belongs to runs."""

    @abstractmethod
    def _clear(self, asked: dict[str, Any], *, dry_run: bool) -> Counter[str]:
        """Delete files that belong to no run, and snapshots that nobody needs; count the latter."""
