"""Requests to an engine that take long, and say in the meantime what is being done."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any

import requests
from docker.errors import DockerException, create_api_error_from_http_exception
from docker.types import CancellableStream

from ..docker_engine import CONNECT_S, Blocks, Engine
from ..errors import BuildFailed
from ..report import Report

LIMIT_S = 6 * 3600.0
"""How long a build or a push may take, in seconds."""


class Call:
    """A request whose answer is one message after the other, until somebody hangs up.

    Parameters
    ----------
    engine : Engine
        Who is asked.
    path : str
        Such as ``/build``.
    request : dict
        What else `requests` takes: ``params``, ``headers``, ``data``.
    """

    def __init__(self, engine: Engine, path: str, **request: Any) -> None:
        self._engine = engine
        self._url = f"{engine.base_url}/v{engine.api_version}{path}"
        self._request = request
        self._response: requests.Response | None = None
        self._ended = threading.Event()

    def messages(self) -> Generator[dict[str, Any], None, None]:
        """Send the request, and give the messages of its answer; fewer if somebody hangs up."""
        limits = (CONNECT_S, LIMIT_S)
        post = self._engine.request
        response = post("POST", self._url, stream=True, timeout=limits, **self._request)
        with contextlib.closing(response):
            try:
                response.raise_for_status()
            except requests.HTTPError as error:
                create_api_error_from_http_exception(error)
            self._response = response
            if self._ended.is_set():
                return
            yield from _messages(Blocks(response), self._ended)

    def hang_up(self) -> None:
        """End the answer, from another thread: the engine then gives up what it does."""
        self._ended.set()
        if self._response is not None:
            # It is gone already, or of a kind (ssh) that ends by itself with its process.
            with contextlib.suppress(OSError, AttributeError, DockerException):
                CancellableStream(iter(()), self._response).close()


def _messages(blocks: Blocks, ended: threading.Event) -> Iterator[dict[str, Any]]:
    held = b""
    try:
        for block in blocks:
            *lines, held = (held + block).split(b"\n")
            yield from (json.loads(line) for line in lines if line.strip())
    except (OSError, ValueError):
        if not ended.is_set():
            raise


@contextlib.contextmanager
def limited(report: Report, end: Callable[[], None]) -> Iterator[None]:
    """Run a block that `end` breaks off: when the run is stopped, or when it takes too long.

    Raises
    ------
    BuildFailed
        When it took longer than `LIMIT_S`.
    """
    late = threading.Event()

    def give_up() -> None:
        late.set()
        end()

    timer = threading.Timer(LIMIT_S, give_up)
    timer.daemon = True
    timer.start()
    try:
        with report.stoppable(end):
            yield
    except BuildFailed:
        if not late.is_set():
            raise
    finally:
        timer.cancel()
    if late.is_set():
        raise BuildFailed(f"The build took longer than {LIMIT_S / 3600:.0f} hours and was ended.")
