"""The lines of requirements files: joined, followed into other files, checked, spelled one way."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator

from packaging.requirements import InvalidRequirement, Requirement

from ..errors import SpecError

CONSTRAINT = "-c "
"""Marks a line that limits versions and installs nothing, where lines stand by themselves."""

LIMIT_BYTES = 1024 * 1024
WRITTEN_HINT = "Requirements are written like numpy, numpy==2.1 or 'torch>=2,<3'."

LONG = {
    "-r": "--requirement",
    "-c": "--constraint",
    "-e": "--editable",
    "-i": "--index-url",
    "-f": "--find-links",
}
WITH_URL = {"--index-url", "--extra-index-url", "--find-links"}
WITH_WORD = {"--no-binary", "--only-binary", "--trusted-host"}
ALONE = {"--pre", "--prefer-binary", "--no-index", "--require-hashes"}
ALLOWED = ", ".join(sorted(WITH_URL | WITH_WORD | ALONE))

_HASHES = re.compile(r"(?:\s+--hash[= ]\s*(?:sha256|sha384|sha512):[0-9a-fA-F]+)*\s*")
_COMMENT = re.compile(r"(?:^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
_USER_IN_URL = re.compile(r"://[^\s/@]*@")
_SSH_USER = re.compile(r"\bssh://[^\s/@:]+@")
_URL = re.compile(r"(?:[a-z]+\+)?(?:https?|ssh)://\S+")
_PATH = re.compile(
    r"(?:file:|[.~/]|[\w-]+[/\\]|[A-Za-z]:\\)|.*\.(?:whl|zip|tar\.gz|tgz)$", re.DOTALL
)

CREDENTIALS_HINT = (
    "Keep it in pip's own settings or in ~/.netrc, and let the build see those: "
    "build.inherit_pip_config."
)
LOCAL_HINT = (
    "A build has none of this machine's files: name a package of an index, or an address, or "
    "write a Dockerfile that copies them (--dockerfile)."
)


def installs(line: str) -> bool:
    """Say whether a line asks for a package, and is not an option or a limit."""
    return not line.startswith("-")


class Reader:
    """Reads requirements, and the files they name.

    Parameters
    ----------
    fetch : callable
        Gives a file's content by name, or raises `OSError`.
    """

    def __init__(self, fetch: Callable[[str], bytes]) -> None:
        self._fetch = fetch
        self._open: list[str] = []

    def file(self, name: str) -> Iterator[str]:
        """Give the lines of a file, with those of the files it names."""
        if name in self._open:
            raise SpecError(
                f"{self._open[-1]} and {name} name each other as requirements.",
                field="requirements",
            )
        self._open.append(name)
        for number, line in _joined(self._read(name)):
            where = f"{name}, line {number}: {line!r}"
            yield from self.line(line, where, posixpath.dirname(name))
        self._open.pop()

    def line(self, line: str, where: str, folder: str) -> Iterator[str]:
        """Give what one line asks for.

        Parameters
        ----------
        line, where : str
            What it says, and how an error names it.
        folder : str
            What the files in it are relative to.
        """
        _check_secrets(line, where)
        if not line.startswith("-"):
            yield _requirement(line, where)
            return
        option, value = _option(line)
        inner = posixpath.join(folder, value)
        if option == "--requirement":
            yield from self.file(inner)
        elif option == "--constraint":
            if not value.endswith(".txt") and _is_requirement(value):
                yield CONSTRAINT + value  # as this function gave it before
            else:
                for one in self.file(inner):
                    if installs(one) or one.startswith(CONSTRAINT):
                        yield CONSTRAINT + one.removeprefix(CONSTRAINT)
        else:
            yield _checked_option(option, value, where)

    def _read(self, name: str) -> str:
        try:
            data = self._fetch(name)
        except OSError as error:
            raise SpecError(
                f"The requirements file {name!r} cannot be read: {error.strerror}.",
                field="requirements",
            ) from error
        if len(data) > LIMIT_BYTES:
            raise SpecError(f"{name} is too large for requirements.", field="requirements")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise SpecError(f"{name} is not UTF-8 text: {error}.", field="requirements") from error


def _joined(text: str) -> Iterator[tuple[int, str]]:
    r"""Give the lines that say something, numbered, those joined that end in ``\``."""
    held, begun = "", 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        begun = begun or number
        comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not comment:
            held += line[:-1]
            continue
        said = _COMMENT.sub("", held + ("" if comment else line)).strip()
        if said:
            yield begun, said
        held, begun = "", 0


def _refused(where: str, why: str, hint: str = "") -> SpecError:
    return SpecError(f"{where}: {why}.", hint=hint, field="requirements")


def _check_secrets(line: str, where: str) -> None:
    if _USER_IN_URL.search(_SSH_USER.sub("", line)):
        place, _, _ = where.partition(": ")  # not the line, which would be shown and recorded
        place = "A requirement" if place.startswith("The requirement") else place
        raise _refused(place, "its address holds a user or a password", CREDENTIALS_HINT)
    if found := _VARIABLE.search(line):
        raise _refused(where, f"a build knows no variable {found[0]}", CREDENTIALS_HINT)
    if any(not char.isprintable() for char in line.replace("\t", " ")):
        raise _refused(where, "it holds a control character")


def _option(line: str) -> tuple[str, str]:
    option, _, value = re.sub(r"[\s=]", "\0", line, count=1).partition("\0")
    return LONG.get(option, option), value.strip()


def _checked_option(option: str, value: str, where: str) -> str:
    if option == "--editable":
        raise _refused(where, "a folder of this machine cannot be installed", LOCAL_HINT)
    if option in WITH_URL:
        if not re.fullmatch(r"https?://\S+", value):
            raise _refused(where, f"{option} takes an address (https://...)", LOCAL_HINT)
        return f"{option} {value}"
    if option in WITH_WORD and value and not re.search(r"\s", value):
        return f"{option} {value}"
    if option in ALONE and not value:
        return option
    raise _refused(where, f"the option {option} cannot be used here", f"There are {ALLOWED}.")


def _is_requirement(text: str) -> bool:
    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return True


def _requirement(line: str, where: str) -> str:
    wanted, dashes, _ = re.sub(r"\s+(?=--)", "\0", line, count=1).partition("\0")
    options = line[len(wanted) :] if dashes else ""
    if not _HASHES.fullmatch(options):
        raise _refused(where, f"{options.strip()!r} is no option of a requirement but --hash")
    if _URL.fullmatch(wanted):
        return line
    if "@" not in wanted and _PATH.match(wanted):
        raise _refused(where, "a file or folder of this machine cannot be installed", LOCAL_HINT)
    try:
        found = Requirement(wanted)
    except InvalidRequirement as error:
        why = str(error).partition("\n")[0].rstrip(".")
        raise _refused(where, f"{why[:1].lower()}{why[1:]}", WRITTEN_HINT) from error
    if found.url and not _URL.fullmatch(found.url):
        raise _refused(where, "its address is a file of this machine", LOCAL_HINT)
    return line
