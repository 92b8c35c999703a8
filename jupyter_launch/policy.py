"""Policy: what an agent's owner allows the items of its queues to ask for (``agent.allow``).

The rules are the agent's own settings. What a queue's default config asks for was decided by who
administers the queue, and counts as allowed; the rules hold for what an item asks for beyond that.
Which resources and images may be used at all holds for both.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from .asking import Request, requests
from .backends.docker_options import RESOURCE, container_options
from .builds.base_images import images_in
from .config import EVERYTHING, NO, NOTHING, YES, setting, user_path
from .environment import PASSED_ON
from .errors import ConfigError, SpecError
from .program import Program
from .sources.git_uri import is_local
from .spec import LaunchSpec

PREFIX = "agent.allow."


@dataclass(frozen=True)
class Allow:
    """What is allowed. The default is what holds where an agent's owner says nothing.

    `resources` and `images` are patterns; `volumes` has folders of the host, below which anything
    may be mounted, and patterns of the names of volumes; `secrets` are patterns of the names of
    this process's variables that an item may have; `host` stands for everything else that reaches
    out of a container: namespaces, devices, capabilities, security options, files that are read on
    the host.
    """

    resources: tuple[str, ...] = (RESOURCE,)
    images: tuple[str, ...] = (EVERYTHING,)
    volumes: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    privileged: bool = False
    network_host: bool = False
    docker_socket: bool = False
    host: bool = False

    def check(self, resource: str, program: Program, trusted: Mapping[str, Any]) -> None:
        """Refuse a program that asks for what is not allowed.

        Parameters
        ----------
        resource : str
            Where it would run.
        program : Program
            With the options of its place.
        trusted : mapping
            The options the queue's own config has for that place.

        Raises
        ------
        SpecError
            With the rule, what was asked for, and what its owner would write to allow it.
        """
        asked = [Request("resources", resource)]
        if resource == RESOURCE:
            asked += [Request("images", image) for image in _images(program)]
            known = set(requests(_readable(trusted)))
            asked += [one for one in requests(program.options) if one not in known]
            if program.build is not None and program.build.inherit_pip_config:
                asked.append(Request("host", "build.inherit_pip_config"))
        self._refuse(asked)

    def check_source(self, spec: LaunchSpec) -> None:
        """Refuse what fetching the code, and its secrets, would take, before anything is fetched.

        Parameters
        ----------
        spec : LaunchSpec
            With the job it names, if it does, laid under it.

        Raises
        ------
        SpecError
            As `check`.
        """
        from .sources.repository import kept  # noqa: PLC0415 - launches of one's own need it not

        asked = [Request("secrets", name) for name in spec.needed_names]
        if spec.uri and is_local(spec.uri) and kept(spec.git) is None:
            asked.append(Request("host", f"uri={spec.uri}"))
        self._refuse(asked)

    def _refuse(self, asked: Iterable[Request]) -> None:
        for request in asked:
            if not self.allows(request):
                raise _refusal(self, request)

    def allows(self, request: Request) -> bool:
        """Say whether what is asked for is allowed."""
        rule, what = request
        if rule == "resources":
            return any(fnmatchcase(what, pattern) for pattern in self.resources)
        if rule == "images":
            return any(_matches(what, pattern) for pattern in self.images)
        if rule == "secrets":
            return what in PASSED_ON or any(fnmatchcase(what, name) for name in self.secrets)
        if rule == "volumes":
            return any(_within(what, place) for place in self.volumes)
        return bool(getattr(self, rule))


AT_HOME: Mapping[str, Any] = {"resources": (EVERYTHING,), "secrets": (EVERYTHING,)}
"""What is allowed by default where nobody but the agent's owner can put anything on a queue."""


def read_allow(*, private: bool = False) -> Allow:
    """Read the rules from this process's settings.

    Parameters
    ----------
    private : bool
        Whether all items are the owner's own: then the defaults are those of `AT_HOME`.

    Raises
    ------
    ConfigError
    """
    given = {rule.name: setting(PREFIX + rule.name) for rule in fields(Allow)}
    values: dict[str, Any] = dict(AT_HOME) if private else {}
    for name, found in given.items():
        if found.value is None:
            continue
        if isinstance(getattr(Allow, name), bool):
            if found.value not in YES | NO:
                raise ConfigError(
                    f"{PREFIX}{name} ({found.origin}) must be true or false, not {found.value!r}."
                )
            values[name] = found.value in YES
        else:
            items = [item.strip() for item in found.value.split(",")]
            values[name] = tuple(item for item in items if item and item != NOTHING)
    for place in values.get("volumes", ()):
        if "/" in place and not user_path(place).is_absolute():
            raise ConfigError(
                f"{PREFIX}volumes ({given['volumes'].origin}) has {place!r}, which is no absolute "
                "path.",
                hint="Name folders from the root on, and volumes by their names.",
            )
    return Allow(**values)


def _within(what: str, place: str) -> bool:
    """Say whether a mount is below an allowed folder, or a volume has an allowed name."""
    if "/" not in what:
        return "/" not in place and fnmatchcase(what, place)
    root = Path(os.path.realpath(user_path(place))) if "/" in place else None
    return root is not None and Path(what).is_relative_to(root)


def _images(program: Program) -> list[str]:
    """Name the images a program runs in, is built of, or is pushed to."""
    if program.build is None:
        return [program.image] if program.image else []
    pushed = [program.build.repository] if program.build.repository else []
    return [program.build.base, *images_in(program.build.dockerfile), *pushed]


def _matches(image: str, pattern: str) -> bool:
    return pattern == EVERYTHING or fnmatchcase(_whole_name(image), _whole_name(pattern))


def _whole_name(image: str) -> str:
    """Write an image's name, or a pattern of one, with what Docker adds to it."""
    first, slash, _ = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif not re.search(r"[.:*?\[]|^localhost$", first):
        image = f"docker.io/{image}"
    last = image.rpartition("/")[2]
    return image if re.search(r"[:@*]", last) else f"{image}:latest"


def _readable(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a queue's options, or none where they are wrong by themselves."""
    try:
        container_options(options)
    except SpecError:
        return {}
    return options


def _refusal(allow: Allow, request: Request) -> SpecError:
    rule, what = request
    held = getattr(allow, rule)
    shown, write = str(held).lower(), "true"
    if isinstance(held, tuple):
        shown, write = ", ".join(held) or NOTHING, f'["{what}"]'
    return SpecError(
        f"This agent does not allow {what!r}: its rule {PREFIX}{rule} is {shown}.",
        hint=f"The agent's owner would allow it by setting {PREFIX}{rule} = {write}.",
        field=f"{PREFIX}{rule}",
    )
