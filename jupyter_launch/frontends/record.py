"""What is shown of a run: as text, as HTML that needs neither script nor style sheet, as data.

The HTML stands in saved notebooks and goes through sanitisers: every look is an inline style that
may be dropped, colours are inherited or half-way between black and white, all text is escaped.
"""

from __future__ import annotations

import html
import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ..redact import redact_spec, redact_text
from ..runs import Run
from ..sources.code import default_image
from ..spec import PRIORITIES, LaunchSpec
from ..states import State
from ..style import PLAIN
from ..terminal import Line, fold, to_ansi, to_html, to_plain, visible
from ..terminal import Run as Piece

MIME = "application/vnd.jupyter-launch.run.v1+json"
TAIL_LINES = 200
TAIL_BYTES = 65536
"""How much of a log, from its end, a record shows."""

_LOOKS = {
    State.PENDING: ("○", "#6e7781"),
    State.LEASED: ("○", "#8250df"),
    State.STARTING: ("◔", "#8250df"),
    State.RUNNING: ("●", "#0969da"),
    State.STOPPING: ("◼", "#9a6700"),
    State.FINISHED: ("✓", "#1a7f37"),
    State.FAILED: ("✗", "#cf222e"),
    State.STOPPED: ("◼", "#6e7781"),
    State.PREEMPTED: ("◼", "#9a6700"),
    State.CRASHED: ("✗", "#cf222e"),
}
_LOST = {State.FAILED, State.CRASHED}

_LINE = "rgba(128,128,128,.3)"
_BOX = (
    "font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);border:1px solid "
    f"{_LINE};border-radius:6px;overflow:hidden;margin:2px 0"
)
_ROW = "padding:0 12px;margin:3px 0;overflow-wrap:anywhere"
_BADGE = "color:#fff;background:{};border-radius:4px;padding:2px 8px;font-weight:600"
_CODE = "font-family:var(--jp-code-font-family,monospace);font-size:12px"
_DIM = "opacity:.7"
_BAD = "color:#d93c3c;font-weight:600"
# A column in reverse order starts out scrolled to its end, without a script.
_SCROLL = (
    "display:flex;flex-direction:column-reverse;max-height:24em;overflow:auto;margin-top:7px;"
    "scrollbar-color:rgba(128,128,128,.5) transparent;"
    f"border-top:1px solid {_LINE};background:rgba(128,128,128,.06)"
)
_PRE = (
    "margin:0;padding:8px 12px;white-space:pre-wrap;overflow-wrap:anywhere;color:inherit;"
    f"background:none;border:0;line-height:1.45;{_CODE}"
)


def bundle(
    run: Run, tail: bytes, store: str, *, earlier: int = 0, notices: Sequence[str] = ()
) -> dict[str, Any]:
    """Make the MIME bundle that stands for a run in a notebook.

    Parameters
    ----------
    run : Run
        The run.
    tail : bytes
        The end of its log; the last `TAIL_BYTES` are enough.
    store : str
        Id of the store the run is in.
    earlier : int
        Bytes of the log before `tail`.
    notices : sequence of str
        What the user was told meanwhile.
    """
    view = {**summary(run), "notices": [safe(text) for text in notices]}
    if not run.state.terminal:
        now = datetime.now().astimezone().isoformat(" ", "seconds")
        view["hint"] = f"So it stood at {now}; since then: jupyter launch logs {run.id}"
    lines = fold(tail, TAIL_LINES + 1, TAIL_BYTES)
    cut = earlier > 0 or len(lines) > TAIL_LINES or len(tail) > TAIL_BYTES
    lines = _without_secrets(lines[-TAIL_LINES:])
    more = f"… earlier lines: jupyter launch logs {run.id}" if cut else ""
    data = {
        "store": store,
        "entity": run.entity,
        "project": run.project,
        "queue": None if run.queue is None else str(run.queue),
        "priority": run.priority,
        "resource": run.resource,
        "parent": run.parent,
        "spec": redact_spec(run.spec.to_dict()),
        "log": to_ansi(lines),
        "cut": cut,
    }
    return {
        MIME: {**view, **data},
        "text/html": _html(view, to_html(lines), more),
        "text/plain": _plain(view, to_ansi(lines), more),
    }


def summary(run: Run) -> dict[str, Any]:
    """Give what a view says about a run beside its log: plain values, redacted, safe to show."""
    head, _, rest = run.reason.partition("\n")
    program = program_text(run.spec)
    symbol, color = _LOOKS[run.state]
    return {
        "id": run.id,
        "state": run.state.value,
        "symbol": symbol,
        "color": color,
        "terminal": run.state.terminal,
        "name": visible(redact_text(run.name)) if run.name else program,
        "program": program,
        "facts": _facts(run, program),
        "reason": safe(head),
        "hint": safe(rest) or _hint(run),
        "exit_code": run.exit_code,
        "created": run.created,
        "started": run.started,
        "ended": run.ended,
        "grace": run.spec.grace_s,
    }


def status_line(run: Run, now: float) -> str:
    """Say how a run is doing in one line.

    Parameters
    ----------
    run : Run
        The run.
    now : float
        The time, in Unix seconds.
    """
    view = summary(run)
    code = "" if run.exit_code is None else f"exit code {run.exit_code}"
    code = "" if code in view["reason"] else code
    said = [f"{view['symbol']} {run.state}", view["name"], run.id, _took(view, now), code]
    return " · ".join(filter(None, [*said, view["reason"]]))


def program_text(spec: LaunchSpec) -> str:
    """Name what a spec runs, in one short line."""
    source, words = spec.source, [*spec.overrides.entry_point, *spec.overrides.args]
    if source is not None and source.kind == "cell":
        what = _first_line(source.body or "")
    elif source is not None:
        what = source.path or source.main or ""
    elif spec.uri is not None:
        what = f"{spec.uri}@{spec.git.version}" if spec.git.version else spec.uri
    else:
        what = spec.job or spec.image or ""
    text = visible(redact_text(f"{what} {shlex.join(words)}".strip()))
    return text if len(text) <= 80 else f"{text[:79]}…"


def elapsed(seconds: float) -> str:
    """Spell a duration in its two largest units."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole // 60 % 60:02} min"
    return f"{whole // 86400} d {whole // 3600 % 24} h"


def safe(text: str) -> str:
    """Make text of a few lines fit to be shown: without secrets and control characters."""
    return "\n".join(visible(line) for line in redact_text(text).splitlines())


def _facts(run: Run, program: str) -> list[str]:
    words = {number: word for word, number in PRIORITIES.items()}
    code = "" if run.exit_code is None else f"exit code {run.exit_code}"
    started = run.started and datetime.fromtimestamp(run.started).astimezone()
    image = run.spec.image
    if run.resource == "local-container" and run.spec.source and not image:
        image = default_image(run.spec.source)
    facts = [
        program if run.name else "",
        image if image and not program.startswith(image) else "",
        run.resource or run.spec.resource,
        f"queue {run.queue}, {words[run.priority]} priority" if run.queue else "",
        f"started {started.isoformat(' ', 'seconds')}" if started else "",
        "" if code in run.reason else code,
    ]
    return [visible(fact) for fact in facts if fact]


def _hint(run: Run) -> str:
    if run.state is State.CRASHED:
        return "Launch it again. The log holds what it wrote until it was lost."
    if run.state is State.PREEMPTED:
        return "Launch it again."
    if run.state is not State.FAILED:
        return ""
    if run.exit_code in {126, 127}:
        return "The command is not there or cannot be run: check its name, or use another image."
    if run.exit_code == 137:
        return "It was killed, most often because memory ran out: give it more, or use less."
    return f"The end of the log says why; all of it: jupyter launch logs {run.id}"


def _first_line(body: str) -> str:
    lines = [line.strip() for line in body.splitlines() if line.strip()]
    code = [line for line in lines if not line.startswith(("#", "%"))]
    telling = [line for line in code if not line.startswith(("import ", "from "))]
    return (telling or code or lines or [""])[0]


def _took(view: dict[str, Any], now: float | None = None) -> str:
    end = view["ended"] or now
    return "" if view["started"] is None or end is None else elapsed(end - view["started"])


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


def _plain(view: dict[str, Any], log: str, more: str) -> str:
    head = [f"{view['symbol']} {view['state']}", view["name"], view["id"], _took(view)]
    said = [*view["notices"], view["reason"], view["hint"]]
    below = [line for text in [" · ".join(view["facts"]), *said] for line in text.splitlines()]
    shown = ([more] if more else []) + (log.split("\n") if log else [])
    return "\n".join(
        ["  ".join(filter(None, head)), *(f"  {line}" for line in below)]
        + [f"│ {line}" for line in shown]
    )


def _html(view: dict[str, Any], log: str, more: str) -> str:
    head = " ".join(
        [
            _tag("span", _BADGE.format(view["color"]), f"{view['symbol']} {view['state']}"),
            _tag("strong", "margin:0 4px", view["name"]),
            _tag("code", f"{_CODE};{_DIM};background:none;color:inherit;padding:0", view["id"]),
            _tag("span", f"{_DIM};margin-left:4px", _took(view)),
        ]
    )
    rows = [
        f'<div style="{_ROW};margin:8px 0 5px">{head}</div>',
        _tag("div", f"{_ROW};{_DIM};font-size:12px", " · ".join(map(_unbroken, view["facts"]))),
        *(_tag("div", f"{_ROW};white-space:pre-wrap", f"⚠ {text}") for text in view["notices"]),
        _tag("div", f"{_ROW};{_BAD if view['state'] in _LOST else ''}", view["reason"]),
        _tag("div", f"{_ROW};white-space:pre-wrap", view["hint"]),
    ]
    if log:
        note = f"{_tag('span', f'{_DIM};font-style:italic', more)}\n" if more else ""
        pre = f'<pre style="{_PRE}">{note}{log}</pre>'
        rows.append(f'<div style="{_SCROLL}" tabindex="0">{pre}</div>')
    else:
        rows.append('<div style="height:5px"></div>')
    return f'<div style="{_BOX}">{"".join(rows)}</div>'


def _unbroken(fact: str) -> str:
    return fact.replace(" ", "\N{NO-BREAK SPACE}") if len(fact) < 40 else fact


def _tag(name: str, style: str, text: str) -> str:
    return f'<{name} style="{style}">{html.escape(text)}</{name}>' if text else ""
