"""Looking through, measuring and pruning a store in a PostgreSQL database."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from .postgres_database import PostgresDatabase
from .postgres_schema import SCHEMA_VERSION
from .sql_upkeep import FOR_EVER, UpkeepVerbs
from .upkeep_verbs import Schema


class PostgresUpkeep(UpkeepVerbs):
    """The store itself. All of a run is in the database, and goes in one step."""

    _db: PostgresDatabase
    _PARTS = (
        "prune_events",
        "prune_log_bytes",
        "prune_log_pieces",
        "prune_logs",
        "prune_samples",
        "prune_artifacts",
    )

    @property
    def schema(self) -> Schema:
        return Schema(self._db.found, SCHEMA_VERSION)

    def _check_whole(self) -> Iterator[str]:
        yield from ()  # the server looks after its files itself

    def _check_files(self) -> Iterator[str]:
        restore = "restore the database from a copy"
        for row in self._db.rows("cut_logs"):
            said, there = int(row["said"]), int(row["size"])
            yield f"run {row['id']}: of its log's {said:,} bytes, {there:,} are there: {restore}"
        for row in self._db.rows("cut_artifacts"):
            name = row["name"]
            yield f"run {row['id']}: artifacts are missing or cut off: {name}: {restore}"
        snapshots = {row["name"]: row["whole"] for row in self._db.rows("look_at_snapshots")}
        needed = self._needed({"before": FOR_EVER, "keep_failed": False})
        for name in sorted(needed | snapshots.keys()):
            if not snapshots.get(name):
                how = "damaged" if name in snapshots else "gone, and something needs it"
                yield (
                    f"snapshot {name[:12]} is {how}: launch, or make the job, from the files again"
                )

    def _bytes(self) -> dict[str, int]:
        return {row["name"]: int(row["bytes"]) for row in self._db.rows("table_bytes")}

    def _run_bytes(self, ids: Sequence[str]) -> Counter[str]:
        rows = self._db.rows("run_bytes", ids=json.dumps(ids))
        return Counter({row["name"]: int(row["bytes"]) for row in rows})

    def _clear(self, asked: dict[str, Any], *, dry_run: bool) -> Counter[str]:
        needed = self._needed(asked)
        old = [row for row in self._db.rows("old_snapshots") if row["name"] not in needed]
        if not dry_run:
            # One that is handed in at this moment is not that old any more, and stays.
            old = [row for one in old for row in self._db.rows("prune_snapshot", name=one["name"])]
            self._db.rows("drop_unfinished_blobs")
        return Counter(snapshots=sum(row["size"] for row in old))
