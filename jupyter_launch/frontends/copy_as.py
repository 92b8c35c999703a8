"""A recorded launch as text that launches the same again: magic, Python or command line.

Only what differs from the defaults is said. What no argument can say is said by the launch spec
as a whole; so is what could be mistaken where it is pasted, such as control characters.
"""

from __future__ import annotations

import copy
import math
import posixpath
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..backends import FALLBACK
from ..config import setting
from ..errors import SpecError
from ..redact import REDACTED, redact_spec
from ..runs import Queue, Run
from ..sources.base import InMemory
from ..sources.code import from_cell
from ..spec import LaunchSpec
from .arguments import FIELDS, QUEUED
from .spelling import Quote, flagged, inline, joined, plain, take, words
from .values import literal

_NOTE = f"# {REDACTED}: what looked like a secret. Hand it over by its name: --secret NAME\n"


def as_magic(spec: LaunchSpec, queue: Queue | None = None) -> str:
    """Write a launch as a cell: ``%launch``, ``%%launch`` or their queue forms.

    Parameters
    ----------
    spec : LaunchSpec
        What was launched.
    queue : Queue, optional
        The queue it was put on.

    Notes
    -----
    Scripts and folders are launched with their content as it is when the text is run.
    """
    told = _told(spec, queue)
    verb = "launch_add" if told.queued else "launch"
    typed = _typed(told, literal)
    if typed is not None:
        path, said, body = typed
        line = joined([*path, *said], '"\\')
        if plain(line) and "\n" not in line:
            text = _pasted(verb, line, body, told.note)
            if text is not None:
                return text
    return f"%%{verb} --spec\n{told.note}{inline(_whole(told), indent=2)}\n"


def as_cli(spec: LaunchSpec, queue: Queue | None = None) -> str:
    """Write a launch for a terminal, as `as_magic` does for a cell."""
    told = _told(spec, queue)
    verb = "add" if told.queued else "run"
    typed = _typed(told, str)
    if typed is None or not plain("".join([*typed[0], *typed[1]])):
        typed = [], ["--spec"], inline(_whole(told), indent=2) + "\n"
    path, said, body = typed
    if body is None:
        return f"{told.note}{joined(['jupyter', 'launch', verb, *path, *said])}\n"
    end = "EOF"
    while end in body.split("\n"):
        end += "F"
    line = joined(["jupyter", "launch", verb, "-", *said])
    return f"{told.note}{line} <<'{end}'\n{body}{end}\n"


def as_python(spec: LaunchSpec, queue: Queue | None = None) -> str:
    """Write a launch as a call of `launch` or `launch_add`.

    Scripts and folders are launched with their content as it was.
    """
    told = _told(spec, queue)
    text = _call(told, block=True)
    return text if _in_ipython(text) == text else _call(told, block=False)


def _of(form: Callable[[LaunchSpec, Queue | None], str]) -> Callable[[Run], str]:
    return lambda run: form(run.spec, run.queue)


FORMS: Mapping[str, Callable[[Run], str]] = {
    "magic": _of(as_magic),
    "python": _of(as_python),
    "cli": _of(as_cli),
}
"""The texts there are, by the name that views ask for."""


# -- what is to be said ------------------------------------------------------------------------


class _Told(NamedTuple):
    """A spec's JSON form, without its id, where it was typed, and defaults."""

    data: dict[str, Any]
    queued: bool
    note: str


def _told(spec: LaunchSpec, queue: Queue | None) -> _Told:
    real = spec.to_dict()
    data = redact_spec(real)
    note = "" if data == real else _NOTE
    for name in ("run_id", "origin"):
        data.pop(name, None)
    if queue is not None and queue.name != setting("queue", given=spec.queue).value:
        data["queue"] = queue.name
    for name in ("entity", "project"):
        if data.get(name) == setting(name).value:
            data.pop(name, None)
    if "git" in data:  # the commit says it all
        data["git"] = {**data["git"]}
        take(data, "git.ref")
        take(data, "git.snapshot")
    if "source" in data:
        ours = {"python": sys.executable, "python_version": "{}.{}".format(*sys.version_info)}
        data["source"] = {
            name: value for name, value in data["source"].items() if value != ours.get(name)
        }
    return _Told(data, queue is not None or spec.queue is not None, note)


def _whole(told: _Told) -> dict[str, Any]:
    """Give the spec for ``--spec``, which leaves open what nothing was said about."""
    data = dict(told.data)
    if "source" in data:
        data.setdefault("resource", None)
        if setting("image").value:
            data["docker"] = {"docker_image": None, **data.get("docker", {})}
    return data


# -- typed as arguments ------------------------------------------------------------------------


def _typed(told: _Told, quote: Quote) -> tuple[list[str], list[str], str | None] | None:
    """Spell a launch as path, arguments and cell; ``None`` if that cannot say all of it."""
    data = dict(told.data)
    source = data.pop("source", None)
    if source is None:
        said = words(data, quote)
        return None if said is None else ([], said, None)
    if not _typeable(source) or not _without_own_defaults(data, told.queued):
        return None
    said = words(data, quote)
    if said is None:
        return None
    include = [quote(path) for path in source.get("include", [])]
    said = [*flagged(["--include"], include), *said]
    if source["kind"] == "path":
        return [quote(source["path"])], said, None
    return [], said, source["body"].removesuffix("\n") + "\n"


def _typeable(source: Mapping[str, Any]) -> bool:
    """Say whether a path, or a cell as it stands, says all about a source."""
    files = "include" if source["kind"] == "cell" else "path"
    if ("snapshot" in source) != (files in source):
        return False
    if source["kind"] == "path":
        usual = {None, "main.py", posixpath.basename(source.get("path", ""))}
        return (
            source.get("main") in usual and "body" not in source
            and not source.get("path", "-").startswith("-")
        )  # fmt: skip
    body = source.get("body", "")
    try:
        from_cell(body, (), InMemory())
    except SpecError:
        return False
    return plain(body) and not {"main", "path"} & source.keys()


def _without_own_defaults(data: dict[str, Any], queued: bool) -> bool:
    """Take out what one's own code gets anyway. Say whether the rest is all there is to say."""
    resource = data.get("resource") or (None if queued else "local-container")
    if resource is None:
        return False  # the queue's, which is not what saying nothing would mean
    data["resource"] = resource
    if resource == setting("resource").value:
        del data["resource"]
    usual = setting("image").value if resource != FALLBACK else None
    if usual is None:
        return True
    image = data.get("docker", {}).get("docker_image")
    if image == usual:
        data["docker"] = {**data["docker"]}
        take(data, "docker.docker_image")
    return image is not None


def _pasted(verb: str, line: str, body: str | None, note: str) -> str | None:
    """Make the cell; ``None`` if it would mean something else to IPython."""
    if body is None:
        text = f"%{verb} {line}".rstrip()
        meant = f"get_ipython().run_line_magic({verb!r}, {line!r})\n"
        return f"{note}{text}\n" if _in_ipython(text) == meant else None
    if note:
        first, end, rest = body.partition("\n")
        body = f"{first}{end}{note}{rest}" if first.startswith("#!") else f"{note}{body}"
    text = f"%%{verb} {line}".rstrip() + f"\n{body}"
    meant = f"get_ipython().run_cell_magic({verb!r}, {line!r}, {body!r})\n"
    return text if _in_ipython(text) == meant else None


def _in_ipython(text: str) -> str:
    """Give the Python that a cell becomes."""
    from IPython.core.inputtransformer2 import TransformerManager  # noqa: PLC0415

    transformed: str = TransformerManager().transform_cell(text)
    return transformed


# -- Python ------------------------------------------------------------------------------------

_WIDTH = 88


def _call(told: _Told, *, block: bool) -> str:
    """Write a call, with the cell as a block of text before it, if `block`."""
    verb = "launch_add" if told.queued else "launch"
    data, given = copy.deepcopy(told.data), dict[str, Any]()
    cell, body = "", data.get("source", {}).get("body", "")
    if block and "\n" in body and plain(body):
        cell = f"cell = {_block(body)}\n"
        data["source"] = {**data["source"], "body": _Name("cell")}
    for name, path in FIELDS.items():
        if told.queued or name not in QUEUED:
            given[name] = take(data, path)
    given["parameters"] = take(data, "overrides.run_config")
    given["config"] = data or None
    said = [f"{name}={_literal(value, 4)}" for name, value in given.items() if value is not None]
    said = said if told.queued else ["None", *said]
    made = f"{verb}({', '.join(said)})"
    if len(made) > _WIDTH or "\n" in made:
        made = f"{verb}(\n" + "".join(f"    {line},\n" for line in said) + ")"
    return f"from jupyter_launch import {verb}\n\n{told.note}{cell}{made}\n"


class _Name(str):
    """A text that stands for a variable."""

    __slots__ = ()


def _literal(value: Any, indent: int) -> str:
    """Write a JSON value in Python, over several lines if it is long."""
    if isinstance(value, dict):
        pairs = [(f"{inline(key)}: ", item) for key, item in value.items()]
        return _several("{", pairs, "}", indent)
    if isinstance(value, list):
        return _several("[", [("", item) for item in value], "]", indent)
    if isinstance(value, str):
        return str(value) if isinstance(value, _Name) else inline(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value)


def _several(left: str, pairs: list[tuple[str, Any]], right: str, indent: int) -> str:
    items = [f"{before}{_literal(item, indent + 4)}" for before, item in pairs]
    flat = f"{left}{', '.join(items)}{right}"
    if len(flat) + indent < _WIDTH and "\n" not in flat:
        return flat
    space = "\n" + " " * indent
    return left + "".join(f"{space}    {item}," for item in items) + space + right


def _block(text: str) -> str:
    """Write text in triple quotes, as it looks."""
    text = text.replace("\\", "\\\\")
    text = re.sub(r'"{3,}|"+\Z', lambda found: '\\"' * len(found[0]), text)
    return f'"""\\\n{text}"""'
