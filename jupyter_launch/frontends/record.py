"""What is known of a run, as views show it: plain values, redacted, safe to show."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..artifact import Kept
from ..errors import SpecError
from ..redact import redact_spec, redact_text
from ..runs import Run
from ..sources.code import default_image
from ..spec import PRIORITIES, LaunchSpec
from ..states import State
from ..terminal import visible
from .artifact_list import noted
from .saved import TAIL_BYTES, TAIL_LINES, saved

if TYPE_CHECKING:
    from ..handle import RunHandle

NOTICES = 5
"""How many of the things the user was told are shown, the last ones."""

LOOK_BYTES = 1024 * 1024
"""How much of a log, from its end, is looked at for the lines that are saved."""

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
_WORDS = {number: word for word, number in PRIORITIES.items()}


def summary(run: Run) -> dict[str, Any]:
    """Give what a view says about a run beside its log: plain values, redacted, safe to show."""
    head, _, rest = run.reason.partition("\n")
    asked = _asked(run.spec_json)
    resource = run.resource or asked.resource
    image = asked.image or (asked.default_image if resource == "local-container" else None)
    return {
        "id": run.id,
        "store": run.store,
        **_look(run.state),
        "terminal": run.state.terminal,
        "name": _line(run.name) if run.name else asked.program,
        "program": asked.program,
        "facts": _facts(run, asked.program, image, resource),
        "reason": safe(head),
        "hint": safe(rest) or _hint(run),
        "exit_code": run.exit_code,
        "created": run.created,
        "started": run.started,
        "ended": run.ended,
        "grace": asked.grace_s,
        "resource": resource and _line(resource),
        "image": image and _line(image),
        "queue": None if run.queue is None else _line(str(run.queue)),
        "priority": _WORDS[run.priority],
        "parent": run.parent,
        "relaunchable": asked.valid,
    }


def live_record(handle: RunHandle) -> dict[str, Any]:
    """Give the `summary` of a run and what else a live view says of it.

    That is why it waits, what the user was told, how it is being stopped, and the other runs of
    the same chain of relaunches.
    """
    run = handle.run
    waits = run.state is State.PENDING and run.queue is not None
    return {
        **summary(run),
        "doing": safe(handle.waiting_for()),
        "notices": _notices(handle),
        "stopping": not run.state.terminal and run.stop_requested,
        "killing": not run.state.terminal and run.kill_requested,
        "ahead": handle.store.ahead(run) if waits else 0,
        **(noted(handle.store.artifacts(run.id)) if run.state.terminal else {}),
        "attempts": [
            {"id": one.id, "state": one.state.value, "symbol": _LOOKS[one.state][0]}
            for one in handle.store.attempts(run.id)
        ],
    }


def bundle_of(handle: RunHandle) -> dict[str, Any]:
    """Make the MIME bundle that stands for a run in a notebook file, as the run is now."""
    run = handle.run
    size = handle.store.log_position(run.id).size
    for window in (TAIL_BYTES, LOOK_BYTES):
        start = max(0, size - window)
        log = handle.store.read_log(run.id, start, window)
        if start == 0 or b"\r" not in log or log.count(b"\n") > TAIL_LINES:
            break  # only progress bars take many bytes for few lines
    kept = handle.store.artifacts(run.id) if run.state.terminal else ()
    return bundle(run, log, earlier=start, notices=_notices(handle), kept=kept)


def bundle(
    run: Run,
    log: bytes,
    *,
    earlier: int = 0,
    notices: Sequence[str] = (),
    kept: Sequence[Kept] = (),
) -> dict[str, Any]:
    """Make the MIME bundle that stands for a run in a notebook file.

    Parameters
    ----------
    run : Run
        The run.
    log : bytes
        The end of its log.
    earlier : int
        Bytes of the log before that.
    notices : sequence of str
        What the user was told meanwhile.
    kept : sequence of Kept
        What it left behind.
    """
    record = {**summary(run), "notices": [safe(text) for text in notices], **noted(kept)}
    if not run.state.terminal:
        now = datetime.now().astimezone().isoformat(" ", "seconds")
        record["hint"] = f"So it stood at {now}; since then: jupyter launch logs {run.id}"
    if earlier:
        log = log[log.find(b"\n", 0, -1) + 1 :]
    spec = redact_spec(json.loads(run.spec_json))
    return saved(record, spec, log, _took(record), cut=earlier > 0)


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
        version = spec.git.ref or (spec.git.version or "")[:10]
        what = f"{spec.uri}@{version}" if version else spec.uri
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


class _Asked(NamedTuple):
    """What a summary takes from the spec."""

    program: str = "(a spec this version cannot read)"
    image: str | None = None
    default_image: str | None = None
    resource: str | None = None
    grace_s: float = 0.0
    valid: bool = False


@lru_cache(maxsize=256)
def _asked(spec_json: str) -> _Asked:
    # Specs never change, and are long to read: a live run is looked at twice a second.
    try:
        spec = LaunchSpec.from_json(spec_json)
    except SpecError:
        return _Asked()
    usual = default_image(spec) if spec.source or spec.uri else None
    return _Asked(program_text(spec), spec.image, usual, spec.resource, spec.grace_s, True)


def _look(state: State) -> dict[str, str]:
    symbol, color = _LOOKS[state]
    return {"state": state.value, "symbol": symbol, "color": color}


def _line(text: str) -> str:
    return visible(redact_text(text))


def _notices(handle: RunHandle) -> list[str]:
    told = [str(event.data["text"]) for event in handle.events() if event.kind == "notice"]
    return [safe(text) for text in told[-NOTICES:]]


def _facts(run: Run, program: str, image: str | None, resource: str | None) -> list[str]:
    code = "" if run.exit_code is None else f"exit code {run.exit_code}"
    facts = [
        program if run.name else "",
        image if image and not program.startswith(image) else "",
        resource or "",
        f"queue {run.queue}, {_WORDS[run.priority]} priority" if run.queue else "",
        *_times(run),
        "" if code in run.reason else code,
    ]
    return [_line(fact) for fact in facts if fact]


def _times(run: Run) -> list[str]:
    known = [time for time in (run.started, run.ended) if time is not None]
    moments = [datetime.fromtimestamp(time).astimezone() for time in known]
    said = [moment.isoformat(" ", "seconds") for moment in moments]
    if len(moments) == 2 and moments[0].date() == moments[1].date():
        said[1] = moments[1].strftime("%H:%M:%S")
    words = (["started"] if run.started is not None else []) + ["ended"]
    return [f"{word} {text}" for word, text in zip(words, said, strict=False)]


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
