"""Values of arguments: what text, variables and files become."""

from __future__ import annotations

import contextlib
import difflib
import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from ..config import near, user_path
from ..errors import SpecError
from ..option import Option
from ..spec import PRIORITIES


def read(option: Option, given: Any, expand: Callable[[str], Any]) -> Any:
    """Make an option's value of what was typed: a word, or groups of words for some options."""
    flag = option.flags[-1]
    if option.read == "flag":
        return given
    if option.read in {"pairs", "strings"}:
        return pairs(flag, flat(given), expand, typed=option.read == "pairs")
    if option.read == "list":
        return [str(expand(word)) for word in flat(given)]
    if option.read == "words":
        return _words(given, flag, expand)
    value = expand(given)
    if option.read == "mapping":
        return load_mapping(value, flag) if isinstance(value, str) else _checked(value, flag)
    if option.read == "number":
        return _number(value, flag)
    if option.read == "priority":
        return priority(str(value), flag)
    return str(value)


def _words(given: str, flag: str, expand: Callable[[str], Any]) -> list[str]:
    if _variable(given):
        value = expand(given)
        many = isinstance(value, (list, tuple))
        return [str(word) for word in value] if many else split(str(value), flag)
    # Split first: what a variable holds is never looked at for quotes and spaces.
    return [str(expand(word)) for word in split(given, flag)]


def load_mapping(text: str, what: str) -> dict[str, Any]:
    """Read a mapping from inline JSON or YAML, or from a file of either.

    Raises
    ------
    SpecError
        When the file is missing, or it is no mapping.
    """
    if text.lstrip().startswith("{"):
        return mapping(text, what, what)
    path = user_path(text)
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
        value = _yaml(text)
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
        return json.loads(json.dumps(value))  # a copy: the caller's own is never changed
    except (TypeError, ValueError) as error:
        raise SpecError(f"{flag}: a value cannot be written as JSON: {error}.") from error


def _number(value: Any, flag: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{flag} takes a number, not {value!r}.", field=flag) from error


def priority(word: str, flag: str) -> int:
    """Read one of W&B's words for a priority, or its number. Raises `SpecError`."""
    if word in PRIORITIES:
        return PRIORITIES[word]
    if word in map(str, PRIORITIES.values()):
        return int(word)
    raise SpecError(
        f"{flag} takes {', '.join(PRIORITIES)} (or 0 to 3), not {word!r}.",
        hint=near(word, tuple(PRIORITIES)).rstrip(),
        field=flag,
    )


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
        if not typed:
            found[key] = str(value)
        elif _variable(text):
            found[key] = _checked({key: value}, flag)[key]
        else:
            found[key] = value_of(value)
    return found


def value_of(text: str) -> Any:
    """Read a value as people mean it: as YAML, or as text where it is none."""
    try:
        value = _yaml(text)
    except yaml.YAMLError:
        return text
    plain = value is None or isinstance(value, (str, bool, int, float, list, dict))
    return value if plain else text


class _Loader(yaml.SafeLoader):
    """YAML as version 1.2 reads it: JSON's values, and text.

    Version 1.1 reads ``1e-4`` as text, ``1:30`` as 90, ``on`` as true, ``010`` as 8 and
    ``2024-01-01`` as a date: nobody who sets a parameter means it.
    """

    yaml_implicit_resolvers = {}  # noqa: RUF012


for _tag, _form in {
    "null": "~|null|Null|NULL|",
    "bool": "true|True|TRUE|false|False|FALSE",
    "int": "[-+]?(?:0|[1-9][0-9]*)",
    "float": r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    "merge": "<<",
}.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_form})$"), None)


def _yaml(text: str) -> Any:
    if text.lstrip().startswith("{"):
        with contextlib.suppress(ValueError):
            return json.loads(text)  # YAML refuses tabs, JSON does not
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - it is a safe one
    except (ValueError, KeyError, AttributeError) as error:  # from values like ``!!int x``
        raise yaml.YAMLError(str(error)) from error


_NAME = re.compile(r"\$\$|\$([A-Za-z_]\w*)|\{(\{[A-Za-z_]\w*\})\}|(?<!\$)\{([A-Za-z_]\w*)\}")
_BRACES = re.compile(r"(?<!\$)(\{[A-Za-z_]\w*\})")


def _variable(text: str) -> str | None:
    """Give the name that a text is, if it is nothing else."""
    whole = _NAME.fullmatch(text)
    return (whole[1] or whole[3]) if whole else None


def expander(names: Mapping[str, Any]) -> Callable[[str], Any]:
    """Make the function that puts variables in for ``$name`` and ``{name}``.

    A text that is nothing but a name gives the variable itself, not its text. ``$$`` is a dollar
    sign, ``{{name}}`` is ``{name}``, ``${name}`` is left for the macros of the spec. Nothing is
    ever evaluated.

    Raises
    ------
    SpecError
        From the function, naming a variable there is none of.
    """

    def value(name: str) -> Any:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            advice = f"Did you mean {close[0]!r}? " if close else ""
            raise SpecError(
                f"There is no variable {name!r} in this notebook.",
                hint=f"{advice}Literally, $ is written $$, and {{name}} is written {{{{name}}}}.",
                field=name,
            )
        return names[name]

    def piece(found: re.Match[str]) -> str:
        if name := found[1] or found[3]:
            return str(value(name))
        return found[2] or "$"

    def expand(text: str) -> Any:
        name = _variable(text)
        return _NAME.sub(piece, text) if name is None else value(name)

    return expand


def literal(text: str) -> str:
    """Write text so that what `expander` makes gives it back as it is."""
    return _BRACES.sub(r"{\1}", text.replace("$", "$$"))


def split(text: str, what: str) -> list[str]:
    """Split text into words as a shell does, without being one. Raises `SpecError`."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise SpecError(f"{what}: {error} in {text!r}.", hint="Check the quotes.") from error


def flat(groups: Sequence[Sequence[str]]) -> list[str]:
    """Join the word groups of an option that was given several times."""
    return [word for group in groups for word in group]
