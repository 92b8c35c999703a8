"""The runs that `launch` and `launch_add` return, as W&B documents them."""

from __future__ import annotations

from ..handle import RunHandle
from ..queues import requeue
from ..runs import Queue
from ..states import State
from .values import priority


class AbstractRun(RunHandle):
    """A run as W&B's `launch` returns it. Nothing here is a coroutine; the run is awaitable."""

    def get_status(self) -> State:
        """Give the run's state, equal to W&B's word for it."""
        return self.status

    def get_logs(self) -> str:
        """Give the whole log so far, as text."""
        return self.logs()

    def cancel(self) -> None:
        """Stop the run, and wait until it is stopped."""
        self.stop()


class SubmittedRun(AbstractRun):
    """A run that was started now."""


class QueuedRun(AbstractRun):
    """A run on a queue."""

    @property
    def state(self) -> State:
        """The run's state: ``pending`` until an agent takes it."""
        return self.status

    @property
    def queue_name(self) -> str:
        """The queue's name."""
        queue = self.run.queue
        return queue.name if queue else ""

    def wait_until_started(self, timeout: float | None = None) -> State:
        """Block until the run has started or ended, and give its state then.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.

        Raises
        ------
        TimeoutError
        """
        return self.wait(timeout, until=lambda run: run.state in _STARTED or run.state.terminal)

    wait_until_running = wait_until_started

    def wait_until_finished(self, timeout: float | None = None) -> State:
        """Block until the run has ended, and give its final state. Raises `TimeoutError`."""
        return self.wait(timeout)

    @property
    def position(self) -> int | None:
        """How many runs go before it; ``None`` once it does not wait any more."""
        run = self.run
        return self.store.ahead(run) if run.state is State.PENDING and run.queue else None

    def move(self, queue: str, entity: str | None = None) -> None:
        """Move the run to another queue, while it waits. It stands there as old as it is.

        Parameters
        ----------
        queue : str
            What that is called.
        entity : str, optional
            Who owns it; default: who owns the one it is on.

        Raises
        ------
        QueueNotFound, SpecError
            When there is no such queue, or it does not take the run.
        StoreError
            When the run does not wait any more, or the queue is drained.
        """
        run = self.run
        owner = entity or (run.queue.entity if run.queue else "")
        self.launcher.rescue(requeue(self.store, run, Queue(owner, queue)))

    def prioritize(self, level: int | str) -> None:
        """Give the run another priority, while it waits.

        Parameters
        ----------
        level : int or str
            0 ``critical``, 1 ``high``, 2 ``medium``, 3 ``low``.

        Raises
        ------
        SpecError
            When there is no such level.
        StoreError
            When the run does not wait any more.
        """
        requeue(self.store, self.run, priority=priority(str(level), "priority"))

    def delete(self) -> bool:
        """Take the run off its queue. False if an agent has it already: then `stop` it."""
        return self.store.delete(self.id)


_STARTED = frozenset({State.RUNNING, State.STOPPING})
