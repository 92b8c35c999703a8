"""Values of ``docker run`` options, read as the docker command reads them, into the engine's JSON.

Each function takes what a YAML file or a Python call may hold and gives plain JSON values. A value
that cannot be read is a `ValueError` whose text says what is expected.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from ..config import user_path

Body = dict[str, Any]
Reader = Callable[[Any], Any]

SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp])?(?:i?b)?", re.IGNORECASE)
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}


def text(value: Any) -> str:
    """Read a text; YAML makes numbers of some."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("a text")  # noqa: TRY004
    return str(value)


def flag(value: Any) -> bool:
    """Read a yes or no."""
    named = {"true": True, "false": False, "1": True, "0": False}
    try:
        return named[str(value).lower()]
    except KeyError:
        raise ValueError("true or false") from None


def integer(value: Any) -> int:
    """Read a whole number."""
    try:
        return int(text(value))
    except ValueError:
        raise ValueError("a whole number") from None


def nano(value: Any) -> int:
    """Read a decimal number as billionths."""
    try:
        return int(Decimal(text(value)) * 10**9)
    except (ValueError, InvalidOperation, OverflowError):
        raise ValueError("a number such as 1.5") from None


def size(value: Any) -> int:
    """Read a number of bytes, such as ``512m`` or ``2GiB``; all units are powers of 1024."""
    match = SIZE.fullmatch(text(value).strip())
    if match is None:
        raise ValueError("a size such as 512m or 2g")
    return int(Decimal(match[1]) * 1024 ** " kmgtp".index((match[2] or " ").lower()))


def size_or_unlimited(value: Any) -> int:
    """Read a number of bytes, or -1."""
    return -1 if text(value) == "-1" else size(value)


def duration(value: Any) -> int:
    """Read a time such as ``1m30s`` as nanoseconds."""
    given = text(value)
    if given == "0":
        return 0
    if not re.fullmatch(f"(?:{DURATION.pattern})+", given):
        raise ValueError("a time with its unit, such as 30s or 1m30s")
    parts = DURATION.findall(given)
    return int(sum(Decimal(number) * NANOSECONDS[unit] for number, unit in parts))


def one_of(*words: str) -> Reader:
    """Make a reader of a few words."""

    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(" or ".join(words))
        return str(value)

    return read


def each(read: Reader) -> Reader:
    """Make a reader of one or several values, as a list."""

    def read_each(value: Any) -> list[Any]:
        given = value if isinstance(value, (list, tuple)) else [value]
        return [read(item) for item in given]

    return read_each


texts = each(text)


def merged(read: Reader) -> Reader:
    """Make a reader of one or several values that each give a part of one body."""

    def read_merged(value: Any) -> Body:
        body: Body = {}
        for part in each(read)(value):
            merge(body, part)
        return body

    return read_merged


def merge(body: Body, part: Mapping[str, Any]) -> None:
    """Add a part to a body: mappings are merged, lists are joined, the rest is replaced."""
    for name, value in part.items():
        if isinstance(value, Mapping):
            merge(body.setdefault(name, {}), value)
        elif isinstance(value, list):
            body[name] = [*body.get(name, []), *value]
        else:
            body[name] = value


def pair(value: Any) -> tuple[str, str]:
    """Read ``NAME=VALUE``; the value may be missing."""
    name, _, rest = text(value).partition("=")
    if not name:
        raise ValueError("NAME=VALUE")
    return name, rest


def pairs(value: Any) -> dict[str, str]:
    """Read ``NAME=VALUE``, a list of them, or a mapping."""
    if isinstance(value, Mapping):
        return {text(name): text(item) for name, item in value.items()}
    return dict(each(pair)(value))


def variables(value: Any) -> list[str]:
    """Read environment variables; a name alone is handed over from the owner's environment."""
    if isinstance(value, Mapping):
        return [
            text(name) if item is None else f"{text(name)}={_word(item)}"
            for name, item in value.items()
        ]
    given: list[str] = texts(value)
    if any(not item or item.startswith("=") for item in given):
        raise ValueError("NAME=VALUE, or NAME to hand over your own")
    return given


def _word(value: Any) -> str:
    # YAML makes a boolean of an unquoted true; programs expect YAML's spelling, not Python's.
    return str(value).lower() if isinstance(value, bool) else text(value)


def file_lines(value: Any) -> Iterator[str]:
    """Read the lines of a file of names and values, without its comments."""
    path = user_path(text(value))
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"a file that can be read ({error})") from None
    return (line for line in map(str.lstrip, lines) if line and not line.startswith("#"))


def labels_of_files(value: Any) -> dict[str, str]:
    """Read labels from files."""
    return {name: item for path in texts(value) for name, item in map(pair, file_lines(path))}


def log_driver(value: Any) -> str:
    """Read the name of a log driver."""
    if value == "none":
        raise ValueError("a driver that keeps the log: a run is resumed from it")
    return text(value)


def shell_check(value: Any) -> list[str]:
    """Read the command of a health check, which the container's own shell runs."""
    return ["CMD-SHELL", text(value)]


def no_check(value: Any) -> list[str]:
    """Read whether to switch the image's health check off."""
    return ["NONE"] if flag(value) else []


def fields(value: Any) -> list[tuple[str, str | None]]:
    """Read ``key=value,key=value``, with CSV's quotes, or a mapping; a bare key has no value."""
    if isinstance(value, Mapping):
        return [(text(name), _word(item)) for name, item in value.items()]
    row = next(csv.reader([text(value)]), [])
    return [(key, item if sign else None) for key, sign, item in (f.partition("=") for f in row)]


def host_path(value: str) -> str:
    """Make a path of the host absolute where the docker command, or the shell before it, does."""
    if value.startswith("~"):
        return str(user_path(value))
    return os.path.abspath(value) if value.startswith(".") else value  # noqa: PTH100


def compact_json_file(value: str) -> str:
    """Read a JSON file as text without blanks."""
    try:
        content = json.loads(user_path(value).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"the path of a JSON file ({error})") from None
    return json.dumps(content, separators=(",", ":"))
