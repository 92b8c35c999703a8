"""Asking: what the options of a container ask for that an agent's rules decide about."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .backends.docker_options import container_options

SOCKETS = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
)
"""Where engines listen. Who may talk to one can do anything on its machine."""

_MODES = {"PidMode": "pid", "IpcMode": "ipc", "UTSMode": "uts", "UsernsMode": "userns",
          "CgroupnsMode": "cgroupns"}  # fmt: skip
_OF_THE_HOST = {"Annotations": "annotation", "CapAdd": "cap-add", "CgroupParent": "cgroup-parent",
                "Devices": "device", "DeviceCgroupRules": "device-cgroup-rule", "Links": "link",
                "VolumesFrom": "volumes-from", "VolumeDriver": "volume-driver",
                "OomKillDisable": "oom-kill-disable", "OomScoreAdj": "oom-score-adj"}  # fmt: skip


class Request(NamedTuple):
    """One thing that is asked for, and the rule that decides about it."""

    rule: str
    what: str


def requests(options: Mapping[str, Any]) -> Iterator[Request]:
    """Give what options of a container ask for that a rule decides about. Raises `SpecError`."""
    parsed = container_options(options)
    host = parsed.body.get("HostConfig", {})
    yield from (Request("secrets", name) for name in parsed.body.get("Env", []) if "=" not in name)
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
        elif kind == "image":
            yield Request("images", source)
        elif kind not in {"volume", "tmpfs"}:
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


def _networks(body: Mapping[str, Any]) -> list[str]:
    return list(body.get("NetworkingConfig", {}).get("EndpointsConfig", {}))


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(str(v.get("PathOnHost") if isinstance(v, dict) else v) for v in value)
    return str(value)
