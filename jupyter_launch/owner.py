"""Who holds a lease: a name for this process that others can check for life."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path


def new_owner() -> str:
    """Name this process as an owner of leases: ``host:boot:pid:birth:random``.

    `boot` tells machines' boots and process namespaces apart, `birth` two processes that had the
    same pid one after the other.
    """
    pid = os.getpid()
    return ":".join([_host(), boot(), str(pid), _birth(pid), secrets.token_hex(4)])


def known_dead(owner: str) -> bool:
    """Say whether the owner is certainly gone.

    False also means "cannot be told from here": it lives on another machine or in another
    process namespace. Then only its lease tells.
    """
    name = owner.split(":")
    if len(name) != 5 or name[:2] != [_host(), boot()]:
        return False
    _, _, pid, birth, _ = name
    return _birth(int(pid)) != birth


def host_of(owner: str) -> str:
    """Give the machine's name in an owner's name."""
    return owner.partition(":")[0]


def pid_of(owner: str) -> int:
    """Give the process id in an owner's name."""
    return int(owner.split(":")[2])


def _host() -> str:
    return socket.gethostname().replace(":", "-")


def boot() -> str:
    """Name this machine's boot, and the process namespace this process is in."""
    if not sys.platform.startswith("linux"):
        return "-"
    name = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    return f"{name}-{Path('/proc/self/ns/pid').stat().st_ino}"


def _birth(pid: int) -> str:
    """Give the time the process started, in the system's own words; empty if there is none."""
    if sys.platform.startswith("linux"):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        fields = stat.rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    shown = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],
        # Two processes must read the same words, whatever their language and time zone.
        env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=False,
    )
    return shown.stdout.strip().replace(":", ".").replace(" ", "_")
