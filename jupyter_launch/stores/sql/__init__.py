"""SQL statements by name, each kept in a ``.sql`` file beside this one."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def statements(dialect: str) -> dict[str, str]:
    """Read a dialect's statements, and those of all: every ``-- name: x`` line begins one.

    Parameters
    ----------
    dialect : str
        Name of the file without its ending, such as ``sqlite``. What stands in it takes the place
        of what stands in the others under the same name.
    """
    found: dict[str, str] = {}
    for name in ("common", "upkeep", dialect):
        text = files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
        _, *parts = _NAME.split(text)
        found |= {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}
    return found
