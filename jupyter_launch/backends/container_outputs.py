"""What a container left behind, through the engine's archive: a tar stream, never a mount."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import IO, Any

from docker.errors import NotFound

from ..artifact import Output
from ..docker_engine import BLOCK, Blocks, Engine, translated
from ..errors import BackendError, BackendUnavailable
from .output_names import leads_to

OUTPUTS = "/jupyter_launch/output"
"""Where a container's programs write what is to be kept."""

UNTOUCHED = 981173106
"""The time of that folder's last change until something is put into it: Unix time, seconds."""

_PROBLEMS = {
    tarfile.FIFOTYPE: "it is a pipe",
    tarfile.CHRTYPE: "it is a device",
    tarfile.BLKTYPE: "it is a device",
}


def outputs(
    engine: Engine, name: str, info: dict[str, Any] | None, paths: Sequence[str]
) -> Iterator[Output]:
    """Find what a container that has ended left behind.

    Parameters
    ----------
    engine : Engine
        Where it is.
    name : str
        The container.
    info : dict, optional
        The engine's inspection of it, if that is known.
    paths : sequence of str
        Files and folders in its working folder that are outputs, besides all in `OUTPUTS`.
    """
    with translated(engine.address):
        try:
            info = info or engine.inspect_container(name)
        except NotFound:
            return
        workdir = info["Config"]["WorkingDir"] or "/"
        if _touched(engine, name):
            yield from _archived(engine, name, OUTPUTS, "")
        for path in paths:
            asked = posixpath.normpath(path)
            where = posixpath.normpath(posixpath.join(workdir, asked))
            if engine.has_file(name, where):
                yield from _archived(engine, name, where, "" if asked == "." else asked)
            else:
                yield Output(path, problem="the program left no such file or folder")


def _touched(engine: Engine, name: str) -> bool:
    """Say whether there can be outputs: most programs leave none, and archives take their time."""
    stat = engine.file_stat(name, OUTPUTS)
    if stat is None:
        return False
    try:
        changed = datetime.fromisoformat(stat["mtime"].replace("Z", "+00:00")).timestamp()
    except ValueError:  # with parts of a second
        return True
    return changed != UNTOUCHED


def _archived(engine: Engine, name: str, path: str, called: str) -> Iterator[Output]:
    """Give what is at a path, under the name `called` instead of the path's own."""
    try:
        blocks = engine.blocks("GET", f"/containers/{name}/archive", path=path)
    except NotFound:
        return
    root = path.removesuffix(called).rstrip("/")
    stream: Any = _Stream(blocks, engine.address)
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=BLOCK) as tar:
            for member in tar:
                if not member.isdir():
                    link = _link(member, called, root)
                    yield _output(member, _name(member.name, called), link, tar)
    except tarfile.TarError as error:
        raise BackendError(f"The archive of {path} cannot be read: {error}.") from error
    finally:
        blocks.close()


def _name(member: str, called: str) -> str:
    """Name a member by what was asked for, instead of by the last part of its path."""
    return "/".join(filter(None, [called, member.partition("/")[2]]))


def _link(member: tarfile.TarInfo, called: str, root: str) -> str | None:
    if member.issym():
        return leads_to(root, _name(member.name, called), member.linkname)
    return _name(member.linkname, called) if member.islnk() else None


def _output(member: tarfile.TarInfo, name: str, link: str | None, tar: tarfile.TarFile) -> Output:
    if link is not None:
        return Output(name, link=link)
    if not member.isreg():
        return Output(name, problem=_PROBLEMS.get(member.type, "it is no ordinary file"))
    return Output(name, member.size, float(member.mtime), partial(_content, tar, member))


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    assert content is not None
    return content


class _Stream:
    """A tar archive as a file that is read once, from its start to its end.

    An archive that breaks off is no archive with fewer files: that is an error.
    """

    def __init__(self, blocks: Blocks, address: str) -> None:
        self._blocks, self._address = filter(None, blocks), address
        self._rest = self._last = b""

    def read(self, size: int = -1) -> bytes:
        """Give at most so many bytes; none only at the end."""
        with translated(self._address):
            block = self._rest or next(self._blocks, b"")
        if not block and self._last.strip(b"\0"):
            raise BackendUnavailable(
                f"The Docker Engine at {self._address} broke off while it sent the outputs.",
                hint="They are still there, and are collected once it answers again.",
            )
        self._rest = block[size:]
        self._last = (self._last + block[:size])[-2 * tarfile.BLOCKSIZE :]
        return block[:size]
