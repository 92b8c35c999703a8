"""``jupyter launch``: the same launches, queues and runs from a terminal."""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .._version import __version__
from ..config import setting, variable
from ..errors import (
    ConfigError,
    LaunchError,
    QueueNotFound,
    RunNotFound,
    SpecError,
    Unsupported,
)
from ..handle import RunHandle
from ..placing import preview
from ..redact import findings
from ..sources.base import InMemory
from ..states import State
from ..submit import launcher
from . import (
    agent_verbs,
    artifact_verbs,
    job_verbs,
    options,
    queue_verbs,
    relaunch,
    report,
    request,
    store_verbs,
    text,
    verbs,
)
from .verbs import FAILED, OK

USAGE = 2

Verb = Callable[[argparse.Namespace], int]


def run(words: Sequence[str]) -> int:
    """Run the command line and give its exit code: 0 ok, 1 a run failed, 2 wrong usage.

    Parameters
    ----------
    words : sequence of str
        The arguments, without the program's name.
    """
    try:
        if words and words[0] in _SUBMITS:
            return _submit(words[0], words[1:])
        arguments = _parser().parse_args(words)
        code: int = arguments.verb(arguments)
    except (SpecError, ConfigError, Unsupported, QueueNotFound, RunNotFound) as error:
        return _complain(error, USAGE)
    except LaunchError as error:
        return _complain(error, FAILED)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stdout = None  # nobody reads on: not even the exit's flush
        return OK
    return code


def _complain(error: LaunchError, code: int) -> int:
    print(error, file=sys.stderr)
    return code


_SUBMITS = {
    "run": "Launch a script, folder or image now and show its log. The path - is standard input, "
    "which is launched like a cell. Arguments of the program go after --.",
    "add": "Put a script, folder or image on a queue. The path - is standard input, which is "
    "launched like a cell. Arguments of the program go after --.",
}


def _submit(verb: str, words: Sequence[str]) -> int:
    parser = options.parser(f"jupyter launch {verb}", _SUBMITS[verb])
    parser.add_argument("--json", action="store_true", help="print the run as JSON")
    parser.add_argument("--store", metavar="URL", help="store of runs")
    asked = options.parse(parser, words)
    if asked.help:
        print(parser.format_help())
        return OK
    if asked.out:
        raise SpecError("-o is for notebooks only.", field="options")
    asked, cell = _standard_input(asked)
    made = launcher(setting("store", given=asked.extra["store"]).value)
    keep = InMemory() if asked.dry_run else made.store
    spec = request.spec_of(asked, cell, keep, {}, {})
    if isinstance(keep, InMemory):
        print(text.dry_run(spec, preview(made.store, spec, keep)))
        return OK
    for field in findings(spec.to_dict()):
        print(f"{field} looks like a secret; better: --secret NAME", file=sys.stderr)
    handle = made.add(spec) if verb == "add" else made.launch(spec)
    wait = verb == "run" if asked.wait is None else asked.wait
    return _show(handle, as_json=asked.extra["json"], wait=wait)


def _relaunch(arguments: argparse.Namespace) -> int:
    """Launch a run again, and show its log unless it stands on a queue."""
    config = relaunch.changes(arguments, lambda text: text)
    old = launcher(setting("store", given=arguments.store).value).handle(arguments.id)
    handle = old.relaunch(config)
    wait = handle.run.queue is None if arguments.wait is None else arguments.wait
    return _show(handle, as_json=arguments.json, wait=wait)


def _standard_input(asked: options.Request) -> tuple[options.Request, str | None]:
    """Read what stands in a cell in a notebook, if that is asked for."""
    if asked.path == "-":
        try:
            body = sys.stdin.buffer.read().decode()
        except UnicodeDecodeError as error:
            raise SpecError(f"Standard input is no text: {error}.", field="path") from error
        return dataclasses.replace(asked, path=None), body
    if asked.spec_body and asked.path is None:
        raise SpecError(
            "--spec takes the launch spec from a file, and none is named.",
            hint="Name it: jupyter launch run --spec spec.yaml. The path '-' is standard input.",
            field="options",
        )
    return asked, None


def _show(handle: RunHandle, *, as_json: bool, wait: bool) -> int:
    if wait:
        _watch(handle, silently=as_json)
    elif handle.run.queue is None:
        _hand_over(handle)
    elif handle.run.spec.build:
        text.build(handle, sys.stderr)
    if as_json:
        print(report.as_json(report.plain(handle.run)))
    elif not wait:
        print(handle.id)
    return verbs.code(handle.status) if wait else OK


def _watch(handle: RunHandle, *, silently: bool) -> None:
    try:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            text.stream(handle, nowhere if silently else None)
    except BrokenPipeError:
        _hand_over(handle)
        raise


def _hand_over(handle: RunHandle) -> None:
    """Leave a run that this process started to one that stays."""
    handle.store.wait(handle.id, lambda run: run.state is State.RUNNING or run.state.terminal)
    command = [sys.executable, "-m", "jupyter_launch", "attach", handle.id]
    subprocess.Popen(
        command,
        env={**os.environ, variable("store"): handle.store.address},  # it may hold a password
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


_VERBS: dict[str, tuple[Verb, str]] = {
    "list": (verbs.list_runs, "runs, newest first"),
    "show": (verbs.show_run, "all that is known of a run"),
    "logs": (verbs.logs, "a run's log so far"),
    "attach": (verbs.attach, "a run's log from its first byte, followed to its end"),
    "artifacts": (artifact_verbs.artifacts, "what a run left behind: list, print or copy it"),
    "stop": (verbs.stop, "stop runs, and wait until they are stopped"),
    "relaunch": (_relaunch, "launch a run again as it was recorded, as a new run"),
}
_READS = {"list", "show", "logs", "attach", "artifacts", "stop", "relaunch"}


def _parser() -> argparse.ArgumentParser:
    about = "Launch work into containers, processes and queues, and watch it."
    parser = argparse.ArgumentParser(prog="jupyter launch", description=about)
    parser.add_argument("--version", action="version", version=__version__)
    subs = parser.add_subparsers(metavar="VERB", required=True)
    for verb, about in _SUBMITS.items():
        subs.add_parser(verb, help=about.partition(".")[0])
    made = {}
    for name, (verb_function, about) in _VERBS.items():
        made[name] = _verb(subs, name, verb_function, about, reads=name in _READS)
    made["list"].add_argument("--state", choices=[state.value for state in State])
    made["list"].add_argument("-q", "--queue", metavar="NAME")
    made["list"].add_argument("-n", "--limit", type=int, default=50, help="how many (50)")
    for name in ("show", "logs", "attach", "artifacts", "relaunch"):
        made[name].add_argument("id", help="id of the run")
    made["logs"].add_argument("-f", "--follow", action="store_true", help="to the run's end")
    artifact_verbs.add_to(made["artifacts"])
    relaunch.add_to(made["relaunch"])
    _add_choice(made["stop"])
    made["stop"].add_argument("--kill", action="store_true", help="at once, without any grace")
    agent_verbs.add_to(subs, _verb)
    queues = subs.add_parser("queue", help="make, list, change queues, and move what is on them")
    queue_verbs.add_to(queues.add_subparsers(metavar="VERB", required=True), _told)
    jobs = subs.add_parser("job", help="make, list and delete jobs").add_subparsers(required=True)
    job_verbs.add_to(jobs, _verb)
    stores = subs.add_parser("store", help="measure, check, prune the store of runs")
    store_verbs.add_to(stores.add_subparsers(metavar="VERB", required=True), _verb)
    return parser


def _add_choice(stop: argparse.ArgumentParser) -> None:
    stop.add_argument("ids", nargs="*", metavar="ID")
    stop.add_argument("--all", action="store_true", help="all of yours that have not ended")
    stop.add_argument("--state", action="append", choices=verbs.OPEN, help="of --all, those in it")
    stop.add_argument("-q", "--queue", metavar="NAME", help="of --all, those of this queue")


def _told(subs: Any, name: str, verb: queue_verbs.Verb, about: str) -> argparse.ArgumentParser:
    return _verb(subs, name, verbs.tell(verb), about, reads=True)


def _verb(subs: Any, name: str, verb: Verb, about: str, *, reads: bool) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = subs.add_parser(name, help=about, description=about)
    made.set_defaults(verb=verb)
    made.add_argument("--store", metavar="URL", help="store of runs")
    made.add_argument("-e", "--entity", metavar="NAME", help="owner of the queues")
    if reads:
        made.add_argument("--json", action="store_true", help="print JSON")
    return made
