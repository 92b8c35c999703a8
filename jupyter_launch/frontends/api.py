"""W&B's documented objects: the `Api`, and the runs that `launch` and `launch_add` return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..backends import check_name
from ..config import setting
from ..handle import RunHandle
from ..job import Job
from ..queues import make_queue
from ..resolve import find_job
from ..runs import Queue, QueueRecord
from ..states import State
from ..submit import Launcher, launcher
from .jobs import create_job


class Api:
    """Where launches go: a store and the defaults for entity and project.

    Parameters
    ----------
    store : str, optional
        URL of the store; default: the setting ``store``.
    entity, project : str, optional
        Defaults; otherwise the settings of those names.
    """

    def __init__(
        self, store: str | None = None, *, entity: str | None = None, project: str | None = None
    ) -> None:
        self._store = store
        self.default_entity = setting("entity", given=entity).value
        self.default_project = setting("project", given=project).value

    @property
    def launcher(self) -> Launcher:
        """The launcher of this process for the store."""
        return launcher(self._store)

    def run(self, run_id: str) -> SubmittedRun:
        """Give a recorded run. Raises `RunNotFound`."""
        return SubmittedRun(self.launcher, self.launcher.handle(run_id).id)

    def create_run_queue(
        self, name: str, type: str = "local-container", entity: str | None = None,  # noqa: A002
        config: Mapping[str, Any] | None = None,
        template_variables: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Make a queue.

        Parameters
        ----------
        name : str
            What it is called.
        type : str
            The resource of items that name none.
        entity : str, optional
            Who owns it; default: `default_entity`.
        config : mapping, optional
            Options of the resource, laid under those of the items; ``{{name}}`` in it stands for
            a template variable.
        template_variables : mapping, optional
            ``{"name": {"schema": {"type": "integer", "maximum": 8, "default": 1}}}``: what a
            launch may choose, and within which limits.

        Raises
        ------
        SpecError
            When there is no such resource, or the name cannot be one.
        StoreError
            When there is a queue of that name already.
        """
        check_name(type)
        owner = entity or self.default_entity or ""
        given = {**(config or {}), "template_variables": template_variables or {}}
        make_queue(self.launcher.store, QueueRecord(Queue(owner, name), type, given))

    def create_job(
        self, job_type: str, path: str, *, spec: Mapping[str, Any] | None = None, **job: Any
    ) -> Job:
        """Make a version of a job, W&B's named and versioned source.

        Parameters
        ----------
        job_type : str
            ``git``, ``code`` or ``image``.
        path : str
            The repository's URI, the script or folder, or the image.
        spec : mapping, optional
            How it is run, as launch-spec fields: ``{"overrides": {"entry_point": [...]}}``.
        **job
            ``name``, ``aliases``, ``description``, ``entity``, ``project``, and ``inputs``, the
            JSON schema of the run config.

        Raises
        ------
        SpecError
            When it could not be launched.
        """
        owner = {"entity": self.default_entity, "project": self.default_project}
        return create_job(self.launcher.store, job_type, path, spec or {}, {**owner, **job})

    def job(self, name: str) -> Job:
        """Give a version of a job, by ``entity/project/name:alias``. Raises `SpecError`."""
        return find_job(self.launcher.store, name, self.default_entity, self.default_project)

    def jobs(self, entity: str | None = None, project: str | None = None) -> list[Job]:
        """Give all versions of all jobs, or of an entity's or project's."""
        return self.launcher.store.jobs(entity, project)

    def delete_job(self, name: str) -> None:
        """Delete a version of a job. Raises `StoreError` while a run needs it."""
        self.launcher.store.delete_job(self.job(name))


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

    def delete(self) -> bool:
        """Take the run off its queue. False if an agent has it already: then `stop` it."""
        return self.store.delete(self.id)


_STARTED = frozenset({State.RUNNING, State.STOPPING})
