"""The builder that every engine has, through its API."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any

from ..docker_engine import Engine
from ..report import Report
from .build_log import BuildLog
from .order import LABEL, Order
from .stream import Call, limited

_STEP = re.compile(r"(?i:step) (\d+/\d+) ?: (.*)", re.DOTALL)
_ABOUT_ITSELF = re.compile(r" ?--->|Removing intermediate container|Successfully (?:built|tagged) ")


def build(engine: Engine, order: Order, log: BuildLog, report: Report) -> None:
    """Build an image.

    Raises
    ------
    BuildFailed
        With the instruction that failed.
    """
    params = {
        "t": order.tag,
        "dockerfile": order.dockerfile,
        "labels": json.dumps({LABEL: "1"}),
        "rm": 1,
        "forcerm": 1,  # nothing is left of a step that failed
        **({"platform": order.platform} if order.platform else {}),
    }
    headers = {"Content-Type": "application/x-tar"}
    call = Call(engine, "/build", params=params, headers=headers, data=order.context)
    with limited(report, call.hang_up), contextlib.closing(call.messages()) as messages:
        for message in messages:
            _told(message, log)


def _told(message: dict[str, Any], log: BuildLog) -> None:
    if "error" in message:
        raise log.failure(message["error"])
    text = message.get("stream", "")
    if begun := _STEP.fullmatch(text.rstrip()):
        log.step(begun[1], begun[2])
    elif not _ABOUT_ITSELF.match(text):
        log.write(text)
