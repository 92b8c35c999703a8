"""The connection to a Docker Engine: where it is, its client, its errors in our words."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, TypeVar

import docker
import requests
import urllib3
from docker.context import ContextAPI
from docker.errors import (
    APIError,
    DockerException,
    NotFound,
    create_api_error_from_http_exception,
)
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env

from .errors import BackendError, BackendUnavailable

T = TypeVar("T")
BLOCK = 256 * 1024
SMALL = 4096
GATHER_S, LONGEST_S = 0.001, 0.05
"""How long a reader rests after a small block, at least and at most, in seconds."""

REST = 4
"""How many times as long as the step before a rest is, within these bounds."""

CONNECT_S = 3
PATIENCE_S = 60.0
"""How long an engine that went away may take to come back: a restart, an upgrade."""

CHUNK_HEAD = re.compile(rb"(?:\r\n)?([0-9A-Fa-f]+)[^\r\n]*\r\n")
HINT = (
    "Start it (Docker Desktop, colima, or: systemctl start docker), point DOCKER_HOST at another "
    "one, or launch with the resource local-process, which needs no engine."
)
ACCESS_HINT = "Add yourself to the group that owns the socket (usermod -aG docker NAME)."


class Engine(docker.APIClient):
    """The client of one engine, for many threads.

    Parameters
    ----------
    address : str
        As in DOCKER_HOST.
    tls : TLSConfig, optional
        Certificates of a ``tcp://`` engine.
    """

    # With it, REQUESTS_CA_BUNDLE would win over the engine's own certificate authority.
    trust_env = property(lambda _self: False, lambda _self, _value: None)

    def __init__(self, address: str, tls: TLSConfig | None) -> None:
        self.address = address
        super().__init__(
            address,
            version="auto",
            timeout=CONNECT_S,  # for the one question the constructor asks
            tls=tls or False,
            use_ssh_client=True,
            max_pool_size=64,  # idle connections to keep; it does not bound those in use
        )
        self.timeout = 60

    def alive(self) -> None:
        """Ask for a sign of life, which comes at once or not at all."""
        self._ask("GET", "/_ping", timeout=CONNECT_S)

    def image(self, name: str) -> dict[str, Any]:
        """Inspect an image."""
        info: dict[str, Any] = self.inspect_image(name)  # type: ignore[no-untyped-call]
        return info

    def has_file(self, container: str, path: str) -> bool:
        """Say whether there is a file of that path in a container, running or not."""
        return self.file_stat(container, path) is not None

    def file_stat(self, container: str, path: str) -> dict[str, Any] | None:
        """Give what the engine tells of a file in a container: ``mtime`` and more."""
        try:
            asked = f"/containers/{container}/archive"
            told = self._ask("HEAD", asked, params={"path": path}).headers
        except NotFound:
            return None
        found: dict[str, Any] = json.loads(b64decode(told["X-Docker-Container-Path-Stat"]))
        return found

    def blocks(self, method: str, path: str, /, **params: object) -> Blocks:
        """Send a request whose answer comes for as long as something happens.

        Parameters
        ----------
        method, path : str
            Such as ``GET`` and ``/containers/x/logs``.
        params : dict
            The query.
        """
        upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"} if method == "POST" else {}
        headers = {"Accept-Encoding": "identity", **upgrade}  # archives would come compressed
        timeout = (CONNECT_S, None)
        return Blocks(
            self._ask(method, path, params=params, headers=headers, stream=True, timeout=timeout)
        )

    def _ask(self, method: str, path: str, **how: Any) -> requests.Response:
        url = f"{self.base_url}/v{self.api_version}{path}"
        response = self.request(method, url, **{"timeout": self.timeout, **how})
        try:
            response.raise_for_status()
        except requests.HTTPError as error:
            create_api_error_from_http_exception(error)
        return response


class Blocks:
    """The bytes of an answer as they arrive, in blocks of at most `BLOCK` bytes.

    Parameters
    ----------
    response : requests.Response
        Whose body was not read yet.
    """

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        # The reader below http.client's response: it may hold the first bytes of the body, and
        # it alone gives what has arrived, however much that is, in one call.
        raw: Any = response.raw
        self._body = raw._fp.fp  # noqa: SLF001
        self._chunked = response.headers.get("Transfer-Encoding") == "chunked"

    def __iter__(self) -> Iterator[bytes]:
        return unchunked(self._arriving()) if self._chunked else self._arriving()

    def _arriving(self) -> Iterator[bytes]:
        while block := self._body.read1(BLOCK):
            given = time.monotonic()
            yield block
            if len(block) < SMALL:
                # The engine sends single lines faster than they are worth a step each; nothing is
                # late by this, since what has come was given before. Beside many other runs a step
                # takes longer, and so does the rest from it: there are fewer.
                rest = REST * (time.monotonic() - given)
                time.sleep(min(max(GATHER_S, rest), LONGEST_S))

    def close(self) -> None:
        """Hang up."""
        self._response.close()


def unchunked(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Take HTTP's chunked transfer coding off a body."""
    pending, left = b"", 0
    for block in blocks:
        data, at = pending + block, 0
        pieces: list[bytes] = []
        while at < len(data):
            if not left:
                head = CHUNK_HEAD.match(data, at)
                if head is None:
                    break
                at, left = head.end(), int(head[1], 16)
                if not left:
                    yield b"".join(pieces)
                    return
            piece = data[at : at + left]
            at, left = at + len(piece), left - len(piece)
            pieces.append(piece)
        pending = data[at:]
        yield b"".join(pieces)


def address() -> str:
    """Say where the engine is: DOCKER_HOST, else the current docker context's engine."""
    return _settings()[0]


def connect(where: str) -> Engine:
    """Give this process's client of the engine at that address.

    Raises
    ------
    BackendUnavailable
        When nothing answers there.
    """
    # A client must not be shared with a forked child, whose answers would mix with ours.
    return _connect(where, os.getpid())


@lru_cache(maxsize=8)
def _connect(where: str, _pid: int) -> Engine:
    known, tls = _settings()
    with translated(where):
        return Engine(where, tls if where == known else None)


def _settings() -> tuple[str, TLSConfig | None]:
    try:
        given = kwargs_from_env()
        if "base_url" in given:
            return given["base_url"], given.get("tls")
        name = os.environ.get("DOCKER_CONTEXT")
        context = ContextAPI.get_context(name)
    except DockerException as error:
        raise BackendUnavailable(f"Docker's settings are wrong: {error}.") from error
    if context is None:
        raise BackendUnavailable(
            f"There is no docker context {name or 'of the current name'!r}.",
            hint="See: docker context ls",
        )
    return context.Host or "unix:///var/run/docker.sock", context.TLSConfig


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn what the client raises into our errors.

    Raises
    ------
    BackendUnavailable
        When the engine does not answer, or stops answering.
    BackendError
        With the engine's own words, when it answers with an error.
    """
    try:
        yield
    except APIError as error:
        raise BackendError(f"The Docker Engine at {where} answered: {words(error)}.") from error
    except (
        DockerException,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as error:
        raise BackendUnavailable(
            f"The Docker Engine at {where} does not answer ({_root(error)}).",
            hint=ACCESS_HINT if isinstance(_deepest(error), PermissionError) else HINT,
        ) from error


def words(error: APIError) -> str:
    """Give the engine's own words, without the HTTP around them."""
    said = error.explanation or str(error)
    return str(said).strip().rstrip(".")


def patiently(call: Callable[[], T], patience_s: float = PATIENCE_S) -> tuple[T, bool]:
    """Call until the engine answers, at most `patience_s` seconds.

    Returns
    -------
    tuple
        What the call gave, and whether the engine was away in the meantime.
    """
    end, pause = time.monotonic() + patience_s, 0.1
    away = False
    while True:
        try:
            return call(), away
        except BackendUnavailable:
            away = True
            if time.monotonic() > end:
                raise
        time.sleep(pause)
        pause = min(2.0, pause * 1.5)


def _root(error: BaseException) -> str:
    cause = _deepest(error)
    said = cause.strerror if isinstance(cause, OSError) else None
    return (said or str(cause) or type(cause).__name__).rstrip(".").lower()


def _deepest(error: BaseException) -> BaseException:
    inner: Any = error.__cause__ or error.__context__
    return error if inner is None else _deepest(inner)
