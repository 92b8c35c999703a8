"""Pushing an image to a registry, from where runs use it by its digest."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from docker import auth
from docker.errors import APIError, DockerException

from ..docker_engine import Engine, translated, words
from ..errors import BuildFailed, SpecError
from ..redact import redact_text
from ..report import Report
from .stream import Call, limited

REPORT_S = 0.25
# A first part is a host if it has a dot or a port, or is localhost.
_HOST = r"(?:(?=[^/]*[.:]|localhost/)[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?"
_HOST += r"|\[[0-9a-fA-F:]+\](?::[0-9]{1,5})?)"
_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*")
_DENIED = re.compile(r"(?i)unauthorized|denied|authentication|forbidden|no basic auth|40[13]\b")


def check_repository(name: str) -> None:
    """Refuse what cannot be the name of a repository in a registry.

    Raises
    ------
    SpecError
        Whose field is ``repository``.
    """
    if _REPOSITORY.fullmatch(name) and len(name) <= 255:
        return
    hint = "It is like registry.example.com:5000/team/project, in small letters."
    last = name.rpartition("/")[2]
    if "://" in name:
        hint += " Leave the scheme out."
    elif ":" in last or "@" in last:
        hint += " Leave the tag out: it follows from what is in the image."
    raise SpecError(
        f"{redact_text(name)!r} cannot be the name of a repository.", hint=hint, field="repository"
    )


def digest(info: dict[str, Any], repository: str) -> str | None:
    """Say by which digest an image, as inspected, is in a repository, if it was pushed there."""
    known: Sequence[str] = info.get("RepoDigests") or ()
    return next((one for one in known if one.rpartition("@")[0] == repository), None)


def push(engine: Engine, image: str, repository: str, report: Report) -> str:
    """Push an image under the tag it has here.

    Parameters
    ----------
    engine : Engine
        Who has it.
    image : str
        Its name, with a tag.
    repository : str
        Where to: the login is that of ``docker login``.
    report : Report
        Takes the progress.

    Returns
    -------
    str
        ``repository@sha256:...``.

    Raises
    ------
    BuildFailed
        In the registry's own words.
    """
    tag = image.rpartition(":")[2]
    report(f"pushing {repository}:{tag}")
    with translated(engine.address):
        try:
            engine.tag(image, repository, tag)
            with _untagged_on_failure(engine, f"{repository}:{tag}"):
                return f"{repository}@{_send(engine, repository, tag, report)}"
        except APIError as error:
            raise _failed(repository, words(error)) from error
        except PushError as error:
            raise _failed(repository, str(error)) from error


@contextlib.contextmanager
def _untagged_on_failure(engine: Engine, name: str) -> Iterator[None]:
    """Take a tag away again if the block fails: some engines make a digest of any tag."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(DockerException, OSError):
            engine.remove_image(name, noprune=True)
        raise


class PushError(Exception):
    """The registry did not take it."""


def _send(engine: Engine, repository: str, tag: str, report: Report) -> str:
    path = f"/images/{quote(repository, safe='/:')}/push"
    call = Call(engine, path, params={"tag": tag}, headers=_login(repository))
    there, next_time = "", time.monotonic() + REPORT_S
    with limited(report, call.hang_up), contextlib.closing(call.messages()) as messages:
        for message in messages:
            if "error" in message:
                raise PushError(message["error"])
            there = (message.get("aux") or {}).get("Digest", there)
            share = _percent(message.get("progressDetail") or {})
            if share and time.monotonic() > next_time:
                report(f"pushing {repository}:{tag}: {share}")
                next_time = time.monotonic() + REPORT_S
        if not there:
            engine.alive()
            raise PushError("the engine broke it off")
    return there


def _percent(detail: dict[str, Any]) -> str:
    total = detail.get("total")
    return f"{100 * detail.get('current', 0) // total} % of a layer" if total else ""


def _login(repository: str) -> dict[str, str]:
    """Give the header with the login, read anew: somebody may just have logged in."""
    registry, _ = auth.resolve_repository_name(repository)
    try:
        found = auth.resolve_authconfig(auth.load_config(), registry)
    except DockerException as error:
        raise PushError(f"docker's own settings hold no usable login: {error}") from error
    # An engine wants the header, be it empty.
    header: bytes = auth.encode_header(found or {})
    return {"X-Registry-Auth": header.decode("ascii")}


def _failed(repository: str, why: str) -> BuildFailed:
    host = auth.resolve_repository_name(repository)[0]
    hint = f"Check that the registry {host} is up, and that the engine reaches it."
    if _DENIED.search(why):
        hint = f"Log in to it (docker login {host}), or choose a repository you may write to."
    why = redact_text(why.strip().rstrip("."))
    return BuildFailed(f"The image was built, but {repository} did not take it: {why}.", hint=hint)
