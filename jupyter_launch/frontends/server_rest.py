"""What all routes of the server extension share: who may, what is read, how errors are told."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from jupyter_server.base.handlers import APIHandler
from tornado import web

from .. import errors
from .server_worker import Worker

if TYPE_CHECKING:
    from .server_service import Service

AUTH_RESOURCE = "jupyter_launch"
"""What an authorizer is asked about. Reading is ``read``; stopping and moving runs, making and
changing queues is ``write``; starting a program is ``execute``."""

BODY = 4 * 1024 * 1024
"""The largest request body, in bytes."""

STATUS = {
    errors.LaunchError: HTTPStatus.BAD_REQUEST,
    errors.ConfigError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.BackendUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreError: HTTPStatus.CONFLICT,
    errors.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.RunNotFound: HTTPStatus.NOT_FOUND,
    errors.QueueNotFound: HTTPStatus.NOT_FOUND,
    errors.ArtifactNotFound: HTTPStatus.NOT_FOUND,
}
"""The status of an error: its own, or that of the nearest class above it."""


def status_of(error: errors.LaunchError) -> HTTPStatus:
    """Give the HTTP status that tells an error."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def error_json(error: errors.LaunchError) -> dict[str, str]:
    """Give an error as plain values."""
    return {"message": error.message, "hint": error.hint, "error": type(error).__name__}


def as_json(value: Any) -> str:
    """Write plain values as JSON that every reader takes."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value))


def _finite(value: Any) -> Any:
    # JSON knows no infinity; Python's own spelling of it would be refused by browsers.
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


class JsonErrors(web.RequestHandler):
    """Tells the errors that are the server's own in the form of ours."""

    def write_error(self, status_code: int, **given: Any) -> None:
        """Answer with an error that is not the service's own."""
        error = given.get("exc_info", (None, None))[1]
        status = HTTPStatus(status_code)
        message, name = f"{status.phrase}: {status.description}.", "HTTPError"
        if status == HTTPStatus.FORBIDDEN and getattr(self, "_current_user", None) is None:
            message = "Only for those who are logged in, or show the server's token."
        if isinstance(error, web.HTTPError):
            with contextlib.suppress(TypeError, ValueError):  # a message with a stray % in it
                message = (error.log_message or "") % error.args or message
        elif error is not None:
            message, name = "This is a bug in jupyter_launch.", type(error).__name__
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(self.verbs()))
        hint = "The server's log says more." if status_code >= 500 else ""
        self.set_header("Content-Type", "application/json")
        self.finish(as_json({"message": message, "hint": hint, "error": name}))

    @classmethod
    def verbs(cls) -> list[str]:
        """Name the HTTP verbs this route has."""
        missing = web.RequestHandler._unimplemented_method  # noqa: SLF001
        return [v for v in cls.SUPPORTED_METHODS if getattr(cls, v.lower()) is not missing]


class Rest(JsonErrors, APIHandler):
    """A route. Every verb is authenticated, authorised and answered in JSON."""

    auth_resource = AUTH_RESOURCE

    def initialize(self, worker: Worker) -> None:
        """Take what the route's table gives."""
        self.worker = worker

    async def prepare(self) -> None:
        """Turn strangers away, whatever the verb, and bodies that are too large."""
        await super().prepare()  # type: ignore[misc]
        # Also where the server lets strangers in by default. What may be asked across origins
        # (OPTIONS) is no secret, and browsers ask it without saying who they are.
        if self.current_user is None and self.request.method != "OPTIONS":
            raise web.HTTPError(HTTPStatus.FORBIDDEN)
        if len(self.request.body) > BODY:
            raise web.HTTPError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    async def reply(
        self, call: Callable[[Service], Any], status: HTTPStatus = HTTPStatus.OK
    ) -> None:
        """Answer with what the service says, or with its error."""
        try:
            text = await self.worker.run(lambda service: as_json(call(service)))
        except errors.LaunchError as error:
            self.tell(error)
            return
        self.set_status(status)
        self.finish(text)

    def tell(self, error: errors.LaunchError) -> None:
        """Answer with an error."""
        self.set_status(status_of(error))
        self.finish(as_json(error_json(error)))

    @property
    def query(self) -> dict[str, list[str]]:
        """The query's values by name, without what is the server's own business.

        Raises `SpecError`.
        """
        try:
            return {
                name: [value.decode() for value in values]
                for name, values in self.request.query_arguments.items()
                # JupyterLab adds a number to addresses, which keeps caches from answering.
                if name not in {"token", "no_track_activity", "_xsrf"} and not name.isdecimal()
            }
        except UnicodeDecodeError as error:
            raise errors.SpecError(f"The query is no UTF-8: {error}.") from None

    @property
    def body(self) -> dict[str, Any]:
        """The request's body, a JSON object; empty if there is none. Raises `SpecError`."""
        try:
            said = json.loads(self.request.body or b"{}", parse_constant=_no_constant)
            json.dumps(said, ensure_ascii=False).encode()  # no half characters
        except (ValueError, RecursionError) as error:
            raise errors.SpecError(f"The body is not JSON: {error}.") from None
        if not isinstance(said, dict):
            raise errors.SpecError("The body must be a JSON object.")
        return said

    def set_default_headers(self) -> None:
        """Keep what is live, or private, out of caches."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")

    def compute_etag(self) -> None:
        """Give none: nothing is cached."""


class Missing(Rest):
    """Every address below the prefix that is no route."""

    async def prepare(self) -> None:
        """Say so, to those who may be here."""
        await super().prepare()
        if self.request.method != "OPTIONS":
            raise web.HTTPError(HTTPStatus.NOT_FOUND, "There is no such route in jupyter_launch.")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
