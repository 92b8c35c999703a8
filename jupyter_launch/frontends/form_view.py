"""How a form looks: groups of fields, buttons, and what is said below them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets
from ipywidgets.widgets.widget_button import ButtonStyle

from .form_fields import LABELS, PLAIN, WHOLE, WIDE, Field, noted
from .form_table import CLOSED, OF_KIND, groups

BUTTONS: Mapping[str, tuple[str, str, str]] = {
    "launch": ("Launch now", "play", "Start it now; what is said about a queue does not count"),
    "add": ("Add to queue", "list-ol", "Put it on the queue, from which an agent takes it"),
    "preview": ("Preview", "eye", "Show the spec and the exact program; start nothing"),
    "copy": ("Copy as magic", "clipboard", "Show a cell that launches the same"),
    "save_notebook": (
        "Save for this notebook",
        "floppy-o",
        "Forms in this notebook begin with this from now on; a file beside the notebook keeps it",
    ),
    "save_project": (
        "Save for this project",
        "floppy-o",
        "Forms in this project begin with this from now on; a file in its folder keeps it",
    ),
}
"""The buttons: what each says, its icon, and what it does."""

_FRAME = widgets.Layout(width="100%", max_width="900px", padding="4px 0 8px 0")
_ROW = widgets.Layout(flex_flow="row wrap", margin="6px 0")
_BUTTON = widgets.Layout(width="auto", min_width="110px")
_BUTTONS = ButtonStyle()


class View:
    """The widgets of a form.

    Parameters
    ----------
    fields : mapping
        All fields, by path.
    click : callable
        Told the name of a button that was clicked.
    """

    def __init__(self, fields: Mapping[str, Field], click: Callable[[str], None]) -> None:
        self._fields, self._groups = fields, groups(fields)
        self._sources = widgets.VBox(layout=WHOLE)
        self.buttons = {name: _button(name, click) for name in BUTTONS}
        self.status = widgets.HTML(layout=WIDE, style=PLAIN)
        self._text: Any = None
        self._kind = ""
        self._below = widgets.VBox(layout=WIDE)
        boxes = [part for title in self._groups for part in self._group(title)]
        row = widgets.HBox(tuple(self.buttons.values()), layout=_ROW)
        self.root = widgets.VBox((*boxes, row, self.status, self._below), layout=_FRAME)

    def arrange(self, kind: str) -> None:
        """Show the fields of a kind of source."""
        if kind == self._kind:
            return
        self._kind = kind
        first, *others = self._groups[next(iter(self._groups))]
        self._sources.children = self._inputs([first, *(p for p in others if p in OF_KIND[kind])])

    def busy(self, *, busy: bool) -> None:
        """Say whether something is under way, while which nothing can be clicked."""
        for button in self.buttons.values():
            button.disabled = busy

    def say(self, text: str, *, bad: str = "") -> None:
        """Say something below the buttons; what is wrong is told as such."""
        self.status.value = f'<div role="status">{noted(text, bad=bad)}</div>'

    def show_text(self, label: str, text: str) -> None:
        """Show a text, to be read or copied."""
        lines = min(text.count("\n") + 2, 30)
        if self._text is None:
            self._text = widgets.Textarea(layout=WIDE, style=LABELS)
            self._below.children = (self._text, *self._below.children)
        self._text.description, self._text.rows, self._text.value = label, lines, text
        self._text.tooltip = label

    @property
    def text(self) -> str:
        """The text that is shown."""
        return str(self._text.value) if self._text else ""

    def show_card(self, card: Any) -> None:
        """Show the card of a run within the form."""
        self._below.children = (*self._below.children, card)

    def _group(self, title: str) -> list[Any]:
        paths = self._groups[title]
        if title == next(iter(self._groups)):
            return [_title(title), self._sources]
        if title not in CLOSED:
            return [_title(title), *self._inputs(paths)]
        inside = widgets.VBox(self._inputs(paths), layout=WIDE)
        return [widgets.Accordion((inside,), titles=(title,), layout=WIDE)]

    def _inputs(self, paths: Any) -> tuple[Any, ...]:
        made = [self._fields[path] for path in paths]
        return tuple(one for field in made for one in (*field.widgets, field.note))


def _title(text: str) -> Any:
    return widgets.HTML(
        f'<div style="font-weight:600;margin-top:6px">{text}</div>', layout=WIDE, style=PLAIN
    )


def _button(name: str, click: Callable[[str], None]) -> Any:
    text, icon, tooltip = BUTTONS[name]
    style = "primary" if name == "launch" else ""
    made = widgets.Button(
        description=text,
        icon=icon,
        tooltip=tooltip,
        button_style=style,
        layout=_BUTTON,
        style=_BUTTONS,
    )
    made.on_click(lambda _: click(name))
    return made
