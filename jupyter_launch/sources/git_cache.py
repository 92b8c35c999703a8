"""What was fetched, kept: one tar file for each commit, so that a relaunch needs no network."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from jupyter_core.paths import jupyter_data_dir

from ..errors import RunStopped, SourceUnavailable
from ..report import Report

try:
    import fcntl
except ImportError:  # on Windows two processes may fetch the same, and keep it once
    fcntl = None  # type: ignore[assignment]

LIMIT_BYTES = 2 * 1024**3
WAIT_S = 900.0
"""How long another process may take to fetch the same; a fetch that hangs ends long before."""

_LOOK_S = 0.1


class Cache:
    """Tar files below Jupyter's data folder, for this user alone.

    A file's name ends in the hash of its content, and comes to be at once and last of all: what a
    killed process or a damaged disk left is never believed.
    """

    def __init__(self) -> None:
        self._path = Path(jupyter_data_dir()) / "jupyter_launch" / "git"

    def __contains__(self, key: str) -> bool:
        return any(self._path.glob(f"{key}-*.tar"))

    def get(self, key: str) -> bytes | None:
        """Give what is kept under a key, as whole as it was put there."""
        for path in self._path.glob(f"{key}-*.tar"):
            with contextlib.suppress(OSError):
                data = path.read_bytes()
                if path.name == _name(key, data):
                    os.utime(path)  # used last: it stays longest
                    return data
                path.unlink()
        return None

    def fill(self, key: str, make: Callable[[Path], bytes], report: Report) -> bytes:
        """Give what is kept under a key, or make it, which only one process does at a time.

        Parameters
        ----------
        key : str
            Part of a file's name.
        make : callable
            Given a folder to work in, which is removed afterwards.
        report : Report
            Hears of the run's stop while another process is waited for.

        Raises
        ------
        SourceUnavailable
            When the folder cannot be written, or the other process does not come to an end.
        """
        if (data := self.get(key)) is not None:
            return data
        try:
            self._prepare()
            with self._locked(key, report):
                if (data := self.get(key)) is not None:
                    return data
                self._sweep(key)
                with self._part(key) as folder:
                    data = make(folder)
                    self._keep(key, data, folder)
                return data
        except OSError as error:
            raise SourceUnavailable(
                f"The folder {self._path}, where fetched code is kept, cannot be used: "
                f"{error.strerror}.",
                hint="Free some space, or see that the folder belongs to you.",
            ) from error

    def _prepare(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.mkdir(mode=0o700, exist_ok=True)
        self._path.chmod(0o700)

    @contextlib.contextmanager
    def _part(self, key: str) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(prefix=f"{key}-", suffix=".part", dir=self._path))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _keep(self, key: str, data: bytes, folder: Path) -> None:
        """Put it where it is found. If there is no room, the run has it all the same."""
        path = self._path / _name(key, data)
        with contextlib.suppress(OSError):
            with (folder / path.name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            (folder / path.name).replace(path)
            self._evict(path)

    def _evict(self, newest: Path) -> None:
        kept = [(path.stat(), path) for path in self._path.glob("*.tar") if path != newest]
        room = LIMIT_BYTES - newest.stat().st_size
        for stat, path in sorted(kept, key=lambda pair: pair[0].st_mtime, reverse=True):
            room -= stat.st_size
            if room < 0:
                path.unlink(missing_ok=True)

    def _sweep(self, key: str) -> None:
        """Remove what killed processes left: what belongs to locks that nobody holds."""
        owners = {path.stem for path in self._path.glob("*.lock")}
        owners |= {path.name.rpartition("-")[0] for path in self._path.glob("*.part")}
        for owner in owners - {key}:
            with contextlib.suppress(OSError), self._lock_file(owner) as lock:
                if _lock(lock) and self._is_current(owner, lock):
                    self._clear(owner)
                    self._lock_path(owner).unlink()
        self._clear(key)

    def _clear(self, key: str) -> None:
        for folder in self._path.glob(f"{key}-*.part"):
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def _locked(self, key: str, report: Report) -> Iterator[None]:
        """Keep other processes (and threads) from making the same."""
        deadline = time.monotonic() + WAIT_S
        while True:
            with self._lock_file(key) as lock:
                self._wait(key, lock, deadline, report)
                if not self._is_current(key, lock):
                    continue  # the one before has removed this lock while it was waited for
                try:
                    yield
                finally:
                    with contextlib.suppress(OSError):
                        self._lock_path(key).unlink()
                return

    def _wait(self, key: str, descriptor: int, deadline: float, report: Report) -> None:
        if _lock(descriptor):
            return
        report("waiting for another run, which is fetching the same commit")
        stopped = threading.Event()
        with report.stoppable(stopped.set):
            while not _lock(descriptor):
                if time.monotonic() > deadline:
                    raise SourceUnavailable(
                        f"Another process has been fetching the same commit for {WAIT_S:.0f} "
                        "seconds.",
                        hint=f"If none is, remove {self._lock_path(key)}.",
                    )
                if stopped.wait(_LOOK_S):
                    raise RunStopped

    def _is_current(self, key: str, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._lock_path(key).stat())
        except FileNotFoundError:
            return False

    @contextlib.contextmanager
    def _lock_file(self, key: str) -> Iterator[int]:
        descriptor = os.open(self._lock_path(key), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _lock_path(self, key: str) -> Path:
        return self._path / f"{key}.lock"


def _lock(descriptor: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _name(key: str, data: bytes) -> str:
    return f"{key}-{hashlib.sha256(data).hexdigest()[:32]}.tar"
