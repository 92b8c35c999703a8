"""What ``jupyter launch agent`` does: serve queues, list the agents at work, end one."""

from __future__ import annotations

import argparse
import contextlib
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from ..agent import STOPPING, Serving
from ..backends.docker_values import size
from ..config import setting
from ..errors import SpecError
from ..owner import host_of, pid_of
from ..policy import read_allow
from ..rooms import machine_room
from ..runs import DRAINING, Agent, Queue, Room
from ..submit import Launcher, launcher
from . import report
from .record import elapsed

Verb = Callable[[argparse.Namespace], int]

MOST = 2**31 - 1
"""How much of something can be recorded."""

_STEPS = (
    "taking no more runs; a second signal stops the ones here",
    "stopping the runs here; a third signal leaves them to the next agent",
)


def add_to(subs: Any, verb: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verb to a command line.

    Parameters
    ----------
    subs
        Where verbs are added.
    verb : callable
        Makes a verb's parser: of where it is added, its name, what it does, and a line about that.
    """
    made = verb(subs, "agent", serve, "claim runs from queues and execute them", reads=True)
    made.add_argument("-q", "--queue", action="append", dest="queues", metavar="NAME")
    made.add_argument("-j", "--max-jobs", type=int, default=1, help="runs at once (1)")
    made.add_argument("--cpus", type=float, metavar="N", help="what its runs may ask for together")
    made.add_argument("--memory", metavar="SIZE", help="the same, such as 16g")
    made.add_argument("--gpus", type=int, metavar="N", help="the same (all: the machine's)")
    made.add_argument(
        "--idle", type=float, metavar="SECONDS", help="end after so long without work"
    )
    made.add_argument(
        "--trusted", action="store_true", help="do what items ask for, whatever agent.allow says"
    )
    inner = made.add_subparsers(metavar="[VERB]")
    listing = verb(inner, "list", list_agents, "the agents at work", reads=True)
    stop = verb(inner, "stop", stop_agent, "end an agent, on whatever machine", reads=True)
    stop.add_argument("id", metavar="ID", help="id of the agent")
    stop.add_argument("--now", action="store_true", help="stop its runs, which otherwise it ends")
    for action in (*listing._actions, *stop._actions):  # noqa: SLF001 - there is no other way
        if action.dest in {"store", "entity", "json"}:  # what stands before the verb counts, too
            action.default = argparse.SUPPRESS


def serve(arguments: argparse.Namespace) -> int:
    """Claim runs from queues and execute them, until told to end."""
    if arguments.json:
        return list_agents(arguments)
    room, made = _room(arguments), _launcher(arguments)
    allow = None if arguments.trusted else read_allow(private=made.store.private)
    entity = setting("entity", given=arguments.entity).value
    assert entity is not None
    names = arguments.queues or [setting("queue").value or ""]
    queues = [Queue(entity, name) for name in names]
    serving = Serving(made, queues, max_jobs=arguments.max_jobs, room=room, idle_s=arguments.idle)
    serving.say = _say
    made.allow = allow
    _obey_signals(serving)
    _say(f"agent {serving.record.id} serves {', '.join(map(str, queues))}")
    made.sweep()
    serving.run()
    return 0


def _obey_signals(serving: Serving) -> None:
    """Drain at the first signal, stop what runs at the second, leave it alone at the third."""
    steps = iter(zip(_STEPS, (serving.drain, serving.stop), strict=True))

    def on_signal(number: int, frame: Any) -> None:
        del number, frame
        said, step = next(steps)
        if said == _STEPS[-1]:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

        def act() -> None:
            _say(said)
            step()

        # Not here: the main thread may be in the middle of what this would wait for.
        threading.Thread(target=act, daemon=True).start()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)


def _room(arguments: argparse.Namespace) -> Room:
    """Give what is offered: what the options say, else what the machine has."""
    room = machine_room()
    for name in ("cpus", "gpus"):
        given = getattr(arguments, name)
        if given is not None and not 0 <= given <= MOST:
            raise SpecError(f"--{name} must be a number from 0 to {MOST}, not {given}.", field=name)
        room = room if given is None else room._replace(**{name: given})
    if arguments.memory is None:
        return room
    try:
        return room._replace(memory=min(size(arguments.memory), 2**63 - 1))
    except ValueError as error:
        text = f"--memory must be {error}, not {arguments.memory!r}."
        raise SpecError(text, field="memory") from error


def list_agents(arguments: argparse.Namespace) -> int:
    """Show the agents at work."""
    agents = _launcher(arguments).store.agents()
    if arguments.json:
        print(report.as_json([_plain(agent) for agent in agents]))
        return 0
    head = ("ID", "STATUS", "HOST", "PID", "RUNS", "OFFERS", "SEEN", "QUEUES")
    print(report.columns([head, *map(_row, agents)]) if agents else "no agents")
    return 0


def _plain(agent: Agent) -> dict[str, Any]:
    return {
        **vars(agent),
        "queues": [str(queue) for queue in agent.queues],
        "room": agent.room._asdict(),
        "host": host_of(agent.owner),
        "pid": pid_of(agent.owner),
    }


def _row(agent: Agent) -> tuple[str, ...]:
    return (
        agent.id,
        agent.status,
        host_of(agent.owner),
        str(pid_of(agent.owner)),
        f"{agent.runs} of {agent.max_jobs}",
        str(agent.room),
        f"{elapsed(max(0.0, time.time() - agent.heartbeat))} ago",
        ", ".join(map(str, agent.queues)),
    )


def stop_agent(arguments: argparse.Namespace) -> int:
    """End an agent, on whatever machine it is."""
    status = STOPPING if arguments.now else DRAINING
    asked = _launcher(arguments).store.ask_agent(arguments.id, status)
    if arguments.json:
        print(report.as_json({"id": asked.id, "asked": status, "runs": asked.runs}))
        return 0
    held = f"{asked.runs} run{'' if asked.runs == 1 else 's'}"
    ends = f"stops {held} and ends" if arguments.now else f"ends when {held} of it have ended"
    print(
        f"agent {asked.id} takes no more runs, {ends}" if asked.runs else f"agent {asked.id} ends"
    )
    return 0


def _launcher(arguments: argparse.Namespace) -> Launcher:
    return launcher(setting("store", given=arguments.store).value)


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # who listened is gone, or the disk is full: work goes on
        print(line, flush=True)
