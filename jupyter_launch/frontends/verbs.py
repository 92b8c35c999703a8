"""What the verbs of the command line do, besides submitting."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable

from ..config import setting
from ..errors import ExecutionError, LaunchError, RunStopped, SpecError
from ..handle import RunHandle
from ..runs import Queue, Run
from ..states import State
from ..stores.queue_verbs import FIRST_QUEUE
from ..submit import Launcher, launcher
from ..terminal import visible
from ..waiting import waits
from . import report
from .queue_verbs import Verb
from .table import Table, each

OK, FAILED = 0, 1

OPEN = [state.value for state in State if not state.terminal]
EVERY = 1_000_000
"""How many runs are stopped at most with one word."""


def code(state: State) -> int:
    """Give the exit code that says how a run ended: 0 well, or not yet; 1 badly."""
    return OK if state is State.FINISHED or not state.terminal else FAILED


def list_runs(arguments: argparse.Namespace) -> int:
    """Show runs, newest first."""
    states = [State(arguments.state)] if arguments.state else []
    queue = _queue(arguments, arguments.queue) if arguments.queue else None
    store = _launcher(arguments).store
    runs = store.runs(states=states, queue=queue, limit=arguments.limit)
    waiting = waits(store, runs)
    if arguments.json:
        more = [{"waits_for": waiting[run.id]} if run.id in waiting else {} for run in runs]
        print(
            report.as_json([report.plain(run) | one for run, one in zip(runs, more, strict=True)])
        )
    else:
        print(report.table(runs, waiting) if runs else "no runs")
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
    made = _launcher(arguments)
    ids = arguments.ids
    if arguments.all:
        ids = [*ids, *(run.id for run in _stoppable(arguments))]
    elif not ids:
        raise SpecError(
            "Stop which runs?",
            hint="Give their ids, or --all with, as wanted, --state pending or -q QUEUE.",
            field="ids",
        )
    for run_id in ids:  # all of them first, so that they end side by side
        with contextlib.suppress(LaunchError):
            made.handle(run_id).stop(wait=False, kill=arguments.kill)
    plain, code = [], OK
    for run_id in dict.fromkeys(ids):
        told = each([run_id], lambda one: str(made.handle(one).stop(kill=arguments.kill)))
        plain += told.plain
        code = max(code, show(told, as_json=False) if not arguments.json else failed(told))
    if arguments.json:
        print(report.as_json(plain))
    elif not ids:
        print("no such runs")
    return code


def _stoppable(arguments: argparse.Namespace) -> list[Run]:
    """Give the runs of the user, or of a queue, that have not ended."""
    states = [State(word) for word in arguments.state or OPEN]
    queue = _queue(arguments, arguments.queue) if arguments.queue else None
    runs = _launcher(arguments).store.runs(states=states, queue=queue, limit=EVERY)
    entity = setting("entity", given=arguments.entity).value
    return [run for run in runs if queue or run.entity in (entity, None)]


def tell(verb: Verb) -> Callable[[argparse.Namespace], int]:
    """Make a verb of the command line of one that gives a table."""
    return lambda arguments: show(verb(_launcher(arguments), arguments), as_json=arguments.json)


def show(told: Table, *, as_json: bool) -> int:
    """Print what a verb has to tell, and give its exit code."""
    if as_json:
        print(report.as_json(told.plain))
    elif told.text:
        print(told.text)
    for line in () if as_json else told.problems:
        print(visible(line), file=sys.stderr)
    return failed(told)


def failed(told: Table) -> int:
    """Give the exit code that says whether all that was asked for was done."""
    return FAILED if told.problems else OK


def _launcher(arguments: argparse.Namespace) -> Launcher:
    return launcher(setting("store", given=arguments.store).value)


def _queue(arguments: argparse.Namespace, name: str | None) -> Queue:
    entity = setting("entity", given=arguments.entity).value
    assert entity is not None
    return Queue(entity, name or FIRST_QUEUE)
