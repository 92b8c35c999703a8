"""What a page may ask about the run it shows, beyond what it is told: lines, searches, texts."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ..errors import LaunchError, SpecError
from ..redact import redact_spec
from .compare import compare
from .copy_as import FORMS
from .feed import Feed, Reply, Send
from .record import bundle_of, safe

_LOG = logging.getLogger(__name__)

Verb: TypeAlias = Callable[[Feed, dict[str, Any], Reply], None]

LINES = 5000
HITS = 10_000
"""How much one request may ask for."""


def answer(feed: Feed, message: dict[str, Any], send: Send, more: Mapping[str, Verb]) -> None:
    """Answer one request, well or with the reason why not. Never raises for a bad request.

    Parameters
    ----------
    feed : Feed
        Of the run it is about.
    message : dict
        ``verb`` and its arguments; ``v`` and ``id`` say whose request it is and which.
    send : callable
        Takes the answer.
    more : mapping
        Verbs beside those that only read.
    """
    name, number = str(message.get("v", "")), message.get("id")
    head = {"t": "answer", "v": name, "run": feed.handle.id, "id": number}

    def reply(body: dict[str, Any], buffer: bytes | None) -> None:
        send({**head, "ok": True, **body}, buffer)

    verb = {**VERBS, **more}.get(str(message.get("verb")))
    try:
        if verb is None:
            raise SpecError(f"There is no {str(message.get('verb'))[:40]!r} to ask for here.")
        verb(feed, message, reply)
    except LaunchError as error:
        send({**head, "ok": False, "message": safe(error.message), "hint": safe(error.hint)}, None)
    except Exception as error:  # noqa: BLE001
        # Nobody waits for this thread: the page must learn of it, and so must the log.
        bug = f"This is a bug in jupyter_launch ({type(error).__name__}): please report it."
        send({**head, "ok": False, "message": bug, "hint": ""}, None)
        _LOG.exception("jupyter_launch could not answer a page's request")


def whole(message: Mapping[str, Any], field: str, default: int, most: int | None = None) -> int:
    """Take a whole number out of a request. Raises `SpecError`."""
    value = message.get(field, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SpecError(f"{field} is a whole number from 0 on, not {str(value)[:40]!r}.")
    return value if most is None else min(value, most)


def _lines(feed: Feed, message: dict[str, Any], reply: Reply) -> None:
    first, count = whole(message, "first", 0), whole(message, "count", LINES, LINES)
    feed.lines_for(str(message.get("v", "")), first, count, reply)


def _find(feed: Feed, message: dict[str, Any], reply: Reply) -> None:
    feed.catch_up()
    found = feed.lines.find(
        str(message.get("text", "")),
        case=bool(message.get("case")),
        regex=bool(message.get("regex")),
        start=whole(message, "start", 0),
        limit=whole(message, "limit", 1000, HITS),
    )
    reply({"lines": found.lines, "more": found.more}, None)


def _bundle(feed: Feed, _message: dict[str, Any], reply: Reply) -> None:
    reply({"bundle": bundle_of(feed.handle)}, None)


def _copy(feed: Feed, message: dict[str, Any], reply: Reply) -> None:
    form = FORMS.get(str(message.get("as")))
    if form is None:
        raise SpecError(f"A launch can be copied as {', '.join(FORMS)}.")
    reply({"text": form(feed.handle.run)}, None)


def _spec(feed: Feed, _message: dict[str, Any], reply: Reply) -> None:
    reply({"spec": redact_spec(json.loads(feed.handle.run.spec_json))}, None)


def _diff(feed: Feed, message: dict[str, Any], reply: Reply) -> None:
    store = feed.handle.store
    other = store.get(str(message.get("with", ""))[:64])
    reply({"lines": compare(other, feed.handle.run, store)}, None)


VERBS: Mapping[str, Verb] = {
    "lines": _lines,
    "find": _find,
    "bundle": _bundle,
    "copy": _copy,
    "spec": _spec,
    "diff": _diff,
}
