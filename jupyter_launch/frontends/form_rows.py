"""Fields that are rows of names and values: the run config, the environment, template variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import ipywidgets as widgets
from ipywidgets.widgets.widget_string import TextStyle

from ..errors import SpecError
from . import form_values
from .form_fields import LABELS, WHOLE, Field, known
from .spelling import plain
from .values import value_of

_ROW = widgets.Layout(width="98%", align_items="center")
_NAME = widgets.Layout(width="38%")
_VALUE = widgets.Layout(width="52%")
_BUTTON = widgets.Layout(width="40px")
_MORE = widgets.Layout(width="auto", margin="2px 0 2px 160px", align_self="flex-start")
_VALUES = TextStyle(description_width="44px")


class Row(NamedTuple):
    """A name with its value; `schema` if somebody declared it, else ``None``."""

    name: Any
    value: Any
    box: Any
    schema: Mapping[str, Any] | None = None


class RowsField(Field):
    """Names and values, as rows that can be added and removed.

    Parameters
    ----------
    path, text : str
        As for every field.
    label : str
        What stands before each row.
    typed : bool
        Whether values are YAML, as those of ``--set``; otherwise they are text.
    """

    def __init__(self, path: str, text: str, label: str, *, typed: bool) -> None:
        super().__init__(path, text)
        self.typed, self.label = typed, label
        self.rows: list[Row] = []
        self.declared: Mapping[str, Mapping[str, Any]] = {}
        self.box = widgets.VBox(layout=WHOLE)
        self.more = widgets.Button(
            description=f"Add: {label}",
            tooltip=text,
            icon="plus",
            layout=_MORE,
        )
        self.more.on_click(lambda _: self._add("", ""))
        self._show()

    @property
    def widgets(self) -> Sequence[Any]:
        """The rows, and the button for one more."""
        return (self.box,)

    def read(self) -> Any:
        """Give the mapping; rows without a name, and declared ones without a value, say nothing."""
        found: dict[str, Any] = {}
        for row in self.rows:
            name, text = row.name.value, row.value.value
            if not name and text:
                raise SpecError(f"The value {text!r} has no name.", field=self.path)
            if name in found:
                raise SpecError(f"{name} is there twice.", field=f"{self.path}.{name}")
            if name and (text or row.schema is None):
                found[name] = self._value(text, row.schema)
        return found or None

    def put(self, value: Any) -> bool:
        """Show a mapping."""
        given: dict[str, Any] = dict(value or {})
        texts = {name: self._text(item, self.declared.get(name)) for name, item in given.items()}
        silent = [name for name, text in texts.items() if name in self.declared and not text]
        if None in texts.values() or silent or not all(name and plain(name) for name in texts):
            return False
        names = [*self.declared, *(name for name in texts if name not in self.declared)]
        self.rows = [self._row(name, str(texts.get(name) or "")) for name in names]
        self._show()
        return True

    def declare(self, schemas: Mapping[str, Mapping[str, Any]]) -> None:
        """Offer a row for each name that a schema says something about; other values stay."""
        if schemas == self.declared:
            return
        kept = {row.name.value: row.value.value for row in self.rows if row.value.value}
        self.declared, self._quiet = dict(schemas), True
        try:
            free = [name for name in kept if name not in schemas]
            self.rows = [self._row(name, kept.get(name, "")) for name in (*schemas, *free)]
            self._show()
        finally:
            self._quiet = False

    def set(self, name: str, text: str) -> None:
        """Type a value, into the row of that name or a new one."""
        row = next((row for row in self.rows if row.name.value == name), None)
        if row is None:
            self._add(name, text)
        else:
            row.value.value = text

    def _add(self, name: str, text: str) -> None:
        self.rows = [*self.rows, self._row(name, text)]
        self._show()
        self.changed()

    def _remove(self, box: Any) -> None:
        self.rows = [row for row in self.rows if row.box is not box]
        self._show()
        self.changed()

    def _show(self) -> None:
        self.box.children = (*(row.box for row in self.rows), self.more)

    def _row(self, name: str, text: str) -> Row:
        schema = self.declared.get(name)
        told = f"{self.text}: {name}" if name else self.text
        named = widgets.Text(
            value=name,
            description=self.label,
            tooltip=f"name of {self.label}",
            layout=_NAME,
            style=LABELS,
            disabled=schema is not None,
        )
        value = widgets.Combobox(
            value=text,
            description="value",
            tooltip=told,
            options=tuple(known(schema or {})),
            placeholder=_limits(schema),
            layout=_VALUE,
            style=_VALUES,
        )
        less = widgets.Button(icon="trash", tooltip=f"Remove {name or 'this row'}", layout=_BUTTON)
        row = Row(named, value, widgets.HBox([named, value], layout=_ROW), schema)
        if schema is None:
            row.box.children = (named, value, less)
        less.on_click(lambda _: self._remove(row.box))
        named.observe(self.changed, "value")
        value.observe(self.changed, "value")
        return row

    def _value(self, text: str, schema: Mapping[str, Any] | None) -> Any:
        as_text = not self.typed or (schema or {}).get("type") == "string"
        return text if as_text else value_of(text)

    def _text(self, value: Any, schema: Mapping[str, Any] | None) -> str | None:
        if not self.typed or (schema or {}).get("type") == "string":
            fits = isinstance(value, str) and plain(value) and "\n" not in value
            return value if fits else None
        return form_values.shown_value(value)


def _limits(schema: Mapping[str, Any] | None) -> str:
    """Say in words what a declared value may be."""
    if not schema:
        return "YAML"
    if "said" in schema:
        return str(schema["said"])
    said = [str(schema["type"])] if isinstance(schema.get("type"), str) else []
    for keyword, words in (
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("exclusiveMinimum", "above"),
        ("exclusiveMaximum", "below"),
    ):
        said += [f"{words} {schema[keyword]}"] if keyword in schema else []
    said += [f"one of {', '.join(map(str, schema['enum']))}"] if schema.get("enum") else []
    said += [f"default {schema['default']}"] if "default" in schema else []
    said += [str(schema["description"])] if schema.get("description") else []
    return ", ".join(said)
