"""A Docker Engine of one's own, to be killed and started again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import docker
import docker.errors
import pytest

from tests.conftest import TINY


class PrivateEngine:
    """An engine with its own data, in a network namespace of its own.

    Parameters
    ----------
    folder : Path
        For its data and log.
    live_restore : bool
        Whether its containers are to outlive it.
    """

    def __init__(self, folder: Path, *, live_restore: bool) -> None:
        if os.geteuid() != 0 or not all(map(shutil.which, ("dockerd", "unshare"))):
            pytest.skip("only root can start an engine of its own")
        # A socket's path must be short.
        self._run = Path(tempfile.mkdtemp(prefix="jl-", dir="/tmp"))
        self._log, self._data = folder / "dockerd.log", folder / "engine"
        self.url = f"unix://{self._run}/sock"
        command = ["unshare", "--net", "dockerd", "--data-root", str(self._data)]
        command += ["--bridge=none", "--iptables=false", "--exec-root", f"{self._run}/exec"]
        command += ["--pidfile", f"{self._run}/pid", "--host", self.url]
        command += ["--cgroup-parent", f"/{self._run.name}"]
        self._command = [*command, "--live-restore"] if live_restore else command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, again if it fails as a service manager would, and return when it answers."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            self._start_once()
            assert self._process is not None
            while self._process.poll() is None and time.monotonic() < deadline:
                with contextlib.suppress(docker.errors.DockerException, OSError):
                    docker.DockerClient(self.url, version="auto").ping()
                    return
                time.sleep(0.1)  # an engine tells nobody that it is ready
        pytest.fail(f"no engine starts here: {self._log.read_text()[-1000:]}")

    def _start_once(self) -> None:
        for path in (self._run / "pid", self._run / "exec/containerd/containerd.pid"):
            # An engine takes who is dead but not buried for its living predecessor.
            if path.exists() and not _lives(int(path.read_text())):
                path.unlink()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def load(self) -> None:
        """Give it the test image."""
        saved = b"".join(docker.from_env().images.get(TINY).save(named=True))
        docker.DockerClient(self.url, version="auto").images.load(saved)

    def kill(self) -> None:
        """Kill the engine's own process: what it started is left alone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it with all its containers, and remove what is left."""
        with contextlib.suppress(docker.errors.DockerException, OSError):
            for container in docker.DockerClient(self.url, version="auto").containers.list(
                all=True
            ):
                container.remove(force=True)
        assert self._process is not None
        self._process.terminate()
        self._process.wait(60)
        self._clear_away()

    def _clear_away(self) -> None:
        """Remove what engines that were killed left: processes, mounts, files."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if str(self._run).encode() in path.read_bytes():
                    os.kill(int(path.parent.name), signal.SIGKILL)
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in sorted(mounts, reverse=True):
            if mount.startswith((str(self._run), str(self._data))):
                subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
        shutil.rmtree(self._run, ignore_errors=True)
        shutil.rmtree(self._data, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
