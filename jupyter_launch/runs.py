"""The records that cross every boundary beside the spec: `Run` and `Event`."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from .states import State

if TYPE_CHECKING:
    from .spec import LaunchSpec


_DIGITS = ((string.digits + string.ascii_lowercase) * 8)[:256].encode()


def new_id() -> str:
    """Make a run id of eight lower-case letters and digits, as W&B does."""
    return secrets.token_bytes(8).translate(_DIGITS).decode()


class Queue(NamedTuple):
    """The name of a queue: who owns it and what it is called."""

    entity: str
    name: str

    def __str__(self) -> str:
        # Names may have slashes; an entity that had one must not become another's queue.
        return f"{self.entity.replace('%', '%25').replace('/', '%2F')}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Queue:
        """Read what `str` makes of a queue."""
        entity, _, name = text.partition("/")
        return cls(entity.replace("%2F", "/").replace("%25", "%"), name)


BUILD = 3
"""The stream of what was printed before the program started: a build's output."""

ATTEMPT = 4
"""The stream of the line that stands before each further attempt at a run."""


class LogPosition(NamedTuple):
    """How many bytes of a run's log are stored, per stream of the program, and of its build.

    Those are of the newest attempt; `earlier` counts all that was written before it.
    """

    stdout: int = 0
    stderr: int = 0
    build: int = 0
    earlier: int = 0

    @property
    def size(self) -> int:
        """Bytes of all streams together: the offset at which the next byte is stored."""
        return sum(self)


class LogPiece(NamedTuple):
    """One piece of a run's log as it was written: when (Unix time), how many bytes, which stream.

    The program's stream is 1, its standard output, or 2, its standard error; `BUILD` and `ATTEMPT`
    are none of the program's.
    """

    at: float
    length: int
    stream: int


class Sample(NamedTuple):
    """What a run's program used at a moment (Unix time).

    `cpu` counts cores in use on average since the sample before; memory is in bytes, without what
    the system could take back at once, and a limit of 0 is unknown. `gpu` is the share of time in
    which the run's GPUs computed, from 0 to 1; ``None`` where there are none, or nobody can tell.
    """

    at: float
    cpu: float
    memory: int
    memory_limit: int = 0
    gpu: float | None = None
    gpu_memory: int | None = None


class Room(NamedTuple):
    """What a run asks for, or an agent offers: cores, bytes of memory, GPUs."""

    cpus: float = 0.0
    memory: int = 0
    gpus: int = 0

    def within(self, other: Room) -> bool:
        """Say whether the other one has room for this."""
        return all(asked <= there for asked, there in zip(self, other, strict=True))

    def __str__(self) -> str:
        """Write it for people, without what is none, in units of 1024 as it is asked for."""
        unit, name = (2**30, "GiB") if self.memory >= 2**30 else (2**20, "MiB")
        said = [_counted(self.cpus, "CPU")] if self.cpus else []
        said += [f"{round(self.memory / unit, 1):g} {name}"] if self.memory else []
        said += [_counted(self.gpus, "GPU")] if self.gpus else []
        return ", ".join(said)


def _counted(number: float, what: str) -> str:
    return f"{number:g} {what}{'' if number == 1 else 's'}"


NO_ROOM = Room()


@lru_cache(maxsize=256)
def _parsed(spec_json: str) -> LaunchSpec:
    # Imported and parsed on demand: listing runs must not pay for validating every spec.
    from .spec import LaunchSpec  # noqa: PLC0415

    return LaunchSpec.from_json(spec_json)


class Run(NamedTuple):
    """One execution of a spec, as the store records it. Times are Unix seconds.

    `reason` says in a few words why the run is in its state; `owner` is the process that holds
    the lease; `handle` is the text by which the backend finds the program again, on the machine
    called `host`; `attempt` counts from 0 how often it was tried before, and `room` what it asks
    for; `ready` is when a run on a queue may be claimed at the earliest, on the store's clock;
    `store` is the id of the store the record is in.
    """

    id: str
    spec_json: str
    state: State
    created: float
    entity: str | None = None
    project: str | None = None
    name: str | None = None
    queue: Queue | None = None
    priority: int = 2
    resource: str | None = None
    owner: str | None = None
    handle: str | None = None
    host: str | None = None
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    reason: str = ""
    parent: str | None = None
    stop_requested: bool = False
    kill_requested: bool = False
    attempt: int = 0
    room: Room = NO_ROOM
    ready: float = 0.0
    store: str = ""

    @property
    def spec(self) -> LaunchSpec:
        """What was asked for."""
        return _parsed(self.spec_json)

    @property
    def unique_name(self) -> str:
        """Name this attempt so that no other, and no run of another store, has the same name."""
        name = f"{self.id}-{self.store[:8]}" if self.store else self.id
        return f"{name}-{self.attempt + 1}" if self.attempt else name

    def evolve(self, **changes: Any) -> Run:
        """Return a copy with some fields changed."""
        return self._replace(**changes)

    def seconds(self, now: float) -> float | None:
        """How long the program has run, or ran, in seconds; ``None`` before it started."""
        return None if self.started is None else (self.ended or now) - self.started


RUNNING, PAUSED, DRAINING = "running", "paused", "draining"
"""A queue takes items and gives them; takes but gives none; gives but takes none.

An agent that drains takes no more.
"""


@dataclass(frozen=True)
class QueueRecord:
    """A queue, as the store records it.

    ``config["resource_args"]`` is laid under the resource_args of its items, and
    ``config["template_variables"]`` says what they may choose. Without `prioritize`, items are
    taken in the order of submission alone. `max_running` limits how many of its runs are at work at
    once; `retry` is the policy of items that have none of their own (`Retry` as JSON).
    """

    queue: Queue
    resource: str = "local-container"
    config: Mapping[str, Any] = field(default_factory=dict)
    state: str = RUNNING
    prioritize: bool = True
    max_running: int | None = None
    retry: Mapping[str, Any] | None = None
    created: float = 0.0


@dataclass(frozen=True)
class Agent:
    """A process that claims from queues, as the store records it. Times are Unix seconds.

    `room` is what it offers, all in all; `runs` counts those it holds.
    """

    id: str
    owner: str
    queues: tuple[Queue, ...]
    max_jobs: int
    started: float
    heartbeat: float
    status: str
    room: Room = NO_ROOM
    runs: int = 0


@dataclass(frozen=True)
class Event:
    """Something that happened to a run, numbered from 1 in order.

    Kinds: ``state`` (data: state, reason, exit_code, and the kind of an error), ``notice`` (text
    the user must see), ``progress`` (text: what a run that is not running yet is doing).
    """

    run_id: str
    seq: int
    at: float
    kind: str
    data: dict[str, Any]
