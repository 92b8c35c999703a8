"""Queues: what may be recorded of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from . import backends
from .errors import SpecError, StoreError
from .runs import QueueRecord
from .spec import merge
from .stores.base import Store

_OF_QUEUES = {"resource_args", "template_variables"}


def make_queue(store: Store, record: QueueRecord) -> None:
    """Make a queue, once what its record says has been checked and put in order.

    Raises
    ------
    SpecError
        When there is no such resource, or the name is empty or longer than 64 characters.
    StoreError
        When there is a queue of that name already.
    """
    queue = record.queue
    backends.check_name(record.resource)
    if not 0 < len(queue.name) <= 64 or queue.name != queue.name.strip():
        raise SpecError(
            f"A queue cannot be called {queue.name!r}.",
            hint="Its name has 1 to 64 characters, and no space at its ends.",
            field="queue",
        )
    config = _config(record.resource, record.config)
    if not store.create_queue(replace(record, config=config)):
        raise StoreError(f"There is a queue {queue.name!r} of {queue.entity!r} already.")


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
    given = {"resource_args": args, "template_variables": dict(variables)}
    return {name: value for name, value in given.items() if value}
