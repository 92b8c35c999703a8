"""The verbs of the embedded store that list runs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping

from ..runs import Queue, Run
from ..states import State
from .base import Store
from .sqlite_file import SQLiteFile

_OPEN = frozenset(state for state in State if not state.terminal)


class ListVerbs(Store):
    """What an embedded store lists."""

    _file: SQLiteFile

    def runs(
        self,
        *,
        states: Iterable[State] = (),
        queue: Queue | None = None,
        notebook: str | None = None,
        text: str | None = None,
        limit: int = 50,
    ) -> list[Run]:
        wanted = frozenset(states)
        if not (wanted or queue or notebook or text):
            return [self._run(row) for row in self._file.rows("list", limit=limit)]
        # Those that have not ended are few, and found without a look at all the others.
        rows = self._file.rows(
            "list_open" if wanted and wanted <= _OPEN else "list_some",
            states=json.dumps(sorted(wanted or State)),
            queue=str(queue) if queue else None,
            notebook=notebook,
            text=text or None,
            limit=limit,
        )
        return [self._run(row) for row in rows]

    def places(self) -> Mapping[str, int]:
        return {row["id"]: row["place"] for row in self._file.rows("places")}

    def ahead(self, run: Run) -> int:
        row = self._file.row("ahead", id=run.id)
        assert row is not None
        count: int = row[0]
        return count

    def _run(self, row: sqlite3.Row) -> Run:
        fields = {key: row[key] for key in row.keys() if key in Run.__dataclass_fields__}  # noqa: SIM118
        fields["state"] = State(row["state"])
        fields["queue"] = Queue.parse(row["queue"]) if row["queue"] else None
        for asked in ("stop_requested", "kill_requested"):
            fields[asked] = bool(row[asked])
        return Run(**fields, store=self.id)
