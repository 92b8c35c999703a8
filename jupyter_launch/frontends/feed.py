"""What the pages that show a run are sent: its record, its newest lines, its statistics.

One `Feed` serves all viewers of one run, over any transport. The store is the truth and lines have
numbers, so a page that was reloaded, was away or lost a message says what it has and is sent what
comes next; what was left out it asks for by number. The messages are described in
``labextension/src/card/messages.ts``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from ..bell import Listener
from ..errors import LaunchError
from ..handle import RunHandle
from ..line_index import SCREEN_ROWS
from ..lines import Chunk, Lines
from ..runs import Sample
from ..stores.base import log_of
from .record import live_record, safe
from .viewer import Viewer

Send: TypeAlias = Callable[[dict[str, Any], bytes | None], None]
Reply: TypeAlias = Callable[[dict[str, Any], bytes | None], None]

LOOK_S = 2.0
"""How often a run is looked at besides, should a wake-up get lost."""

RECORD_S = 0.5
SAMPLES_S = 1.0
"""How often the record and the statistics are looked at while the log goes on."""

UNSEEN_S = 0.5
"""At most one message in this many seconds while nobody follows: a page may hold many cards."""

LAG = 1000
"""A viewer that is more lines behind than this is sent on to half of it before the end."""

SAMPLES = 300
"""About how many statistics a viewer is sent at first: of more, some are left out evenly."""


class Feed:
    """Tells the viewers of one run what happens to it, from a thread that ends when all is told.

    Parameters
    ----------
    handle : RunHandle
        The run.
    tick_s : float
        At most one message per viewer in this many seconds.
    blind : bool
        Whether to go on slowly when a viewer acknowledges nothing: a kernel may be too busy to
        hear it, while a server that hears nothing may wait.
    """

    def __init__(self, handle: RunHandle, tick_s: float, *, blind: bool = False) -> None:
        self.handle = handle
        self.lines = Lines(handle.store, handle.id)
        self.record: dict[str, Any] = {}
        self._tick_s, self._blind = tick_s, blind
        self._viewers: dict[str, tuple[Viewer, Send]] = {}
        self._lock = threading.RLock()
        """Held while a page is sent lines: what is newer must not overtake them."""
        self._bell: Listener | None = None
        self._called = threading.Event()
        self._feeding = self._closed = self._asked = False
        self._version = 0
        self._recorded = self._sampled = float("-inf")
        self._samples: list[Sample] = []

    # -- what viewers say ----------------------------------------------------------------------

    @property
    def watched(self) -> bool:
        """Whether anybody looks."""
        return bool(self._viewers)

    def watch(self, name: str, send: Send, have: int = 0) -> None:
        """Take a viewer in, anew if it was here before; it has the lines before `have`."""
        with self._lock:
            # Of what it has, the newest lines may have been changed since: it gets them again.
            held = max(0, have - SCREEN_ROWS)
            self._viewers[name] = Viewer(name, held, self._blind), send
        self.begin()

    def hear(self, name: str, message: dict[str, Any]) -> None:
        """Take what a viewer says of itself: ``follow`` or ``ack``."""
        with self._lock:
            if name not in self._viewers:
                return
            viewer, _ = self._viewers[name]
            viewer.hear()
            if message["t"] == "ack":
                viewer.acknowledge(int(message.get("seq", 0)))
            else:
                viewer.following = bool(message.get("on"))
        self.begin()

    def forget(self, name: str) -> None:
        """Let a viewer go."""
        with self._lock:
            self._viewers.pop(name, None)

    def leave(self, send: Send) -> None:
        """Let all viewers go that are reached by that `send`."""
        with self._lock:
            self._viewers = {n: entry for n, entry in self._viewers.items() if entry[1] != send}

    def catch_up(self) -> None:
        """Take in the log as far as it is, if no thread does so for a viewer."""
        while not self._feeding and self.lines.behind:
            self.lines.advance()

    def lines_for(self, name: str, first: int, count: int, reply: Reply) -> None:
        """Reply with lines that a viewer asks for, and remember that it has them now."""
        self.catch_up()
        with self._lock:  # or what the thread tells of newer lines would come before this
            chunk = self.lines.read(first, count)
            if name in self._viewers:
                self._viewers[name][0].has(chunk.first + chunk.count)
            reply({"log": described(chunk), "total": self.lines.total}, chunk.text)

    def close(self) -> None:
        """End the thread; the run is not touched."""
        with self._lock:
            self._closed = True
        self._wake()

    # -- the thread ----------------------------------------------------------------------------

    def begin(self) -> None:
        """Make the thread look; start it if it is not there."""
        with self._lock:
            self._asked = True
            begin = not self._feeding and not self._closed
            self._feeding |= begin
        if begin:
            name = f"feed-{self.handle.id}"
            threading.Thread(target=self._feed, name=name, daemon=True).start()
        else:
            self._wake()

    def _wake(self) -> None:
        self._called.set()
        with self._lock:
            if self._bell is not None:
                self._bell.ring()

    def _feed(self) -> None:
        with self.handle.store.listen(self.handle.id, log_of(self.handle.id)) as bell:
            self._bell = bell
            while True:
                begun = time.monotonic()
                self._called.clear()
                pause = self._try(begun)
                if pause is None or self._closed:
                    break
                if pause and not bell.wait(pause) and pause == LOOK_S:
                    self._rescue()
                self._rest(begun)
            with self._lock:  # nobody rings a bell that is closed
                self._bell = None if self._bell is bell else self._bell

    def _rest(self, begun: float) -> None:
        """Let the rest of a tick go by; while nobody follows, until somebody says something."""
        # A tick bounds how often a page is told; nothing ends it early.
        time.sleep(max(0.0, begun + self._tick_s - time.monotonic()))
        with self._lock:
            followed = any(viewer.following for viewer, _ in self._all())
        if not followed:
            self._called.wait(max(0.0, begun + UNSEEN_S - time.monotonic()))

    def _try(self, now: float) -> float | None:
        try:
            return self._tick(now)
        except LaunchError as error:
            self._excuse(error)
            return LOOK_S

    def _tick(self, now: float) -> float | None:
        """Tell what is new. Say when to look again unless woken; ``None`` when all is told."""
        self._asked = False
        changed = self._advance()
        # While lines come, the record may wait a little: looking it up is most of a tick's work.
        looks = changed is None or now - self._recorded > RECORD_S
        ended = looks and self._look(now)
        if ended:  # nothing is written after the end: this is the rest
            lines = [line for line in (changed, self._advance()) if line is not None]
            changed = min(lines, default=None)
        with self._lock:
            behind = [self._tell(viewer, send, changed) for viewer, send in self._all()]
        if any(behind) or self.lines.behind or not looks:
            return self._tick_s
        with self._lock:
            waits = self.watched and not ended
            self._feeding = waits or self._asked
            return LOOK_S if waits else 0.0 if self._asked else None

    def _advance(self) -> int | None:
        return self.lines.advance() if self._viewers else None

    def _look(self, now: float) -> bool:
        """Take in the record and the statistics. Say whether the run has ended."""
        self._recorded = now
        self._show(live_record(self.handle))
        if now - self._sampled > SAMPLES_S and self._viewers:
            self._sampled = now
            last = self._samples[-1].at if self._samples else 0.0
            self._samples += self.handle.store.samples(self.handle.id, last)
        return bool(self.record["terminal"])

    def _show(self, record: dict[str, Any]) -> None:
        if record != self.record:
            self.record = record
            self._version += 1

    def _excuse(self, error: LaunchError) -> None:
        self._show({**self.record, "notices": [safe(str(error))]})
        with self._lock:
            for viewer, send in self._all():
                self._tell(viewer, send, None)

    def _rescue(self) -> None:
        # Whoever only watches sees to it, at times, that somebody executes the run.
        try:
            self.handle.rescue()
        except LaunchError as error:
            self._excuse(error)

    def _all(self) -> list[tuple[Viewer, Send]]:
        return list(self._viewers.values())

    # -- one viewer ----------------------------------------------------------------------------

    def _tell(self, viewer: Viewer, send: Send, changed: int | None) -> bool:
        """Send a viewer what is new to it. Say whether there are more lines for it now."""
        parts: dict[str, Any] = {}
        if viewer.record != self._version:
            viewer.record, parts["record"] = self._version, self.record
        if viewer.total != self.lines.total:
            viewer.total = parts["total"] = self.lines.total
        new = [sample for sample in self._samples if sample.at > viewer.sampled]
        if new:
            viewer.sampled = new[-1].at
            parts["samples"] = [list(sample) for sample in new[:: 1 + len(new) // SAMPLES]]
        chunk = self._next(viewer, changed)
        if chunk is not None:
            parts["log"] = described(chunk)
        if parts:
            text = chunk.text if chunk else b""
            seq = viewer.count(len(text))
            head = {"t": "live", "v": viewer.name, "run": self.handle.id, "seq": seq}
            send({**head, "now": time.time(), **parts}, text or None)
        return viewer.following and chunk is not None and viewer.held < self.lines.total

    def _next(self, viewer: Viewer, changed: int | None) -> Chunk | None:
        """Give the lines a viewer gets now; without any lines, it only forgets what changed."""
        void = None
        if changed is not None and changed < viewer.held:
            viewer.held = changed
            void = Chunk(changed, 0, b"", "", [], [])
        total = self.lines.total
        room = viewer.allowance(time.monotonic(), self._tick_s) if viewer.following else 0
        if not room or viewer.held >= total:
            return void
        if total - viewer.held > LAG:
            # What the page has of a line that was not finished then must not stay: it is void.
            # The next message goes on near the end.
            held, viewer.held = viewer.held, total - LAG // 2
            return Chunk(held, 0, b"", "", [], [])
        chunk = self.lines.read(viewer.held, total - viewer.held, room)
        viewer.held = chunk.first + chunk.count
        return chunk


def described(chunk: Chunk) -> dict[str, Any]:
    """Say of lines, beside their text, what a page must know."""
    return {
        "first": chunk.first,
        "count": chunk.count,
        "style": chunk.style,
        "streams": chunk.streams,
        "times": chunk.times,
    }
