"""The files beside an embedded store: logs, snapshots of code, and the bells."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from ..bell import Bell, Ringer
from ..errors import StoreUnavailable
from ..runs import LogPiece, LogPosition, Sample
from . import log_file, sample_file
from .artifact_files import ArtifactFiles
from .folder_upkeep import FolderUpkeep
from .snapshot_file import SnapshotFiles


class Folder:
    """A folder for this user's eyes only.

    Parameters
    ----------
    path : Path
        Made if need be, with ``logs``, ``snapshots`` and ``bells`` in it, later ``artifacts``.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._bells = path, path / "bells"
        self._ringer = Ringer(self._bells)
        self._snapshots = SnapshotFiles(path / "snapshots")
        self.artifacts = ArtifactFiles(path / "artifacts")
        self.upkeep = FolderUpkeep(path)
        self._writers: dict[str, log_file.LogWriter] = {}
        self._lock = threading.Lock()
        try:
            for part in (path, path / "logs", path / "snapshots", path / "bells"):
                part.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(
                f"The store's folder {path} cannot be made: {error.strerror}."
            ) from error

    def log(self, run_id: str) -> Path:
        """Name a run's log file."""
        return self._path / "logs" / f"{run_id}.log"

    def append(
        self, run_id: str, frames: Iterable[tuple[int, bytes]], may: Callable[[], None]
    ) -> None:
        """Add to a run's log, if `may` does not raise."""
        try:
            with self._lock:
                if run_id not in self._writers:
                    self._writers[run_id] = log_file.LogWriter(self.log(run_id))
                writer = self._writers[run_id]
            writer.append(frames, may)
        except OSError as error:
            raise StoreUnavailable(
                f"The log {self.log(run_id)} cannot be written: {error.strerror}.",
                hint="The program goes on, and its output is fetched once there is space again.",
            ) from error

    def read(self, run_id: str, offset: int, limit: int) -> bytes:
        """Give a part of a run's log."""
        return log_file.read(self.log(run_id), offset, limit)

    def position(self, run_id: str) -> LogPosition:
        """Say how much of each stream of a run's log is there."""
        return log_file.position(self.log(run_id))

    def pieces(self, run_id: str, start: int, limit: int) -> list[LogPiece]:
        """Give the pieces a run's log was written in."""
        return log_file.pieces(self.log(run_id), start, limit)

    def append_sample(self, run_id: str, sample: Sample, may: Callable[[], None]) -> None:
        """Add to a run's samples, if `may` does not raise."""
        path = self._samples(run_id)
        try:
            sample_file.append(path, sample, may)
        except OSError as error:
            raise StoreUnavailable(f"{path} cannot be written: {error.strerror}.") from error

    def samples(self, run_id: str, after: float) -> list[Sample]:
        """Give a run's samples after a Unix time."""
        return sample_file.read(self._samples(run_id), after)

    def _samples(self, run_id: str) -> Path:
        return self.log(run_id).with_suffix(".stat")

    def forget(self, run_id: str) -> None:
        """Put a run's log on the disk and stop writing to it."""
        with self._lock:
            writer = self._writers.pop(run_id, None)
        if writer:
            writer.close()

    def close(self) -> None:
        """Stop writing to all logs."""
        for run_id in list(self._writers):
            self.forget(run_id)

    def put_snapshot(self, chunks: bytes | Iterable[bytes]) -> str:
        """Keep bytes under a name that follows from them: see `SnapshotFiles.put`."""
        return self._snapshots.put(chunks)

    def get_snapshot(self, name: str) -> bytes:
        """Give back the bytes kept under that name."""
        return self._snapshots.get(name)

    def listen(self, topics: Iterable[str]) -> Bell:
        """Listen to any of the topics."""
        return Bell(self._bells, *map(_short, topics))

    def ring(self, topics: Iterable[str]) -> None:
        """Wake those who listen to any of the topics."""
        self._ringer.ring(*map(_short, topics))


def _short(topic: str) -> str:
    """Give the part of an owner's name that is unique and fits a file's name; others are whole."""
    return topic.rpartition(":")[2]
