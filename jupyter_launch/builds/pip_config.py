"""The submitter's pip settings, as files for a build that leave no trace in its image."""

from __future__ import annotations

import configparser
import netrc
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..config import user_path
from ..errors import BuildFailed
from .dockerfile import CA, CLIENT, NETRC, PIP_CONFIG, SECRETS

LISTS = {"extra-index-url", "trusted-host", "find-links"}
INHERITED = LISTS | {
    "cert",
    "client-cert",
    "index-url",
    "no-binary",
    "no-index",
    "only-binary",
    "pre",
    "prefer-binary",
    "proxy",
    "retries",
    "timeout",
}
"""Settings that say where packages come from; others say where they go on this machine."""

FROM_UV = {
    "UV_DEFAULT_INDEX": "index-url",
    "UV_INDEX_URL": "index-url",
    "UV_INDEX": "extra-index-url",
    "UV_EXTRA_INDEX_URL": "extra-index-url",
    "UV_FIND_LINKS": "find-links",
    "UV_INSECURE_HOST": "trusted-host",
}
CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
LIMIT_BYTES = 500 * 1024
"""How large a build secret may be."""


@dataclass(frozen=True)
class Inherited:
    """What a build gets to see of the submitter's settings.

    Parameters
    ----------
    files : mapping of str to bytes
        By the names of the build secrets.
    secrets : tuple of str
        Passwords in them, which no output may show.
    left_out : tuple of str
        What a build cannot use, in words.
    """

    files: Mapping[str, bytes]
    secrets: tuple[str, ...]
    left_out: tuple[str, ...]


def inherited(also: str = "") -> Inherited:
    """Gather pip's settings of this process: from its files, its environment, and ``.netrc``.

    Parameters
    ----------
    also : str
        Text whose addresses count as package indexes as well.

    Raises
    ------
    BuildFailed
        When one of the files named cannot be read.
    """
    settings = _settings()
    left_out = list(_unreachable(settings))
    files = {}
    for option, name in (("cert", CA), ("client-cert", CLIENT)):
        if option in settings:
            files[name] = _read(option, user_path(settings[option]))
            settings[option] = SECRETS + name
    text = "[install]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())
    addresses = re.findall(r"https?://[^\s'\"]+", f"{text}\n{also}")
    logins = _logins({urlsplit(address).hostname or "" for address in addresses})
    files[PIP_CONFIG] = text.encode()
    files[NETRC] = "".join(
        f"machine {host} login {user} password {password}\n"
        for host, (user, password) in logins.items()
    ).encode()
    secrets = [unquote(urlsplit(address).password or "") for address in addresses]
    secrets += [urlsplit(address).password or "" for address in addresses]
    secrets += [password for _, password in logins.values()]
    return Inherited(files, tuple(filter(None, secrets)), tuple(left_out))


def _settings() -> dict[str, str]:
    """Merge what pip itself would, those that win last."""
    merged: dict[str, str] = {}
    for path in _files():
        merged |= _of_file(path)
    env = os.environ
    for variable, option in FROM_UV.items():
        if env.get(variable) and option not in merged:
            words = env[variable].replace(",", " ").split()
            merged[option] = "\n    ".join(re.sub(r"^[\w.-]+=(?=http)", "", one) for one in words)
    for variable in reversed(CERTIFICATES):
        if env.get(variable) and "cert" not in merged:
            merged["cert"] = env[variable]
    for option in sorted(INHERITED):
        if value := env.get(f"PIP_{option.upper().replace('-', '_')}"):
            merged[option] = "\n    ".join(value.split()) if option in LISTS else value
    return merged


def _files() -> Iterator[Path]:
    """Name pip's configuration files of this process, those that win last."""
    home, named = Path.home(), os.environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    for folder in os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep):
        yield Path(folder, "pip/pip.conf")
    yield Path("/etc/pip.conf")
    yield home / ".pip/pip.conf"
    if sys.platform == "darwin":
        yield home / "Library/Application Support/pip/pip.conf"
    if sys.platform == "win32":
        yield Path(os.environ.get("APPDATA", home), "pip/pip.ini")
    yield Path(os.environ.get("XDG_CONFIG_HOME", home / ".config"), "pip/pip.conf")
    yield Path(sys.prefix, "pip.conf")
    if named:
        yield Path(named)


def _of_file(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise BuildFailed(
            f"pip's settings file {path} is broken: {type(error).__name__}."
        ) from error
    found: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            items = {name.replace("_", "-"): text for name, text in parser.items(section)}
            found |= {name: "\n    ".join(text.split("\n")) for name, text in items.items()}
    return {
        name: text.strip() for name, text in found.items() if name in INHERITED and text.strip()
    }


def _unreachable(settings: dict[str, str]) -> Iterator[str]:
    """Take out addresses that only this machine knows, naming them."""
    for option in ("index-url", "extra-index-url", "find-links"):
        words = settings.pop(option, "").split()
        kept = [word for word in words if urlsplit(word).scheme in ("http", "https")]
        if kept:
            settings[option] = "\n    ".join(kept)
        for word in words:
            host = urlsplit(word).hostname
            if word not in kept:
                yield f"pip's {option} {word} is left out: a build sees no files of this machine."
            elif host in ("localhost", "127.0.0.1", "::1"):
                yield f"pip's {option} is at {host}, which within a build is the build itself."


def _read(option: str, path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BuildFailed(
            f"pip's setting {option!r} names {path}, which cannot be read: {error.strerror}.",
            hint="Name one file with all certificates in it (PIP_CERT).",
        ) from error
    if len(data) > LIMIT_BYTES:
        raise BuildFailed(
            f"{path} is too large for a build secret: {len(data)} bytes of {LIMIT_BYTES}.",
            hint="Name a file that holds only what the package index needs (PIP_CERT).",
        )
    return data


def _logins(hosts: set[str]) -> dict[str, tuple[str, str]]:
    """Give the logins of these hosts alone: what a build installs may read them."""
    named = os.environ.get("NETRC")
    path = Path(named) if named else Path.home() / ".netrc"
    try:
        known = netrc.netrc(path).hosts
    except (OSError, netrc.NetrcParseError):
        return {}
    return {host: (known[host][0], known[host][2] or "") for host in sorted(hosts & set(known))}
