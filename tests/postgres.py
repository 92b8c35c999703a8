"""A real PostgreSQL server for the tests: one per session, one database per test."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest

PASSWORD = "s3cret-of-the-tests"
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def programs() -> Path | None:
    """Give the folder of the newest server's programs on this machine."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


def free_port() -> int:
    """Give a port that nobody uses now."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port: int = tried.getsockname()[1]
        return port


class Server:
    """A server of its own, in a folder of its own, that can be killed and started again.

    Parameters
    ----------
    folder : Path
        Where its files go.
    settings : sequence of str, optional
        As in ``postgresql.conf``. By default it is fast, and loses data when the machine dies.
    """

    def __init__(self, folder: Path, settings: Sequence[str] = FAST) -> None:
        self._bin = programs() or pytest.fail("no PostgreSQL here")
        self._folder, self._settings = folder, settings
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count()
        # A server refuses to be run by root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            folder.chmod(0o755)
            shutil.chown(folder, self._user)
        secret = folder / "password"
        secret.write_text(PASSWORD)
        subprocess.run(
            [
                self._bin / "initdb", "-D", folder / "data", "-U", "test", "-E", "UTF8",
                "--auth=scram-sha-256", f"--pwfile={secret}", "--no-locale", "--no-sync",
            ],
            user=self._user,
            cwd=folder,
            check=True,
            capture_output=True,
        )  # fmt: skip

    def start(self) -> None:
        """Start it and return when it answers."""
        options = [f"-c{setting}" for setting in self._settings]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._bin / "postgres", "-D", self._folder / "data", f"-p{self.port}",
                    f"-k{self._folder}", "-clisten_addresses=127.0.0.1", *options,
                ],
                user=self._user,
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip
        while self._process.poll() is None:
            with contextlib.suppress(psycopg.OperationalError), self.admin():
                return
        raise RuntimeError((self._folder / "log").read_text()[-2000:])

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends all connections, SIGQUIT is a crash."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(60)

    def kill(self) -> None:
        """Kill it and all its processes, as a power cut would."""
        assert self._process is not None
        # While one of them lives, no other server starts there. Stopped, it makes no more of them.
        pid = self._process.pid
        self._process.send_signal(signal.SIGSTOP)
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        lives = [os.pidfd_open(int(child)) for child in children]
        self._process.kill()
        self._process.wait(60)
        for life in lives:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(life, signal.SIGKILL)
            select.select([life], [], [], 60)
            os.close(life)

    def url(self, database: str, user: str = f"test:{PASSWORD}") -> str:
        """Give the URL of a database."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def admin(self) -> psycopg.Connection[tuple[object, ...]]:
        """Connect to do what no store does."""
        return psycopg.connect(self.url("postgres"), autocommit=True)

    def new_database(self) -> str:
        """Make an empty database and give its URL."""
        name = f"launch_{next(self._names)}"
        with self.admin() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)


@contextlib.contextmanager
def running(settings: Sequence[str] = FAST) -> Iterator[Server]:
    """Run a server while it is needed."""
    # Not below pytest's own folder, which only root can enter; and a socket's path is short.
    with tempfile.TemporaryDirectory(prefix="jl-pg-") as folder:
        server = Server(Path(folder), settings)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Give the server of this session."""
    with running() as server:
        yield server
