"""W&B's documented functions, `launch` and `launch_add`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import SpecError, Unsupported
from ..spec import LaunchSpec
from . import live
from .api import Api
from .api_runs import QueuedRun, SubmittedRun
from .arguments import FIELDS


def launch(  # noqa: PLR0913
    api: Api | None,
    job: str | None = None,
    entry_point: list[str] | None = None,
    version: str | None = None,
    name: str | None = None,
    resource: str | None = None,
    resource_args: Mapping[str, Any] | None = None,
    project: str | None = None,
    entity: str | None = None,
    docker_image: str | None = None,
    config: Mapping[str, Any] | None = None,
    synchronous: bool = True,
    run_id: str | None = None,
    repository: str | None = None,
    *,
    parameters: Mapping[str, Any] | None = None,
) -> SubmittedRun:
    """Run a job or image now, on this machine.

    Parameters
    ----------
    api : Api
        Where the run is recorded; ``None`` for the defaults.
    job : str, optional
        Job to run, ``entity/project/name:alias``; what is left out is filled in.
    entry_point : list of str, optional
        Command to run instead of the source's own.
    version : str, optional
        Commit, tag or branch of a git repository, instead of its default branch or the job's.
    name : str, optional
        Name of the run, for people.
    resource : str, optional
        Where to run: ``local-container`` (default), ``local-process``.
    resource_args : mapping, optional
        Options of the resource: ``{"local-container": {"memory": "2g"}}``.
    project, entity : str, optional
        What and whom the run belongs to; default: those of `api`.
    docker_image : str, optional
        Image to run.
    config : mapping, optional
        A launch spec; the arguments are laid over it. It is not changed.
    synchronous : bool
        Whether to show the run's log and wait until it has ended. An interrupt stops the run.
    run_id : str, optional
        Id of the run; default: eight random letters and digits.
    repository : str, optional
        Registry's repository that the built image is pushed to; the run uses it from there.
    parameters : mapping, optional
        Run config, laid over ``config["overrides"]["run_config"]``.

    Raises
    ------
    ExecutionError
        When the run failed, if `synchronous`: exit code and last log lines.
    RunStopped
        When it was stopped, if `synchronous`.
    LaunchError
        Other errors; see `jupyter_launch.errors`.
    """
    given = locals()
    api = api or Api()
    spec = _spec(api, given, parameters)
    run = SubmittedRun(api.launcher, api.launcher.launch(spec).id)
    if synchronous:
        live.show(live.shell(), run, wait=True)
    return run


def launch_add(  # noqa: PLR0913
    uri: str | None = None,
    job: str | None = None,
    config: Mapping[str, Any] | None = None,
    template_variables: Mapping[str, Any] | None = None,
    project: str | None = None,
    entity: str | None = None,
    queue_name: str | None = None,
    resource: str | None = None,
    entry_point: list[str] | None = None,
    name: str | None = None,
    version: str | None = None,
    docker_image: str | None = None,
    project_queue: str | None = None,
    resource_args: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    build: bool = False,
    repository: str | None = None,
    sweep_id: str | None = None,
    author: str | None = None,
    priority: int | None = None,
    *,
    parameters: Mapping[str, Any] | None = None,
) -> QueuedRun:
    """Put a job or image on a queue, from which an agent takes it.

    Parameters
    ----------
    uri : str, optional
        Git repository to run: an address, or a path of this machine.
    job : str, optional
        Job to run, ``entity/project/name:alias``; what is left out is filled in.
    config : mapping, optional
        A launch spec; the arguments are laid over it. It is not changed.
    template_variables : mapping, optional
        Values for the template variables of the queue, within the limits that it sets.
    project, entity : str, optional
        What and whom the run belongs to.
    queue_name : str, optional
        The queue; default: the setting ``queue``, which is ``default``.
    resource : str, optional
        Where to run; default: the queue's.
    entry_point : list of str, optional
        Command to run instead of the source's own.
    name : str, optional
        Name of the run, for people.
    version : str, optional
        Commit, tag or branch of a git repository, instead of its default branch or the job's.
    docker_image : str, optional
        Image to run.
    project_queue : str, optional
        W&B's project of the queue, ``model-registry``; queues here have none.
    resource_args : mapping, optional
        Options of the resource, laid over the queue's.
    run_id : str, optional
        Id of the run; default: eight random letters and digits.
    build : bool
        Whether to build an image for the source here, make a job of it, and queue that job.
    repository : str, optional
        Registry's repository that the built image is pushed to; the run uses it from there.
    sweep_id : str, optional
        Given to the program as ``WANDB_SWEEP_ID``.
    author : str, optional
        Given to the program as ``WANDB_USERNAME``.
    priority : int, optional
        0 critical, 1 high, 2 medium (default), 3 low.
    parameters : mapping, optional
        Run config, laid over ``config["overrides"]["run_config"]``.

    Raises
    ------
    QueueNotFound
        Before anything is recorded.
    LaunchError
        Other errors; see `jupyter_launch.errors`.
    """
    given = locals()
    if project_queue not in {None, "model-registry"}:
        raise Unsupported(
            f"The argument 'project_queue' is not supported: queues have no project here, and "
            f"{project_queue!r} was given.",
            hint="Leave it out; a queue is named by its entity and its name.",
        )
    api = Api()
    spec = _spec(api, {**given, "build": build or None}, parameters)
    return QueuedRun(api.launcher, api.launcher.add(spec).id)


def _spec(api: Api, given: Mapping[str, Any], parameters: Mapping[str, Any] | None) -> LaunchSpec:
    """Lay the arguments of a call over its `config`, and the defaults under both."""
    config = given["config"]
    for name, value in (("config", config), ("parameters", parameters)):
        if value is not None and not isinstance(value, Mapping):
            raise SpecError(f"{name} takes a mapping, not a {type(value).__name__}.", field=name)
    data = LaunchSpec.from_dict(config or {}).to_dict()
    for name, path in FIELDS.items():
        value = given.get(name)
        if value is not None:
            *parents, last = path.split(".")
            target = data
            for parent in parents:
                target = target.setdefault(parent, {})
            target[last] = value
    if parameters:
        data.setdefault("overrides", {}).setdefault("run_config", {}).update(parameters)
    shell = live.shell()
    where = {} if shell is None else {"origin": live.place(shell)}
    data = {"entity": api.default_entity, "project": api.default_project, **data, **where}
    return LaunchSpec.from_dict(data)
