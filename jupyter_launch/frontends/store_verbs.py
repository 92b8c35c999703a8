"""``jupyter launch store``: what a store holds, whether it is whole, and clearing it."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from typing import Any

from ..config import setting
from ..errors import ConfigError
from ..stores import open_store
from ..stores.base import Store
from ..stores.upkeep_verbs import Sizes
from . import report

Add = Callable[..., argparse.ArgumentParser]
OK, FAILED = 0, 1

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])", re.ASCII)


def add_to(subs: Any, add: Add) -> None:
    """Add the verbs to a command line's parsers, each by `add`."""
    add(subs, "show", _show, "what a store holds, and how much", reads=True)
    add(subs, "check", _check, "look whether all is whole, and say what to do", reads=True)
    add(subs, "migrate", _migrate, "bring a store of an older version up to date", reads=True)
    prune = add(
        subs, "prune", _prune, "delete runs that ended long ago, with all of theirs", reads=True
    )
    prune.add_argument(
        "--older-than", required=True, metavar="TIME", help="ended so long ago: 12h, 30d, 8w"
    )
    prune.add_argument(
        "--keep-failed", action="store_true", help="delete only what finished or was stopped"
    )
    prune.add_argument("--dry-run", action="store_true", help="only say what would be deleted")


def seconds(text: str) -> float:
    """Read a duration such as ``30d`` in seconds. Raises `ConfigError`."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ConfigError(
            f"{text!r} is no duration.",
            hint="Write a number and one of s, m, h, d, w (weeks): 90s, 12h, 30d.",
        )
    return float(found[1]) * UNITS[found[2]]


def _show(arguments: argparse.Namespace) -> int:
    store = _store(arguments)
    sizes, oldest = store.sizes(), store.oldest()
    known = {"url": store.url, "id": store.id, "schema": store.schema.now}
    if arguments.json:
        print(report.as_json({**known, "oldest_run": oldest, **sizes._asdict()}))
        return OK
    facts = {name: str(value) for name, value in known.items()}
    if oldest is not None:
        facts["oldest run"] = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(oldest))
    facts |= {name: f"{count:,}" for name, count in sizes.rows.items()}
    facts |= {f"bytes of {name}": _bytes(size) for name, size in sizes.bytes.items()}
    print(report.columns([(f"{name}:", text) for name, text in facts.items()]))
    return OK


def _check(arguments: argparse.Namespace) -> int:
    store = _store(arguments)
    problems = store.check()
    if arguments.json:
        print(report.as_json({"store": store.url, "problems": problems}))
    elif problems:
        print(report.columns([(problem,) for problem in problems]))
    else:
        print(f"{store.url} is whole: {store.sizes().rows['runs']:,} runs")
    return FAILED if problems else OK


def _migrate(arguments: argparse.Namespace) -> int:
    store = _store(arguments)
    found, now = store.schema
    if arguments.json:
        print(report.as_json({"store": store.url, "from": found, "to": now}))
    elif found == 0:
        print(f"{store.url} was made, in version {now}")
    elif found == now:
        print(f"{store.url} is up to date, in version {now}")
    else:
        print(f"{store.url} was brought from version {found} to {now}")
    return OK


def _prune(arguments: argparse.Namespace) -> int:
    before = time.time() - seconds(arguments.older_than)
    store = _store(arguments)
    gone = store.prune(before, keep_failed=arguments.keep_failed, dry_run=arguments.dry_run)
    if arguments.json:
        report_ = {"store": store.url, "dry_run": arguments.dry_run, **gone._asdict()}
        print(report.as_json(report_))
    else:
        print(f"{'would delete' if arguments.dry_run else 'deleted'} {_said(gone)}")
    return OK


def _said(gone: Sizes) -> str:
    parts = [f"{count:,} {name}" for name, count in gone.rows.items()]
    parts += [f"{_bytes(size)} of {name}" for name, size in gone.bytes.items() if size]
    return ", ".join(parts) or "nothing: no run ended so long ago"


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def _store(arguments: argparse.Namespace) -> Store:
    url = setting("store", given=arguments.store).value
    assert url is not None
    return open_store(url)
