"""Addresses of git repositories: which forms there are, and what none of them may hold."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from ..config import user_path
from ..errors import SpecError, Unsupported

SCHEMES = ("https", "http", "ssh", "git", "file")
_FRAGMENT = "#subdirectory="
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SCP = re.compile(r"(?:[^/:@\s]+@)?(?:[^/:@\s]+|\[[0-9A-Fa-f:.]+\]):(?!//)")
_WANDB_RUN = re.compile(r"/[^/]+/[^/]+/runs/[^/]+(?:/.*)?")
_FORMS = "https://host/path, ssh://git@host/path, git@host:path, file:///path or a folder"


class Repository(NamedTuple):
    """Where a repository is, and which of its folders is meant.

    Parameters
    ----------
    address : str
        What git is given: a URL without credentials, ``user@host:path``, or an absolute path.
    subdirectory : str
        The folder in it, ``""`` for all.
    local : bool
        Whether it is on this machine's disk.
    uri : str
        How it is recorded.
    """

    address: str
    subdirectory: str
    local: bool
    uri: str

    @property
    def url(self) -> SplitResult:
        """The parts of `address`, where it is a URL."""
        return urlsplit(self.address)

    @property
    def host(self) -> str:
        """The machine it is on, for people; empty if that is this one."""
        if self.local:
            return ""
        if _URL.match(self.address):
            return self.url.hostname or ""
        return self.address.rpartition("@")[2].partition(":")[0]


def parse(uri: str) -> Repository:
    """Take an address apart.

    Raises
    ------
    SpecError
        When git could not, or must not, be given it.
    Unsupported
        When it is the page of a W&B run.
    """
    _check_text(uri)
    base, mark, fragment = uri.partition(_FRAGMENT)
    subdirectory = _subdirectory(unquote(fragment)) if mark else ""
    address, local = _address(base)
    kept = base if _URL.match(base) else address
    return Repository(address, subdirectory, local, kept + mark + fragment)


def is_local(uri: str) -> bool:
    """Say whether a uri names a folder of this machine: a path, or ``file://``."""
    if _URL.match(uri):
        return uri.lower().startswith("file://")
    return not _SCP.match(uri)


def is_repository(path: str) -> bool:
    """Say whether a folder is the top of a git repository, with a work tree or without."""
    if "\0" in path:
        return False
    folder = _path(path)
    bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir()
    return (folder / ".git").exists() or (bare and (folder / "refs").is_dir())


def submodule(url: str, name: str, parent: Repository) -> Repository:
    """Give the address of a submodule, whose URL may be relative to its parent's.

    Raises
    ------
    SpecError
        When the URL leads where the parent's owner has no business: onto this machine's disk.
    """
    relative = url.startswith(("./", "../"))
    try:
        found = parse(_beside(parent.address, url) if relative else without_user(url))
    except (SpecError, Unsupported) as error:
        raise SpecError(f"The submodule {name!r}: {error.message}", field="uri") from error
    if found.local and not parent.local:
        raise SpecError(
            f"The submodule {name!r} of {parent.address} is a folder of this machine, {url!r}: "
            "only a repository of this machine may refer to one.",
            field="uri",
        )
    return found


def without_user(url: str) -> str:
    """Leave out of a URL who to log in as: that is up to who launches."""
    return re.sub(r"^(https?://)[^/@]*@", r"\1", url)


def _address(text: str) -> tuple[str, bool]:
    if "::" in text.partition("/")[0]:
        raise _wrong("'::' asks git for another program as its transport")
    if _URL.match(text):
        return _from_url(text)
    if _SCP.match(text):
        if "@" in text.partition(":")[2].partition("/")[0]:
            raise _wrong("it seems to hold a password, which would be recorded with the run")
        return text, False
    return str(_path(text).absolute()), True


def _path(text: str) -> Path:
    """Expand ``~``; as in a shell, a user nobody knows is the name of a folder."""
    return user_path(text)


def _from_url(text: str) -> tuple[str, bool]:
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError as error:
        raise _wrong(f"it is no URL: {error}") from error
    if url.scheme not in SCHEMES:
        raise _wrong(f"git repositories are not fetched by {url.scheme!r}")
    _check_credentials(url)
    if url.query or url.fragment:
        raise _wrong("nothing but '#subdirectory=FOLDER' may follow the path of a repository")
    if url.scheme == "file":
        if url.netloc not in {"", "localhost"}:
            raise _wrong(f"file:// names a folder of this machine, not of {url.hostname!r}")
        path = unquote(url.path)
        _check_text(path)
        return path, True
    if not url.hostname or url.hostname.startswith("-"):
        raise _wrong("it names no host")
    if url.scheme in {"http", "https"} and _WANDB_RUN.fullmatch(url.path):
        raise Unsupported(
            f"{text} is the page of a W&B run: runs of a W&B server cannot be launched again "
            "from here.",
            hint="Launch what the run was made from: its git repository (-u REPOSITORY -g COMMIT),"
            " its code (%launch FOLDER) or its image (-d IMAGE).",
        )
    return text, False


def _check_credentials(url: SplitResult) -> None:
    if url.password or (url.username is not None and url.scheme in {"http", "https"}):
        raise SpecError(
            f"The uri of {url.hostname} has a user name or a secret before the '@': it would be "
            "recorded with the run.",
            hint=f"Leave that part out ({url.scheme}://{url.hostname}/...) and let git's own "
            "credential helper log in, or name the environment variable that holds a token: "
            "--git-token NAME",
            field="uri",
        )


def _check_text(uri: str) -> None:
    if not uri.strip():
        raise _wrong("it is empty")
    if uri.startswith("-"):
        raise _wrong("it begins with '-', as only options do")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in uri):
        raise _wrong("it has a control character, such as a line break")
    if any(0xD800 <= ord(letter) < 0xE000 for letter in uri):
        raise _wrong("its name is not UTF-8, so it cannot be recorded")


def _wrong(why: str) -> SpecError:
    return SpecError(f"The uri is no git repository: {why}.", hint=f"Give {_FORMS}.", field="uri")


def _subdirectory(text: str) -> str:
    inside = posixpath.normpath(text) if text else ""
    if not inside or inside.startswith(("/", "..")) or "\0" in inside:
        raise SpecError(
            f"The subdirectory {text!r} is no folder inside the repository.",
            hint="Write it relative to the repository's top: #subdirectory=path/in/it",
            field="uri",
        )
    return "" if inside == "." else inside


def _beside(base: str, url: str) -> str:
    """Follow a relative URL as git does: each ``../`` takes one part off its parent's end."""
    base = base.rstrip("/")
    while url.startswith(("./", "../")):
        step, _, url = url.partition("/")
        if step == "..":
            cut = max(base.rfind("/"), base.rfind(":"))
            if cut <= base.find("://") + 2:
                raise SpecError("its address leads out of its parent's host.", field="uri")
            base, mark = base[:cut], base[cut]
            if mark == ":":
                return f"{base}:{url}"
    return f"{base}/{url}"
