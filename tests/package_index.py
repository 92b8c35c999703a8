"""A package index of one's own, which builds reach on the engine's bridge."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import docker

from tests.conftest import TINY


def wheel(name: str, version: str = "1.0", *, needs: tuple[str, ...] = ()) -> tuple[str, bytes]:
    """Make a package whose module says its version: the file's name, and the file."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {need}\n" for need in needs)
    files = {
        f"{name}.py": f'VERSION = "{version}"\n',
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        for path, text in files.items():
            # Of one time, so that equal packages are equal files.
            out.writestr(zipfile.ZipInfo(path), text)
    return f"{name}-{version}-py3-none-any.whl", packed.getvalue()


@cache
def host_address() -> str:
    """Give the address of this machine as programs in containers see it."""
    # Not from what the engine says of its bridge: until its second start it names no gateway.
    routes = docker.from_env().containers.run(TINY, "ip route", remove=True)
    return str(routes.decode().partition("default via ")[2].split()[0])


class Index(ThreadingHTTPServer):
    """Serves wheels, to all or to those who know a login.

    Parameters
    ----------
    login : str, optional
        Such as ``ada:password``.
    """

    daemon_threads = True

    def __init__(self, login: str | None = None) -> None:
        super().__init__(("0.0.0.0", 0), _Handler)
        self.login = login
        self.files: dict[str, bytes] = {}
        self.host = host_address()
        self.address = f"{self.host}:{self.server_port}"
        self.url = f"http://{self.address}/simple"
        self.options = (f"--index-url {self.url}", f"--trusted-host {self.host}")
        self.asked: list[str] = []

    def add(self, name: str, version: str = "1.0", *, needs: tuple[str, ...] = ()) -> str:
        """Add a package, and give its hash."""
        file, data = wheel(name, version, needs=needs)
        self.files[file] = data
        return f"sha256:{hashlib.sha256(data).hexdigest()}"


class _Handler(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        login = self.server.login
        expected = f"Basic {base64.b64encode((login or '').encode()).decode()}"
        if login and self.headers.get("Authorization") != expected:
            self._answer(401, b"who are you?", "text/plain")
            return
        _, kind, name, *_ = [*self.path.split("/"), "", ""]
        if kind == "files" and name in self.server.files:
            self._answer(200, self.server.files[name], "application/zip")
            return
        found = [file for file in self.server.files if file.startswith(f"{name}-")]
        links = "".join(f'<a href="/files/{file}">{file}</a>\n' for file in found)
        self._answer(200 if found else 404, links.encode(), "text/html")

    def _answer(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="packages"')
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def package_index(login: str | None = None) -> Iterator[Index]:
    """Serve packages for as long as the block runs."""
    made = Index(login)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        made.shutdown()
        made.server_close()
