"""The live view of a run in a notebook cell, fed by this kernel.

The page says how many bytes of the stored log it has, and is sent what comes next; the store is
the truth, so a page that was reloaded, fell behind or lost a message misses nothing. Messages:

===========================  =====================================================================
``{t: hello, v, have}``      page: I am viewer `v` and have the log up to byte `have`
``{t: ack, v, have}``        page: I have drawn up to byte `have`
``{t: bye, v}``              page: I am gone
``{t: stop}``                page: the user pressed Stop
``{t: log, v, from, now}``   kernel: the log's bytes from offset `from` (in the message's buffer);
                             ``skipped: true`` says that what is before them is left out
===========================  =====================================================================
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from ..errors import LaunchError, StoreError
from ..handle import RunHandle
from ..states import State
from ..stores.base import Listener
from .record import TAIL_BYTES, bundle, safe, summary

TICK_S = 0.1
CHUNK = 256 * 1024
"""A viewer gets at most one message of this many bytes per tick."""

WINDOW = 4 * 1024 * 1024
"""How many bytes may be under way without being acknowledged."""

FULL_S = 2.0
BLIND_RATE = 1_000_000
"""A window full for `FULL_S` means that this kernel is too busy to hear: go on, in bytes/s."""

SILENT_S = 120.0
SILENT_RATE = 16_000
"""After `SILENT_S` the page may as well be gone: then only a trickle is risked, in bytes/s."""

UNHEARD_S = 0.5
"""How long the first page has to say hello before the log is sent to whoever listens."""

LAG = 2 * 1024 * 1024
"""A viewer further behind than this is sent on to a quarter of it before the log's end."""

LOOK_S = 2.0
"""How often the run is looked at besides, should a wake-up get lost."""

NOTICES = 5


@dataclass
class Viewer:
    """How far one page is, in bytes of the log. Times are monotonic seconds."""

    sent: int = 0
    drawn: int = 0
    asked: bool = True
    heard: float = field(default_factory=time.monotonic)
    full_since: float | None = None

    def hear(self, offset: int) -> None:
        """Take the word of the page that it has drawn so far."""
        self.drawn, self.heard, self.full_since = offset, time.monotonic(), None

    def allowance(self, now: float) -> int:
        """Give how many bytes it may be sent in this tick."""
        if self.silent(now):
            return int(SILENT_RATE * TICK_S)
        if (room := self.drawn + WINDOW - self.sent) > 0:
            return min(CHUNK, room)
        self.full_since = self.full_since or now
        return int(BLIND_RATE * TICK_S) if now - self.full_since > FULL_S else 0

    def silent(self, now: float) -> bool:
        """Say whether the page may as well be gone."""
        return now - self.heard > SILENT_S


class Card(anywidget.AnyWidget):  # type: ignore[misc]
    """The live view of one run, shown by displaying `mimebundle`. It ends by itself.

    Parameters
    ----------
    handle : RunHandle
        The run.
    on_end : callable, optional
        Called once, in the card's thread, when the run has ended and the pages were told so.
    """

    _esm = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
    _css = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")

    record = traitlets.Dict().tag(sync=True)

    def __init__(self, handle: RunHandle, on_end: Callable[[], None] = lambda: None) -> None:
        self._handle = handle
        self._on_end: Callable[[], None] | None = on_end
        self._lock = threading.Lock()
        # A kernel that waits inside a cell may be unable to hear any page before the cell ends.
        # So the unnamed viewer is everybody, until a page with a name is heard.
        since = time.monotonic() - FULL_S + UNHEARD_S
        self._viewers = {"": Viewer(drawn=-WINDOW, asked=False, full_since=since)}
        self._bell: Listener | None = None
        self._event = 0
        self._notices: list[str] = []
        self._feeding, self._closed = True, False
        super().__init__()
        self._hear_while_busy()
        self.on_msg(self._hear)
        self._look()
        self._start()

    def mimebundle(self) -> dict[str, Any]:
        """Give the bundle to display: the record as it is now, and the live view."""
        view, *_ = self._repr_mimebundle_()
        return {**view, **self.record_bundle()}

    def record_bundle(self) -> dict[str, Any]:
        """Give the record as it is now, without the live view."""
        store, run = self._handle.store, self._handle.run
        start = max(0, store.log_position(run.id).size - TAIL_BYTES)
        tail = store.read_log(run.id, start, TAIL_BYTES)
        return bundle(run, tail, store.id, earlier=start, notices=self._notices)

    def close(self) -> None:
        """End the live view; the run is not touched."""
        self._closed = True
        self._wake()
        super().close()

    def _hear_while_busy(self) -> None:
        # Newer kernels route what a page says to the thread that last spoke to it, which is the
        # one a running cell blocks; the page's own choice of thread is free.
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda _data, default: default  # noqa: SLF001

    def _hear(self, _widget: Any, message: dict[str, Any], _buffers: Any) -> None:
        kind, name = message.get("t"), message.get("v", "")
        if kind == "stop":
            try:
                self._handle.stop(wait=False)
            except LaunchError as error:
                self._tell(error)
        with self._lock:
            if kind == "bye":
                self._viewers.pop(name, None)
            elif kind in {"hello", "ack"}:
                self._viewers.pop("", None)
                have = int(message["have"])
                if kind == "hello" or name not in self._viewers:
                    self._viewers[name] = Viewer(sent=have, drawn=have)
                else:
                    self._viewers[name].hear(have)
            begin = kind == "hello" and not self._feeding
            self._feeding |= begin
        if begin:
            self._start()
        self._wake()

    # -- the feeder: a thread that ends with the run and begins anew for a page that comes later --

    def _start(self) -> None:
        # Messages belong to a cell by the context they are sent from.
        context = contextvars.copy_context()
        threading.Thread(
            target=context.run, args=(self._feed,), name=f"card-{self._handle.id}", daemon=True
        ).start()

    def _wake(self) -> None:
        with self._lock:
            if self._bell is not None:
                self._bell.ring()

    def _feed(self) -> None:
        with self._handle.store.listen(self._handle.id) as bell:
            self._bell = bell
            while not self._closed:
                begun = time.monotonic()
                try:
                    pause = self._tick()
                except StoreError as error:
                    self._tell(error)
                    pause = LOOK_S
                if pause is None:
                    break
                if not bell.wait(pause) and pause == LOOK_S:
                    self._handle.rescue()
                time.sleep(max(0.0, begun + TICK_S - time.monotonic()))
            with self._lock:  # nobody rings a bell that is closed
                self._bell = None if self._bell is bell else self._bell

    def _tell(self, error: LaunchError) -> None:
        self.record = {**self.record, "notices": [safe(str(error))]}

    def _tick(self) -> float | None:
        """Show what is new. Say when to look again unless woken; ``None`` when all is done."""
        ended = self._look()
        size = self._handle.store.log_position(self._handle.id).size
        now = time.monotonic()
        with self._lock:
            viewers = list(self._viewers.items())
        behind = [name for name, viewer in viewers if self._forward(name, viewer, size, now)]
        if not ended:
            return TICK_S if behind else LOOK_S
        if self._on_end is not None:
            on_end, self._on_end = self._on_end, None
            on_end()
        with self._lock:
            waiting = [v for name, v in self._viewers.items() if name and not v.silent(now)]
            self._feeding = any(v.asked or v.sent < size for v in waiting)
            return TICK_S if self._feeding else None

    def _look(self) -> bool:
        """Bring the record up to date. Say whether the run has ended."""
        run = self._handle.run
        for event in self._handle.events(self._event):
            self._event = event.seq
            if event.kind == "notice":
                self._notices = [*self._notices, str(event.data["text"])][-NOTICES:]
        self.record = {
            **summary(run),
            "doing": safe(self._handle.waiting_for()),
            "stopping": run.stop_requested or run.state is State.STOPPING,
            "notices": [safe(text) for text in self._notices],
        }
        return run.state.terminal

    def _forward(self, name: str, viewer: Viewer, size: int, now: float) -> bool:
        """Send a viewer what comes next for it. Say whether there is more."""
        store, allowed = self._handle.store, viewer.allowance(now)
        skipped = allowed > 0 and size - viewer.sent > LAG and not viewer.silent(now)
        if skipped:
            viewer.sent = self._line_start(size - LAG // 4)
        data = store.read_log(self._handle.id, viewer.sent, allowed) if allowed else b""
        if data or viewer.asked:
            message = {"t": "log", "v": name, "from": viewer.sent, "skipped": skipped}
            self.send({**message, "now": time.time()}, [data])
            viewer.sent += len(data)
            viewer.asked = False
        return viewer.sent < size

    def _line_start(self, offset: int) -> int:
        data = self._handle.store.read_log(self._handle.id, offset, CHUNK)
        return offset + data.find(b"\n") + 1
