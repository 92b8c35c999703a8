"""The verbs of queues, for ``jupyter launch queue`` and ``%launch_queue``."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..config import setting
from ..owner import host_of
from ..queues import QueueLook, change_queue, look_at, make_queue, requeue
from ..runs import DRAINING, PAUSED, RUNNING, Queue, QueueRecord
from ..spec import PRIORITIES
from ..submit import Launcher
from ..waiting import place
from . import queue_rows
from .record import elapsed
from .table import Table, each, facts
from .values import load_mapping, priority

SHOWN = 1000
"""How many of a queue's items are shown at most."""

Verb = Callable[[Launcher, argparse.Namespace], Table]
Add = Callable[[Any, str, Verb, str], argparse.ArgumentParser]


def add_to(subs: Any, add: Add) -> None:
    """Add the verbs to a parser's subparsers, each by `add`."""
    _add_settings(add(subs, "create", _create, "make a queue"))
    _add_settings(add(subs, "update", _update, "change what is given of a queue"))
    add(subs, "list", _list, "all queues")
    for name, verb, about in (
        ("show", _show, "a queue, and what waits on it in its order"),
        ("pause", _to(PAUSED), "let a queue take items, and give none"),
        ("resume", _to(RUNNING), "let a queue take and give items again"),
        ("drain", _to(DRAINING), "let a queue give its items, and take no more"),
        ("delete", _delete, "delete a queue"),
    ):
        made = add(subs, name, verb, about)
        made.add_argument("queue", metavar="NAME", help="name of the queue")
    made.add_argument(
        "--force", action="store_true", help="even if items wait on it, which are stopped"
    )
    move = add(subs, "move", _move, "move waiting runs to another queue")
    move.add_argument("run", nargs="+", metavar="ID", help="ids of the runs")
    move.add_argument("--to", dest="queue", metavar="QUEUE", required=True, help="where they go")
    first = add(subs, "prioritize", _prioritize, "give waiting runs another priority")
    first.add_argument("run", nargs="+", metavar="ID", help="ids of the runs")
    first.add_argument(
        "-P", "--priority", metavar="|".join(PRIORITIES), required=True, help="how soon they go"
    )


def _add_settings(made: argparse.ArgumentParser) -> None:
    made.argument_default = argparse.SUPPRESS  # what is not given is not changed
    made.add_argument("queue", metavar="NAME", help="name of the queue")
    made.add_argument(
        "-r", "--resource", metavar="NAME", help="where items run that name none; local-container"
    )
    made.add_argument("-c", "--config", metavar="FILE|JSON", help="resource_args of its items")
    made.add_argument(
        "--template-variables",
        metavar="FILE|JSON",
        help="what items may choose, such as {n: {schema: {type: integer}}}",
    )
    made.add_argument(
        "--max-running",
        type=_number,
        metavar="N|none",
        help="how many of its runs may be at work at once",
    )
    made.add_argument(
        "--priorities",
        choices=("on", "off"),
        help="whether those of higher priority go first, or all in the order of submission",
    )
    made.add_argument(
        "--retries",
        type=_number,
        metavar="N|none",
        help="how often an item that ends badly is tried once more, if it does not say itself",
    )
    made.add_argument(
        "--retry-on",
        nargs="+",
        metavar="OUTCOME",
        help="after what: crashed, preempted, failed, exit codes",
    )


def _number(text: str) -> int | None:
    return None if text == "none" else int(text)


_number.__name__ = "number"  # what argparse calls it in its complaint


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Give the fields of a queue's record that were given."""
    given = {**vars(arguments)}
    changes: dict[str, Any] = {n: given[n] for n in ("resource", "max_running") if n in given}
    if "priorities" in given:
        changes["prioritize"] = given["priorities"] == "on"
    if "retries" in given and given["retries"] is None:
        changes["retry"] = None
    elif policy := {
        name: given[flag]
        for flag, name in (("retries", "max_retries"), ("retry_on", "on"))
        if flag in given
    }:
        changes["retry"] = policy
    config = {
        name: load_mapping(given[flag], f"--{flag.replace('_', '-')}")
        for flag, name in (("config", "resource_args"), ("template_variables",) * 2)
        if flag in given
    }
    return {**changes, **({"config": config} if config else {})}


def _create(made: Launcher, arguments: argparse.Namespace) -> Table:
    queue = _queue(arguments)
    make_queue(made.store, QueueRecord(queue, **_settings(arguments)))
    return _changed(made, queue, f"made {queue}")


def _update(made: Launcher, arguments: argparse.Namespace) -> Table:
    queue = _queue(arguments)
    change_queue(made.store, queue, _settings(arguments))
    return _changed(made, queue, f"changed {queue}")


def _to(state: str) -> Verb:
    def verb(made: Launcher, arguments: argparse.Namespace) -> Table:
        queue = _queue(arguments)
        change_queue(made.store, queue, {"state": state})
        return _changed(made, queue, f"{queue} is {state}")

    return verb


def _changed(made: Launcher, queue: Queue, said: str) -> Table:
    return Table(queue_rows.plain(look_at(made.store, queue)[0]), [said])


def _delete(made: Launcher, arguments: argparse.Namespace) -> Table:
    queue = _queue(arguments)
    stopped = made.store.delete_queue(queue, force=arguments.force)
    said = f"deleted {queue}" + (f", and stopped {stopped} that waited" if stopped else "")
    return Table({"entity": queue.entity, "name": queue.name, "stopped": stopped}, [said])


def _list(made: Launcher, arguments: argparse.Namespace) -> Table:
    del arguments
    found = [queue_rows.plain(look) for look in look_at(made.store)]
    shown = ("entity", "name", "resource", "state", "pending", "running", "agents")
    head = [{"pending": "WAITING"}.get(name, name.upper()) for name in shown]
    rows = [[str(row[name]) for name in shown] for row in found]
    return Table(found, [] if rows else ["no queues"], head, rows)


def _show(made: Launcher, arguments: argparse.Namespace) -> Table:
    queue = _queue(arguments)
    made.store.ensure_queue(queue)
    (look,) = look_at(made.store, queue)
    items = queue_rows.items(made.store, queue, SHOWN)
    config = queue_rows.config(look.record)
    rows = [
        [
            str(item["place"]),
            item["id"],
            item["priority"],
            _age(item),
            item["name"],
            item["waits_for"],
        ]
        for item in items
    ]
    return Table(
        {**queue_rows.plain(look), "config": config, "items": items},
        facts(_known(look, config, len(items))),
        ("PLACE", "ID", "PRIORITY", "AGE", "WHAT", "WAITS FOR"),
        rows,
    )


def _known(look: QueueLook, config: Mapping[str, Any], items: int) -> dict[str, str]:
    record = look.record
    agents = [f"{agent.id} on {host_of(agent.owner)}" for agent in look.agents]
    more = f", the first {items} shown" if items < look.waiting else ""
    return {
        "queue": str(record.queue),
        "resource": record.resource,
        "state": record.state,
        "items": f"{look.waiting} waiting, {look.running} at work{more}",
        "agents": ", ".join(agents) or "none",
        "priorities": "on" if record.prioritize else "off: all in the order of submission",
        "max running": str(record.max_running or ""),
        "retry": _json(record.retry),
        "config": _json(config.get("resource_args")),
        "template variables": _json(config.get("template_variables")),
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""


def _age(item: Mapping[str, Any]) -> str:
    return elapsed(time.time() - item["created"])


def _move(made: Launcher, arguments: argparse.Namespace) -> Table:
    def act(run_id: str) -> str:
        run = made.store.get(run_id)
        # To a queue of whoever owns the one it is on, unless somebody else is named.
        entity = arguments.entity or (run.queue and run.queue.entity)
        queue = Queue(setting("entity", given=entity).value or "", arguments.queue)
        moved = requeue(made.store, run, queue)
        made.rescue(moved)
        return f"waits on {queue}"

    return each(arguments.run, act)


def _prioritize(made: Launcher, arguments: argparse.Namespace) -> Table:
    level = priority(arguments.priority, "--priority")

    def act(run_id: str) -> str:
        run = requeue(made.store, made.store.get(run_id), priority=level)
        if run.priority != level:
            return f"keeps its place: {run.queue} goes by the order of submission alone"
        return f"has {arguments.priority} priority, {place(made.store.ahead(run))}"

    return each(arguments.run, act)


def _queue(arguments: argparse.Namespace) -> Queue:
    return Queue(setting("entity", given=arguments.entity).value or "", arguments.queue)
