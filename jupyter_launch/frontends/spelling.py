"""The way back from a spec to the arguments that mean it: the inverse of `options` and `values`."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..option import Option, options
from ..spec import PRIORITIES, LaunchSpec
from ..terminal import visible
from .values import value_of

Quote = Callable[[str], str]
"""Writes text so that no variable is put in; on the command line, nothing needs to be done."""


def words(data: Mapping[str, Any], quote: Quote) -> list[str] | None:
    """Spell a spec as arguments.

    Parameters
    ----------
    data : mapping
        The spec's JSON form, without its source. It is not changed.
    quote : callable
        As `Quote`.

    Returns
    -------
    list of str or None
        The arguments, those of the program after a lone ``--``; ``None`` if no arguments can say
        all of the spec.
    """
    rest: dict[str, Any] = json.loads(json.dumps(data))
    said: list[str] = []
    for path, option, _ in options(LaunchSpec):
        value = take(rest, path)
        spelt = [] if value is None else _spelt(option, value, quote)
        if spelt is None:
            return None
        said += spelt
    args = take(rest, "overrides.args")
    said += ["--", *map(quote, args)] if args else []
    return None if rest else said


def take(data: dict[str, Any], path: str) -> Any:
    """Take the value at a dotted path out of nested mappings; ``None`` where there is none.

    A mapping that becomes empty is taken out as well.
    """
    first, _, rest = path.partition(".")
    if not rest:
        return data.pop(first, None)
    inner = data.get(first, {})
    value = take(inner, rest)
    if not inner:
        data.pop(first, None)
    return value


def flagged(flags: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Put an option before its values."""
    # What begins with a dash would be taken for an option, were it a word of its own.
    if any(text.startswith("-") for text in texts):
        return [f"{flags[-1]}={text}" for text in texts]
    return [flags[0], *texts] if texts else []


def inline(value: Any, indent: int | None = None) -> str:
    """Write a value as JSON in which every character can be seen."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return text if plain(text) else "".join(map(_escaped, text))


def plain(text: str) -> bool:
    """Say whether every character of a text can be seen, or is the end of a line."""
    return all(visible(line) == line for line in text.split("\n"))


def joined(words: Sequence[str], special: str = '"\\$`!') -> str:
    """Join words to a line from which a shell makes them again.

    Parameters
    ----------
    words : sequence of str
        The words.
    special : str
        What means something to the reader of the line between double quotes.
    """
    double = ["'" in word and not set(special).intersection(word) for word in words]
    pairs = zip(words, double, strict=True)
    return " ".join(f'"{word}"' if wide else shlex.quote(word) for word, wide in pairs)


def _spelt(option: Option, value: Any, quote: Quote) -> list[str] | None:
    """Spell an option with its value; ``None`` where there is no way to."""
    if option.flags[-1] == "--config":
        pairs = _pairs(value, quote)
        return flagged(option.flags, [quote(inline(value))]) if pairs is None else ["--set", *pairs]
    if option.read == "flag":
        return [option.flags[0]]
    texts = _texts(option, value, quote)
    return None if texts is None else flagged(option.flags, texts)


def _texts(option: Option, value: Any, quote: Quote) -> list[str] | None:
    if option.read == "pairs":
        return _pairs(value, quote)
    if option.read == "strings":
        return [f"{name}={quote(text)}" for name, text in value.items()]
    if option.read == "list":
        return [quote(text) for text in value]
    if option.read == "words":
        return [shlex.join(quote(word) for word in value)]
    if option.read == "mapping":
        return [quote(inline(value))]
    if option.read == "number":
        return [repr(value).removesuffix(".0")]
    if option.read == "priority":
        return [word for word, number in PRIORITIES.items() if number == value]
    return [quote(value)]


def _pairs(values: Mapping[str, Any], quote: Quote) -> list[str] | None:
    found = []
    for key, value in values.items():
        text = _value(value)
        if text is None or not key or key.startswith("-") or "=" in key or not plain(key):
            return None
        found.append(f"{key}={quote(text)}")
    return found


def _value(value: Any) -> str | None:
    """Write a value so that it is read as what it is; ``None`` where that cannot be done."""
    written = inline(value)
    short = isinstance(value, str) and plain(value) and "\n" not in value
    for text in [value, written] if short else [written]:
        with contextlib.suppress(TypeError):  # YAML can say what JSON cannot
            if json.dumps(value_of(text)) == json.dumps(value):
                return str(text)
    return None


def _escaped(char: str) -> str:
    return char if plain(char) else f"\\u{ord(char):04x}"
