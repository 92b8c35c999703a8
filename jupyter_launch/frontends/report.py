"""Runs as tables for people and as JSON for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import redact
from ..terminal import visible
from .record import elapsed, program_text

if TYPE_CHECKING:
    from ..handle import RunHandle
    from ..retries import Attempt
    from ..runs import Event, Run


def plain(run: Run) -> dict[str, Any]:
    """Give a run as plain values, with what looks like a secret taken out."""
    return {
        "id": run.id,
        "state": run.state.value,
        "name": redact.redact_text(run.name) if run.name else None,
        "entity": run.entity,
        "project": run.project,
        "queue": None if run.queue is None else run.queue.name,
        "queue_entity": None if run.queue is None else run.queue.entity,
        "priority": run.priority,
        "resource": run.resource,
        "created": run.created,
        "started": run.started,
        "ended": run.ended,
        "exit_code": run.exit_code,
        "reason": redact.redact_text(run.reason),
        "parent": run.parent,
        "spec": redact.redact_spec(run.spec.to_dict()),
    }


def as_json(value: Any) -> str:
    """Write plain values as one JSON text."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def event_json(event: Event) -> str:
    """Write an event as one line of JSON."""
    line = {"event": event.seq, "at": event.at, "kind": event.kind, **event.data}
    return json.dumps(line, ensure_ascii=False)


def table(runs: Sequence[Run], waiting: Mapping[str, str] | None = None) -> str:
    """Show runs, one a line; where some wait, also for what."""
    now = time.time()
    last = ["WAITS FOR"] if waiting else []
    rows: list[Sequence[str]] = [("ID", "STATE", "QUEUE", "TIME", "EXIT", "WHAT", *last)]
    for run in runs:
        took = run.seconds(now)
        what = redact.redact_text(run.name) if run.name else program_text(run.spec)
        rows.append(
            (
                run.id,
                run.state.value,
                run.queue.name if run.queue else "-",
                "-" if took is None else elapsed(took),
                "-" if run.exit_code is None else str(run.exit_code),
                what,
                *([waiting.get(run.id, "-")] if waiting else []),
            )
        )
    return columns(rows)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Align rows of texts, a line each, without what would steer a terminal."""
    rows = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def details(handle: RunHandle) -> str:
    """Show all that is known of one run."""
    run = handle.run
    facts = {key: value for key, value in plain(run).items() if value not in (None, "", {})}
    spec = facts.pop("spec", {})
    for name in ("created", "started", "ended"):
        if name in facts:
            stamp = time.localtime(facts[name])
            facts[name] = time.strftime("%Y-%m-%d %H:%M:%S", stamp)
    if waits := handle.waiting_for():
        facts["waiting"] = waits
    rows = [(f"{name}:", str(value)) for name, value in facts.items()]
    tried = handle.attempts()
    rows += [_attempt(one) for one in tried] if len(tried) > 1 else []
    lines = columns(rows)
    return f"{lines}\nspec:\n{as_json(spec)}"


def _attempt(attempt: Attempt) -> tuple[str, str]:
    times = [time.localtime(at) for at in (attempt.started, attempt.ended) if at is not None]
    when = " to ".join(time.strftime("%H:%M:%S", at) for at in times)
    told = redact.redact_text(attempt.outcome.partition("\n")[0])
    return f"attempt {attempt.number}:", f"{when}  {told}" if when else told
