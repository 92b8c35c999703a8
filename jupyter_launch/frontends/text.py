"""The text view of a run: for terminals, and for notebooks that nobody is looking at."""

from __future__ import annotations

import codecs
import json
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

import yaml

from ..errors import RunStopped
from ..redact import redact_spec
from ..states import State
from .record import program_text, safe, status_line

if TYPE_CHECKING:
    from ..handle import RunHandle
    from ..spec import LaunchSpec


def stream(handle: RunHandle, out: TextIO | None = None, *, frame: bool = True) -> None:
    """Print a run's log, and what happens to it, until it has ended.

    An interrupt stops the run and raises `RunStopped`; a second one leaves it at once.

    Parameters
    ----------
    handle : RunHandle
        The run.
    out : file, optional
        Where to; default: standard output.
    frame : bool
        Whether to print a line about the run before and after the log.
    """
    out = out or sys.stdout
    try:
        _follow(handle, out, frame=frame)
    except KeyboardInterrupt:
        print(f"\nStopping run {handle.id} ...", file=out, flush=True)
        handle.stop()
        raise RunStopped(f"Run {handle.id} was stopped by an interrupt.") from None
    if frame:
        run = handle.run
        what_to_do = safe(run.reason).splitlines()[1:]
        print(status_line(run, time.time()), *what_to_do, sep="\n", file=out, flush=True)


def _follow(handle: RunHandle, out: TextIO, *, frame: bool) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    if frame:
        print(f"run {handle.id}: {program_text(handle.run.spec)}", file=out, flush=True)
    at_start = True
    for item in handle.watch():
        if isinstance(item, bytes):
            text = decoder.decode(item)
            out.write(text)
            out.flush()
            at_start = text.endswith("\n") if text else at_start
        elif frame and item.kind in {"notice", "progress"}:
            print(f"{'' if at_start else chr(10)}({safe(item.data['text'])})", file=out, flush=True)
            at_start = True
    rest = decoder.decode(b"", final=True)
    out.write(rest + ("\n" if frame and (rest or not at_start) else ""))


def build(handle: RunHandle, out: TextIO) -> None:
    """Print what a run says that is built before it is queued, until it stands on its queue."""
    for item in handle.watch():
        if isinstance(item, bytes):
            out.write(item.decode("utf-8", "replace"))
        elif item.kind in {"notice", "progress"}:
            print(f"({safe(item.data['text'])})", file=out, flush=True)
        elif item.data["state"] == State.PENDING:
            return
    handle.check()


def dry_run(spec: LaunchSpec, program: dict[str, Any]) -> str:
    """Give the spec and the exact program as YAML, with what looks like a secret taken out."""
    shown = {"spec": redact_spec(spec.to_dict()), "program": redact_spec(program)}
    plain = json.loads(json.dumps(shown, default=list))
    text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
    return text
