"""What changed from one run to another: what was asked for, the code, the image."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from itertools import islice
from typing import Any

import yaml

from ..redact import redact_spec
from ..runs import Run
from ..stores.base import Store
from .record import safe, summary

FILE_BYTES = 256 * 1024
"""Of a larger file only is said that it changed: comparing takes long, reading longer."""

LINES = 2000
"""How many lines a comparison has at most."""


def compare(old: Run, new: Run, store: Store) -> list[str]:
    """Give what changed from one run to another, as the lines of unified diffs.

    One diff each for the spec, the image it ran in, the cell, and every file that went along;
    none for what is the same. What looks like a secret is in none of them.

    Parameters
    ----------
    old, new : Run
        The runs.
    store : Store
        Has the files that went along.

    Raises
    ------
    StoreError
        When these files are not there any more.
    """
    before, after = _documents(old), _documents(new)
    names = _snapshot(old), _snapshot(new)
    if names[0] != names[1]:  # they are named after their content
        for texts, name in zip((before, after), names, strict=True):
            texts.update(_files(store, name) if name else {})
    both = [*before, *(name for name in after if name not in before)]
    told = (
        line
        for name in both
        for line in _diff(name, before.get(name), after.get(name), (old.id, new.id))
    )
    lines = list(islice(told, LINES + 1))
    return lines if len(lines) <= LINES else [*lines[:LINES], f"(only {LINES} lines are shown)"]


def _diff(name: str, old: str | None, new: str | None, ids: tuple[str, str]) -> Iterator[str]:
    if old == new:
        return iter(())
    before, after = ([] if text is None else text.splitlines() for text in (old, new))
    older, newer = (f"{name} ({run_id})" for run_id in ids)
    return difflib.unified_diff(before, after, older, newer, lineterm="")


def _documents(run: Run) -> dict[str, str]:
    spec = redact_spec(json.loads(run.spec_json))
    body = (spec.get("source") or {}).get("body")
    for where, name in _ELSEWHERE:
        (spec.get(where) or {} if where else spec).pop(name, None)
    view = summary(run)
    ran = {name: view[name] for name in ("image", "resource") if view[name]}
    cell = {} if body is None else {"cell": safe(body)}
    return {"spec": safe(_yaml(spec)), "image": _yaml(ran), **cell}


_ELSEWHERE = (
    ("", "run_id"), ("", "origin"),
    ("source", "body"), ("source", "snapshot"), ("git", "snapshot"),
)  # fmt: skip
"""Parts of a spec that say nothing by themselves, or are compared line by line."""


def _yaml(value: Any) -> str:
    text: str = yaml.safe_dump(value, allow_unicode=True, width=100) if value else ""
    return text


def _snapshot(run: Run) -> str | None:
    spec = json.loads(run.spec_json)
    named = [(spec.get(part) or {}).get("snapshot") for part in ("source", "git")]
    return next(filter(None, named), None)


def _files(store: Store, name: str) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(store.get_snapshot(name))) as archive:
        return {safe(member.name): _shown(archive, member) for member in archive}


def _shown(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    """Give a file's text, or what can be said of it where it has none that can be compared."""
    if member.issym() or member.islnk():
        return f"(link to {safe(member.linkname)})"
    file = archive.extractfile(member)
    if file is None:
        return "(folder)"
    data = file.read()
    if len(data) <= FILE_BYTES and b"\0" not in data:
        with contextlib.suppress(UnicodeDecodeError):
            return safe(data.decode())
    return f"({len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()[:12]})"
