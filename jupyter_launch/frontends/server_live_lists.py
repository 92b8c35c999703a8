"""Lists that pages are told the changes of, as long as they show them.

Whatever happens to a run rings a bell; then what each page shows is looked at once more, at most
twice a second, and the page is told what is different. Nothing is asked for by pages.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from ..bell import Listener
from ..errors import LaunchError
from ..stores.base import ANY_RUN, Store
from .feed import Send
from .record import safe
from .server_lists import LOOKS, Desk, Json, run_row, runs
from .server_params import ListQuery, from_body

PAUSE_S = 0.5
"""There is at most one look in this time."""

LOOK_S = 5.0
"""How often is looked without a bell: heartbeats and new queues ring none."""


class Reader:
    """One list as one page shows it.

    Parameters
    ----------
    name : str
        What the page calls it.
    asked : ListQuery
        What it lists.
    send : callable
        Takes messages to the page.
    """

    def __init__(self, name: str, asked: ListQuery, send: Send) -> None:
        self.name, self.asked, self.send = name, asked, send
        self._has: dict[str, Any] | None = None

    def tell(self, store: Store, desk: Desk) -> None:
        """Tell the page what is different since it was told last."""
        before = self._has
        try:
            now = self._look(store, desk)
        except LaunchError as error:
            self._has = None
            self.send({"t": "rows", "v": self.name, "message": safe(str(error))}, None)
            return
        self._has = now
        if now == before and list(now) == list(before):
            return
        known = before or {}
        changed = [key for key, value in now.items() if known.get(key) != value]
        message: Json = {"t": "rows", "v": self.name, "now": time.time()}
        message["changed"] = [self._row(now[key], desk) for key in changed]
        message["ids"] = list(now)
        message["more"] = self.asked.what in {"runs", "items"} and len(now) >= self.asked.limit
        self.send(message, None)

    def _look(self, store: Store, desk: Desk) -> dict[str, Any]:
        if self.asked.what == "runs":
            return runs(store, self.asked, desk)
        return LOOKS[self.asked.what](store, self.asked)

    def _row(self, value: Any, desk: Desk) -> Json:
        if self.asked.what != "runs":
            row: Json = value
            return row
        run, place = value
        return run_row(run, place, desk)


class LiveLists:
    """All lists of all pages of a server.

    Parameters
    ----------
    store : Store
        What they show.
    desk : Desk
        Where the notebooks are.
    """

    def __init__(self, store: Store, desk: Desk) -> None:
        self._store, self._desk = store, desk
        self._readers: dict[tuple[Send, str], Reader] = {}
        self._lock = threading.RLock()
        """Held while pages are told: what is newer must not overtake what is older."""
        self._thread: threading.Thread | None = None
        self._bell: Listener | None = None

    def hear(self, message: Mapping[str, Any], send: Send) -> None:
        """Begin a list, or change what it lists, or end it.

        Raises
        ------
        SpecError
            When it asks for something that cannot be listed.
        """
        name = message["v"]
        if not message.get("on"):
            with self._lock:
                self._readers.pop((send, name), None)
            return
        asked = {key: message[key] for key in message.keys() - {"t", "v", "run", "on"}}
        reader = Reader(name, from_body(ListQuery, asked), send)
        with self._lock:
            self._readers[send, name] = reader
            reader.tell(self._store, self._desk)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, name="lists", daemon=True)
                self._thread.start()

    def leave(self, send: Send) -> None:
        """Forget all lists of a page."""
        with self._lock:
            self._readers = {key: r for key, r in self._readers.items() if key[0] != send}

    def close(self) -> None:
        """End the thread."""
        with self._lock:
            self._readers.clear()
            if self._bell is not None:
                self._bell.ring()

    def _watch(self) -> None:
        with self._store.listen(ANY_RUN) as bell:
            self._bell = bell
            while self._told():
                begun = time.monotonic()
                bell.wait(LOOK_S)
                time.sleep(max(0.0, begun + PAUSE_S - time.monotonic()))

    def _told(self) -> bool:
        """Tell all pages. Say whether there are any."""
        with self._lock:
            for reader in list(self._readers.values()):
                reader.tell(self._store, self._desk)
            if not self._readers:
                self._thread = self._bell = None
            return self._thread is not None
