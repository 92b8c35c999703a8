"""The live view of a run where no Jupyter server feeds it: an anywidget, fed by this kernel.

The view is the labextension's own, bundled as one module; the messages are the same.
"""

from __future__ import annotations

import contextvars
import os
import threading
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from ..handle import RunHandle
from .feed import Feed, Reply
from .feeds import Feeds
from .record import bundle_of, live_record
from .relaunch import relaunch

TICK_S = 0.1
"""At most ten messages a second and run: a server drops what comes faster than it likes."""

UNHEARD_S = 0.5
"""How long the first page has to say that it is there before everybody is sent the log."""

STATIC = Path(__file__).with_name("static")


class Card(anywidget.AnyWidget):  # type: ignore[misc]
    """The live view of one run, and of those that are launched from it in its place.

    Parameters
    ----------
    handle : RunHandle
        The run.
    """

    _esm = (STATIC / "card.js").read_text(encoding="utf-8")
    _css = (STATIC / "card.css").read_text(encoding="utf-8")

    record = traitlets.Dict().tag(sync=True)

    def __init__(self, handle: RunHandle) -> None:
        self._handle = handle
        # Messages belong to a cell by the context they are sent from.
        self._context = contextvars.copy_context()
        more = {"stop": _stop, "relaunch": self._relaunch}
        self._feeds = Feeds(self._handle_of, TICK_S, blind=True, more=more)
        super().__init__(record=live_record(handle))
        self._hear_while_busy()
        self.on_msg(self._hear)
        self._unheard: threading.Timer | None = None
        if "JUPYTER_LAUNCH_SERVER" not in os.environ:
            self._unheard = threading.Timer(UNHEARD_S, self._tell_everybody)
            self._unheard.daemon = True
            self._unheard.start()

    def mimebundle(self) -> dict[str, Any]:
        """Give the bundle to display: the record as it is now, and the live view."""
        view, *_ = self._repr_mimebundle_()
        return {**view, **bundle_of(self._handle)}

    def close(self) -> None:
        """End the live view; the run is not touched."""
        self._feeds.close()
        super().close()

    def _handle_of(self, run_id: str) -> RunHandle:
        return RunHandle(self._handle.launcher, self._handle.store.get(run_id).id)

    def _hear_while_busy(self) -> None:
        # Newer kernels route what a page says to the thread that last spoke to it, which is the
        # one a running cell blocks; the page's own choice of thread is free.
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda _data, default: default  # noqa: SLF001

    def _tell_everybody(self) -> None:
        # A kernel that waits inside a cell may be unable to hear any page before the cell ends.
        # So the unnamed viewer is everybody, until a page with a name is heard.
        if self._unheard is not None:
            self._feeds.hear({"t": "watch", "v": "", "run": self._handle.id}, self._post)

    def _hear(self, _widget: Any, message: Any, _buffers: Any) -> None:
        if not isinstance(message, dict) or not {"t", "v", "run"} <= message.keys():
            return
        if self._unheard is not None:
            self._unheard.cancel()
            self._unheard = None
            self._feeds.hear({"t": "bye", "v": "", "run": self._handle.id}, self._post)
        self._feeds.hear(message, self._post)

    def _relaunch(self, feed: Feed, message: dict[str, Any], reply: Reply) -> None:
        made = relaunch(feed.handle, message.get("config"), message.get("spec"))
        reply({"run": made.id}, None)
        # A page that is reloaded begins with the newest run.
        self._context.copy().run(self.set_trait, "record", live_record(made))

    def _post(self, message: dict[str, Any], buffer: bytes | None) -> None:
        buffers = None if buffer is None else [buffer]
        self._context.copy().run(self.send, message, buffers)


def _stop(feed: Feed, message: dict[str, Any], reply: Reply) -> None:
    feed.handle.stop(wait=False, kill=bool(message.get("kill")))
    reply({}, None)
