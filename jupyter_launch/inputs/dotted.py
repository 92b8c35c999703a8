"""Dotted paths in nested configs: what a launch sets, and what a program lets it set."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import LaunchError, SpecError

Keys = tuple[str, ...]
"""The way to a value in nested mappings."""


def check_allowed(
    overrides: Mapping[str, Any],
    include: Sequence[str] | None,
    exclude: Sequence[str] | None,
    what: str,
) -> None:
    """Refuse values outside of `include` or within `exclude`, and all that would replace those.

    Raises
    ------
    SpecError
        Listing them.
    """
    allowed = [()] if include is None else [keys_of(path) for path in include]
    barred = [keys_of(path) for path in exclude or ()]
    refused = [
        (keys, value)
        for keys, value in leaves(overrides)
        if not any(_within(keys, one) for one in allowed)
        or any(_within(keys, one) or _within(one, keys) for one in barred)
    ]
    if refused:
        told = "".join(f"\n  {dotted(keys)}: {shown(value)}" for keys, value in refused)
        open_to = "everything" if include is None else ", ".join(include) or "nothing"
        but = f", except {', '.join(exclude)}" if exclude else ""
        raise SpecError(
            f"The launch sets values in {what} that the program does not let it set:{told}",
            hint=f"It lets a launch set {open_to}{but}.",
            field=dotted(refused[0][0]),
        )


def leaves(value: Mapping[str, Any], above: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Walk the values of nested mappings, each with its path; an empty mapping is a value."""
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from leaves(item, (*above, key))
        else:
            yield (*above, key), item


def put(config: Any, keys: Keys, value: Any) -> None:
    """Set the value at a path in nested mappings, which are made where they are not there."""
    *parents, last = keys
    for key in parents:
        name = _spelt(config, key)
        if not isinstance(config.get(name), dict):
            config[name] = {}
        config = config[name]
    last = _spelt(config, last)
    if value != {} or not isinstance(config.get(last), dict):  # {} changes nothing in a mapping
        config[last] = value


def keys_of(path: str) -> Keys:
    r"""Split a dotted path; every other backslash than that of ``\.`` is itself."""
    keys = tuple(part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", path))
    if "" in keys or path.endswith("\\"):
        raise LaunchError(
            f"{path!r} is no dotted path of a value in a config.",
            hint=r"Write it like model.layers; a dot within a name is written '\.'.",
        )
    return keys


def _within(keys: Keys, above: Keys) -> bool:
    return keys[: len(above)] == above


def _spelt(config: Mapping[Any, Any], key: str) -> Any:
    """Give the key as a config has it: YAML's may be numbers, JSON's are text."""
    return next((known for known in config if str(known) == key), key)


def dotted(keys: Sequence[Any]) -> str:
    r"""Join a path, as `keys_of` splits it."""
    return ".".join(str(key).replace(".", "\\.") for key in keys)


def shown(value: Any) -> str:
    """Show a value as it stands in JSON, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."
