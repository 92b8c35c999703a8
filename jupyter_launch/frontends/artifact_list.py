"""Artifacts as views list them: plain values, in words for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..artifact import Kept
from ..redact import redact_text
from ..terminal import visible

SHOWN = 20
"""How many artifacts the record of a run names."""

_UNITS = ("B", "kB", "MB", "GB", "TB")


def listed(kept: Sequence[Kept]) -> list[dict[str, Any]]:
    """Give artifacts as plain values: size in bytes, time in Unix seconds."""
    return [
        {"name": one.name, "size": one.size, "modified": one.modified, "type": one.type}
        for one in kept
    ]


def noted(kept: Sequence[Kept]) -> dict[str, Any]:
    """Give what the record of a run says of its artifacts: how many, and the first of them."""
    named = [[visible(redact_text(one.name))[:200], one.size] for one in kept[:SHOWN]]
    return {"artifacts": named, "artifact_count": len(kept)} if kept else {}


def in_words(record: Mapping[str, Any]) -> str:
    """Name the artifacts of a record in one line; empty if there are none."""
    named = [f"{name} ({size_text(size)})" for name, size in record.get("artifacts", [])]
    more = record.get("artifact_count", 0) - len(named)
    return ", ".join([*named, *([f"and {more:,} more"] if more else [])])


def rows(kept: Sequence[Kept]) -> list[tuple[str, ...]]:
    """Give the rows of a table of artifacts, with its head."""
    return [("NAME", "SIZE", "MODIFIED", "TYPE"), *map(_row, kept)]


def _row(one: Kept) -> tuple[str, ...]:
    when = datetime.fromtimestamp(one.modified).astimezone().isoformat(" ", "seconds")
    return (one.name, size_text(one.size), when, one.type)


def size_text(size: float) -> str:
    """Spell a number of bytes."""
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if size >= 100 or not unit else f"{size:.1f} {_UNITS[unit]}"
