"""What the server extension can do: every verb of its REST, as plain calls that may block.

Each takes the id in the address and the query or body as they came, and gives plain values.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from .._version import __version__
from ..config import setting
from ..errors import LaunchError, RunNotFound, SpecError
from ..handle import RunHandle
from ..queues import change_queue, look_at, make_queue, requeue
from ..redact import redact_spec
from ..runs import Queue, QueueRecord
from ..sources.code import from_path
from ..sources.notebook import is_notebook
from ..spec import ID_PATTERN, PRIORITIES, LaunchSpec
from ..stores.queue_verbs import FIRST_QUEUE
from ..submit import close_all, launcher
from . import queue_rows
from . import server_lists as lists
from . import server_params as params
from .artifact_list import listed
from .compare import compare
from .copy_as import FORMS
from .feed import Feed, Send, described
from .feeds import Feeds
from .record import bundle_of, live_record, safe, summary
from .relaunch import relaunch
from .server_lists import Desk
from .server_live_lists import LiveLists

Query: TypeAlias = Mapping[str, Sequence[str]]
Json: TypeAlias = dict[str, Any]

TICK_S = 0.05
"""A page is told at most twenty times a second what is new about a run."""

ITEMS = 100
"""How many of a queue's items are given at most."""

PIECE = 1 << 20
"""How much of a log is held in memory while it is sent, in bytes."""


class Service:
    """The store that the kernels of this server use, opened by the same rules.

    Parameters
    ----------
    root : Path, optional
        Where the server's notebooks are, if they are files.

    Raises
    ------
    ConfigError, StoreUnavailable
        When it cannot be opened.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.launcher = launcher(setting("store").value)
        self.store = self.launcher.store
        self.desk = Desk(root)
        self.feeds = Feeds(self.handle, TICK_S)
        self.lists = LiveLists(self.store, self.desk)
        # Nobody may look after the runs of kernels that died; it must not keep a page waiting.
        threading.Thread(target=self._sweep, name="launch-sweep", daemon=True).start()

    def _sweep(self) -> None:
        with contextlib.suppress(LaunchError):  # whoever asks for such a run is told
            self.launcher.sweep()

    def close(self) -> None:
        """End the threads. Runs go on."""
        self.lists.close()
        self.feeds.close()
        close_all()

    def hear(self, message: Json, send: Send) -> None:
        """Take one message of a page. Raises `SpecError`."""
        (self.lists if message["t"] == "list" else self.feeds).hear(message, send)

    def leave(self, send: Send) -> None:
        """Forget a page."""
        self.lists.leave(send)
        self.feeds.leave(send)

    def handle(self, run_id: str) -> RunHandle:
        """Give the handle of a run. Raises `RunNotFound`."""
        if not ID_PATTERN.fullmatch(run_id):
            raise RunNotFound(
                f"There is no run {safe(run_id[:80])!r}.",
                hint="A run's id is 1 to 64 letters, digits, '-' or '_'.",
            )
        return self.launcher.handle(run_id)

    # -- runs ----------------------------------------------------------------------------------

    def runs(self, query: Query) -> Json:
        """List runs, newest first."""
        asked = params.from_query(params.RunsQuery, query)
        queue = None
        if asked.queue is not None or asked.entity is not None:
            queue = Queue(_entity(asked.entity), asked.queue or FIRST_QUEUE)
            if queue.name != FIRST_QUEUE:
                self.store.queue(queue)  # says so if there is none
        runs = self.store.runs(states=asked.state, queue=queue, limit=asked.limit)
        return {"runs": [summary(run) for run in runs]}

    def create(self, body: Json) -> Json:
        """Launch a spec, now or on a queue."""
        asked = params.from_body(params.NewRun, body)
        if asked.spec is None and asked.path is None:
            raise SpecError("There is neither a spec nor a path to launch.", field="spec")
        spec = LaunchSpec.from_dict(asked.spec or {})
        if asked.path is not None:
            code = from_path(str(self.desk.file(asked.path)), (), self.store)
            where = self.desk.recorded(asked.path) if is_notebook(asked.path) else None
            spec = spec.evolve(source=code, origin={"notebook": where})
        return live_record((self.launcher.add if asked.add else self.launcher.launch)(spec))

    def run(self, run_id: str, query: Query) -> Json:
        """Give a run's record."""
        params.from_query(params.NoQuery, query)
        return live_record(self.handle(run_id))

    def stop(self, run_id: str, body: Json) -> Json:
        """Stop a run, without waiting for its end."""
        handle, asked = self.handle(run_id), params.from_body(params.Stop, body)
        handle.stop(wait=False, kill=asked.kill)
        return live_record(handle)

    def move(self, run_id: str, body: Json) -> Json:
        """Move a waiting run to another queue, or give it another priority."""
        handle, asked = self.handle(run_id), params.from_body(params.MovedRun, body)
        run, queue = handle.run, None
        if asked.queue is not None:
            owner = asked.entity or (run.queue and run.queue.entity)
            queue = Queue(_entity(owner), asked.queue)
        priority = None if asked.priority is None else PRIORITIES[asked.priority]
        self.launcher.rescue(requeue(self.store, run, queue, priority))
        return live_record(handle)

    def relaunch(self, run_id: str, body: Json) -> Json:
        """Launch a run again, as it was or edited."""
        handle, asked = self.handle(run_id), params.from_body(params.Relaunch, body)
        return live_record(relaunch(handle, asked.config, asked.spec))

    def events(self, run_id: str, query: Query) -> Json:
        """Give what happened to a run."""
        handle, asked = self.handle(run_id), params.from_query(params.EventsQuery, query)
        events = [
            {"seq": event.seq, "at": event.at, "kind": event.kind, "data": _shown(event.data)}
            for event in handle.events(asked.after)
        ]
        return {"events": events}

    def samples(self, run_id: str, query: Query) -> Json:
        """Give what a run used."""
        handle, asked = self.handle(run_id), params.from_query(params.SamplesQuery, query)
        return {"samples": [list(row) for row in self.store.samples(handle.id, asked.after)]}

    def artifacts(self, run_id: str, query: Query) -> Json:
        """List what a run left behind."""
        params.from_query(params.NoQuery, query)
        return {"artifacts": listed(self.store.artifacts(self.handle(run_id).id))}

    def bundle(self, run_id: str, query: Query) -> Json:
        """Give what stands for a run in a saved notebook."""
        params.from_query(params.NoQuery, query)
        return {"bundle": bundle_of(self.handle(run_id))}

    def copy(self, run_id: str, query: Query) -> Json:
        """Give a launch as text that launches the same again."""
        handle, asked = self.handle(run_id), params.from_query(params.CopyQuery, query)
        return {"text": FORMS[asked.form](handle.run)}

    def spec(self, run_id: str, query: Query) -> Json:
        """Give a run's spec, without what looks like a secret."""
        params.from_query(params.NoQuery, query)
        return {"spec": redact_spec(json.loads(self.handle(run_id).run.spec_json))}

    def diff(self, run_id: str, query: Query) -> Json:
        """Give what changed from another run to a run."""
        handle, asked = self.handle(run_id), params.from_query(params.DiffQuery, query)
        return {"lines": compare(self.handle(asked.other).run, handle.run, self.store)}

    # -- logs ----------------------------------------------------------------------------------

    def log(self, run_id: str, query: Query) -> tuple[int, bool]:
        """Give how many bytes of a run's log there are, and whether it shall become a file."""
        handle, asked = self.handle(run_id), params.from_query(params.LogQuery, query)
        return self.store.log_position(handle.id).size, asked.download

    def log_piece(self, run_id: str, start: int, stop: int) -> bytes:
        """Give the log's bytes from `start` on, not beyond `stop`, at most `PIECE` of them."""
        return self.store.read_log(run_id, start, min(stop - start, PIECE))

    def lines(self, run_id: str, query: Query) -> Json:
        """Give lines of a log as a terminal would show them."""
        feed, asked = self._feed(run_id), params.from_query(params.LinesQuery, query)
        feed.catch_up()
        chunk = feed.lines.read(asked.first, asked.count)
        lines = chunk.text.decode("utf-8", "replace").split("\n")[:-1]
        return {**described(chunk), "total": feed.lines.total, "lines": lines}

    def find(self, run_id: str, query: Query) -> Json:
        """Give the numbers of the lines that match."""
        feed, asked = self._feed(run_id), params.from_query(params.FindQuery, query)
        feed.catch_up()
        found = feed.lines.find(
            asked.text, case=asked.case, regex=asked.regex, start=asked.start, limit=asked.limit
        )
        return {"lines": found.lines, "more": found.more}

    def _feed(self, run_id: str) -> Feed:
        return self.feeds.feed(self.handle(run_id).id)

    # -- store, queues, agents -----------------------------------------------------------------

    def about(self, query: Query) -> Json:
        """Name the store."""
        params.from_query(params.NoQuery, query)
        return {"id": self.store.id, "version": __version__}

    def queues(self, query: Query) -> list[Json]:
        """List the queues."""
        params.from_query(params.NoQuery, query)
        return lists.queues(self.store)

    def create_queue(self, body: Json) -> Json:
        """Make a queue."""
        asked = params.from_body(params.NewQueue, body)
        queue = Queue(_entity(asked.entity), asked.name)
        make_queue(self.store, QueueRecord(queue, **asked.given))
        return self._queue(queue)

    def queue(self, name: str, query: Query) -> Json:
        """Give a queue with its config, what waits on it, and who serves it."""
        queue = Queue(_entity(params.from_query(params.QueueQuery, query).entity), name)
        (look,) = look_at(self.store, queue)
        return {
            **queue_rows.plain(look),
            "config": queue_rows.config(look.record),
            "items": queue_rows.items(self.store, queue, ITEMS),
            "serving": [lists.agent_row(agent) for agent in look.agents],
        }

    def change_queue(self, name: str, query: Query, body: Json) -> Json:
        """Change what is given of a queue."""
        queue = Queue(_entity(params.from_query(params.QueueQuery, query).entity), name)
        change_queue(self.store, queue, params.from_body(params.ChangedQueue, body).given)
        return self._queue(queue)

    def delete_queue(self, name: str, query: Query) -> Json:
        """Delete a queue, if it is forced to with what waits on it."""
        asked = params.from_query(params.DeleteQueue, query)
        queue = Queue(_entity(asked.entity), name)
        return {"stopped": self.store.delete_queue(queue, force=asked.force)}

    def _queue(self, queue: Queue) -> Json:
        return queue_rows.plain(look_at(self.store, queue)[0])

    def agents(self, query: Query) -> list[Json]:
        """List the agents that are alive."""
        params.from_query(params.NoQuery, query)
        return lists.agents(self.store)


def _entity(given: str | None) -> str:
    return setting("entity", given=given).value or ""


def _shown(data: Mapping[str, Any]) -> Json:
    return {key: safe(value) if isinstance(value, str) else value for key, value in data.items()}
