"""Measuring and clearing the folder beside an embedded store.

What is to be deleted is first moved to ``pruned``, in a moment; then it is deleted, which may take
long. What is left there by a process that was killed, the next one deletes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from .log_file import RECORD
from .snapshot_file import LEFT_OVER_S, NAME

KINDS = {".log": "logs", ".idx": "logs", ".stat": "samples"}
BATCH = 200


class FolderUpkeep:
    """The files of runs, and the snapshots.

    Parameters
    ----------
    path : Path
        The folder, with ``logs``, ``snapshots`` and perhaps ``artifacts`` in it.
    """

    def __init__(self, path: Path) -> None:
        self._logs, self._artifacts = path / "logs", path / "artifacts"
        self._snapshots, self._pruned = path / "snapshots", path / "pruned"

    def sizes(self) -> dict[str, int]:
        """Count all bytes, by what they belong to."""
        found = Counter({"logs": 0, "samples": 0})
        for entry in _entries(self._logs):
            found[KINDS.get(Path(entry.name).suffix, "logs")] += _size(Path(entry.path))
        places = {"artifacts": self._artifacts, "snapshots": self._snapshots}
        return dict(found) | {name: _total(place) for name, place in places.items()}

    def of_runs(self, ids: Iterable[str]) -> Counter[str]:
        """Count the bytes of what belongs to runs."""
        found: Counter[str] = Counter()
        for run_id in ids:
            for path in self._files(run_id):
                kind = KINDS.get(path.suffix, "artifacts")
                found[kind] += _total(path) if kind == "artifacts" else _size(path)
        return found

    def owners(self) -> Iterator[list[str]]:
        """Give the ids of the runs that have files here, some at a time; one may come twice."""
        names = (
            entry.name.partition(".")[0]
            for place in (self._logs, self._artifacts)
            for entry in _entries(place)
        )
        while batch := list(islice(names, BATCH)):
            yield list(dict.fromkeys(batch))

    def put_away(self, ids: Iterable[str]) -> None:
        """Take from their places what belongs to runs that are gone."""
        for run_id in ids:
            for path in self._files(run_id):
                self._move(path)

    def unneeded(self, needed: set[str]) -> list[str]:
        """Name the snapshots that are not needed, nor were handed in a short while ago."""
        for hidden in self._snapshots.glob(".*"):  # by one who was killed
            hidden.replace(self._snapshots / hidden.name[1:])
        long_ago = time.time() - LEFT_OVER_S
        return [
            entry.name
            for entry in _entries(self._snapshots)
            if NAME.fullmatch(entry.name)
            and entry.name not in needed
            and _modified(entry.path) < long_ago
        ]

    def delete_snapshot(self, name: str) -> int:
        """Delete a snapshot unless it is handed in just now, and give its bytes."""
        path, hidden = self._snapshots / name, self._snapshots / f".{name}"
        size = _size(path)
        try:
            path.replace(hidden)
            # Who hands it in now finds no such file, and who did just before has left a new time.
            if _modified(hidden) > time.time() - LEFT_OVER_S:
                hidden.replace(path)
                return 0
            hidden.unlink()
        except FileNotFoundError:
            return 0
        return size

    def snapshot_bytes(self, names: Iterable[str]) -> int:
        """Count the bytes of snapshots."""
        return sum(_size(self._snapshots / name) for name in names)

    def empty(self) -> None:
        """Delete what was put away."""
        shutil.rmtree(self._pruned, ignore_errors=True)

    def check_logs(self, at_work: set[str]) -> Iterator[str]:
        """Compare logs with their indexes, but for those of runs at work."""
        for entry in _entries(self._logs):
            path = Path(entry.path)
            if path.suffix != ".idx" or path.stem in at_work:
                continue
            size, said = _size(path.with_suffix(".log")), _indexed(path)
            if said > size:
                yield f"run {path.stem}: the last {said - size} bytes of its log are lost"
            elif said < size:
                yield (
                    f"run {path.stem}: its log is whole, but it is not known of its last "
                    f"{size - said} bytes when they came and from which stream"
                )

    def check_artifacts(self) -> Iterator[str]:
        """Compare artifacts with their lists."""
        for entry in _entries(self._artifacts):
            folder = Path(entry.path)
            if "." in entry.name:
                continue  # in the making
            try:
                rows = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            except (OSError, ValueError):
                yield f"run {entry.name}: the list of its artifacts is lost; see {folder}/files"
                continue
            files = folder / "files"
            wrong = [
                name
                for name, size, *_ in rows
                if not (files / name).exists() or _size(files / name) != size
            ]
            if wrong:
                more = f" and {len(wrong) - 1} more" if wrong[1:] else ""
                yield f"run {entry.name}: artifacts are missing or cut off: {wrong[0]}{more}"

    def check_snapshots(self, needed: set[str]) -> Iterator[str]:
        """Look for snapshots that are needed and gone, and for those that are damaged."""
        for name in sorted(needed):
            if not (self._snapshots / name).exists():
                yield (
                    f"snapshot {name[:12]} is gone, and a job or a run that has not ended needs "
                    "it: launch, or make the job, from the files again"
                )
        for entry in _entries(self._snapshots):
            if NAME.fullmatch(entry.name) and _hash(entry.path) != entry.name:
                yield (
                    f"snapshot {entry.name[:12]} is damaged: launch, or make the job, from the "
                    "files again"
                )

    def _files(self, run_id: str) -> list[Path]:
        found = [self._logs / f"{run_id}{suffix}" for suffix in KINDS]
        found += [self._artifacts / run_id, *self._artifacts.glob(f"{run_id}.*")]
        return [path for path in found if path.exists()]

    def _move(self, path: Path) -> None:
        self._pruned.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # somebody else is at it too
            path.rename(self._pruned / uuid.uuid4().hex)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry for entry in entries if not entry.name.startswith("."))
    except FileNotFoundError:
        return


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _total(place: Path) -> int:
    found = (Path(folder, name) for folder, _, names in os.walk(place) for name in names)
    return sum(map(_size, found))


def _modified(path: str | Path) -> float:
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return float("inf")


def _indexed(path: Path) -> int:
    data = path.read_bytes()
    whole = len(data) - len(data) % RECORD.size
    return sum(length for _, length, _ in RECORD.iter_unpack(data[:whole]))


def _hash(path: str) -> str:
    digest = hashlib.sha256()
    with contextlib.suppress(FileNotFoundError), Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
