"""Policy: what an agent's owner allows the items of its queues to ask for (``agent.allow``).

The rules are the agent's own settings. What a queue's default config asks for was decided by who
administers the queue, and counts as allowed; the rules hold for what an item asks for beyond that.
Which resources and images may be used at all holds for both.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from .backends.docker_options import RESOURCE, container_options
from .config import EVERYTHING, NO, NOTHING, YES, setting, user_path
from .errors import ConfigError, SpecError
from .program import Program

PREFIX = "agent.allow."

SOCKETS = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
)
"""Where engines listen. Who may talk to one can do anything on its machine."""

_MODES = {"PidMode": "pid", "IpcMode": "ipc", "UTSMode": "uts", "UsernsMode": "userns",
          "CgroupnsMode": "cgroupns"}  # fmt: skip
_OF_THE_HOST = {"CapAdd": "cap-add", "CgroupParent": "cgroup-parent", "Devices": "device",
                "DeviceCgroupRules": "device-cgroup-rule", "VolumesFrom": "volumes-from",
                "VolumeDriver": "volume-driver", "OomKillDisable": "oom-kill-disable",
                "OomScoreAdj": "oom-score-adj"}  # fmt: skip
_FROM = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE | re.MULTILINE)
_COPIED = re.compile(r"[-,\s]from=([^\s,]+)", re.IGNORECASE)
_SYNTAX = re.compile(r"^\s*#\s*syntax\s*=\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_OWN_SYNTAX = re.compile(r"(docker\.io/)?docker/dockerfile(:[\w.-]+)?")


@dataclass(frozen=True)
class Allow:
    """What is allowed. The default is what holds where an agent's owner says nothing.

    `resources` and `images` are patterns; `volumes` has folders of the host, below which anything
    may be mounted, and patterns of the names of volumes; `host` stands for everything else that
    reaches out of a container: namespaces, devices, capabilities, security options, files that are
    read on the host.
    """

    resources: tuple[str, ...] = (EVERYTHING,)
    images: tuple[str, ...] = (EVERYTHING,)
    volumes: tuple[str, ...] = ()
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
        if rule == "volumes":
            return any(_within(what, place) for place in self.volumes)
        return bool(getattr(self, rule))


class Request(NamedTuple):
    """One thing that is asked for, and the rule that decides about it."""

    rule: str
    what: str


def read_allow() -> Allow:
    """Read the rules from this process's settings. Raises `ConfigError`."""
    given = {rule.name: setting(PREFIX + rule.name) for rule in fields(Allow)}
    values: dict[str, Any] = {}
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


def requests(options: Mapping[str, Any]) -> Iterator[Request]:
    """Give what options of a container ask for that a rule decides about. Raises `SpecError`."""
    parsed = container_options(options)
    host = parsed.body.get("HostConfig", {})
    yield from (Request("host", f"env-file={path}") for path in parsed.env_files)
    if "label-file" in options:
        yield Request("host", f"label-file={options['label-file']}")
    if host.get("Privileged"):
        yield Request("privileged", "privileged")
    networks = {host.get("NetworkMode", ""), *_networks(parsed.body)}
    for name in sorted(networks):
        if name == "host":
            yield Request("network_host", "network=host")
        elif name.startswith("container:"):
            yield Request("host", f"network={name}")
    yield from _of_the_host(host)
    yield from _mounts(host)


def _of_the_host(host: Mapping[str, Any]) -> Iterator[Request]:
    for key, option in _MODES.items():
        if host.get(key, "").partition(":")[0] in {"host", "container", "ns"}:
            yield Request("host", f"{option}={host[key]}")
    for key, option in _OF_THE_HOST.items():
        if host.get(key):
            yield Request("host", f"{option}={_shown(host[key])}")
    for given in host.get("SecurityOpt", []):
        if not given.startswith("no-new-privileges"):
            yield Request("host", f"security-opt={given[:60]}")
    if "MaskedPaths" in host:
        yield Request("host", "security-opt=systempaths=unconfined")
    for request in host.get("DeviceRequests", []):
        strange = [name for name in request["DeviceIDs"] if "=" in name and "/gpu=" not in name]
        yield from (Request("host", f"device={name}") for name in strange)


def _mounts(host: Mapping[str, Any]) -> Iterator[Request]:
    for bind in host.get("Binds", []):
        yield from _mount(bind.partition(":")[0])
    for mount in host.get("Mounts", []):
        kind, source = mount["Type"], mount.get("Source", "")
        if kind == "bind":
            yield from _mount(source)
        elif kind == "volume" and "DriverConfig" in mount.get("VolumeOptions", {}):
            # The driver called local mounts any device or folder that its options name.
            yield Request("host", f"mount=a volume with options of a driver ({source})")
        elif kind == "volume" and source:
            yield Request("volumes", source)
        elif kind not in {"volume", "tmpfs", "image"}:
            yield Request("host", f"mount=type={kind}")


def _mount(source: str) -> Iterator[Request]:
    if "/" not in source:
        yield Request("volumes", source)
        return
    real = Path(os.path.realpath(source))
    sockets = {Path(os.path.realpath(path)) for path in _sockets()}
    if any(real in (socket, *socket.parents) for socket in sockets):
        yield Request("docker_socket", f"volume={source}")
    if real not in sockets:
        yield Request("volumes", str(real))


def _sockets() -> Iterator[str]:
    yield from SOCKETS
    scheme, _, path = os.environ.get("DOCKER_HOST", "").partition("://")
    if scheme == "unix":
        yield path
    if folder := os.environ.get("XDG_RUNTIME_DIR"):
        yield from (f"{folder}/docker.sock", f"{folder}/podman/podman.sock")


def _within(what: str, place: str) -> bool:
    """Say whether a mount is below an allowed folder, or a volume has an allowed name."""
    if "/" not in what:
        return "/" not in place and fnmatchcase(what, place)
    root = Path(os.path.realpath(user_path(place))) if "/" in place else None
    return root is not None and Path(what).is_relative_to(root)


def _images(program: Program) -> list[str]:
    """Name the images a program runs in, or is built of."""
    if program.build is None:
        return [program.image] if program.image else []
    text = program.build.dockerfile
    stages = _FROM.findall(text)
    own = {name.lower() for _, name in stages if name} | {"scratch"} | set(map(str, range(99)))
    syntax = [image for image in _SYNTAX.findall(text) if not _OWN_SYNTAX.fullmatch(image)]
    named = [image for image, _ in stages] + _COPIED.findall(text)
    return [program.build.base, *syntax, *(image for image in named if image.lower() not in own)]


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


def _networks(body: Mapping[str, Any]) -> list[str]:
    return list(body.get("NetworkingConfig", {}).get("EndpointsConfig", {}))


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(str(v.get("PathOnHost") if isinstance(v, dict) else v) for v in value)
    return str(value)


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
