"""Runs and their events in a SQL database."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from typing import Any, TypeVar

from ..errors import IllegalTransition, LeaseLost, SpecError
from ..owner import host_of
from ..runs import DRAINING, NO_ROOM, Event, Queue, Room, Run, new_id
from ..spec import LaunchSpec
from ..states import OWNED, RETRIED, State, legal
from .base import ANY_RUN, LEASE_S, NEW_WORK, Change, Store
from .database import Database, Row
from .queue_verbs import drained

Verb = TypeVar("Verb", bound=Callable[..., Any])


def one_step(verb: Verb) -> Verb:
    """Make a verb of a SQL store one transaction; what it rings is heard once that is committed.

    It may be called twice where a connection was lost: so it consumes nothing it is given.
    """

    @wraps(verb)
    def step(self: SQLStore, *args: Any, **kwargs: Any) -> Any:
        return self._db.one_step(partial(verb, self, *args, **kwargs))

    return step  # type: ignore[return-value]


class SQLStore(Store):
    """What SQL stores share. Each names its database, and rings its own bells."""

    _db: Database

    @abstractmethod
    def _ring(self, *topics: str) -> None:
        """Wake those who listen to any of the topics, once what was changed can be seen."""

    def _run(self, row: Row) -> Run:
        fields = {key: row[key] for key in _FIELDS}
        fields["state"] = State(row["state"])
        fields["queue"] = Queue.parse(row["queue"]) if row["queue"] else None
        fields["room"] = Room(row["cpus"], row["memory"], row["gpus"])
        for asked in ("stop_requested", "kill_requested"):
            fields[asked] = bool(row[asked])
        return Run(**fields, store=self.id)

    def _check_lease(self, run_id: str, owner: str) -> None:
        row = self._db.row("owner", id=run_id)
        if row is None or row["owner"] != owner:
            raise self._lost(run_id)

    def _lost(self, run_id: str) -> LeaseLost:
        return LeaseLost(f"Run {run_id} is not held by this process any more.")

    def _state_event(self, run_id: str, state: State, change: Change) -> None:
        data: dict[str, Any] = {"state": state, "reason": change.reason}
        data["exit_code"] = change.exit_code
        data |= {"error": change.error} if change.error else {}
        data |= {} if change.retry_in is None else {"retry_in": change.retry_in}
        text = json.dumps(data, ensure_ascii=False)
        self._db.rows("append_event", id=run_id, kind="state", data=text)


_FIELDS = set(Run._fields) - {"room", "store"}


class RunVerbs(SQLStore):
    """Submitting runs, and moving them from state to state."""

    def submit(
        self,
        spec: LaunchSpec,
        *,
        queue: Queue | None = None,
        owner: str | None = None,
        parent: str | None = None,
        room: Room = NO_ROOM,
    ) -> Run:
        values: dict[str, Any] = {
            "id": spec.run_id or new_id(),
            "spec_json": spec.to_json(),
            "state": State.LEASED if owner else State.PENDING,
            "entity": spec.entity,
            "project": spec.project,
            "name": spec.name,
            "queue": str(queue) if queue else None,
            "priority": spec.priority,
            "secrets": json.dumps(names) if (names := spec.needed_names) else "[]",
            "resource": spec.resource,
            "owner": owner,
            "lease_s": LEASE_S if owner else None,
            "parent": parent,
            "wait_s": spec.max_wait_time if queue else None,
            **room._asdict(),
        }
        row = self._insert(values, [ANY_RUN, NEW_WORK] if queue else [ANY_RUN])
        if row is None:
            self._complain(values["id"], queue)
            return self.submit(spec, queue=queue, owner=owner, parent=parent, room=room)
        made = {name: value for name, value in values.items() if name in _FIELDS}
        made |= {"created": row["created"], "priority": row["priority"], "queue": queue}
        return Run(**made, room=room, store=self.id)

    @abstractmethod
    def _insert(self, values: Mapping[str, Any], topics: Sequence[str]) -> Row | None:
        """Record a run, unless its queue does not take it or its id is taken, and ring.

        One statement is one commit: the queue's existence is checked inside it. Gives when the run
        was created, and its priority there.
        """

    def _complain(self, run_id: str, queue: Queue | None) -> None:
        """Say why a run was not recorded; if its queue was only missing so far, make it."""
        if self.find(run_id):
            raise SpecError(
                f"There is a run {run_id!r} already.",
                hint="Leave run_id out for a fresh one.",
                field="run_id",
            )
        assert queue is not None
        self.ensure_queue(queue)
        if self.queue(queue).state == DRAINING:
            raise drained(queue)

    def move(self, run_id: str, owner: str | None, state: State, change: Change) -> Run:
        if state.terminal:
            self._end_log(run_id)
        return self._move(run_id, owner, state, change)

    @one_step
    def _move(self, run_id: str, owner: str | None, state: State, change: Change) -> Run:
        before = self._db.row("lock_run", id=run_id) or {"state": self.get(run_id).state}
        if before["owner"] != owner:
            raise self._lost(run_id)
        if not legal(State(before["state"]), state):
            raise IllegalTransition(f"Run {run_id} cannot go from {before['state']} to {state}.")
        self._state_event(run_id, state, change)
        row = self._db.row(
            "move",
            id=run_id,
            state=state,
            reason=change.reason,
            handle=change.handle,
            host=host_of(owner) if change.handle and owner else None,
            resource=change.resource,
            spec_json=change.spec_json,
            exit_code=change.exit_code,
            starts=state is State.RUNNING,
            ends=state.terminal,
            held=state in OWNED,
            retried=state in RETRIED and change.retry_in is not None,
            retry_in=change.retry_in,
        )
        assert row is not None
        self._ring(run_id, ANY_RUN, *([NEW_WORK] if state is State.PENDING else []))
        return self._run(row)

    def _end_log(self, run_id: str) -> None:
        """Put on the disk what was written of the log of a run that ends."""

    @one_step
    def request_stop(self, run_id: str, *, kill: bool = False) -> Run:
        locked = self._db.row("lock_run", id=run_id)
        run = self._run(locked) if locked else self.get(run_id)
        if run.state is State.PENDING:
            run = self.move(run_id, None, State.STOPPED, Change("stopped before it started"))
        elif not run.state.terminal:
            row = self._db.row("request_stop", id=run_id, kill=kill)
            assert row is not None
            run = self._run(row)
        self._ring(*([run.owner] if run.owner else []), run_id, ANY_RUN)
        return run

    @one_step
    def requeue(self, run: Run) -> Run:
        assert run.queue is not None
        self.ensure_queue(run.queue)
        row = self._db.row(
            "requeue",
            id=run.id,
            queue=str(run.queue),
            spec_json=run.spec_json,
            priority=run.priority,
            secrets=json.dumps(run.spec.needed_names),
            **run.room._asdict(),
        )
        if row is None:
            raise IllegalTransition(
                f"Run {run.id} does not wait on a queue any more: it is {self.get(run.id).state}."
            )
        self._ring(run.id, ANY_RUN, NEW_WORK)
        return self._run(row)

    @one_step
    def delete(self, run_id: str) -> bool:
        gone = self._db.row("delete_pending", id=run_id)
        if gone:
            self._db.rows("delete_events", id=run_id)
        self._ring(run_id, ANY_RUN)
        return gone is not None

    # -- events --------------------------------------------------------------------------------

    @one_step
    def append_event(self, run_id: str, kind: str, data: Mapping[str, Any]) -> Event:
        text = json.dumps(data, ensure_ascii=False)
        row = self._db.row("append_event", id=run_id, kind=kind, data=text)
        if row is None:
            raise self._unknown(run_id)
        self._ring(run_id)
        return _event(row)

    def events(self, run_id: str, after: int = 0) -> list[Event]:
        return [_event(row) for row in self._db.rows("events", id=run_id, after=after)]


def _event(row: Row) -> Event:
    return Event(row["run_id"], row["seq"], row["at"], row["kind"], json.loads(row["data"]))
