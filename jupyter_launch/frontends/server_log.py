"""The route that sends a log as it is stored: whole or in part, never more than a piece at once."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import NamedTuple

from jupyter_server.auth.decorator import authorized
from tornado import web
from tornado.iostream import StreamClosedError

from ..errors import LaunchError
from .server_rest import Rest, as_json

TEXT = "text/plain; charset=utf-8"


class Part(NamedTuple):
    """Bytes of a log from `start` on, not including `stop`."""

    start: int
    stop: int


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
        raise ValueError(f"The log has {size} bytes, and none in that range.")
    return part


class Log(Rest):
    """``runs/ID/log``."""

    @web.authenticated
    @authorized("read")
    async def get(self, run_id: str) -> None:
        """Send the log's bytes."""
        await self._send(run_id)

    @web.authenticated
    @authorized("read")
    async def head(self, run_id: str) -> None:
        """Say how many there are."""
        await self._send(run_id)

    async def _send(self, run_id: str) -> None:
        try:
            size, download = await self.worker.run(lambda service: service.log(run_id, self.query))
        except LaunchError as error:
            self.tell(error)
            return
        # Nothing tells one state of a log from another, so no condition on it can hold.
        header = None if "If-Range" in self.request.headers else self.request.headers.get("Range")
        try:
            part = part_of(header, size)
        except ValueError as error:
            self._refuse(error, size)
            return
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("Content-Type", TEXT)
        if part is not None:
            self.set_status(HTTPStatus.PARTIAL_CONTENT)
            self.set_header("Content-Range", f"bytes {part.start}-{part.stop - 1}/{size}")
        if download:
            self.set_attachment_header(f"{run_id}.log")
        await self._stream(run_id, part or Part(0, size))

    async def _stream(self, run_id: str, part: Part) -> None:
        self.set_header("Content-Length", str(part.stop - part.start))
        if self.request.method != "HEAD":
            try:
                await self._copy(run_id, part)
            except (LaunchError, StreamClosedError):
                # The reader is gone, or the log is: then a broken connection says so.
                self.request.connection.close()  # type: ignore[union-attr]
                return
        self.finish(set_content_type=TEXT)  # type: ignore[call-arg]

    async def _copy(self, run_id: str, part: Part) -> None:
        at = part.start
        while at < part.stop:
            piece = await self._piece(run_id, Part(at, part.stop))
            if not piece:
                raise StreamClosedError
            at += len(piece)
            self.write(piece)
            await self.flush()

    async def _piece(self, run_id: str, part: Part) -> bytes:
        return await self.worker.run(lambda service: service.log_piece(run_id, *part))

    def _refuse(self, error: ValueError, size: int) -> None:
        self.set_status(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        self.set_header("Content-Range", f"bytes */{size}")
        hint = f"Ask from byte 0 to {size - 1}." if size else "The log is empty so far."
        said = {"message": str(error), "hint": hint, "error": "RangeNotSatisfiable"}
        self.finish(as_json(said))
