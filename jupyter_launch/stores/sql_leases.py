"""Leases on the runs in a SQL database: claiming, renewing, taking over."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from ..owner import host_of, known_dead
from ..runs import Queue, Room, Run
from ..states import State
from .base import ANY_RUN, LEASE_S, NEW_WORK, Change, Offer
from .database import Row
from .sql_runs import SQLStore, one_step

BOUNDLESS = Room(sys.float_info.max, sys.maxsize, sys.maxsize)


class LeaseVerbs(SQLStore):
    """Who holds which run."""

    def claim(
        self, queues: Sequence[Queue], owner: str, names: Iterable[str], offer: Offer | None = None
    ) -> Run | None:
        free, whole = offer or Offer(BOUNDLESS, BOUNDLESS)
        values: dict[str, Any] = {"names": None, "owner": owner, "lease_s": LEASE_S}
        values |= whole._asdict()
        values |= {f"free_{name}": value for name, value in free._asdict().items()}
        for queue in queues:
            values |= {"queue": str(queue)}
            row = self._db.row("lease", **values | {"names": None})
            # Only if there is none so easily is it looked for what stands in the way.
            while row is None:
                values["names"] = values["names"] or json.dumps(sorted(names))
                found = self._db.row("next_pending", **values)
                if found is None:
                    break
                if not Room(found["cpus"], found["memory"], found["gpus"]).within(free):
                    return None
                # It is looked for once more as it is taken: somebody else may be faster.
                row = self._db.row("lease", **values)
            if row:
                self._ring(row["id"], ANY_RUN)
                return self._run(row)
        return None

    def renew(self, owner: str) -> list[Run]:
        return [self._run(row) for row in self._db.rows("renew", owner=owner, lease_s=LEASE_S)]

    def sweep(self, owner: str) -> list[Run]:
        self._expire()
        adopted = []
        for row in self._db.rows("owned"):
            if row["owner"] != owner and _orphaned(row, host_of(owner)):
                run = self._take(row, owner)
                adopted += [run] if run else []
        return adopted

    def _take(self, row: Row, owner: str) -> Run | None:
        """Take an orphaned run over, or put it back on its queue, unless somebody was faster."""
        taken = self._taken(row, owner)
        if taken:
            self._taken_over(taken.id)
        return taken

    @one_step
    def _taken(self, row: Row, owner: str) -> Run | None:
        before = {"id": row["id"], "before": row["owner"], "seen": row["lease_until"]}
        if row["state"] == State.LEASED and row["queue"]:
            reason = "its agent ended before it started; waiting for another"
            if self._db.row("back_to_queue", reason=reason, **before):
                self._state_event(row["id"], State.PENDING, Change(reason))
                self._ring(row["id"], ANY_RUN, NEW_WORK)
            return None
        taken = self._db.row("take_over", owner=owner, lease_s=LEASE_S, **before)
        if taken:
            self._ring(ANY_RUN)
        return self._run(taken) if taken else None

    def _taken_over(self, run_id: str) -> None:
        """Forget what is remembered of a run's log, to which somebody else has added since."""

    @one_step
    def _expire(self) -> None:
        reason = "it waited on its queue for longer than its max_wait_time"
        for row in self._db.rows("expire_waiting", reason=reason):
            self._state_event(row["id"], State.FAILED, Change(reason, "WaitedTooLong"))
            self._ring(row["id"], ANY_RUN)

    def leftovers(self, before: float, host: str) -> list[Run]:
        return [self._run(row) for row in self._db.rows("leftovers", before=before, host=host)]

    def clear_handle(self, run_id: str, handle: str) -> None:
        self._db.rows("clear_handle", id=run_id, handle=handle)


def _orphaned(row: Row, host: str) -> bool:
    if known_dead(row["owner"]):
        return True
    # Only on its own machine can a program be found again: those there have the first chance.
    elsewhere = row["handle"] and row["host"] not in {None, host}
    expired: bool = row["lease_until"] + (LEASE_S if elsewhere else 0) < row["tick"]
    return expired
