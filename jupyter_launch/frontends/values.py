"""Values of arguments: what text, variables and files become."""

from __future__ import annotations

import difflib
import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ..errors import SpecError
from ..option import Option
from ..spec import PRIORITIES


def read(option: Option, given: Any, expand: Callable[[str], Any]) -> Any:
    """Make an option's value of what was typed: a word, or groups of words for some options."""
    flag = option.flags[-1]
    if option.read in {"pairs", "strings"}:
        return pairs(flag, flat(given), expand, typed=option.read == "pairs")
    if option.read == "list":
        return [str(expand(word)) for word in flat(given)]
    value = expand(given)
    if option.read == "mapping":
        return load_mapping(value, flag) if isinstance(value, str) else _checked(value, flag)
    if option.read == "words":
        return [str(word) for word in value] if isinstance(value, list) else split(value, flag)
    if option.read == "number":
        return _number(value, flag)
    if option.read == "priority":
        return _priority(str(value), flag)
    return str(value)


def load_mapping(text: str, what: str) -> dict[str, Any]:
    """Read a mapping from inline JSON or YAML, or from a file of either.

    Raises
    ------
    SpecError
        When the file is missing, or it is no mapping.
    """
    if text.lstrip().startswith("{"):
        return mapping(text, what, what)
    path = Path(text).expanduser()
    try:
        return mapping(path.read_text(encoding="utf-8"), what, f"{what}: the file {path}")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise SpecError(
            f"{what}: the file {text!r} cannot be read: {why}.",
            hint="Give the path of a YAML or JSON file, inline JSON in quotes, or a $variable.",
            field=what,
        ) from error


def mapping(text: str, what: str, where: str) -> dict[str, Any]:
    """Read YAML, or JSON, that must be a mapping. Raises `SpecError`, naming `where`."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise SpecError(f"{where} is no YAML or JSON: {problem}{line}.", field=what) from error
    if not isinstance(value, dict):
        raise SpecError(
            f"{where} must be a mapping of names to values, and is a {type(value).__name__}.",
            field=what,
        )
    return value


def _checked(value: Any, flag: str) -> Any:
    if not isinstance(value, Mapping):
        raise SpecError(f"{flag} takes a mapping, not a {type(value).__name__}.", field=flag)
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{flag}: a value cannot be written as JSON: {error}.") from error
    return value


def _number(value: Any, flag: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{flag} takes a number, not {value!r}.", field=flag) from error


def _priority(word: str, flag: str) -> int:
    if word in PRIORITIES:
        return PRIORITIES[word]
    if word in map(str, PRIORITIES.values()):
        return int(word)
    raise SpecError(f"{flag} takes {', '.join(PRIORITIES)} (or 0 to 3), not {word!r}.", field=flag)


def pairs(
    flag: str, words: Sequence[str], expand: Callable[[str], Any], *, typed: bool
) -> dict[str, Any]:
    """Read ``NAME=value`` words; `typed` values are YAML, others stay text. Raises `SpecError`."""
    found = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise SpecError(
                f"{flag} takes NAME=VALUE, not {word!r}.",
                hint=f"If {word!r} is the script to launch, put it before {flag}.",
                field=flag,
            )
        value = expand(text)
        found[key] = _typed(value) if typed else str(value)
    return found


def _typed(value: Any) -> Any:
    if not isinstance(value, str):
        return _checked({"value": value}, "--set")["value"]
    if re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value):
        return float(value)  # YAML 1.1 reads 1e-4 as text: nobody who sets a learning rate means it
    try:
        return _yaml(value)
    except yaml.YAMLError:
        return value


def _yaml(text: str) -> Any:
    value = yaml.safe_load(text)
    plain = value is None or isinstance(value, (str, bool, int, float, list, dict))
    return value if plain else text  # a date stays the text it was


def expander(names: Mapping[str, Any]) -> Callable[[str], Any]:
    """Make the function that puts variables in for ``$name`` and ``{name}``.

    A text that is nothing but a name gives the variable itself, not its text. ``$$`` is a dollar
    sign, ``${name}`` is left for the macros of the spec. Nothing is ever evaluated.

    Raises
    ------
    SpecError
        From the function, naming a variable there is none of.
    """
    pattern = re.compile(r"\$\$|\$([A-Za-z_]\w*)|(?<!\$)\{([A-Za-z_]\w*)\}")

    def value(name: str) -> Any:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            advice = f"Did you mean {close[0]!r}? " if close else ""
            raise SpecError(
                f"There is no variable {name!r} in this notebook.",
                hint=f"{advice}For a literal dollar sign write $$.",
                field=name,
            )
        return names[name]

    def expand(text: str) -> Any:
        if (whole := pattern.fullmatch(text)) and whole[0] != "$$":
            return value(whole[1] or whole[2])
        return pattern.sub(
            lambda found: "$" if found[0] == "$$" else str(value(found[1] or found[2])), text
        )

    return expand


def split(text: str, what: str) -> list[str]:
    """Split text into words as a shell does, without being one. Raises `SpecError`."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise SpecError(f"{what}: {error} in {text!r}.", hint="Check the quotes.") from error


def flat(groups: Sequence[Sequence[str]]) -> list[str]:
    """Join the word groups of an option that was given several times."""
    return [word for group in groups for word in group]
