"""Routes that send bytes as they are stored: whole or in part, never more than a piece at once."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from jupyter_server.auth.decorator import authorized
from tornado import web
from tornado.iostream import StreamClosedError

from ..errors import LaunchError
from .server_rest import Rest, as_json

if TYPE_CHECKING:
    from .server_service import Service

TEXT = "text/plain; charset=utf-8"


class Part(NamedTuple):
    """Bytes from `start` on, not including `stop`."""

    start: int
    stop: int


class Content(NamedTuple):
    """What is sent: its size, its MIME type, and the name of the file it shall become, if so."""

    size: int
    type: str
    file: str | None = None


def part_of(header: str | None, size: int) -> Part | None:
    """Read a ``Range`` header (RFC 9110, section 14).

    Parameters
    ----------
    header : str or None
        The header; ``None`` if there is none.
    size : int
        How many bytes there are.

    Returns
    -------
    Part or None
        What is asked for; ``None`` for the whole, also where the range is in a unit that is not
        known.

    Raises
    ------
    ValueError
        When there is no such part.
    """
    unit, _, asked = (header or "").partition("=")
    if unit.strip().lower() != "bytes":
        return None
    if "," in asked:
        raise ValueError("One range can be asked for at a time.")
    match = re.fullmatch(r"\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*", asked)
    if match is None or not any(match.groups()):
        raise ValueError("A range is written bytes=FIRST-LAST, bytes=FIRST- or bytes=-COUNT.")
    first, last = match.groups()
    if not first:
        part = Part(max(0, size - int(last)), size)
    else:
        part = Part(int(first), min(int(last) + 1, size) if last else size)
    if part.start >= part.stop or (first and last and int(last) < int(first)):
        raise ValueError(f"There are {size} bytes, and none in that range.")
    return part


class Bytes(Rest):
    """A route that sends bytes."""

    @web.authenticated
    @authorized("read")
    async def get(self, *address: str) -> None:
        """Send them."""
        await self._send(address)

    @web.authenticated
    @authorized("read")
    async def head(self, *address: str) -> None:
        """Say how many there are."""
        await self._send(address)

    def content(self, service: Service, *address: str) -> Content:
        """Say what is sent. Raises `LaunchError`."""
        raise NotImplementedError

    def piece(self, service: Service, part: Part, *address: str) -> bytes:
        """Give the bytes of a part, fewer if it is large."""
        raise NotImplementedError

    async def _send(self, address: tuple[str, ...]) -> None:
        try:
            content = await self.worker.run(lambda service: self.content(service, *address))
        except LaunchError as error:
            self.tell(error)
            return
        size = content.size
        # Nothing tells one state of a log from another, so no condition on it can hold.
        header = None if "If-Range" in self.request.headers else self.request.headers.get("Range")
        try:
            part = part_of(header, size)
        except ValueError as error:
            self._refuse(error, size)
            return
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("Content-Type", content.type)
        if part is not None:
            self.set_status(HTTPStatus.PARTIAL_CONTENT)
            self.set_header("Content-Range", f"bytes {part.start}-{part.stop - 1}/{size}")
        if content.file is not None:
            self.set_attachment_header(content.file)
        await self._stream(address, part or Part(0, size), content.type)

    async def _stream(self, address: tuple[str, ...], part: Part, kind: str) -> None:
        self.set_header("Content-Length", str(part.stop - part.start))
        if self.request.method != "HEAD":
            try:
                await self._copy(address, part)
            except (LaunchError, StreamClosedError):
                # The reader is gone, or the file is: then a broken connection says so.
                self.request.connection.close()  # type: ignore[union-attr]
                return
        self.finish(set_content_type=kind)  # type: ignore[call-arg]

    async def _copy(self, address: tuple[str, ...], part: Part) -> None:
        at = part.start
        while at < part.stop:
            piece = await self._piece(address, Part(at, part.stop))
            if not piece:
                raise StreamClosedError
            at += len(piece)
            self.write(piece)
            await self.flush()

    async def _piece(self, address: tuple[str, ...], part: Part) -> bytes:
        return await self.worker.run(lambda service: self.piece(service, part, *address))

    def _refuse(self, error: ValueError, size: int) -> None:
        self.set_status(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        self.set_header("Content-Range", f"bytes */{size}")
        hint = f"Ask from byte 0 to {size - 1}." if size else "There is nothing so far."
        said = {"message": str(error), "hint": hint, "error": "RangeNotSatisfiable"}
        self.finish(as_json(said))


class Log(Bytes):
    """``runs/ID/log``."""

    def content(self, service: Service, *address: str) -> Content:
        """Say how large it is, and whether it shall become a file."""
        (run_id,) = address
        size, download = service.log(run_id, self.query)
        return Content(size, TEXT, f"{run_id}.log" if download else None)

    def piece(self, service: Service, part: Part, *address: str) -> bytes:
        """Read from the store."""
        (run_id,) = address
        return service.log_piece(run_id, part.start, part.stop)
