"""`RunQueue`: a queue as W&B documents it, and what can be done with it."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from ..errors import SpecError
from ..queues import QueueLook, change_queue, look_at
from ..runs import DRAINING, PAUSED, RUNNING, Agent, Queue, QueueRecord
from ..submit import Launcher
from .api_runs import QueuedRun

Prioritization: TypeAlias = Literal["V0", "DISABLED"]

ITEMS = 100
"""How many items are given at most, as W&B does."""


def prioritizes(mode: str | None) -> bool:
    """Read W&B's word for whether a queue goes by priorities. Raises `SpecError`."""
    if mode not in {"V0", "DISABLED", None}:
        raise SpecError(
            f"There is no prioritization mode {mode!r}.",
            hint="It is 'V0' (by priority, then by age) or 'DISABLED' (by age alone).",
            field="prioritization_mode",
        )
    return mode == "V0"


class RunQueue:
    """One queue: its settings and items, fresh from the store whenever they are looked at.

    Parameters
    ----------
    launcher : Launcher
        Knows the store.
    queue : Queue
        Which queue.
    """

    def __init__(self, launcher: Launcher, queue: Queue) -> None:
        self._launcher = launcher
        self._queue = queue

    def __repr__(self) -> str:
        look = self._look
        return f"<RunQueue {self.id} {look.record.state}, {look.waiting} waiting>"

    @property
    def _look(self) -> QueueLook:
        return look_at(self._launcher.store, self._queue)[0]

    @property
    def _record(self) -> QueueRecord:
        return self._launcher.store.queue(self._queue)

    @property
    def id(self) -> str:
        """What tells it from all others: ``entity/name``."""
        return str(self._queue)

    @property
    def name(self) -> str:
        """What it is called."""
        return self._queue.name

    @property
    def entity(self) -> str:
        """Who owns it."""
        return self._queue.entity

    @property
    def access(self) -> str:
        """Who may use it, in W&B's word: whoever may use the store."""
        return "PROJECT"

    @property
    def prioritization_mode(self) -> Prioritization:
        """``"V0"`` where items of higher priority go first, otherwise ``"DISABLED"``."""
        return "V0" if self._record.prioritize else "DISABLED"

    @property
    def type(self) -> str:
        """The resource of items that name none."""
        return self._record.resource

    @property
    def default_resource_config(self) -> dict[str, Any]:
        """``{"resource_args": {resource: options}}``, which is laid under that of the items."""
        return {"resource_args": dict(self._record.config.get("resource_args", {}))}

    @property
    def template_variables(self) -> dict[str, Any]:
        """What items may choose, and within which limits."""
        return dict(self._record.config.get("template_variables", {}))

    @property
    def items(self) -> list[QueuedRun]:
        """The first hundred of the runs that wait, in the order in which they go."""
        runs = self._launcher.store.queue_items(self._queue, ITEMS)
        return [QueuedRun(self._launcher, run.id) for run in runs]

    @property
    def state(self) -> str:
        """``running``, ``paused`` or ``draining``."""
        return self._record.state

    @property
    def depth(self) -> int:
        """How many runs wait on it."""
        return self._look.waiting

    @property
    def running(self) -> int:
        """How many of its runs are at work."""
        return self._look.running

    @property
    def agents(self) -> list[Agent]:
        """The agents that serve it now."""
        return self._look.agents

    @property
    def max_running(self) -> int | None:
        """How many of its runs may be at work at once."""
        return self._record.max_running

    def pause(self) -> None:
        """Let it take items, and give none."""
        self.update(state=PAUSED)

    def resume(self) -> None:
        """Let it take and give items again."""
        self.update(state=RUNNING)

    def drain(self) -> None:
        """Let it give its items, and take no more."""
        self.update(state=DRAINING)

    def update(self, **changes: Any) -> None:
        """Change what is given of it.

        Parameters
        ----------
        **changes
            ``resource``, ``config`` (its parts, ``resource_args`` and ``template_variables``, as
            they are given), ``prioritize``, ``max_running`` (``None``: any number), ``retry``
            (such as ``{"max_retries": 2, "on": ["failed"]}``; ``None``: no policy), ``state``.

        Raises
        ------
        SpecError
            When there is no such setting, or it cannot be that.
        """
        change_queue(self._launcher.store, self._queue, changes)

    def delete(self, *, force: bool = False) -> int:
        """Delete it; give how many runs that waited on it were stopped.

        Parameters
        ----------
        force : bool
            Whether it goes also when runs wait on it. Those at work go on.

        Raises
        ------
        StoreError
            When runs wait on it.
        """
        return self._launcher.store.delete_queue(self._queue, force=force)
