"""The websocket by which all cards of a page are fed. It carries reading only."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from jupyter_server.auth.decorator import authorized, ws_authenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado import web
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from .._version import __version__
from ..errors import LaunchError, SpecError
from .server_rest import AUTH_RESOURCE, JsonErrors, as_json, error_json, status_of
from .server_worker import Worker

UNREAD = 32 * 1024 * 1024
"""How many bytes a page may leave unread. Then it is cut off, comes back and says what it has."""

PING_S = 30.0

MESSAGE = 1 << 20
"""The largest message a page may send, in bytes."""

UNSUPPORTED_DATA, TRY_AGAIN_LATER = 1003, 1013
"""Why a websocket is closed (RFC 6455, section 7.4)."""

KINDS = {"watch": "have", "follow": "on", "ack": "seq", "bye": "", "ask": "id", "list": "on"}
"""What a page may say, and the number or flag that goes with it."""


def frame(message: dict[str, Any], buffer: bytes | None) -> str | bytes:
    """Write a message as one frame: as text, or as length of the JSON, JSON, buffer."""
    text = as_json(message)
    if buffer is None:
        return text
    head = text.encode()
    return b"".join((len(head).to_bytes(4, "big"), head, buffer))


def understood(message: dict[str, Any]) -> dict[str, Any]:
    """Give a page's message back if it can be heard. Raises `SpecError`."""
    kind = message.get("t")
    if not isinstance(kind, str) or kind not in KINDS:
        raise SpecError(
            f"A page cannot say {str(kind)[:40]!r}.", hint=f"Known: {', '.join(KINDS)}."
        )
    for name in ("v",) if kind == "list" else ("v", "run"):
        value = message.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= 100:
            raise SpecError(f"{name} must be a text of 1 to 100 characters.", field=name)
    number = KINDS[kind]
    if number and not isinstance(message.get(number, 0), int):
        raise SpecError(f"{number} must be a whole number.", field=number)
    return message


class Audience:
    """Knows which pages look at runs that are not over.

    Parameters
    ----------
    noticed : callable
        Called whenever one begins to.
    """

    def __init__(self, noticed: Callable[[], None]) -> None:
        self._noticed = noticed
        self._looking: set[tuple[Stream, str]] = set()

    def __len__(self) -> int:
        return len(self._looking)

    def told(self, stream: Stream, message: dict[str, Any]) -> None:
        """Learn from what a page is told."""
        record, name = message.get("record"), str(message.get("v"))
        if message["t"] == "gone" or (record and record["terminal"]):
            self._looking.discard((stream, name))
        elif record and (stream, name) not in self._looking:
            self._looking.add((stream, name))
            self._noticed()

    def leaves(self, stream: Stream, name: object = None) -> None:
        """Forget one viewer of a page, or all."""
        self._looking = {
            (other, viewer)
            for other, viewer in self._looking
            if other is not stream or name not in {None, viewer}
        }


class Stream(JsonErrors, WebSocketMixin, WebSocketHandler, JupyterHandler):
    """``stream``: one socket per page, many runs."""

    auth_resource = AUTH_RESOURCE
    max_message_size = MESSAGE

    def initialize(self, worker: Worker, audience: Audience) -> None:
        """Take what the route's table gives."""
        self._worker, self._audience = worker, audience
        self._turn = asyncio.Lock()
        self._left = self._cut = False
        self._unread = 0
        # A socket is known by this one object: a bound method is a new one each time.
        self._send = self._post

    async def prepare(self) -> None:
        """Turn strangers away, whatever the verb."""
        await super().prepare()  # type: ignore[misc]
        if self.current_user is None:
            raise web.HTTPError(HTTPStatus.FORBIDDEN)

    @ws_authenticated
    @authorized("read")
    async def get(self, *arguments: Any, **named: Any) -> None:
        """Open the socket, if the store can be opened."""
        try:
            self._store = await self._worker.run(lambda service: service.store.id)
        except LaunchError as error:
            self.set_status(status_of(error))
            self.finish(as_json(error_json(error)))
            return
        await super().get(*arguments, **named)

    @property
    def ping_interval(self) -> float:
        """How often the page is asked for a sign of life, in seconds."""
        # The mix-in counts in milliseconds and pings by itself, while tornado, which pings as
        # well, takes seconds. Here tornado does it, by the server's setting.
        return self.settings.get("websocket_ping_interval") or PING_S

    @property
    def ping_timeout(self) -> float | None:
        """How long it may take to give one, in seconds; ``None``: as long as the interval."""
        return self.settings.get("websocket_ping_timeout")

    def open(self, *_arguments: Any, **_named: Any) -> None:
        """Tell the page whose runs it can watch here."""
        self._loop = asyncio.get_running_loop()
        self._send({"t": "welcome", "store": self._store, "version": __version__}, None)

    async def on_message(self, message: str | bytes) -> None:
        """Pass on what the page says, in order: the next message is read after this one."""
        try:
            said = json.loads(message) if isinstance(message, str) else None
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            self.close(UNSUPPORTED_DATA, "a message is a JSON object, as text")
            return
        async with self._turn:
            if self._left:
                return
            try:
                heard = understood(said)
                await self._worker.run(lambda service: service.hear(heard, self._send))
            except LaunchError as error:
                self._excuse(said, error)
            except Exception:
                self.log.exception("jupyter_launch could not take a page's message")
                self._excuse(said, LaunchError("This is a bug in jupyter_launch."))
            if said.get("t") == "bye":
                self._audience.leaves(self, said.get("v"))

    def on_close(self) -> None:
        """Let the feeds forget the page."""
        self._left = True
        self._audience.leaves(self)
        super().on_close()
        self._leaving = asyncio.ensure_future(self._leave())

    async def _leave(self) -> None:
        async with self._turn:  # after what it said last
            with contextlib.suppress(LaunchError, RuntimeError):  # the server ends as well
                await self._worker.run(lambda service: service.leave(self._send))

    def _excuse(self, said: dict[str, Any], error: LaunchError) -> None:
        head = {name: said.get(name) for name in ("v", "run", "id")}
        told = error_json(error)
        self._send({"t": "answer", **head, "ok": False, **told}, None)

    def _post(self, message: dict[str, Any], buffer: bytes | None) -> None:
        """Send a message to the page, from any thread."""
        ready = frame(message, buffer)
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server has ended
            self._loop.call_soon_threadsafe(self._write, ready, message)

    def _write(self, ready: str | bytes, message: dict[str, Any]) -> None:
        if self._left or self._cut:
            return
        self._audience.told(self, message)
        self._unread += len(ready)
        if self._unread > UNREAD:
            self._cut = True
            self.log.warning("jupyter_launch cuts a page off that leaves %s bytes unread", UNREAD)
            self.close(TRY_AGAIN_LATER, "the page does not read")
            return
        try:
            written = self.write_message(ready, binary=isinstance(ready, bytes))
        except WebSocketClosedError:
            return
        written.add_done_callback(lambda done: self._written(done, len(ready)))

    def _written(self, done: asyncio.Future[None], size: int) -> None:
        self._unread -= size
        if not done.cancelled():
            done.exception()  # a socket that closed meanwhile is no news
