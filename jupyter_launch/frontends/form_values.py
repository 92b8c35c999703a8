"""Values of a form's fields as the text that people see and edit, and back again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from ..errors import SpecError
from ..option import Option
from .spelling import plain
from .values import mapping, split, value_of


def shown(option: Option, value: Any) -> str | None:
    """Write an option's value as text; ``None`` where no text means exactly that value."""
    text = _written(option, value)
    try:
        same = text is not None and _same(read(option, text), value)
    except SpecError:
        return None
    return text if same else None


def read(option: Option, text: str) -> Any:
    """Make an option's value of a field's text; ``None`` if nothing is said.

    Raises
    ------
    SpecError
        Naming the option, and the line where there are several.
    """
    flag = option.flags[-1]
    if not text.strip():
        return None
    if option.read == "words":
        return split(text, flag) or None
    if option.read == "list":
        return [line.strip() for line in text.splitlines() if line.strip()]
    if option.read == "mapping":
        return mapping(text, flag, "This") or None
    if option.read == "number":
        return _number(text, flag)
    return text.strip()


def shown_value(value: Any) -> str | None:
    """Write a value of the run config as `value_of` reads it; ``None`` where there is no way."""
    texts = [value] if isinstance(value, str) and plain(value) and "\n" not in value else []
    for text in (*texts, json.dumps(value, ensure_ascii=False)):
        if _same(value_of(text), value):
            return str(text)
    return None


def line_of(text: str, keys: Iterable[str]) -> int | None:
    """Find the line of a YAML text in which a nested key stands, as far down as there are keys."""
    try:
        node = yaml.compose(text)
    except yaml.YAMLError:
        return None
    line = None
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        found = next(((name, below) for name, below in pairs if name.value == key), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def _written(option: Option, value: Any) -> str | None:
    if option.read == "words":
        text = shlex.join(value)
    elif option.read == "list":
        text = "\n".join(value)
    elif option.read == "mapping":
        return _yaml(value)
    elif option.read == "number":
        text = repr(value).removesuffix(".0")
    else:
        text = str(value)
    # What cannot be seen, nobody edits knowingly; an input of one line would drop line ends.
    return text if plain(text) and ("\n" not in text or option.read == "list") else None


def _yaml(value: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    try:
        if _same(mapping(text, "", ""), value):
            return text
    except SpecError:
        pass
    return json.dumps(value, ensure_ascii=False, indent=2)


def _number(text: str, flag: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SpecError(f"{flag} takes a number, not {text!r}.", field=flag) from error


def _same(one: Any, other: Any) -> bool:
    """Compare as JSON, in which 1, 1.0 and true are three values."""
    try:
        return json.dumps(one) == json.dumps(other)
    except TypeError:  # YAML can say what JSON cannot
        return False
