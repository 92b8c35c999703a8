"""Wake-ups between processes of one machine, without polling and without a daemon.

A listener makes a named pipe whose name ends in what it waits for; whoever changes such a thing
writes one byte into every such pipe. A pipe whose reader is gone tells so when it is opened for
writing, and is removed. Pipes hold no data: a wake-up only says "look again".
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time
from pathlib import Path
from typing import Protocol

AND = "+"
"""What stands between the topics of a listener."""

POLL_S = 0.05
"""How often a listener looks again where the system has no named pipes."""

GRAIN_NS = 3_000_000_000
"""Changes of a folder that lie this far apart have different times on every filesystem."""


class Listener(Protocol):
    """Something that wakes up when one of its topics rings."""

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep until it rings, at most `timeout` seconds; say whether it rang."""

    def ring(self) -> None:
        """Wake this one listener."""

    def close(self) -> None:
        """Stop listening."""

    def __enter__(self) -> Listener: ...
    def __exit__(self, *_: object) -> None: ...


class Bell:
    """One listener. Use as a context manager; make it *before* looking at what it announces.

    Parameters
    ----------
    root : Path
        Folder of all bells of a store.
    topics : str
        What is waited for: a run id, an owner, a queue.
    """

    def __init__(self, root: Path, *topics: str) -> None:
        self._read = self._write = -1
        name = f"{os.getpid()}-{os.urandom(4).hex()}.{AND.join(topics)}"
        self._path = root / name
        if hasattr(os, "mkfifo"):
            self._listen(root)

    def _listen(self, root: Path) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in os.listdir(root):  # noqa: PTH208 - called often, needs names only
            if not name.startswith("."):
                _send(f"{root}/{name}", b"")  # clears away listeners that were killed
        # Until it has a reader, a ringer would take it for one whose listener is dead: hide it.
        hidden = self._path.with_name(f".{self._path.name}")
        os.mkfifo(hidden, 0o600)
        self._read = os.open(hidden, os.O_RDONLY | os.O_NONBLOCK)
        # Holding a writer ourselves keeps the pipe from reporting end-of-file between rings.
        self._write = os.open(hidden, os.O_WRONLY | os.O_NONBLOCK)
        hidden.rename(self._path)

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep until the bell rings, at most `timeout` seconds. Say whether it rang."""
        if self._read < 0:
            time.sleep(POLL_S if timeout is None else min(POLL_S, max(0, timeout)))
            return True
        poller = select.poll()
        poller.register(self._read, select.POLLIN)
        if not poller.poll(None if timeout is None else max(0, timeout) * 1000):
            return False
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 65536)
        return True

    def ring(self) -> None:
        """Wake this listener alone; for ending a wait from another thread."""
        # By name: the descriptor may be closed, and its number reused, at any moment.
        _send(self._path, b"!")

    def close(self) -> None:
        """Stop listening."""
        if self._read >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._read)
            os.close(self._write)
            self._read = self._write = -1

    def __enter__(self) -> Bell:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Ringer:
    """Wakes listeners. It reads their folder again only once that has changed.

    Parameters
    ----------
    root : Path
        Folder of all bells of a store, which need not be there.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._read: tuple[int, list[tuple[str, frozenset[str]]]] = (-1, [])
        """When the folder had changed last as it was read, and each listener's pipe and topics."""

    def ring(self, *topics: str) -> None:
        """Wake everybody who listens to any of the topics."""
        for pipe, heard in self._listeners():
            if not heard.isdisjoint(topics):
                _send(pipe, b"!")

    def _listeners(self) -> list[tuple[str, frozenset[str]]]:
        try:
            changed = os.stat(self._root).st_mtime_ns  # noqa: PTH116 - for each submit and claim
            when, listeners = self._read
            if changed == when:
                return listeners
            names = os.listdir(self._root)  # noqa: PTH208 - as above
        except OSError:
            return []
        listeners = [
            (f"{self._root}/{name}", frozenset(name.partition(".")[2].split(AND)))
            for name in names
            if not name.startswith(".")  # it has no reader yet
        ]
        # Two changes within the clock's grain look like one: so what is new is read again.
        settled = time.time_ns() - changed > GRAIN_NS
        self._read = (changed if settled else -1, listeners)
        return listeners


def _send(pipe: Path | str, message: bytes) -> None:
    try:
        descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:  # its listener died without closing it
            Path(pipe).unlink(missing_ok=True)
        return
    # Full: it has been told often enough. Broken: its listener closed it just now.
    with contextlib.suppress(BlockingIOError, BrokenPipeError):
        os.write(descriptor, message)
    os.close(descriptor)
