"""What stands of a run in a saved notebook: data, HTML and text, all of it within `LIMIT` bytes.

The HTML needs neither script nor style sheet, and goes through sanitisers: every look is an inline
style that may be dropped, colours are inherited or half-way between black and white, all text is
escaped.
"""

from __future__ import annotations

import html
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..redact import redact_text
from ..style import MARK, PLAIN
from ..terminal import Line, fold, to_ansi, to_html, to_plain
from ..terminal import Run as Piece
from .artifact_list import in_words

MIME = "application/vnd.jupyter-launch.run.v1+json"
TAIL_LINES = 200
TAIL_BYTES = 65536
"""How much of a log, from its end, is saved at most."""

LIMIT = 79_500
"""How many bytes a saved run may add to a notebook file."""

PLAIN_LINES = 20
"""How many lines the text has room for in any case; few viewers show it rather than the HTML."""

COLOURED = 60
"""How many coloured pieces the HTML has, the newest: a notebook's table of contents parses them all
whenever it is opened. The data and the text keep every colour."""

LINE_LENGTH, LINE_BYTES = 2000, 12_000
"""A longer line is cut, in characters; one that still takes more bytes loses its colours."""

_LOST = {"failed", "crashed"}
_LINE = "rgba(128,128,128,.3)"
_BOX = (
    "font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);border:1px solid "
    f"{_LINE};border-radius:6px;overflow:hidden;margin:2px 0"
)
_ROW = "padding:0 12px;margin:3px 0;overflow-wrap:break-word"
_BADGE = "color:#fff;background-color:{};border-radius:4px;padding:2px 8px;font-weight:600"
_CODE = "font-family:var(--jp-code-font-family,monospace);font-size:12px"
_DIM = "opacity:.7"
_BAD = "color:#d93c3c;font-weight:600"
# A column in reverse order starts out scrolled to its end, without a script.
_SCROLL = (
    "display:flex;flex-direction:column-reverse;max-height:24em;overflow:auto;margin-top:7px;"
    "scrollbar-color:rgba(128,128,128,.5) transparent;"
    f"border-top:1px solid {_LINE};background-color:rgba(128,128,128,.06)"
)
_PRE = (
    "flex:none;overflow:visible;"  # it is the column that scrolls
    "margin:0;padding:8px 12px;white-space:pre-wrap;overflow-wrap:break-word;color:inherit;"
    f"background-color:transparent;border:0;line-height:1.45;{_CODE}"
)


def saved(
    record: Mapping[str, Any], spec: Mapping[str, Any], log: bytes, took: str, *, cut: bool
) -> dict[str, Any]:
    """Make the MIME bundle that stands for a run in a notebook.

    Parameters
    ----------
    record : mapping
        What `record.summary` says of the run, and its ``notices``.
    spec : mapping
        Its spec, redacted.
    log : bytes
        The end of its log, from the start of a line on.
    took : str
        How long it ran, in words.
    cut : bool
        Whether there is more of the log before that.
    """
    lines = fold(log, TAIL_LINES + 1, len(log))
    last = _last(lines)
    cut = cut or len(last) < len(lines)
    written = _with_few_colours([_written(line) for line in _without_secrets(last)])
    view, shown = _within_a_quarter(record, spec, took)
    room = LIMIT - size(_bundle(view, shown, took, _NO_LOG))
    return _bundle(view, shown, took, _that_fit(written, room, cut=cut))


def size(bundle: Mapping[str, Any]) -> int:
    """Count the bytes a MIME bundle takes in a notebook file."""
    split = {
        mime: data.splitlines(keepends=True) if isinstance(data, str) else data
        for mime, data in bundle.items()
    }
    text = json.dumps(split, ensure_ascii=False, indent=1)
    return len(text.encode()) + _DEPTH * text.count("\n")


_DEPTH = 5
"""How far a bundle is indented in a notebook file."""


class _Log(NamedTuple):
    """The lines that are saved, as they stand in the data, in the HTML and in the text."""

    tail: Sequence[str]
    html: Sequence[str]
    text: Sequence[str]
    cut: bool


_NO_LOG = _Log([], [], [], cut=True)


def _bundle(
    view: Mapping[str, Any], spec: Mapping[str, Any] | None, took: str, log: _Log
) -> dict[str, Any]:
    more = f"… earlier lines: jupyter launch logs {view['id']}" if log.cut else ""
    return {
        MIME: {**view, "tail": "\n".join(log.tail), "earlier": log.cut, "spec": spec},
        "text/html": _html(view, took, "\n".join(log.html), more),
        "text/plain": _plain(view, took, log.text, more),
    }


# -- what there is room for --------------------------------------------------------------------


def _last(lines: Sequence[Line]) -> list[Line]:
    """Give the last lines, as many as may be saved at most."""
    lengths = (len(to_plain([line]).encode()) + 1 for line in reversed(lines[-TAIL_LINES:]))
    count = _count(lengths, TAIL_BYTES)
    return list(lines[-count:]) if count else []


class _Written(NamedTuple):
    """A line with colours as escape sequences, with inline styles, and without colours."""

    ansi: str
    html: str
    bare: str


def _written(line: Line) -> _Written:
    """Write a line down: cut if it is too long, without colours if they cost too much."""
    short, room = [], LINE_LENGTH
    for piece in line:
        short += [Piece(piece.text[:room], piece.style)] if room > 0 else []
        room -= len(piece.text)
    made: Line = (*short, Piece(" …", MARK)) if room < 0 else line
    written = _Written(to_ansi([made]), to_html([made]), to_plain([made]))
    if max(map(_cost, written)) <= LINE_BYTES:
        return written
    return _Written(written.bare, _escaped(written.bare), written.bare)


def _with_few_colours(lines: Sequence[_Written]) -> list[_Written]:
    """Take the colours of the older lines out of the HTML."""
    keep = _count((line.html.count("</") for line in reversed(lines)), COLOURED)
    older, newer = lines[: len(lines) - keep], lines[len(lines) - keep :]
    return [*(line._replace(html=_escaped(line.bare)) for line in older), *newer]


def _escaped(text: str) -> str:
    return to_html([(Piece(text, PLAIN),)])


def _that_fit(lines: Sequence[_Written], room: int, *, cut: bool) -> _Log:
    """Choose the lines: data and HTML have the same; the text gets what room they leave."""
    ansi = [_cost(line.ansi) for line in lines]
    bare = [_cost(line.bare) + _LISTED + _BAR for line in lines]
    both = [cost + _cost(line.html) + _LISTED for line, cost in zip(lines, ansi, strict=True)]
    count = _count(reversed(both), room - sum(bare[-PLAIN_LINES:]))
    last = lines[len(lines) - count :]
    room -= sum(both[len(lines) - count :])
    coloured = sum(cost + _LISTED + _BAR for cost in ansi[len(lines) - count :])
    text = [line.ansi for line in last]
    if coloured > room:
        most = min(count, _count(reversed(bare), room))
        text = [line.bare for line in lines[len(lines) - most :]]
    cut = cut or len(text) < len(lines)
    return _Log([line.ansi for line in last], [line.html for line in last], text, cut)


_LISTED = 11
_BAR = len("│ ".encode())
"""What a line costs besides: a place in a list of lines, and the bar before it in the text."""


def _cost(line: str) -> int:
    """Count the bytes a line and its end take in JSON."""
    return len(json.dumps(line, ensure_ascii=False).encode())


def _count(costs: Iterator[int], room: int) -> int:
    return sum(1 for total in itertools.accumulate(costs) if total <= room)


def _within_a_quarter(
    record: Mapping[str, Any], spec: Mapping[str, Any], took: str
) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """Shorten long texts until most of the room is left for the log."""
    for most in (LIMIT, 10_000, 1000, 100):
        view, shown = _shortened(record, most), _shortened(spec, most)
        if size(_bundle(view, shown, took, _NO_LOG)) <= LIMIT // 4:
            return view, shown
    return view, None


def _shortened(value: Any, most: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= most else f"{value[:most]} … {len(value) - most:,} more"
    if isinstance(value, Mapping):
        return {key: _shortened(item, most) for key, item in value.items()}
    return [_shortened(item, most) for item in value] if isinstance(value, list) else value


def _without_secrets(lines: list[Line]) -> list[Line]:
    plain = to_plain(lines)
    clean = redact_text(plain)
    if clean == plain:
        return lines
    before, after = plain.split("\n"), clean.split("\n")
    if len(before) != len(after):  # a secret of several lines
        return [(Piece(text, PLAIN),) for text in after]
    return [
        line if text == shown else (Piece(shown, PLAIN),)
        for line, text, shown in zip(lines, before, after, strict=True)
    ]


# -- how it looks ------------------------------------------------------------------------------


def _plain(view: Mapping[str, Any], took: str, log: Sequence[str], more: str) -> str:
    head = [f"{view['symbol']} {view['state']}", view["name"], view["id"], took]
    said = [*view["notices"], view["reason"], view["hint"], _artifacts(view)]
    below = [line for text in [" · ".join(view["facts"]), *said] for line in text.splitlines()]
    shown = [*([more] if more else []), *log]
    return "\n".join(
        ["  ".join(filter(None, head)), *(f"  {line}" for line in below)]
        + [f"│ {line}" for line in shown]
    )


def _html(view: Mapping[str, Any], took: str, log: str, more: str) -> str:
    head = " ".join(
        [
            _tag("span", _BADGE.format(view["color"]), f"{view['symbol']} {view['state']}"),
            _tag("strong", "margin:0 4px", view["name"]),
            _tag(
                "code",
                f"{_CODE};{_DIM};background-color:transparent;color:inherit;padding:0",
                view["id"],
            ),
            _tag("span", f"{_DIM};margin-left:4px", took),
        ]
    )
    rows = [
        f'<div style="{_ROW};margin:8px 0 5px">{head}</div>',
        _tag("div", f"{_ROW};{_DIM};font-size:12px", " · ".join(map(_unbroken, view["facts"]))),
        *(_tag("div", f"{_ROW};white-space:pre-wrap", f"⚠ {text}") for text in view["notices"]),
        _tag("div", f"{_ROW};{_BAD if view['state'] in _LOST else ''}", view["reason"]),
        _tag("div", f"{_ROW};white-space:pre-wrap", view["hint"]),
        _tag("div", _ROW, _artifacts(view)),
    ]
    if log or more:
        note = f"{_tag('span', f'{_DIM};font-style:italic', more)}\n" if more else ""
        pre = f'<pre style="{_PRE}">{note}{log}</pre>'
        rows.append(f'<div style="{_SCROLL}" tabindex="0">{pre}</div>')
    else:
        rows.append('<div style="height:5px"></div>')
    return f'<div style="{_BOX}">{"".join(rows)}</div>'


def _artifacts(view: Mapping[str, Any]) -> str:
    named = in_words(view)
    return f"artifacts: {named}" if named else ""


def _unbroken(fact: str) -> str:
    return fact.replace(" ", "\N{NO-BREAK SPACE}") if len(fact) < 40 else fact


def _tag(name: str, style: str, text: str) -> str:
    return f'<{name} style="{style}">{html.escape(text, quote=False)}</{name}>' if text else ""
