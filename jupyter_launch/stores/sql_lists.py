"""Lists of the runs in a SQL database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from ..runs import Queue, Run
from ..states import State
from .sql_runs import SQLStore

_OPEN = frozenset(state for state in State if not state.terminal)


class ListVerbs(SQLStore):
    """Finding one run, or many."""

    def find(self, run_id: str) -> Run | None:
        row = self._db.row("get", id=run_id)
        return self._run(row) if row else None

    def attempts(self, run_id: str) -> list[Run]:
        return [self._run(row) for row in self._db.rows("attempts", id=run_id)]

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
            return [self._run(row) for row in self._db.rows("list", limit=limit)]
        # Those that have not ended are few, and found without a look at all the others.
        rows = self._db.rows(
            "list_open" if wanted and wanted <= _OPEN else "list_some",
            states=json.dumps(sorted(wanted or State)),
            queue=str(queue) if queue else None,
            notebook=notebook,
            text=text or None,
            limit=limit,
        )
        return [self._run(row) for row in rows]

    def places(self) -> Mapping[str, int]:
        return {row["id"]: row["place"] for row in self._db.rows("places")}

    def ahead(self, run: Run) -> int:
        row = self._db.row("ahead", id=run.id)
        assert row is not None
        count: int = row["ahead"]
        return count
