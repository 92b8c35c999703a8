"""A fresh store of each kind, for the promises that all of them make."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg

from tests.postgres import Server


@dataclass(frozen=True)
class Site:
    """A fresh store of one kind: where it is, and how to change it behind its back.

    `expire` lets a run's lease expire, `silence` an agent's last heartbeat be long ago.
    """

    url: str
    expire: Callable[[str], None]
    silence: Callable[[str], None]


def sqlite_site(path: Path) -> Site:
    """Say where a file is to be made."""

    def change(statement: str, name: str) -> None:
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement, (time.time() - 1000, name))

    return Site(
        f"sqlite:///{path}",
        partial(change, "UPDATE runs SET lease_until = ? WHERE id = ?"),
        partial(change, "UPDATE agents SET heartbeat = ? WHERE id = ?"),
    )


def postgres_site(server: Server) -> Site:
    """Make an empty database."""
    url = server.new_database()

    def change(what: bytes, name: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(what, (time.time() - 1000, name))

    return Site(
        url,
        partial(change, b"UPDATE jupyter_launch.runs SET lease_until = %s WHERE id = %s"),
        partial(change, b"UPDATE jupyter_launch.agents SET heartbeat = %s WHERE id = %s"),
    )


def start(code: str, *args: str) -> subprocess.Popen[str]:
    """Start Python code in a process of its own."""
    command = [sys.executable, "-c", code, *args]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    """Give a process's next line."""
    assert process.stdout is not None
    return process.stdout.readline().strip()
