"""The fields of a form: a labelled input each, and what is to be said about it below."""

from __future__ import annotations

import html
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
from ipywidgets.widgets.widget_description import DescriptionStyle
from ipywidgets.widgets.widget_string import HTMLStyle, TextStyle

from ..errors import SpecError
from ..option import Option
from ..spec import PRIORITIES
from . import form_values

# Shared by all: each of their own would be one more message to the page.
WIDE = widgets.Layout(width="98%")
PLAIN = HTMLStyle()
WHOLE = widgets.Layout(width="100%")
"""For a box of wide ones, which so end where those outside it do."""
LABELS = TextStyle(description_width="150px")
_CHOICES = DescriptionStyle(description_width="150px")
_NOTE = "margin:0 8px 4px 158px;font-size:12px;line-height:1.4;white-space:pre-wrap"
_BAD = "color:var(--jp-error-color1,#d93c3c);font-weight:600"


def noted(said: str, *, bad: str = "") -> str:
    """Give the HTML of a note: what is wrong first. All text is escaped."""
    error = f'<div role="alert" style="{_BAD}">✗ {html.escape(bad)}</div>' if bad else ""
    return f'<div style="{_NOTE}">{error}{html.escape(said)}</div>' if bad or said else ""


class Field(ABC):
    """One field of a form.

    Parameters
    ----------
    path : str
        The launch-spec field, by its dotted path.
    text : str
        What it is for.
    """

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text = path, text
        self.on_change: Callable[[Field], None] = lambda _: None
        self.note = widgets.HTML(layout=WIDE, style=PLAIN)
        self._said: dict[str, str] = {}
        self._quiet = False

    @property
    @abstractmethod
    def widgets(self) -> Sequence[Any]:
        """The inputs, in the order of the keyboard; the note comes after them."""

    @abstractmethod
    def read(self) -> Any:
        """Give the value, ``None`` if nothing was said. Raises `SpecError`."""

    @abstractmethod
    def put(self, value: Any) -> bool:
        """Show a value, ``None`` for none; False if it cannot be shown exactly, and is not."""

    def fill(self, value: Any, origin: str) -> bool:
        """Show a value that did not come from whoever uses the form, and where it did come from."""
        self._quiet = True
        try:
            fits = self.put(value)
        finally:
            self._quiet = False
        if fits:
            self.say(origin=f"from {origin}" if origin else "", default="", error="")
        return fits

    def say(self, **what: str) -> None:
        """Set parts of the note: error, warning, detail, held, origin, default."""
        self._said |= what
        order = ("warning", "detail", "held", "origin", "default")
        said = " · ".join(self._said[part] for part in order if self._said.get(part))
        self.note.value = noted(said, bad=self._said.get("error", ""))

    def said(self, part: str) -> str:
        """Give a part of the note."""
        return self._said.get(part, "")

    def where(self, error: SpecError) -> str:
        """Say where in the field an error is, in words that go before it."""
        del error
        return ""

    def changed(self, _change: Any = None) -> None:
        """Tell the form, if it was not the form itself."""
        if not self._quiet:
            self._said["origin"] = ""
            self.on_change(self)


class TextField(Field):
    """A value that is typed: in one line, or in several.

    Parameters
    ----------
    path, text : str
        As for every field.
    option : Option
        How the text is read.
    label : str
        What stands before it.
    """

    def __init__(self, path: str, text: str, option: Option, label: str) -> None:
        super().__init__(path, text)
        self.option = option
        several = option.read in {"mapping", "list", "cell"}
        kind = widgets.Textarea if several else widgets.Combobox
        hint = "YAML" if option.read == "mapping" else "one a line"
        more = {"placeholder": hint, "rows": 3} if several else {"ensure_option": False}
        self.input = kind(
            description=label,
            tooltip=text,
            layout=WIDE,
            style=LABELS,
            continuous_update=True,
            **more,
        )
        self.input.observe(self.changed, "value")

    @property
    def widgets(self) -> Sequence[Any]:
        """The input."""
        return (self.input,)

    def read(self) -> Any:
        """Give what the text says."""
        return form_values.read(self.option, self.input.value)

    def put(self, value: Any) -> bool:
        """Show a value as text."""
        text = "" if value is None else form_values.shown(self.option, value)
        if text is not None:
            self.input.value = text
        return text is not None

    def offer(self, values: Sequence[str]) -> None:
        """Offer values to choose from; others can be typed all the same."""
        self.input.options = tuple(values)

    def where(self, error: SpecError) -> str:
        """Name the line of the YAML text."""
        if self.option.read != "mapping" or not error.field:
            return ""
        keys = error.field.removeprefix(f"{self.path}.").split(".")
        line = form_values.line_of(self.input.value, keys)
        return f"Line {line}: " if line else ""


class BodyField(TextField):
    """The text of a cell, taken as it is to the last blank."""

    def __init__(self, path: str, text: str, label: str) -> None:
        super().__init__(path, text, Option((path,), read="cell"), label)
        self.input.rows = 8

    def read(self) -> Any:
        """Give the text."""
        return self.input.value or None

    def put(self, value: Any) -> bool:
        """Show the text."""
        self.input.value = value or ""
        return True


class SecretsField(TextField):
    """Names of secrets, and whether this process has them. Their values are never looked at."""

    def read(self) -> Any:
        """Give the names, and say of each whether it is there."""
        names = super().read()
        told = [f"{name}: {'here' if name in os.environ else 'not here'}" for name in names or ()]
        self.say(detail=", ".join(told))
        return names


class ChoiceField(Field):
    """A value out of a few.

    Parameters
    ----------
    path, text : str
        As for every field.
    label : str
        What stands before it.
    choices : sequence of (str, value)
        What it offers; the first is what is chosen at the beginning.
    """

    def __init__(
        self, path: str, text: str, label: str, choices: Sequence[tuple[str, Any]]
    ) -> None:
        super().__init__(path, text)
        self.input = widgets.Dropdown(
            description=label,
            tooltip=text,
            options=list(choices),
            layout=WIDE,
            style=_CHOICES,
        )
        self.input.observe(self.changed, "value")

    @property
    def widgets(self) -> Sequence[Any]:
        """The input."""
        return (self.input,)

    def read(self) -> Any:
        """Give what is chosen."""
        return self.input.value

    def put(self, value: Any) -> bool:
        """Choose a value, which is offered from then on."""
        if value not in {chosen for _, chosen in self.input.options}:
            self.input.options = [*self.input.options, (str(value), value)]
        self.input.value = value
        return True

    def offer(self, choices: Sequence[tuple[str, Any]]) -> None:
        """Change what is offered; what is chosen stays so."""
        chosen, self._quiet = self.input.value, True
        try:
            known = any(value == chosen for _, value in choices)
            more = [] if known else [(f"{chosen} (not there)", chosen)]
            if [*choices, *more] != list(self.input.options):
                self.input.options = [*choices, *more]
                self.input.value = chosen
        finally:
            self._quiet = False


class CheckField(Field):
    """Yes, or nothing said."""

    def __init__(self, path: str, text: str, label: str) -> None:
        super().__init__(path, text)
        self.input = widgets.Checkbox(
            description=label,
            tooltip=text,
            layout=WIDE,
            style={"description_width": "150px"},
            indent=True,
        )
        self.input.observe(self.changed, "value")

    @property
    def widgets(self) -> Sequence[Any]:
        """The input."""
        return (self.input,)

    def read(self) -> Any:
        """Give true, or ``None``."""
        return self.input.value or None

    def put(self, value: Any) -> bool:
        """Check or clear the box."""
        self.input.value = bool(value)
        return True


def priority_field(path: str, text: str, label: str) -> ChoiceField:
    """Make the field for W&B's words for the priority."""
    return ChoiceField(path, text, label, [("(medium)", None), *PRIORITIES.items()])


def known(schema: Mapping[str, Any]) -> list[str]:
    """Give the values that a schema allows, if they are a few, as they are typed."""
    values = schema.get("enum") or ([True, False] if schema.get("type") == "boolean" else [])
    texts = [_typed(value, schema) for value in values]
    return [text for text in texts if text is not None]


def _typed(value: Any, schema: Mapping[str, Any]) -> str | None:
    if schema.get("type") == "string" and isinstance(value, str):
        return value
    return form_values.shown_value(value)
