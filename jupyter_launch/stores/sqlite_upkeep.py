"""Looking through, measuring and pruning an embedded store: its file and its folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from .folder import Folder
from .sql_upkeep import FOR_EVER, UpkeepVerbs
from .sqlite_file import SCHEMA_VERSION, SQLiteFile
from .upkeep_verbs import Schema


class SQLiteUpkeep(UpkeepVerbs):
    """The store itself."""

    _file: SQLiteFile
    _folder: Folder

    @property
    def schema(self) -> Schema:
        assert self._file.found is not None
        return Schema(self._file.found, SCHEMA_VERSION)

    def _check_whole(self) -> Iterator[str]:
        for row in self._db.rows("integrity"):
            if row["integrity_check"] != "ok":
                yield (
                    f"the file {self._file.path} is damaged ({row['integrity_check']}): restore it "
                    f"from a copy, or save what can be read (sqlite3 {self._file.path} .recover)"
                )

    def _check_files(self) -> Iterator[str]:
        files = self._folder.upkeep
        strays = [run_id for ids in files.owners() for run_id in self._strays(ids)]
        if strays:
            size = sum(files.of_runs(dict.fromkeys(strays)).values())
            yield (
                f"{len({*strays})} runs that are gone left files ({size:,} bytes): jupyter launch "
                "store prune deletes them"
            )
        yield from files.check_logs({row["id"] for row in self._db.rows("open_runs")})
        yield from files.check_artifacts()
        needed = self._needed({"before": FOR_EVER, "keep_failed": False})
        yield from files.check_snapshots(needed)

    def _bytes(self) -> dict[str, int]:
        row = self._db.row("database_bytes")
        assert row is not None
        return {
            "database": row["bytes"],
            "free database": row["unused"],
            **self._folder.upkeep.sizes(),
        }

    def _run_bytes(self, ids: Sequence[str]) -> Counter[str]:
        return self._folder.upkeep.of_runs(ids)

    def _put_away(self, ids: Sequence[str]) -> None:
        # A run may get the id of one that is gone at any moment; not while this is looked at.
        with self._db.transaction():
            self._folder.upkeep.put_away(self._strays(ids))
        self._folder.upkeep.empty()

    def _clear(self, asked: dict[str, Any], *, dry_run: bool) -> Counter[str]:
        files, freed = self._folder.upkeep, Counter[str]()
        for ids in files.owners():
            strays = self._strays(ids)
            freed += files.of_runs(strays)
            if strays and not dry_run:
                self._put_away(strays)
        unneeded = files.unneeded(self._needed(asked))
        if dry_run:
            freed["snapshots"] = files.snapshot_bytes(unneeded)
        else:
            freed["snapshots"] = sum(map(files.delete_snapshot, unneeded))
            files.empty()
        return freed

    def _strays(self, ids: Sequence[str]) -> list[str]:
        """Give those that are the ids of no runs."""
        known = {row["id"] for row in self._db.rows("known_runs", ids=json.dumps(ids))}
        return [run_id for run_id in ids if run_id not in known]
