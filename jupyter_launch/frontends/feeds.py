"""The feeds of a process that serves many runs to many pages."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..errors import LaunchError
from ..handle import RunHandle
from .asks import Verb, answer
from .feed import Feed, Send
from .record import safe

IDLE = 16
"""How many runs that nobody looks at are kept ready, for a page that is being reloaded."""


class Feeds:
    """Takes what pages say and asks to the feeds of the runs they name.

    Parameters
    ----------
    handle : callable
        Gives the handle of a recorded run, or raises `RunNotFound`.
    tick_s : float
        At most one message per viewer and run in this many seconds.
    blind : bool
        As for `Feed`.
    more : mapping, optional
        What pages may ask for besides reading.
    """

    def __init__(
        self,
        handle: Callable[[str], RunHandle],
        tick_s: float,
        *,
        blind: bool = False,
        more: Mapping[str, Verb] | None = None,
    ) -> None:
        self._handle, self._tick_s, self._blind, self._more = handle, tick_s, blind, more or {}
        self._feeds: OrderedDict[str, Feed] = OrderedDict()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="feeds")

    def feed(self, run_id: str) -> Feed:
        """Give the feed of a run. Raises `RunNotFound`, `StoreError`."""
        with self._lock:
            if run_id in self._feeds:
                self._feeds.move_to_end(run_id)
                return self._feeds[run_id]
        handle = self._handle(run_id)
        with self._lock:
            feed = self._feeds.setdefault(run_id, Feed(handle, self._tick_s, blind=self._blind))
            idle = [name for name, other in self._feeds.items() if not other.watched]
            for name in idle[:-IDLE]:
                self._feeds.pop(name).close()
            return feed

    def hear(self, message: dict[str, Any], send: Send) -> None:
        """Take one message of a page. Quick: what takes time is answered from another thread.

        Parameters
        ----------
        message : dict
            With the texts ``t``, ``run`` and ``v`` in it.
        send : callable
            Takes messages to that page, from any thread.
        """
        kind, run_id, name = message["t"], message["run"], message["v"]
        try:
            feed = self.feed(run_id)
        except LaunchError as error:
            head = {"t": "gone", "v": name, "run": run_id}
            send({**head, "message": safe(str(error))}, None)
            return
        if kind == "watch":
            have = message.get("have")
            feed.watch(name, send, have if isinstance(have, int) and have > 0 else 0)
        elif kind == "bye":
            feed.forget(name)
        elif kind == "ask":
            self._pool.submit(answer, feed, message, send, self._more)
        else:
            feed.hear(name, message)

    def leave(self, send: Send) -> None:
        """Let all viewers go that came with that `send`."""
        with self._lock:
            feeds = list(self._feeds.values())
        for feed in feeds:
            feed.leave(send)

    def close(self) -> None:
        """End all threads."""
        with self._lock:
            for feed in self._feeds.values():
                feed.close()
            self._feeds.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)
