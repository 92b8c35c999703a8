"""How characters look: a terminal's colours and marks, from SGR codes, to SGR codes or CSS."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, TypeAlias

Color: TypeAlias = int | str | None
"""One of the terminal's 16 own colours, ``#rrggbb``, or the default."""


class Style(NamedTuple):
    """How a run of characters looks."""

    fg: Color = None
    bg: Color = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    inverse: bool = False
    strike: bool = False


PLAIN = Style()
MARK = Style(dim=True, italic=True)
"""What is said about a text and is no part of it."""

_ON = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike"}
_OFF = {
    22: ("bold", "dim"),
    23: ("italic",),
    24: ("underline",),
    27: ("inverse",),
    29: ("strike",),
}

# Half-way between black and white, so that each reads well in a light and in a dark theme.
_PALETTE = (
    "#787878", "#d93c3c", "#2f8540", "#957012", "#3277cf", "#b04fb6", "#1a8282", "#8c8c8c",
    "#868686", "#e5534f", "#35924a", "#a57c14", "#4486e0", "#c05fc6", "#1c9090", "#9a9a9a",
)  # fmt: skip


@lru_cache(1024)  # a program uses few styles, over and over
def restyle(style: Style, parameters: str) -> Style:
    """Apply the numbers of an SGR sequence, such as ``1;38;5;208``; unknown ones are ignored."""
    codes = iter(parameters.split(";"))
    for code in codes:
        head, *inner = code.split(":")
        value = number(head)
        if value == 0:
            style = PLAIN
        elif value in _ON:
            style = style._replace(**{_ON[value]: inner[:1] != ["0"]})
        elif value in _OFF:
            style = style._replace(**dict.fromkeys(_OFF[value], False))
        elif value in {38, 48}:
            # ``38:2::r:g:b`` has a field for the colour space that ``38;2;r;g;b`` has not.
            rest = iter(inner[:1] + inner[2:] if len(inner) > 4 else inner) if inner else codes
            style = _colored(style, value - 8, _extended(rest))
        elif value in {39, 49}:
            style = _colored(style, value - 9, None)
        else:
            for base, first in ((30, 0), (40, 0), (90, 8), (100, 8)):
                if base <= value < base + 8:
                    style = _colored(style, base % 60, value - base + first)
    return style


def sgr(style: Style) -> str:
    """Spell a style as the numbers of an SGR sequence; empty for the plain one."""
    marks = [str(code) for code, name in _ON.items() if getattr(style, name)]
    return ";".join([*marks, *_sgr_color(style.fg, 30), *_sgr_color(style.bg, 40)])


def css(style: Style) -> str:
    """Spell a style as inline CSS; empty for the plain one.

    White on no background keeps the theme's own colour: programs that print it mean "bright".
    """
    fg, bg = style.fg, style.bg
    if style.inverse:
        fg, bg = ("#ffffff" if bg is None else bg), ("#666666" if fg is None else fg)
    elif bg is None and fg in {7, 15}:
        fg = None
    lines = ["underline"] * style.underline + ["line-through"] * style.strike
    rules = {
        "color": _hex(fg, on_color=bg is not None),
        "background-color": _hex(bg),
        "font-weight": "bold" if style.bold else "",
        "opacity": "0.7" if style.dim else "",
        "font-style": "italic" if style.italic else "",
        "text-decoration": " ".join(lines),
    }
    return ";".join(f"{name}:{value}" for name, value in rules.items() if value)


def number(text: str) -> int:
    """Read a parameter of a control sequence: 0 where it is missing or senseless."""
    return int(text) if text.isdecimal() and len(text) < 6 else 0


def _colored(style: Style, base: int, color: Color) -> Style:
    return style._replace(fg=color) if base == 30 else style._replace(bg=color)


def _hex(color: Color, *, on_color: bool = False) -> str:
    if isinstance(color, int):
        if on_color and color in {0, 7, 15}:
            return "#000000" if color == 0 else "#ffffff"
        return _PALETTE[color]
    return color or ""


def _sgr_color(color: Color, base: int) -> list[str]:
    if color is None:
        return []
    if isinstance(color, int):
        return [str(base + color if color < 8 else base + 52 + color)]
    return [str(base + 8), "2", *(str(int(color[i : i + 2], 16)) for i in (1, 3, 5))]


def _extended(rest: Iterator[str]) -> Color:
    mode = next(rest, "")
    if mode == "5":
        return _indexed(min(255, number(next(rest, ""))))
    if mode == "2":
        return _rgb(min(255, number(next(rest, ""))) for _ in range(3))
    return None


def _indexed(index: int) -> Color:
    """Give one of the 256 colours: the 16, a cube of 6 x 6 x 6, a ramp of greys."""
    if index < 16:
        return index
    if index >= 232:
        return _rgb([8 + 10 * (index - 232)] * 3)
    steps = (0, 95, 135, 175, 215, 255)
    place = index - 16
    return _rgb(steps[i] for i in (place // 36, place // 6 % 6, place % 6))


def _rgb(parts: Iterator[int] | list[int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in parts)
