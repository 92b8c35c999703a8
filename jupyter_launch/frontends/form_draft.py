"""A form's fields as a launch spec: the same as the magic makes of the same words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from ..config import user_path
from ..errors import SpecError
from ..resolve import resolve
from ..sources.base import InMemory, Snapshots
from ..sources.code import from_cell
from ..sources.git_uri import parse as parse_uri
from ..spec import LaunchSpec, merge
from ..stores.base import Store
from ..templates import template_values
from . import request
from .arguments import FIELDS
from .form_facts import QueueFacts
from .form_fields import Field
from .form_start import Start, layered
from .form_table import BODY, IMAGE, INCLUDE, KIND, OF_KIND, OF_QUEUES, PATH, RECORDED, nested
from .options import Request
from .relaunch import unredacted

OWN = {KIND, BODY, PATH, INCLUDE, RECORDED}
"""Fields that are not launch-spec fields themselves."""

_STANDS_IN = {"kind": "cell", "body": "pass"}
"""A source that costs nothing to check, where the real one needs the network or much reading."""

_LEFT_OPEN = {"resource": None, "docker": {"docker_image": None}}
"""What a recorded launch of one's own code left open stays open: defaults are for new ones."""


class Unfit(SpecError):
    """Several fields are wrong: by path."""

    def __init__(self, errors: Mapping[str, SpecError]) -> None:
        first = next(iter(errors.values()))
        super().__init__(first.message, hint=first.hint, field=first.field)
        self.errors = dict(errors)


class Draft:
    """What a form's fields say.

    Parameters
    ----------
    fields : mapping
        All fields, by path.
    settings : mapping
        The traits of the magics.
    where : mapping
        ``notebook`` and ``cell``: where the form is.

    Notes
    -----
    `rest` is what there are no fields for; `held` are values that fields cannot show exactly, which
    hold until something is typed there.
    """

    def __init__(
        self,
        fields: Mapping[str, Field],
        settings: Mapping[str, str | None],
        where: Mapping[str, str | None],
    ) -> None:
        self.fields, self.settings, self.where = fields, settings, where
        self.start = Start()
        self.rest: Mapping[str, Any] = {}
        self.held: dict[str, Any] = {}

    def begin(self, starts: Sequence[Start]) -> None:
        """Fill the fields, each from the first start that says something about it."""
        self.start, self.held = starts[0], {}
        self.rest = reduce(merge, (start.rest for start in reversed(starts)), {})
        for path, (value, origin) in layered(starts).items():
            if not self.fields[path].fill(value, origin):
                self.held[path] = value
                self.fields[path].say(held=f"kept as it is, for it cannot be shown, from {origin}")

    def said(self, path: str) -> Any:
        """Give what a field says; ``None`` for nothing, or nothing right."""
        value = _read(self.fields[path])
        return self.held.get(path) if value is None or isinstance(value, SpecError) else value

    def left_open(self, path: str) -> bool:
        """Say whether a field stays open that says nothing, as it was recorded."""
        return path in {"resource", IMAGE} and bool(self.start.source)

    @property
    def kind(self) -> str:
        """The kind of source that is chosen."""
        return str(self.fields[KIND].read())

    @property
    def paths(self) -> list[str]:
        """The fields that count: those of other kinds of source do not."""
        others = {path for paths in OF_KIND.values() for path in paths}
        return [path for path in self.fields if path not in others - set(OF_KIND[self.kind])]

    @property
    def for_queue(self) -> bool:
        """Whether something is said that only a run on a queue has."""
        values, _ = self._read()
        return any(values.get(path) is not None for path in OF_QUEUES)

    def spec(self, keep: Snapshots, *, queued: bool) -> LaunchSpec:
        """Make the spec. Raises `SpecError`, `Unfit` where several fields are wrong."""
        values, errors = self._read()
        if errors:
            raise Unfit(errors)
        own = {path: values.pop(path, None) for path in OWN}
        source = self._recorded(own)
        asked = self._request(values, own, queued=queued, source=source)
        cell = own[BODY] if own[KIND] == "cell" and not source else None
        dockerfile = None
        if source:  # it has its Dockerfile with it
            dockerfile = asked.spec.get("overrides", {}).pop("dockerfile", None)
        if cell is None and own[KIND] == "cell":
            from_cell(own[BODY] or "", (), InMemory())  # raises where it cannot be run
        made = request.spec_of(asked, cell, keep, self.settings, self.where)
        if dockerfile is not None:
            more = {"overrides": {"dockerfile": dockerfile}}
            made = LaunchSpec.from_dict(merge(made.to_dict(), more))
        return made

    def to_save(self) -> LaunchSpec:
        """Make the spec to save as a default, which may leave open what is run. As `spec`."""
        values, errors = self._read()
        if errors:
            raise Unfit(errors)
        own = {path: values.pop(path, None) for path in OWN}
        asked = self._request(values, {**own, KIND: None}, queued=True, source=None)
        return LaunchSpec.from_dict(asked.spec)

    def check(self, store: Store, queue: QueueFacts | None, *, queued: bool) -> LaunchSpec:
        """Check all that can be checked without the network and without reading much.

        Raises
        ------
        SpecError, Unsupported
            What the launch would be refused with.
        """
        values, errors = self._read()
        if errors:
            raise Unfit(errors)
        own = {path: values.pop(path, None) for path in OWN}
        source, values = self._light(own, values)
        if source:  # the Dockerfile comes along with it
            values.pop("overrides.dockerfile", None)
        asked = self._request(
            values, {**own, PATH: None, INCLUDE: None}, queued=queued, source=source
        )
        spec = request.spec_of(asked, None, InMemory(), self.settings, self.where)
        spec, _ = resolve(spec, store, InMemory())
        if queued and queue is not None:
            template_values(queue.variables, spec.template_variables)
        return spec

    def place(self, error: SpecError) -> str | None:
        """Name the field, by its path, that an error is about."""
        said = error.field or ""
        if said in {"source", "docker_image", "source.body"}:
            return OF_KIND[self.kind][0]
        said = FIELDS.get(said, said)
        near = [path for path in self.fields if said == path or said.startswith(f"{path}.")]
        near += [path for path in self.fields if path.endswith(f".{said}")]
        near += [path for path, field in self.fields.items() if said in _flags(field)]
        return near[0] if near else None

    def _read(self) -> tuple[dict[str, Any], dict[str, SpecError]]:
        read = {path: _read(self.fields[path]) for path in self.paths}
        errors = {path: value for path, value in read.items() if isinstance(value, SpecError)}
        read = {path: self.held.get(path) if v is None else v for path, v in read.items()}
        said = {path: v for path, v in read.items() if v is not None and path not in errors}
        return said, errors

    def _request(
        self,
        values: Mapping[str, Any],
        own: Mapping[str, Any],
        *,
        queued: bool,
        source: Mapping[str, Any] | None,
    ) -> Request:
        data = merge(self.rest, nested(values))
        if not queued:
            data = {name: value for name, value in data.items() if name not in OF_QUEUES}
        if self.start.real:
            data = dict(unredacted(data, self.start.shown, self.start.real))
        if source:
            open_still = _LEFT_OPEN if self.start.source else {}
            return Request(spec={**merge(open_still, data), "source": dict(source)})
        include = tuple(own[INCLUDE] or ()) if own[KIND] in {"cell", "path"} else ()
        path = own[PATH] if own[KIND] == "path" else None
        return Request(spec=data, path=path, include=include)

    def _recorded(self, own: Mapping[str, Any]) -> dict[str, Any] | None:
        """Give the source as it was recorded, with the cell's text of today, if it still holds."""
        source = self.start.source
        if not source or source.get("kind") != own[KIND]:
            return None
        if (own[INCLUDE] or []) != list(source.get("include") or []):
            return None
        if own[KIND] == "cell":
            body = own[BODY]
            shown = (self.start.shown.get("source") or {}).get("body")
            return {**source, "body": source["body"] if body == shown else body or ""}
        return source if own[RECORDED] and own[PATH] == source.get("path") else None

    def _light(
        self, own: Mapping[str, Any], values: dict[str, Any]
    ) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """Put a source in place of the real one that is quick to check."""
        kind = own[KIND]
        if kind == "git" and "uri" in values:
            parse_uri(values["uri"])
            left = {p: v for p, v in values.items() if p not in {"uri", "git.version", "git.token"}}
            return dict(_STANDS_IN), left
        if kind == "job":
            return None, {path: v for path, v in values.items() if path != "git.version"}
        recorded = self._recorded(own)
        if kind not in {"cell", "path"}:
            return None, values
        if kind == "cell":
            from_cell(own[BODY] or "", (), InMemory())
        if recorded:
            return recorded, values
        _check_there(own[INCLUDE] or ())
        if kind == "cell":
            return {"kind": "cell", "body": own[BODY]}, values
        return _light_path(own[PATH]), values


def _read(field: Field) -> Any:
    try:
        return field.read()
    except SpecError as error:
        return error


def _flags(field: Field) -> tuple[str, ...]:
    option = getattr(field, "option", None)
    return option.flags if option else ()


def _light_path(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    path = user_path(text)
    if not path.exists():
        raise SpecError(
            f"There is no script or folder {text!r} in {Path.cwd()}.",
            hint="Check the path.",
            field=PATH,
        )
    script = path.name if path.is_file() else "main.py"
    main = {"main": script} if path.is_file() or (path / script).is_file() else {}
    return {"kind": "path", "path": text, **main}


def _check_there(include: tuple[str, ...] | list[str]) -> None:
    for text in include:
        if not user_path(text).exists():
            raise SpecError(
                f"There is no file or folder {text!r} to include in {Path.cwd()}.", field=INCLUDE
            )
