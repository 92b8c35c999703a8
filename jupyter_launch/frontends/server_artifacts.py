"""The route that sends what a run left behind, so that no browser takes it for a page of ours."""

from __future__ import annotations

import mimetypes
import posixpath
from typing import TYPE_CHECKING

from .server_log import TEXT, Bytes, Content, Part

if TYPE_CHECKING:
    from .server_service import Service

PIECE = 1 << 20
"""How much of a file is held in memory while it is sent, in bytes."""

INLINE = {f"image/{form}" for form in ("png", "jpeg", "gif", "webp")}
"""What a browser may show: it holds no script."""

AS_TEXT = {"text/plain", "text/csv", "text/tab-separated-values", "application/json"}
"""What a browser may show as plain text."""


class Artifact(Bytes):
    """``runs/ID/artifacts/NAME``."""

    def content(self, service: Service, *address: str) -> Content:
        """Say how large it is. Nothing that could act on behalf of the page is shown as a page."""
        run_id, name = address
        from . import server_params as params  # noqa: PLC0415 - brings pydantic along

        asked = params.from_query(params.LogQuery, self.query)
        size = service.store.artifact_path(service.handle(run_id).id, name).stat().st_size
        shown, kind = shown_as(name)
        return Content(
            size, kind, None if shown and not asked.download else posixpath.basename(name)
        )

    def piece(self, service: Service, part: Part, *address: str) -> bytes:
        """Read from the file."""
        with service.store.artifact_path(*address).open("rb") as file:
            file.seek(part.start)
            return file.read(min(part.stop - part.start, PIECE))

    def set_default_headers(self) -> None:
        """Let browsers take the content for what it is called, and for nothing else."""
        super().set_default_headers()
        self.set_header("X-Content-Type-Options", "nosniff")


def shown_as(name: str) -> tuple[bool, str]:
    """Say whether a browser may show a file of that name, and the MIME type it is sent with."""
    kind = mimetypes.guess_type(name)[0] or ""
    if kind in INLINE:
        return True, kind
    return (True, TEXT) if kind in AS_TEXT else (False, "application/octet-stream")
