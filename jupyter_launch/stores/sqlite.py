"""The embedded store: one SQLite file, and one plain log file per run beside it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..artifact import Kept, Output
from ..bell import Bell
from ..errors import IllegalTransition, LeaseLost, SpecError
from ..owner import known_dead
from ..runs import Event, LogPiece, LogPosition, Queue, Run, Sample, new_id
from ..spec import LaunchSpec
from ..states import OWNED, State, legal
from .artifact_verbs import Limits
from .base import ANY_RUN, LEASE_S, NEW_WORK, Change, Store
from .folder import Folder
from .sqlite_file import SQLiteFile, path_of
from .sqlite_jobs import JobVerbs
from .sqlite_lists import ListVerbs
from .sqlite_queues import AgentVerbs, QueueVerbs


class SQLiteStore(ListVerbs, QueueVerbs, AgentVerbs, JobVerbs, Store):
    """Runs of one user on one machine.

    Parameters
    ----------
    url : str
        ``sqlite:///`` and the path of the file, relative or absolute (then with four slashes).
        ``<file>.d/logs/<run id>.log`` is a run's log, ordinary text.
    """

    def __init__(self, url: str) -> None:
        path = path_of(url)
        self.url = f"sqlite:///{path}"
        self._file = SQLiteFile(path)
        self.id = self._file.about()["id"]
        self._folder = Folder(path.with_name(path.name + ".d"))

    # -- runs ----------------------------------------------------------------------------------

    def submit(
        self,
        spec: LaunchSpec,
        *,
        queue: Queue | None = None,
        owner: str | None = None,
        parent: str | None = None,
    ) -> Run:
        now = time.time()
        values = {
            "id": spec.run_id or new_id(),
            "spec_json": spec.to_json(),
            "state": State.LEASED if owner else State.PENDING,
            "now": now,
            "entity": spec.entity,
            "project": spec.project,
            "name": spec.name,
            "queue": str(queue) if queue else None,
            "priority": spec.priority,
            "secrets": json.dumps(spec.needed_names),
            "resource": spec.resource,
            "owner": owner,
            "lease_until": now + LEASE_S if owner else None,
            "parent": parent,
        }
        # One statement is one commit: the queue's existence is checked inside it.
        row = self._file.row("insert_run", **values)
        if row is None:
            if self.find(str(values["id"])):
                raise SpecError(
                    f"There is a run {values['id']!r} already.",
                    hint="Leave run_id out for a fresh one.",
                    field="run_id",
                )
            assert queue is not None
            self.ensure_queue(queue)
            return self.submit(spec, queue=queue, owner=owner, parent=parent)
        for topic in (ANY_RUN,) if queue is None else (ANY_RUN, NEW_WORK):
            self._folder.ring(topic)
        return self._run(row)

    def claim(self, queues: Sequence[Queue], owner: str, names: Iterable[str]) -> Run | None:
        asked = json.dumps(sorted(names))
        with self._file.transaction():
            rows = [self._file.row("next_pending", queue=str(q), names=asked) for q in queues]
            found = [(row["priority"], row["seq"], row["id"]) for row in rows if row]
            if not found:
                return None
            lease = {"owner": owner, "lease_until": time.time() + LEASE_S}
            row = self._file.row("lease", id=min(found)[2], **lease)
            assert row is not None
            self._state_event(row["id"], State.LEASED, Change())
        self._moved(row["id"])
        return self._run(row)

    def renew(self, owner: str) -> list[Run]:
        rows = self._file.rows("renew", owner=owner, lease_until=time.time() + LEASE_S)
        return [self._run(row) for row in rows]

    def sweep(self, owner: str) -> list[Run]:
        adopted = []
        for row in self._file.rows("owned"):
            now = time.time()
            if row["owner"] == owner or not (row["lease_until"] < now or known_dead(row["owner"])):
                continue
            with self._file.transaction():
                before = {"id": row["id"], "before": row["owner"], "seen": row["lease_until"]}
                if row["state"] == State.LEASED and row["queue"] and not row["handle"]:
                    reason = "its agent ended before it started; waiting for another"
                    if self._file.row("back_to_queue", reason=reason, **before):
                        self._state_event(row["id"], State.PENDING, Change(reason))
                        self._folder.ring(NEW_WORK)
                    continue
                lease = {"owner": owner, "lease_until": now + LEASE_S}
                taken = self._file.row("take_over", **lease, **before)
            if taken:
                self._folder.forget(row["id"])
                adopted.append(self._run(taken))
        self._folder.ring(ANY_RUN)
        return adopted

    def move(self, run_id: str, owner: str | None, state: State, change: Change) -> Run:
        now = time.time()
        if state.terminal:
            self._folder.forget(run_id)
        with self._file.transaction():
            before = self.get(run_id)
            if before.owner != owner:
                raise LeaseLost(f"Run {run_id} is not held by this process any more.")
            if not legal(before.state, state):
                raise IllegalTransition(f"Run {run_id} cannot go from {before.state} to {state}.")
            row = self._file.row(
                "move",
                id=run_id,
                state=state,
                reason=change.reason,
                handle=change.handle,
                resource=change.resource,
                spec_json=change.spec_json,
                exit_code=change.exit_code,
                started=now if state is State.RUNNING else None,
                ended=now if state.terminal else None,
                held=state in OWNED,
            )
            self._state_event(run_id, state, change)
        assert row is not None
        self._moved(run_id)
        if state is State.PENDING:
            self._folder.ring(NEW_WORK)
        return self._run(row)

    def leftovers(self, before: float) -> list[Run]:
        return [self._run(row) for row in self._file.rows("leftovers", before=before)]

    def clear_handle(self, run_id: str) -> None:
        self._file.rows("clear_handle", id=run_id)

    def request_stop(self, run_id: str, *, kill: bool = False) -> Run:
        with self._file.transaction():
            run = self.get(run_id)
            if run.state is State.PENDING:
                run = self.move(run_id, None, State.STOPPED, Change("stopped before it started"))
            elif not run.state.terminal:
                row = self._file.row("request_stop", id=run_id, kill=kill)
                assert row is not None
                run = self._run(row)
        if run.owner:
            self._folder.ring(run.owner)
        self._moved(run_id)
        return run

    def find(self, run_id: str) -> Run | None:
        row = self._file.row("get", id=run_id)
        return self._run(row) if row else None

    def attempts(self, run_id: str) -> list[Run]:
        return [self._run(row) for row in self._file.rows("attempts", id=run_id)]

    def delete(self, run_id: str) -> bool:
        with self._file.transaction():
            gone = self._file.row("delete_pending", id=run_id)
            if gone:
                self._file.rows("delete_events", id=run_id)
        self._moved(run_id)
        return gone is not None

    # -- events and logs -----------------------------------------------------------------------

    def append_event(self, run_id: str, kind: str, data: Mapping[str, Any]) -> Event:
        text = json.dumps(data, ensure_ascii=False)
        row = self._file.row("append_event", id=run_id, kind=kind, data=text, now=time.time())
        assert row is not None
        self._changed(run_id)
        return _event(row)

    def _state_event(self, run_id: str, state: State, change: Change) -> None:
        data = {"state": state, "reason": change.reason, "exit_code": change.exit_code}
        data |= {"error": change.error} if change.error else {}
        text = json.dumps(data, ensure_ascii=False)
        self._file.rows("append_event", id=run_id, kind="state", data=text, now=time.time())

    def events(self, run_id: str, after: int = 0) -> list[Event]:
        return [_event(row) for row in self._file.rows("events", id=run_id, after=after)]

    def append_log(self, run_id: str, owner: str, frames: Iterable[tuple[int, bytes]]) -> None:
        self._folder.append(run_id, frames, partial(self._check_lease, run_id, owner))
        self._changed(run_id)

    def _check_lease(self, run_id: str, owner: str) -> None:
        row = self._file.row("owner", id=run_id)
        if row is None or row["owner"] != owner:
            raise LeaseLost(f"Run {run_id} is not held by this process any more.")

    def read_log(self, run_id: str, offset: int = 0, limit: int = 1 << 20) -> bytes:
        return self._folder.read(run_id, offset, limit)

    def log_position(self, run_id: str) -> LogPosition:
        return self._folder.position(run_id)

    def log_pieces(self, run_id: str, start: int = 0, limit: int = 4096) -> list[LogPiece]:
        return self._folder.pieces(run_id, start, limit)

    def append_sample(self, run_id: str, owner: str, sample: Sample) -> None:
        self._folder.append_sample(run_id, sample, partial(self._check_lease, run_id, owner))

    def samples(self, run_id: str, after: float = 0.0) -> list[Sample]:
        return self._folder.samples(run_id, after)

    # -- artifacts and snapshots ---------------------------------------------------------------

    def keep_artifacts(
        self, run_id: str, owner: str, outputs: Iterable[Output], limits: Limits
    ) -> list[str]:
        may = partial(self._check_lease, run_id, owner)
        return self._folder.artifacts.keep(run_id, outputs, limits, may)

    def artifacts(self, run_id: str) -> list[Kept]:
        return self._folder.artifacts.list(run_id)

    def artifact_path(self, run_id: str, name: str) -> Path:
        return self._folder.artifacts.path(run_id, name)

    def put_snapshot(self, chunks: bytes | Iterable[bytes]) -> str:
        return self._folder.put_snapshot(chunks)

    def get_snapshot(self, name: str) -> bytes:
        return self._folder.get_snapshot(name)

    # -- waking up -----------------------------------------------------------------------------

    def listen(self, topic: str) -> Bell:
        return self._folder.listen(topic)

    def _changed(self, run_id: str) -> None:
        self._folder.ring(run_id)

    def _moved(self, run_id: str) -> None:
        self._changed(run_id)
        self._folder.ring(ANY_RUN)

    def close(self) -> None:
        self._folder.close()
        self._file.close()


def _event(row: sqlite3.Row) -> Event:
    return Event(row["run_id"], row["seq"], row["at"], row["kind"], json.loads(row["data"]))
