"""Queues: what may be recorded of them, and what may be changed about their items."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import ValidationError

from . import backends
from .builds.recipes import refuse_images
from .errors import IllegalTransition, SpecError, StoreError, Unsupported
from .resolve import with_template
from .rooms import asked_room
from .runs import DRAINING, PAUSED, RUNNING, Agent, Queue, QueueRecord, Run
from .sources import applied
from .spec import LaunchSpec, merge
from .spec_parts import Retry
from .states import State
from .stores.base import Store
from .stores.queue_verbs import drained
from .validation import spec_error

STATES = (RUNNING, PAUSED, DRAINING)
_CHANGED = {"resource", "config", "state", "prioritize", "max_running", "retry"}
_OF_QUEUES = {"resource_args", "template_variables"}


class QueueLook(NamedTuple):
    """A queue as it is now: how many runs wait on it and are at work, and the agents it has."""

    record: QueueRecord
    waiting: int
    running: int
    agents: list[Agent]


def look_at(store: Store, *queues: Queue) -> list[QueueLook]:
    """Look at all queues, or at some. Raises `QueueNotFound`."""
    agents, counts = store.agents(), store.queue_counts()
    return [
        QueueLook(
            store.queue(queue),
            *counts.get(queue, (0, 0)),
            [agent for agent in agents if queue in agent.queues],
        )
        for queue in queues or store.queues()
    ]


def make_queue(store: Store, record: QueueRecord) -> None:
    """Make a queue, once what its record says has been checked and put in order.

    Raises
    ------
    SpecError
        When there is no such resource, the name is empty or longer than 64 characters, or a limit,
        the retry policy or an option cannot be.
    StoreError
        When there is a queue of that name already.
    """
    queue = record.queue
    if not 0 < len(queue.name) <= 64 or queue.name != queue.name.strip():
        raise SpecError(
            f"A queue cannot be called {queue.name!r}.",
            hint="Its name has 1 to 64 characters, and no space at its ends.",
            field="queue",
        )
    if not store.create_queue(_checked(record)):
        raise StoreError(f"There is a queue {queue.name!r} of {queue.entity!r} already.")


def change_queue(store: Store, queue: Queue, changes: Mapping[str, Any]) -> QueueRecord:
    """Change a queue, with the same checks; give its record.

    Parameters
    ----------
    store : Store
        Where it is.
    queue : Queue
        Which; an entity's first queue is made if it is not there yet.
    changes : mapping
        Fields of `QueueRecord`. The parts of ``config`` that are given take the place of those
        there were, and so do those of ``retry``; ``retry=None`` leaves no policy.

    Raises
    ------
    QueueNotFound, SpecError
    """
    if stray := changes.keys() - _CHANGED:
        hint = f"It has: {', '.join(sorted(_CHANGED))}."
        raise SpecError(f"A queue has no setting {min(stray)!r}.", hint=hint, field=min(stray))
    store.ensure_queue(queue)
    before = store.queue(queue)
    changes = dict(changes)
    for name, parts in (("config", before.config), ("retry", before.retry or {})):
        if changes.get(name) is not None:
            changes[name] = {**parts, **changes[name]}
    made = _checked(replace(before, **changes))
    return store.update_queue(queue, **{name: getattr(made, name) for name in changes})


def requeue(store: Store, run: Run, queue: Queue | None = None, priority: int | None = None) -> Run:
    """Move a waiting run to another queue, or give it another priority; all else stays.

    It takes the place among the others there that its age gives it. Values for template variables
    that the other queue has not got are left out: they mean nothing there.

    Raises
    ------
    QueueNotFound
    SpecError
        When the other queue's variables or resource do not take it.
    StoreError
        When it does not wait on a queue any more, or the other one takes nothing.
    """
    if run.queue is None or run.state is not State.PENDING:
        where = (
            "is on no queue" if run.queue is None else f"does not wait any more: it is {run.state}"
        )
        raise IllegalTransition(f"Run {run.id} {where}.", hint="Only what waits can be changed.")
    changes: dict[str, Any] = {} if priority is None else {"priority": priority}
    spec, room = run.spec.evolve(**changes), run.room
    if queue is not None and queue != run.queue:
        spec = _moved(store, spec, queue)
        room = asked_room(applied(spec, store), store.queue(queue))
    return store.requeue(
        run.evolve(
            queue=queue or run.queue, priority=spec.priority, spec_json=spec.to_json(), room=room
        )
    )


def _moved(store: Store, spec: LaunchSpec, queue: Queue) -> LaunchSpec:
    store.ensure_queue(queue)
    record = store.queue(queue)
    if record.state == DRAINING:
        raise drained(queue)
    known = record.config.get("template_variables") or {}
    values = {name: value for name, value in spec.template_variables.items() if name in known}
    spec = spec.evolve(template_variables=values, queue=queue.name, queue_entity=queue.entity)
    name = spec.resource or record.resource
    if name != backends.AUTO and backends.backend(name).inherits:
        whole = applied(spec, store)
        refuse_images(whole, name)
        if whole.kind == "image":
            hint = "Move it to a queue of local-container, or another that runs images."
            raise Unsupported(f"It runs an image, and {name} runs none.", hint=hint)
    return with_template(spec, store, queue)


def _checked(record: QueueRecord) -> QueueRecord:
    """Put a record in order, or refuse it."""
    backends.check_name(record.resource)
    if record.state not in STATES:
        hint = f"It is one of {', '.join(STATES)}."
        raise SpecError(f"A queue cannot be {record.state!r}.", hint=hint, field="state")
    limit = record.max_running
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise SpecError(
            f"A queue cannot have at most {limit} runs at work.",
            hint="The limit is 1 or more, or none. To give nothing out, pause the queue.",
            field="max_running",
        )
    retry = None if record.retry is None else _retry(record.retry)
    return replace(record, config=_config(record.resource, record.config), retry=retry)


def _retry(given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        retry = Retry.model_validate_json(json.dumps(given))
    except ValidationError as error:
        raise spec_error(error, Retry) from error
    if retry.max_retries is None:
        raise SpecError(
            "The queue's retry policy does not say how often.",
            hint="Say it with --retries N, or max_retries in Python.",
            field="max_retries",
        )
    return retry.model_dump(mode="json", exclude_defaults=True)


def _config(resource: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Check a queue's default config; W&B's names the options of its resource and nothing more."""
    from .templates import check_templates, placeholders  # noqa: PLC0415 - queues are rarely made

    variables = config.get("template_variables") or {}
    args = config.get("resource_args") or {}
    options = {name: value for name, value in config.items() if name not in _OF_QUEUES}
    args = merge(args, {resource: options}) if options else dict(args)
    if not args.keys() <= set(backends.names()):
        args = {resource: args}
    check_templates(variables)
    missing = sorted(placeholders(args) - variables.keys())
    if missing:
        raise SpecError(
            f"The queue's config has {{{{{missing[0]}}}}} in it, which is no template variable.",
            hint="Say what it may be with --template-variables, such as "
            f'{{"{missing[0]}": {{"schema": {{"type": "integer"}}}}}}',
            field="template_variables",
        )
    for name, given in args.items():
        # What is left open can be anything: it is checked once an item has chosen.
        if isinstance(given, Mapping) and not placeholders(given):
            backends.backend(name).check({k: v for k, v in given.items() if k != "builder"})
    given = {"resource_args": args, "template_variables": dict(variables)}
    return {name: value for name, value in given.items() if value}
