"""The records that cross every boundary beside the spec: `Run` and `Event`."""

from __future__ import annotations

import dataclasses
import secrets
import string
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from .states import State

if TYPE_CHECKING:
    from .spec import LaunchSpec


_DIGITS = string.digits + string.ascii_lowercase


def new_id() -> str:
    """Make a run id of eight lower-case letters and digits, as W&B does."""
    number = secrets.randbelow(36**8)
    return "".join(_DIGITS[number // 36**place % 36] for place in range(8))


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


class LogPosition(NamedTuple):
    """How many bytes of a run's log are stored, per stream of the program, and of its build."""

    stdout: int = 0
    stderr: int = 0
    build: int = 0

    @property
    def size(self) -> int:
        """Bytes of all streams together: the offset at which the next byte is stored."""
        return self.stdout + self.stderr + self.build


class LogPiece(NamedTuple):
    """One piece of a run's log as it was written: when (Unix time), how many bytes, which stream.

    The program's stream is 1, its standard output, or 2, its standard error; `BUILD` is none of
    the program's.
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


@dataclass(frozen=True)
class Run:
    """One execution of a spec, as the store records it. Times are Unix seconds.

    `reason` says in a few words why the run is in its state; `owner` is the process that holds
    the lease; `handle` is the text by which the backend finds the program again; `store` is the id
    of the store the record is in.
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
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    reason: str = ""
    parent: str | None = None
    stop_requested: bool = False
    kill_requested: bool = False
    store: str = ""

    @cached_property
    def spec(self) -> LaunchSpec:
        """What was asked for."""
        # Parsed on demand: listing runs must not pay for validating every spec.
        from .spec import LaunchSpec  # noqa: PLC0415

        return LaunchSpec.from_json(self.spec_json)

    @property
    def unique_name(self) -> str:
        """Name the run so that no run of another store has the same name."""
        return f"{self.id}-{self.store[:8]}" if self.store else self.id

    def evolve(self, **changes: Any) -> Run:
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def seconds(self, now: float) -> float | None:
        """How long the program has run, or ran, in seconds; ``None`` before it started."""
        return None if self.started is None else (self.ended or now) - self.started


@dataclass(frozen=True)
class Agent:
    """A process that claims from queues, as the store records it. Times are Unix seconds."""

    id: str
    owner: str
    queues: tuple[Queue, ...]
    max_jobs: int
    started: float
    heartbeat: float
    status: str


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
