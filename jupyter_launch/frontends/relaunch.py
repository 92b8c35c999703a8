"""Launching a run again from what a page shows of it: the spec as it was, or edited.

A page never gets what looks like a secret. Where an edited spec still has the mark that stood in
its place, the recorded value is put back. The magic and the command line change its run config.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import SpecError
from ..handle import RunHandle
from ..option import opt
from ..redact import REDACTED, redact_spec
from ..spec import LaunchSpec
from .values import flat, pairs, read

_CONFIG = opt("-c", "--config", read="mapping")


def relaunch(
    handle: RunHandle, config: Mapping[str, Any] | None, spec: Mapping[str, Any] | None
) -> RunHandle:
    """Launch a run again, as a new run whose parent is the old one.

    Parameters
    ----------
    handle : RunHandle
        The old run.
    config : mapping or None
        Run config, laid over that of the spec.
    spec : mapping or None
        The whole spec in its JSON form, edited; ``None`` for the recorded one.

    Raises
    ------
    SpecError
        When the spec is wrong, or a redacted value in it cannot be told any more.
    """
    if spec is None:
        return handle.relaunch(dict(config or {}))
    recorded = json.loads(handle.run.spec_json)
    edited = dict(unredacted(spec, redact_spec(recorded), recorded))
    if edited.get("run_id") == handle.id:
        del edited["run_id"]
    made = LaunchSpec.from_dict(edited)
    if config:
        overrides = made.overrides.model_dump(mode="json", exclude_defaults=True)
        overrides["run_config"] = {**made.overrides.run_config, **config}
        made = made.evolve(overrides=overrides)
    return handle.launcher.again(handle.run, made)


def add_to(parser: argparse.ArgumentParser) -> None:
    """Give a parser the options of launching a run again."""
    parser.add_argument(
        "--set", nargs="+", action="append", metavar="KEY=VALUE", help="values of the run config"
    )
    parser.add_argument(
        "-c", "--config", metavar="FILE|JSON|$VAR", help="run config, laid over the recorded one"
    )
    parser.add_argument(
        "--wait", action=argparse.BooleanOptionalAction, help="block until the run has ended"
    )


def changes(given: argparse.Namespace, expand: Callable[[str], Any]) -> dict[str, Any]:
    """Give the run config that the options say. Raises `SpecError`."""
    config = dict(read(_CONFIG, given.config, expand)) if given.config is not None else {}
    config.update(pairs("--set", flat(given.set or []), expand, typed=True))
    return config


def unredacted(edited: Any, shown: Any, recorded: Any, path: str = "") -> Any:
    """Put back what was redacted.

    Parameters
    ----------
    edited : JSON value
        What somebody made of `shown`.
    shown : JSON value
        What was made of `recorded` before it was shown.
    recorded : JSON value
        The real one.
    path : str
        Where in the spec this is, for the error.

    Raises
    ------
    SpecError
        Where the mark of a redacted value stands and it cannot be told which one it was.
    """
    if isinstance(edited, str):
        return _filled(edited, shown, recorded, path)
    if isinstance(edited, Mapping):
        return {
            key: unredacted(item, _at(shown, key), _at(recorded, key), f"{path}.{key}".strip("."))
            for key, item in edited.items()
        }
    if isinstance(edited, list):
        return [
            unredacted(item, _at(shown, place), _at(recorded, place), f"{path}[{place}]")
            for place, item in enumerate(edited)
        ]
    return edited


def _at(value: Any, key: Any) -> Any:
    if isinstance(value, Mapping):
        return value.get(key)
    return value[key] if isinstance(value, list) and key < len(value) else None


def _filled(edited: str, shown: Any, recorded: Any, path: str) -> str:
    pieces = edited.split(REDACTED)
    if len(pieces) == 1:
        return edited
    if isinstance(shown, str) and isinstance(recorded, str):
        around = [re.escape(piece) for piece in shown.split(REDACTED)]
        secrets = re.fullmatch("(.*?)".join(around), recorded, re.DOTALL)
        if secrets and len(around) == len(pieces):
            filled = zip(pieces, [*secrets.groups(), ""], strict=True)
            return "".join(piece + secret for piece, secret in filled)
    raise SpecError(
        f"{path} has {REDACTED} in it, which stands for a value that was not shown.",
        hint="Write the value itself, or better: hand it over as a secret, by its name.",
        field=path,
    )
