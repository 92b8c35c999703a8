"""The text of Dockerfiles: the one that is generated, and what a user's own one says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import SpecError
from .requirements import REQUIREMENTS, Dependencies

FOLDER = "/opt/jupyter-launch/"
SECRETS = "/run/secrets/"
PIP_CONFIG, NETRC, CA, CLIENT = (
    f"jupyter_launch_{name}" for name in ("pip_config", "netrc", "ca", "client")
)
"""Names of the build secrets by which the submitter's pip settings reach an installer."""

# In the environment, because an older pip minds an option it does not know, but no variable.
QUIET = (
    "PIP_BREAK_SYSTEM_PACKAGES=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 "
    "PIP_NO_INPUT=1 PIP_PROGRESS_BAR=off PIP_ROOT_USER_ACTION=ignore"
)

_IMAGE = re.compile(r"[\w][\w./:@-]*", re.ASCII)
_ESCAPE = re.compile(r"#\s*escape\s*=\s*(\S)\s*", re.IGNORECASE)
_DIRECTIVE = re.compile(r"#\s*\w+\s*=\s*\S+\s*")
_HEREDOC = re.compile(r"(?<!<)<<-?(['\"]?)([A-Za-z_]\w*)\1")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})")


class Instruction(NamedTuple):
    """One instruction of a Dockerfile: its name in capitals, its flags, and the rest."""

    name: str
    flags: tuple[str, ...]
    text: str


def generated(base: str, dependencies: Dependencies, *, inherit_pip_config: bool) -> str:
    """Write the Dockerfile that installs dependencies on an image.

    Parameters
    ----------
    base : str
        The image; it has Python and pip.
    dependencies : Dependencies
        Whose files are the build context.
    inherit_pip_config : bool
        Whether pip reads the submitter's settings, from build secrets.

    Raises
    ------
    SpecError
        When `base` cannot be the name of an image.
    """
    check_image(base)
    mounts, settings = "", QUIET
    if inherit_pip_config:
        names = (PIP_CONFIG, NETRC, CA, CLIENT)
        # A base may have another user than root, who is to read them too.
        mounts = "".join(f"--mount=type=secret,id={name},mode=0444 " for name in names)
        settings += f" PIP_CONFIG_FILE={SECRETS}{PIP_CONFIG} NETRC={SECRETS}{NETRC}"
    complete = "--no-deps " if dependencies.kind == "uv" else ""
    return (
        f"FROM {base}\n"
        f"COPY {' '.join(sorted(dependencies.files))} {FOLDER}\n"
        f"RUN {mounts}{settings} python3 -m pip install {complete}-r {FOLDER}{REQUIREMENTS}\n"
    )


def check_image(name: str) -> None:
    """Refuse what cannot be the name of an image. Raises `SpecError`."""
    if not _IMAGE.fullmatch(name):
        raise SpecError(f"{name!r} cannot be the name of an image.", field="base_image")


def bases(text: str) -> tuple[str, ...]:
    """Name the images that a Dockerfile builds on, as far as its text alone tells."""
    found: dict[str, None] = {}
    stages: set[str] = {"scratch"}
    arguments: dict[str, str] = {}
    for instruction in instructions(text):
        if instruction.name == "ARG" and not found:
            name, _, value = instruction.text.partition("=")
            arguments[name.strip()] = value.strip().strip("\"'")
        for source in _sources(instruction):
            image = _VARIABLE.sub(lambda one: _value(one, arguments), source)
            if image.lower() not in stages and not image.isdigit() and _IMAGE.fullmatch(image):
                found[image] = None
        words = instruction.text.split()
        if instruction.name == "FROM" and len(words) == 3:
            stages.add(words[2].lower())
    return tuple(found)


def _sources(instruction: Instruction) -> Iterator[str]:
    if instruction.name == "FROM":
        yield from instruction.text.split()[:1]
    for flag in instruction.flags:
        if flag.startswith("--from="):
            yield flag.removeprefix("--from=")
        elif flag.startswith("--mount="):
            yield from re.findall(r"[=,]from=([^,]+)", flag)


def _value(match: re.Match[str], arguments: dict[str, str]) -> str:
    name, braced, default = match.groups()
    return arguments.get(name or braced) or default or match[0]


def copies_context(text: str) -> bool:
    """Say whether a Dockerfile takes files from its context, so that code becomes part of it."""
    return any(map(_takes_files, instructions(text)))


def _takes_files(instruction: Instruction) -> bool:
    if instruction.name in ("COPY", "ADD"):
        words = instruction.text.split()[:-1]
        elsewhere = all(re.match(r"https?://|git@|<<", word) for word in words)
        return not elsewhere and not any(flag.startswith("--from=") for flag in instruction.flags)
    return any(
        flag.startswith("--mount=")
        and not re.search(r"[=,]from=", flag)
        and not re.search(r"[=,]type=(?!bind)", flag)
        for flag in instruction.flags
    )


def has_command(text: str) -> bool:
    """Say whether a Dockerfile's last stage names a program of its own."""
    named = False
    for instruction in instructions(text):
        if instruction.name == "FROM":
            named = False
        named = named or instruction.name in ("CMD", "ENTRYPOINT")
    return named


def instructions(text: str) -> Iterator[Instruction]:
    """Take a Dockerfile apart, without comments and without the bodies of here-documents."""
    lines = [line.strip() for line in text.splitlines()]
    escape, head, held, body = "\\", True, "", 0
    for number, bare in enumerate(lines):
        if number < body:
            continue
        if head and (found := _ESCAPE.fullmatch(bare)):
            escape = found[1]
        head = head and bool(_DIRECTIVE.fullmatch(bare))
        if bare.startswith("#") or not bare:
            continue
        if bare.endswith(escape):
            held += bare[: -len(escape)] + " "
            continue
        instruction = _instruction(held + bare)
        held = ""
        if instruction.name in ("RUN", "COPY", "ADD"):
            for _, end in _HEREDOC.findall(instruction.text):
                after = max(body, number + 1)
                body = lines.index(end, after) + 1 if end in lines[after:] else body
        yield instruction
    if held.strip():
        yield _instruction(held)


def _instruction(line: str) -> Instruction:
    name, _, rest = line.strip().partition(" ")
    flags: list[str] = []
    while (rest := rest.lstrip()).startswith("--"):
        flag, _, rest = rest.partition(" ")
        flags.append(flag)
    return Instruction(name.upper(), tuple(flags), rest.strip())
