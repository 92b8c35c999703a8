"""A token for a private repository: named by its owner, given to git through the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from ..errors import SpecError
from .git_uri import Repository

_VARIABLE = "JUPYTER_LAUNCH_GIT_LOGIN"
# A shell's own printf: the token is never an argument of a process. Git runs this text with "sh".
_HELPER = f'!f() {{ test "$1" = get && printf "%s\\n" "${_VARIABLE}"; }}; f'
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class Login:
    """What git is told, beside its user's own settings, to be let in.

    Parameters
    ----------
    settings : tuple of (str, str)
        Entries of git's configuration.
    env : dict
        Variables of its environment, with the secret.
    secret : str
        What must be shown nowhere.
    """

    settings: tuple[tuple[str, str], ...] = ()
    env: dict[str, str] = field(default_factory=dict, repr=False)
    secret: str = field(default="", repr=False)


ANONYMOUS = Login()


def login(repository: Repository, token: str | None) -> Login:
    """Make the login of a token.

    Parameters
    ----------
    repository : Repository
        The token is shown to its host alone.
    token : str, optional
        The name of the environment variable that holds it; its value may be ``user:token``.

    Raises
    ------
    SpecError
        When the variable is not set, or the token would travel in the open.
    """
    if token is None:
        return ANONYMOUS
    url = repository.url
    if repository.local or url.scheme not in {"http", "https"}:
        raise _wrong(
            f"A token has no effect on {repository.address}: only https repositories take one.",
            "Leave --git-token out, or give the repository's https:// address.",
        )
    if url.scheme == "http" and url.hostname not in _LOOPBACK:
        raise _wrong(
            f"The token would reach {url.hostname} unencrypted.", "Use the https:// address."
        )
    value = os.environ.get(token, "").strip()
    if not value:
        raise _wrong(
            f"The environment variable {token!r}, which is to hold the token of "
            f"{repository.address}, is not set where the repository is fetched.",
            "Set it before Jupyter (or the agent) starts, or in the kernel with os.environ.",
        )
    if not value.isprintable():
        raise _wrong(f"The token in {token!r} has a control character.", "Set it anew.")
    user, mark, secret = value.partition(":")
    if not mark:
        user, secret = _user(url.hostname or ""), value
    # The empty helper drops those set before, which would keep the token on the disk.
    context = f"credential.{url.scheme}://{url.netloc}"
    settings = ((f"{context}.helper", ""), (f"{context}.helper", _HELPER))
    return Login(settings, {_VARIABLE: f"username={user}\npassword={secret}"}, secret)


def _user(host: str) -> str:
    """Name the user that hosts expect beside a token; most do not look at it."""
    return "x-token-auth" if host.endswith("bitbucket.org") else "x-access-token"


def _wrong(message: str, hint: str) -> SpecError:
    return SpecError(message, hint=hint, field="git_token")
