"""`RunHandle`: watching and steering one run, whoever executes it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from .errors import BuildFailed, ExecutionError, RunStopped
from .retries import Attempt, attempts
from .states import State
from .stores.base import log_of
from .terminal import fold, to_plain
from .waiting import waiting_because

if TYPE_CHECKING:
    from pathlib import Path

    from .artifacts import Artifacts
    from .runs import Event, Run
    from .spec import LaunchSpec
    from .stores.base import Store

TAIL_LINES = 10
"""How many lines of the log an error shows."""


class Launches(Protocol):
    """What a handle needs of the `Launcher` that made it."""

    store: Store

    def rescue(self, run: Run) -> None:
        """See to it that somebody executes the run."""

    def again(self, run: Run, spec: LaunchSpec) -> RunHandle:
        """Launch a spec as the successor of a run."""


class RunHandle:
    """One run: its state and log, waiting for it, stopping it, launching it again.

    ``await handle`` waits without blocking the event loop. Handles are made by `Launcher`.

    Parameters
    ----------
    launcher : Launches
        Knows the store, and takes over when the run's owner is gone.
    run_id : str
        The run.
    """

    def __init__(self, launcher: Launches, run_id: str) -> None:
        self.id = run_id
        self.store = launcher.store
        self.launcher = launcher

    def __repr__(self) -> str:
        return f"<RunHandle {self.id} {self.status}>"

    @property
    def run(self) -> Run:
        """The run's record, fresh from the store."""
        return self.store.get(self.id)

    @property
    def status(self) -> State:
        """The run's state; equal to W&B's lower-case word for it."""
        return self.run.state

    @property
    def exit_code(self) -> int | None:
        """What the program ended with; ``None`` while it runs, or where nobody can know."""
        return self.run.exit_code

    def logs(self) -> str:
        """Give the whole log so far, as text."""
        return b"".join(self.pieces()).decode("utf-8", "replace")

    def tail(self, lines: int = TAIL_LINES) -> str:
        """Give the last lines of the log as a terminal would show them, without colours."""
        size = self.store.log_position(self.id).size
        data = self.store.read_log(self.id, max(0, size - lines * 1000))
        return to_plain(fold(data, lines))

    def watch(self, offset: int = 0, after: int = 0) -> Iterator[Event | bytes]:
        """Give events from number `after` + 1 and the log from byte `offset`, until the end.

        Each as soon as it is there, and never one twice: remember the offset and the number to
        go on later from where this was left.
        """
        with self.store.listen(self.id, log_of(self.id)) as listener:
            while True:
                run = self.run  # looked at first: nothing can come after its end
                for event in self.events(after):
                    after = event.seq
                    yield event
                for piece in self.pieces(offset):
                    offset += len(piece)
                    yield piece
                if run.state.terminal:
                    return
                if not listener.wait(2.0):
                    self.rescue()

    def follow(self, offset: int = 0) -> Iterator[bytes]:
        """Give the log from a byte offset, piece by piece as it is written, to the run's end."""
        return (piece for piece in self.watch(offset) if isinstance(piece, bytes))

    def rescue(self) -> None:
        """See to it that somebody executes the run: whoever only watches calls this at times."""
        self.launcher.rescue(self.run)

    def events(self, after: int = 0) -> list[Event]:
        """Give what happened to the run, from event number `after` + 1 on."""
        return self.store.events(self.id, after)

    def attempts(self) -> list[Attempt]:
        """Give the attempts at the run, oldest first: when, and how each ended."""
        return attempts(self.run, self.events())

    def waiting_for(self) -> str:
        """Say why a run is not running yet, in a few words; empty once it runs."""
        return waiting_because(self.store, self.run)

    def wait(
        self, timeout: float | None = None, *, until: Callable[[Run], bool] | None = None
    ) -> State:
        """Block until the run has ended, and give its final state.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.
        until : callable, optional
            Says of the run whether to wait no longer, instead of its end.

        Raises
        ------
        TimeoutError
            When the run goes on after that. It is not stopped.
        """
        enough = until or (lambda run: run.state.terminal)
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = 2.0 if deadline is None else min(2.0, deadline - time.monotonic())
            if run := self.store.wait(self.id, enough, max(0, left)):
                return run.state
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"Run {self.id} is still {self.status} after {timeout} s.")
            self.rescue()

    def check(self) -> None:
        """Raise if the run ended badly.

        Raises
        ------
        ExecutionError
            It failed or crashed: why, its exit code, the last lines of its log, what to do.
        BuildFailed
            The same, when its image could not be built.
        RunStopped
            It was stopped.
        """
        run = self.run
        if run.state is State.STOPPED:
            raise RunStopped(f"Run {run.id} was stopped.")
        if run.state.terminal and run.state is not State.FINISHED:
            kinds = {event.data.get("error") for event in self.events()}
            raise (BuildFailed if BuildFailed.__name__ in kinds else ExecutionError)(
                f"Run {run.id} {run.state}: {run.reason}",
                hint=f"The whole log: jupyter launch logs {run.id}",
                exit_code=run.exit_code,
                log_tail=self.tail(),
            )

    @property
    def result(self) -> int | None:
        """The program's exit code, waited for. Raises as `check` does."""
        self.wait()
        self.check()
        return self.exit_code

    def stop(self, *, wait: bool = True, kill: bool = False) -> State:
        """Stop the run: ask the program to end, and kill it when its grace is over.

        Parameters
        ----------
        wait : bool
            Whether to block until it has ended.
        kill : bool
            Whether its grace is over now, be it that it was asked to end before or not.
        """
        run = self.store.request_stop(self.id, kill=kill)
        if not run.state.terminal:
            self.launcher.rescue(run)
        return self.wait() if wait else self.status

    def relaunch(self, config: dict[str, Any] | None = None) -> RunHandle:
        """Launch the same spec again, as a new run whose parent is this one.

        Parameters
        ----------
        config : dict, optional
            Run config that is laid over the recorded one.
        """
        spec = self.run.spec
        overrides = spec.overrides.model_dump(mode="json", exclude_defaults=True)
        overrides["run_config"] = {**spec.overrides.run_config, **(config or {})}
        return self.launcher.again(self.run, spec.evolve(overrides=overrides, run_id=None))

    def artifacts(self) -> Artifacts:
        """Give what the program left behind, by name: ``run.artifacts()["model.pkl"].read()``."""
        from .artifacts import Artifacts  # noqa: PLC0415 - most handles only watch

        return Artifacts(self.store, self.id)

    def download(self, dest: str | Path, names: Iterable[str] | None = None) -> list[Path]:
        """Copy artifacts into a folder: see `jupyter_launch.artifacts.download`."""
        from .artifacts import download  # noqa: PLC0415 - as above

        return download(self.artifacts(), dest, names)

    def __await__(self) -> Generator[Any, None, State]:
        return asyncio.to_thread(self.wait).__await__()

    def pieces(self, offset: int = 0) -> Iterator[bytes]:
        """Give the log so far from a byte offset, in pieces of at most 1 MiB."""
        while piece := self.store.read_log(self.id, offset):
            offset += len(piece)
            yield piece
