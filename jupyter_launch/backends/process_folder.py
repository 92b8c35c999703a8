"""The folder of a local process: what its supervisor and everybody who watches it share.

::

    work/           where the program runs, unless it was to run elsewhere: its files
    workdir         where the program runs
    outputs/        what it writes to be kept
    output          all it wrote, framed (see `supervisor.HEAD`)
    control         a pipe the supervisor listens on; that of a dead one cannot be opened
    bells/          who follows the output
    session         which processes are the program's (see `Session`)
    result          how the program ended
    supervisor.err  what the supervisor has to complain about
"""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ..bell import Bell
from ..errors import BackendError, StartFailed
from ..runs import LogPosition
from . import supervisor
from .base import STDERR, STDOUT, Frame

RECHECK_S = 0.5
"""How often a follower looks whether the supervisor still lives: a killed one rings no bell."""

OUTPUTS = "outputs"

BATCH = 1 << 20
"""Most bytes of output handed over at once."""


class Outcome(NamedTuple):
    """What the supervisor wrote down at the end.

    `status` is the exit code, or minus the number of the signal that killed the program;
    `problem` says what went wrong that was not the program's fault.
    """

    status: int
    problem: str


class Session(NamedTuple):
    """A program's processes: all of the system's session `id` but these two of ours."""

    id: int
    supervisor: int
    leader: int


class ProcessFolder:
    """The folder of one run, as a watcher sees it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def tell(self, command: str) -> bool:
        """Give the supervisor a command, perhaps an empty one. Say whether it lives."""
        try:
            control = os.open(self.path / "control", os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ENOENT):
                return False
            raise BackendError(f"The run's supervisor cannot be reached: {error}.") from error
        try:
            os.write(control, command.encode())
        except BrokenPipeError:
            return False
        finally:
            os.close(control)
        return True

    def over(self) -> bool:
        """Say whether nothing more can come from the program."""
        return (self.path / "result").exists() or not self.tell("")

    def await_end(self, timeout_s: float) -> bool:
        """Wait for the end of the program, in seconds. Say whether it came."""
        until = time.monotonic() + timeout_s
        with self._bell() as bell:
            while not self.over():
                if time.monotonic() > until:
                    return False
                bell.wait(RECHECK_S)
        return True

    def follow(self, position: LogPosition) -> Iterator[list[Frame]]:
        """Give the program's output from a position on, until its end."""
        with (self.path / "output").open("rb", 0) as file, self._bell() as bell:
            spool = _Spool(file, position)
            while True:
                over = self.over()  # asked first: what is written until then is read below
                yield from spool.batches()
                if over:
                    return
                bell.wait(RECHECK_S)

    def workdir(self) -> Path:
        """Say where the program ran."""
        return Path(os.fsdecode((self.path / "workdir").read_bytes()))

    def session(self) -> Session | None:
        """Give the session of a program that was started."""
        try:
            return Session(*map(int, (self.path / "session").read_text(encoding="ascii").split()))
        except (FileNotFoundError, TypeError):  # not there, or not yet as a whole
            return None

    def outcome(self) -> Outcome | None:
        """Give how the program ended, if that is known."""
        try:
            text = (self.path / "result").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return Outcome(**json.loads(text))

    def remove(self) -> None:
        """Delete the folder with all that is in it."""
        try:
            shutil.rmtree(self.path)
        except FileNotFoundError:
            return
        except PermissionError:
            # Programs leave folders they locked themselves, as some package managers do.
            for parent, names, _ in os.walk(self.path):
                for path in (Path(parent, name) for name in names):
                    if not path.is_symlink():
                        path.chmod(0o700)
            shutil.rmtree(self.path)

    def _bell(self) -> Bell:
        return Bell(self.path / "bells", supervisor.BELL)


class _Spool:
    """Reads the file of output, from a position on, while it grows."""

    def __init__(self, file: io.FileIO, position: LogPosition) -> None:
        self._file = file
        self._skip = {STDOUT: position.stdout, STDERR: position.stderr}
        self._stream = self._left = 0
        self._rest = b""

    def batches(self) -> Iterator[list[Frame]]:
        """Give what there is now."""
        while data := self._file.read(BATCH):
            by_stream = groupby(self._pieces(self._rest + data), lambda piece: piece.stream)
            batch = [Frame(s, b"".join(piece.data for piece in same)) for s, same in by_stream]
            if batch:
                yield batch

    def _pieces(self, data: bytes) -> Iterator[Frame]:
        at = 0
        while True:
            if not self._left:
                if len(data) - at < supervisor.HEAD.size:
                    break
                self._stream, self._left = supervisor.HEAD.unpack_from(data, at)
                at += supervisor.HEAD.size
            piece = data[at : at + self._left]
            if not piece:
                break
            at += len(piece)
            self._left -= len(piece)
            known = min(len(piece), self._skip[self._stream])
            self._skip[self._stream] -= known
            if known < len(piece):
                yield Frame(self._stream, piece[known:])
        self._rest = data[at:]


def fill(folder: Path, archive: bytes | None, workdir: str) -> int:
    """Make what a run's folder needs before its supervisor starts; give the open control pipe.

    Parameters
    ----------
    folder : Path
        The run's.
    archive : bytes, optional
        The program's files.
    workdir : str
        Where it is to run.

    Raises
    ------
    StartFailed
        When the tar file is broken, or has members that would land outside the folder.
    """
    for part in ("work", OUTPUTS):
        (folder / part).mkdir(mode=0o700)
    (folder / "workdir").write_bytes(os.fsencode(workdir))
    if archive is not None:
        try:
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                _extract(tar, folder / "work")
        except tarfile.TarError as error:
            raise StartFailed(f"The program's files cannot be unpacked: {error}.") from error
    (folder / "output").touch(0o600)
    os.mkfifo(folder / "control", 0o600)
    return os.open(folder / "control", os.O_RDONLY | os.O_NONBLOCK)


def _extract(tar: tarfile.TarFile, folder: Path) -> None:
    if hasattr(tarfile, "data_filter"):
        tar.extractall(folder, filter="data")
        return
    for member in tar:  # Python older than 3.10.12 or 3.11.4
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or not (member.isreg() or member.isdir()):
            raise tarfile.ExtractError(f"{member.name!r} is not a file inside the folder")
        tar.extract(member, folder)


def files(archive: bytes | None) -> list[str]:
    """Name the files in a program's tar file."""
    if archive is None:
        return []
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return [member.name for member in tar if not member.isdir()]
