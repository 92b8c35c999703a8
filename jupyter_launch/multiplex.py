"""Two streams of a program become one log, so that no line stands inside a line of the other.

A program may write a line in parts, as Python's ``print`` does when nothing is buffered: the text,
then the line's end. What the other stream says in between waits for that end, for a moment. What
nobody interrupts is never held back, so prompts and progress bars are seen at once.

Within a stream nothing changes its place. So what is held back and lost with this process is what
a follower fetches that goes on behind the bytes of each stream that are stored.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable

from .backends.base import STDERR, STDOUT
from .errors import StoreError
from .stores.base import Store

HOLD_S = 0.05
"""How long after the last bytes of an unfinished line the other stream waits for its end."""

MOST = 1 << 20
"""How many bytes are held back at most."""

Piece = tuple[int, bytes]
"""A stream, 1 or 2, and bytes of it."""


def unfinished_stream(store: Store, run_id: str) -> int:
    """Say which stream's unfinished line a log ends in; 0 if its last line is finished.

    Lines that are not the program's own are as good as finished: nobody goes on with them.
    """
    size = store.log_position(run_id).size
    if not size or store.read_log(run_id, size - 1, 1) == b"\n":
        return 0
    # No piece is empty, so that there are at most `size`.
    behind = bisect_left(range(size), 1, key=lambda n: not store.log_pieces(run_id, n, 1))
    stream = store.log_pieces(run_id, behind - 1, 1)[0].stream
    return stream if stream in (STDOUT, STDERR) else 0


class LineMultiplexer:
    """Says what is to be written to the log next. Times are seconds of any one clock.

    `due` is when what is held back is to be flushed; ``None`` if nothing is.

    Parameters
    ----------
    unfinished : int
        The stream whose unfinished line the log ends in; 0 if its last line is finished.
    now : float
        When that was written.
    """

    def __init__(self, unfinished: int = 0, now: float = 0.0) -> None:
        self.due: float | None = None
        self._open = unfinished
        self._touched = now
        self._held: list[bytes] = []  # of the other stream
        self._size = 0

    def add(self, pieces: Iterable[Piece], now: float) -> list[Piece]:
        """Take what arrived now, and give what is to be written."""
        ready: list[Piece] = []
        for stream, arrived in pieces:
            data = arrived
            if self._held and stream == self._open and (end := data.find(b"\n") + 1):
                self._write(ready, (stream, data[:end]), now)
                self._release(ready, 3 - stream, now)
                data = data[end:]
            if data and self._waits(stream, now):
                self._hold(ready, (stream, data), now)
            elif data:
                self._write(ready, (stream, data), now)
        return ready

    def flush(self, now: float) -> list[Piece]:
        """Give what is held back: its time is over."""
        ready: list[Piece] = []
        self._release(ready, 3 - self._open, now)
        return ready

    def _waits(self, stream: int, now: float) -> bool:
        within = self._open not in (0, stream)
        return within and (bool(self._held) or now < self._touched + HOLD_S)

    def _hold(self, ready: list[Piece], piece: Piece, now: float) -> None:
        stream, data = piece
        if self.due is None:
            self.due = self._touched + HOLD_S
        self._held.append(data)
        self._size += len(data)
        if self._size > MOST:
            self._release(ready, stream, now)

    def _release(self, ready: list[Piece], stream: int, now: float) -> None:
        if self._held:
            data = b"".join(self._held)
            self._held, self._size, self.due = [], 0, None
            self._write(ready, (stream, data), now)

    def _write(self, ready: list[Piece], piece: Piece, now: float) -> None:
        ready.append(piece)
        self._open = 0 if piece[1].endswith(b"\n") else piece[0]
        self._touched = now


class LogMerger:
    """Hands on what a program writes, whole lines where they come in parts. A context manager.

    Parameters
    ----------
    write : callable
        Takes pieces in order; called by one thread at a time. What it raises in a thread of the
        merger's own is raised by the next call of `add`, or at the end.
    unfinished : int
        The stream whose unfinished line is the end of what was written before; 0 for none.
    """

    def __init__(self, write: Callable[[list[Piece]], object], unfinished: int = 0) -> None:
        self._to_log = write
        self._lines = LineMultiplexer(unfinished, time.monotonic())
        self._changed = threading.Condition()
        self._flusher: threading.Thread | None = None
        self._asleep = self._closed = False
        self._error: StoreError | None = None

    def add(self, pieces: Iterable[Piece]) -> None:
        """Take what arrived."""
        with self._changed:
            if self._error:
                raise self._error
            ready = self._lines.add(pieces, time.monotonic())
            if ready:
                self._to_log(ready)
            if self._lines.due is not None:
                self._see_to_it()

    def __enter__(self) -> LogMerger:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
            if error is None and self._error:
                raise self._error
            if not self._error and not isinstance(error, StoreError):
                self._flush()

    def _flush(self) -> None:
        ready = self._lines.flush(time.monotonic())
        if ready:
            self._to_log(ready)

    def _see_to_it(self) -> None:
        """See to it that what is held back is flushed in time."""
        if self._flusher is None:  # most programs never need one
            self._flusher = threading.Thread(target=self._run, name="launch-log", daemon=True)
            self._flusher.start()
        elif self._asleep:  # otherwise it wakes for something earlier, and looks again
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._closed and not self._error:
                due = self._lines.due
                left = None if due is None else due - time.monotonic()
                if left is None or left > 0:
                    self._asleep = left is None
                    self._changed.wait(left)
                    continue
                try:
                    self._flush()
                except StoreError as error:
                    self._error = error
