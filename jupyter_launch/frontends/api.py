"""W&B's documented `Api`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..backends import check_name
from ..config import setting
from ..job import Job
from ..queues import change_queue, make_queue
from ..resolve import find_job
from ..runs import Queue, QueueRecord
from ..submit import Launcher, launcher
from .api_runs import SubmittedRun
from .jobs import create_job
from .run_queue import Prioritization, RunQueue, prioritizes


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
        prioritization_mode: Prioritization | None = "V0",
        config: Mapping[str, Any] | None = None,
        template_variables: Mapping[str, Any] | None = None,
    ) -> RunQueue:  # fmt: skip
        """Make a queue.

        Parameters
        ----------
        name : str
            What it is called.
        type : str
            The resource of items that name none.
        entity : str, optional
            Who owns it; default: `default_entity`.
        prioritization_mode : {"V0", "DISABLED"}, optional
            Whether items of higher priority go first (``"V0"``), or all in the order of submission.
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
        queue = Queue(self._owner(entity), name)
        given = {**(config or {}), "template_variables": template_variables or {}}
        prioritize = prioritizes(prioritization_mode)
        make_queue(self.launcher.store, QueueRecord(queue, type, given, prioritize=prioritize))
        return RunQueue(self.launcher, queue)

    def upsert_run_queue(
        self, name: str, resource_config: Mapping[str, Any],
        resource_type: str = "local-container", entity: str | None = None,
        template_variables: Mapping[str, Any] | None = None,
        prioritization_mode: Prioritization | None = "V0",
    ) -> RunQueue:  # fmt: skip
        """Make a queue, or make the one of that name as if it was made now. Its items stay.

        Parameters
        ----------
        name, entity, template_variables, prioritization_mode
            As for `create_run_queue`.
        resource_config : mapping
            The ``config`` there.
        resource_type : str
            The ``type`` there.

        Raises
        ------
        SpecError
            As there.
        """
        args = (name, resource_type, entity, prioritization_mode)
        queue = Queue(self._owner(entity), name)
        if queue not in self.launcher.store.queues():
            return self.create_run_queue(*args, resource_config, template_variables)
        empty = {"resource_args": {}, "template_variables": template_variables or {}}
        change_queue(
            self.launcher.store,
            queue,
            {
                "resource": resource_type,
                "config": {**empty, **resource_config},
                "prioritize": prioritizes(prioritization_mode),
            },
        )
        return RunQueue(self.launcher, queue)

    def run_queue(self, entity: str, name: str) -> RunQueue:
        """Give a queue. Raises `QueueNotFound`."""
        queue = Queue(entity, name)
        self.launcher.store.ensure_queue(queue)
        return RunQueue(self.launcher, queue)

    def run_queues(self, entity: str | None = None) -> list[RunQueue]:
        """Give all queues, or those of an entity."""
        queues = self.launcher.store.queues()
        return [RunQueue(self.launcher, q) for q in queues if entity in (None, q.entity)]

    def _owner(self, entity: str | None) -> str:
        return entity or self.default_entity or ""

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
