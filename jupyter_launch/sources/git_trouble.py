"""What git's complaints mean for people, and what they can do."""

from __future__ import annotations

import re

from ..errors import SourceUnavailable

_LOCATION = re.compile(r"(?<=://)[^\s/@]+(?=@)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_PREFIX = re.compile(r"^(?:(?:fatal|error|ERROR|remote): *)+")

_LOG_IN = (
    "Log in once with git's credential helper (or an ssh agent), or name the environment variable "
    "that holds a token: --git-token NAME"
)
_TROUBLES = (
    (
        r"Could not resolve host|Name or service not known|nodename nor servname",
        "its host is not known",
        "Check the host's name, and whether this machine is online.",
    ),
    (
        (
            r"onnection refused|Couldn't connect to server|No route to host|Network is unreachable"
            r"|onnection timed out|onnection reset|Operation timed out"
        ),
        "its host does not answer",
        "Check the address, and whether this machine reaches that host.",
    ),
    (
        (
            r"could not read (?:Username|Password)|Authentication failed|HTTP Basic: Access denied"
            r"|returned error: 40[13]|terminal prompts disabled|Permission denied \("
        ),
        "it is private, or not there, and no credentials were accepted",
        _LOG_IN,
    ),
    (
        r"Host key verification failed",
        "the key of its host is not known to ssh",
        "Connect once by hand (ssh HOST), and accept the key if it is the right one.",
    ),
    (
        r"SSL certificate problem|certificate verif|server verification failed",
        "the certificate of its host is not trusted",
        "Name its authority in git's settings: git config --global http.sslCAInfo FILE",
    ),
    (
        r"dubious ownership",
        "it belongs to another user",
        "If you trust it: git config --global --add safe.directory FOLDER",
    ),
    (r"No space left on device|isk quota exceeded", "the disk is full", "Free some space."),
    (
        r"returned error: 5\d\d|[Ii]nternal [Ss]erver [Ee]rror",
        "its host is in trouble",
        "Try again later.",
    ),
    (
        r"hung up unexpectedly|early EOF|RPC failed|unexpected disconnect",
        "the connection broke",
        "Try again.",
    ),
    (r"Operation too slow", "its host stopped sending", "Try again later."),
    (
        (
            r"not found|does not appear to be a git repository|does not exist|returned error: 404"
            r"|[Nn]o such (?:repository|project)"
        ),
        "there is no such repository, or none that these credentials may see",
        "Check the address.",
    ),
)
"""What git says, what that means, and what to do."""


class GitFailed(SourceUnavailable):
    """Git ended with an error; `said` is what it printed."""

    def __init__(self, message: str, *, hint: str = "", said: str = "") -> None:
        super().__init__(message, hint=hint)
        self.said = said


def translated(subject: str, secret: str, said: str) -> GitFailed:
    """Make an error of what git said about `subject`, in which `secret` does not occur."""
    said = said.replace(secret, "***") if secret else said
    said = "\n".join(_CONTROL.sub(" ", line) for line in _LOCATION.sub("***", said).splitlines())
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for pattern, why, hint in _TROUBLES:
        if found := [line for line in lines if re.search(pattern, line)]:
            message = f"{subject} could not be read: {why} ({_essence(found[0])})."
            return GitFailed(message, hint=hint, said=said)
    fatal = [line for line in lines if line.startswith(("fatal:", "error:", "remote: error"))]
    reason = (fatal or lines or ["git gave no reason"])[0]
    return GitFailed(f"{subject} could not be read: {_essence(reason)}.", said=said)


def _essence(line: str) -> str:
    return _PREFIX.sub("", line)[:300].rstrip(". ")
