"""How fields of a spec are spelt as arguments: the one table for magics, command line and forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel


@dataclass(frozen=True)
class Option:
    """How a field is spelt as an argument.

    Parameters
    ----------
    flags : tuple of str
        Its spellings, short one first.
    metavar : str
        What stands for the value in the help.
    read : str
        How text becomes the value: ``text``, ``words`` (shell-like splitting), ``mapping`` (YAML
        or JSON, inline or from a file), ``pairs`` (``key=value ...``, values in YAML),
        ``strings`` (``NAME=value ...``, values stay text), ``list``, ``number``, ``priority``,
        ``flag`` (takes no value).
    """

    flags: tuple[str, ...]
    metavar: str = "TEXT"
    read: str = "text"


def opt(*flags: str, metavar: str = "TEXT", read: str = "text") -> Option:
    """Spell an `Option` in one line."""
    return Option(flags, metavar, read)


def options(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, Option, str]]:
    """Walk a model's option table: the dotted path of each field with an `Option`, it, and help."""
    for name, info in model.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from options(inner, f"{path}{name}.")
        for mark in info.metadata:
            if isinstance(mark, Option):
                yield f"{path}{name}", mark, info.description or ""
