"""The seam to the places where programs run.

A backend is a class with the methods below, named by an entry point of the group
``jupyter_launch.backends``; its name there is the spec's `resource`. The README shows a whole one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from ..artifact import Output
from ..errors import SpecError
from ..program import Program
from ..report import Report
from ..runs import LogPosition, Run

STDOUT, STDERR = 1, 2


class Frame(NamedTuple):
    """Bytes a program wrote to one of its streams (`STDOUT` or `STDERR`)."""

    stream: int
    data: bytes


@dataclass(frozen=True)
class Result:
    """How a program ended.

    `exit_code` is ``None`` when the program is lost and nobody can know; `reason` says what the
    number alone does not (out of memory, killed by a signal).
    """

    exit_code: int | None
    reason: str = ""


class Usage(NamedTuple):
    """What a program uses, with all processes it started.

    `cpu_s` are the seconds of CPU time since its start. The rest is as in `Sample`.
    """

    cpu_s: float
    memory: int
    memory_limit: int = 0
    gpu: float | None = None
    gpu_memory: int | None = None


class Backend(ABC):
    """Starts programs and finds them again. One object serves many runs, from several threads.

    A handle is text from which *another process* finds the program, so that a run outlives
    whoever launched it. Errors are translated into `BackendError` at this border.
    """

    name: ClassVar[str]
    inherits: ClassVar[bool] = False
    """Whether programs share this host's environment, files and interpreter."""

    @abstractmethod
    def available(self) -> str | None:
        """Say why nothing can start here, and on more lines what to do; ``None`` if it can."""

    def check(self, options: Mapping[str, Any]) -> None:
        """Refuse options (a part of ``resource_args``) this place does not know: here, all.

        Raises
        ------
        SpecError
            Naming the option and the ones there are.
        """
        if options:
            raise SpecError(
                f"{self.name} takes no options, and was given {', '.join(options)}.",
                field=f"resource_args.{self.name}",
            )

    def prepare(self, program: Program, report: Report) -> Program:
        """Make ready what the program needs (such as its image), reporting progress."""
        del report
        return program

    @abstractmethod
    def describe(self, program: Program, run: Run) -> dict[str, object]:
        """Give exactly what `start` would do, as plain values, without secrets, doing nothing."""

    @abstractmethod
    def handle(self, run: Run) -> str:
        """Name the program *before* it starts, so that a crash in between loses nothing."""

    @abstractmethod
    def start(self, program: Program, run: Run, environment: Mapping[str, str]) -> None:
        """Start the program under ``handle(run)``.

        `environment` is complete, secrets included.

        Raises
        ------
        StartFailed, ImageNotFound, BackendUnavailable
        """

    @abstractmethod
    def find(self, handle: str) -> bool:
        """Say whether a program was ever started under this handle and still leaves a trace."""

    def strays(self, store_id: str) -> Iterable[tuple[str, str]]:
        """Give all of a store's programs that left a trace here: the run's id, and the handle.

        Its own names are enough to tell. Here, nobody can: then what is left of an attempt that
        was given up stays until somebody removes it by hand.
        """
        del store_id
        return ()

    @abstractmethod
    def attach(self, handle: str, position: LogPosition) -> Iterator[list[Frame]]:
        """Follow the program's output from `position` until it ends, in batches.

        The iterator ends when the program has ended and all its output was given, not when a
        connection breaks: reconnecting is the backend's work.
        """

    @abstractmethod
    def result(self, handle: str) -> Result:
        """Give how the program ended; wait for the end if need be."""

    def stats(self, handle: str) -> Usage | None:
        """Say what the program uses now; ``None`` if it has ended, or, as here, nobody can tell."""
        del handle
        return None

    def outputs(self, handle: str, paths: Sequence[str]) -> Iterator[Output]:
        """Find what an ended program left behind to be kept: here, nothing.

        That is what is in the folder that `artifact.OUTPUT_DIR` named to it, and at `paths` in
        the folder it ran in. Links are told, never followed. Somebody may ask again: nothing
        goes away by it.

        Raises
        ------
        BackendUnavailable
            Also in between; and from what reads an output.
        """
        del handle, paths
        return iter(())

    @abstractmethod
    def stop(self, handle: str, grace_s: float) -> None:
        """Ask the program to end, and kill it `grace_s` seconds later. Returns once it is gone.

        Without any grace it is killed at once, also while somebody else's grace is under way.
        """

    @abstractmethod
    def remove(self, handle: str) -> None:
        """Clear the program's traces away, once its log and result are safely stored."""
