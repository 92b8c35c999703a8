"""A git server for tests: real repositories over HTTP, as helpful or as difficult as asked."""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "A"), ("EMAIL", "a@example.org"), ("DATE", "1700000000 +0000"))
}


def git(folder: Path | str, *words: str, stdin: bytes = b"") -> str:
    """Run git in a folder and give its output."""
    environment = {**os.environ, **IDENTITY, "GIT_CONFIG_GLOBAL": os.devnull}
    settings = ("-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main")
    done = subprocess.run(
        ["git", "-C", str(folder), *settings, *words],
        env=environment,
        input=stdin,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8", "surrogateescape").strip()


def commit(folder: Path, files: dict[str, str | bytes], message: str = "change") -> str:
    """Write files, commit them, and give the commit; the repository is made if need be."""
    if not (folder / ".git").exists():
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "init", "--quiet")
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    git(folder, "add", "--all", "--", ".")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


class GitServer(ThreadingHTTPServer):
    """Serves the repositories below a folder.

    Parameters
    ----------
    root : Path
        The folder; ``root/x`` is at ``server.url("x")``.
    """

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.login: str | None = None
        self.old = False  # protocol 0: gives out what it advertises, and nothing else
        self.dumb = False  # files only: no part of a history can be asked for
        self.stall_after: int | None = None
        self.requests: list[str] = []
        self.sent = 0
        self.stalled, self.go_on = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def url(self, name: str) -> str:
        """Give the address of a repository."""
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def close(self) -> None:
        """End it; who is connected is cut off."""
        self.go_on.set()
        self.shutdown()
        self.server_close()
        self.thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: GitServer

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        if not self._may():
            return
        if self.server.dumb:
            self._file()
        else:
            self._backend()

    do_POST = do_GET  # noqa: N815

    def _may(self) -> bool:
        if self.server.login is None:
            return True
        wanted = f"Basic {base64.b64encode(self.server.login.encode()).decode()}"
        if self.headers.get("Authorization") == wanted:
            return True
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def _file(self) -> None:
        name, _, rest = self.path.partition("?")[0].lstrip("/").partition("/")
        path = self.server.root / name / ".git" / rest
        self._answer(path.read_bytes() if path.is_file() else None, "text/plain")

    def _backend(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        environment = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": "" if self.server.old else self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], env=environment, input=body, capture_output=True, check=False
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        found = not fields.get("Status", "200").startswith("404")
        self._answer(content if found else None, fields.get("Content-Type", "text/plain"))

    def _answer(self, content: bytes | None, kind: str) -> None:
        self.send_response(404 if content is None else 200)
        content = content or b""
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.server.sent += len(content)
        stall = self.server.stall_after
        if stall is None or len(content) <= stall:
            self.wfile.write(content)
            return
        self.wfile.write(content[:stall])
        self.wfile.flush()
        self.server.stalled.set()
        self.server.go_on.wait(60)
        with contextlib.suppress(OSError):  # nobody is there any more
            self.wfile.write(content[stall:])

    def log_message(self, *_arguments: object) -> None:
        pass
