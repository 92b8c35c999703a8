"""What the verbs of the command line do, besides submitting."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from typing import Any

from ..agent import Serving
from ..config import setting
from ..errors import ExecutionError, RunStopped
from ..handle import RunHandle
from ..queues import make_queue
from ..runs import Queue, QueueRecord
from ..states import State
from ..stores.queue_verbs import FIRST_QUEUE
from ..submit import Launcher, launcher
from . import report
from .values import load_mapping

OK, FAILED = 0, 1


def code(state: State) -> int:
    """Give the exit code that says how a run ended: 0 well, or not yet; 1 badly."""
    return OK if state is State.FINISHED or not state.terminal else FAILED


def list_runs(arguments: argparse.Namespace) -> int:
    """Show runs, newest first."""
    states = [State(arguments.state)] if arguments.state else []
    queue = _queue(arguments, arguments.queue) if arguments.queue else None
    runs = _launcher(arguments).store.runs(states=states, queue=queue, limit=arguments.limit)
    shown = report.as_json([report.plain(run) for run in runs]) if arguments.json else None
    print(shown or (report.table(runs) if runs else "no runs"))
    return OK


def show_run(arguments: argparse.Namespace) -> int:
    """Show all about one run."""
    handle = _launcher(arguments).handle(arguments.id)
    found = report.as_json(report.plain(handle.run)) if arguments.json else report.details(handle)
    print(found)
    return OK


def logs(arguments: argparse.Namespace) -> int:
    """Print a run's log as far as it is."""
    handle = _launcher(arguments).handle(arguments.id)
    if arguments.json:
        print(report.as_json({"id": handle.id, "state": handle.status, "log": handle.logs()}))
        return OK
    for piece in handle.follow() if arguments.follow else handle.pieces():
        _write(piece)
    return OK


def attach(arguments: argparse.Namespace) -> int:
    """Print a run's log from its first byte and follow it to its end."""
    handle = _launcher(arguments).handle(arguments.id)
    _launcher(arguments).rescue(handle.run)
    for item in handle.watch():
        if not arguments.json:
            if isinstance(item, bytes):
                _write(item)
        elif isinstance(item, bytes):
            print(json.dumps({"log": item.decode("utf-8", "replace")}), flush=True)
        else:
            print(report.event_json(item), flush=True)
    if not arguments.json:
        _complain_of(handle)
    return code(handle.status)


def _write(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _complain_of(handle: RunHandle) -> None:
    try:
        handle.check()
    except (ExecutionError, RunStopped) as error:
        print(error.message, file=sys.stderr)


def stop(arguments: argparse.Namespace) -> int:
    """Stop runs and wait until they are."""
    for run_id in arguments.ids:
        state = _launcher(arguments).handle(run_id).stop(kill=arguments.kill)
        print(f"{run_id} {state}")
    return OK


def agent(arguments: argparse.Namespace) -> int:
    """Claim runs from queues and execute them, until told to end."""
    made = _launcher(arguments)
    if arguments.json:
        agents = [{**vars(a), "queues": [str(q) for q in a.queues]} for a in made.store.agents()]
        print(report.as_json(agents))
        return OK
    queues = [_queue(arguments, name) for name in arguments.queues or [setting("queue").value]]
    serving = Serving(made, queues, max_jobs=arguments.max_jobs, idle_s=arguments.idle, say=_say)

    def on_signal(number: int, frame: Any) -> None:
        del number, frame
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _say("taking no more runs; a second signal leaves the ones here to the next agent")
        serving.drain()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    _say(f"agent {serving.record.id} serves {', '.join(map(str, queues))}")
    made.sweep()
    serving.run()
    return OK


def _say(line: str) -> None:
    print(line, flush=True)


def create_queue(arguments: argparse.Namespace) -> int:
    """Make a queue."""
    queue = _queue(arguments, arguments.name)
    given = {
        "resource_args": arguments.config and load_mapping(arguments.config, "--config"),
        "template_variables": arguments.template_variables
        and load_mapping(arguments.template_variables, "--template-variables"),
    }
    config = {name: value for name, value in given.items() if value}
    make_queue(_launcher(arguments).store, QueueRecord(queue, arguments.resource, config))
    print(f"made {queue}")
    return OK


def list_queues(arguments: argparse.Namespace) -> int:
    """Show the queues."""
    store = _launcher(arguments).store
    rows = [
        {"entity": queue.entity, "name": queue.name, "resource": store.queue(queue).resource}
        for queue in store.queues()
    ]
    table = report.columns([("ENTITY", "NAME", "RESOURCE"), *(tuple(r.values()) for r in rows)])
    print(report.as_json(rows) if arguments.json else table)
    return OK


def _launcher(arguments: argparse.Namespace) -> Launcher:
    return launcher(setting("store", given=arguments.store).value)


def _queue(arguments: argparse.Namespace, name: str | None) -> Queue:
    entity = setting("entity", given=arguments.entity).value
    assert entity is not None
    return Queue(entity, name or FIRST_QUEUE)
