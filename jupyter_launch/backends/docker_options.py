"""Options of ``docker run``, under their names there, as the body of the engine's create request.

Every option is applied or refused by name; none is passed over.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import SpecError
from . import docker_parts as parts
from . import docker_values as values
from .docker_values import (
    Body,
    Reader,
    duration,
    each,
    flag,
    integer,
    merge,
    merged,
    nano,
    pairs,
    size,
    size_or_unlimited,
    text,
    texts,
)

RESOURCE = "local-container"

OPTIONS: dict[str, tuple[str, Reader]] = {
    "add-host": ("HostConfig.ExtraHosts", parts.host_entries),
    "annotation": ("HostConfig.Annotations", pairs),
    "blkio-weight": ("HostConfig.BlkioWeight", integer),
    "blkio-weight-device": ("HostConfig.BlkioWeightDevice", each(parts.weight)),
    "cap-add": ("HostConfig.CapAdd", texts),
    "cap-drop": ("HostConfig.CapDrop", texts),
    "cgroup-parent": ("HostConfig.CgroupParent", text),
    "cgroupns": ("HostConfig.CgroupnsMode", values.one_of("host", "private")),
    "cpu-count": ("HostConfig.CpuCount", integer),
    "cpu-percent": ("HostConfig.CpuPercent", integer),
    "cpu-period": ("HostConfig.CpuPeriod", integer),
    "cpu-quota": ("HostConfig.CpuQuota", integer),
    "cpu-rt-period": ("HostConfig.CpuRealtimePeriod", integer),
    "cpu-rt-runtime": ("HostConfig.CpuRealtimeRuntime", integer),
    "cpu-shares": ("HostConfig.CpuShares", integer),
    "cpus": ("HostConfig.NanoCpus", nano),
    "cpuset-cpus": ("HostConfig.CpusetCpus", text),
    "cpuset-mems": ("HostConfig.CpusetMems", text),
    "device": ("", merged(parts.device)),
    "device-cgroup-rule": ("HostConfig.DeviceCgroupRules", texts),
    "device-read-bps": ("HostConfig.BlkioDeviceReadBps", each(parts.rate(size))),
    "device-read-iops": ("HostConfig.BlkioDeviceReadIOps", each(parts.rate(integer))),
    "device-write-bps": ("HostConfig.BlkioDeviceWriteBps", each(parts.rate(size))),
    "device-write-iops": ("HostConfig.BlkioDeviceWriteIOps", each(parts.rate(integer))),
    "dns": ("HostConfig.Dns", texts),
    "dns-option": ("HostConfig.DnsOptions", texts),
    "dns-search": ("HostConfig.DnsSearch", texts),
    "domainname": ("Domainname", text),
    "entrypoint": ("Entrypoint", texts),
    "env": ("Env", values.variables),
    "env-file": ("Client.env_files", texts),
    "expose": ("", merged(parts.expose)),
    "gpus": ("HostConfig.DeviceRequests", parts.gpus),
    "group-add": ("HostConfig.GroupAdd", texts),
    "health-cmd": ("Healthcheck.Test", values.shell_check),
    "health-interval": ("Healthcheck.Interval", duration),
    "health-retries": ("Healthcheck.Retries", integer),
    "health-start-interval": ("Healthcheck.StartInterval", duration),
    "health-start-period": ("Healthcheck.StartPeriod", duration),
    "health-timeout": ("Healthcheck.Timeout", duration),
    "hostname": ("Hostname", text),
    "init": ("HostConfig.Init", flag),
    "io-maxbandwidth": ("HostConfig.IOMaximumBandwidth", size),
    "io-maxiops": ("HostConfig.IOMaximumIOps", integer),
    "ip": ("Client.endpoint.IPAMConfig.IPv4Address", text),
    "ip6": ("Client.endpoint.IPAMConfig.IPv6Address", text),
    "ipc": ("HostConfig.IpcMode", text),
    "isolation": ("HostConfig.Isolation", text),
    "kernel-memory": ("HostConfig.KernelMemory", size),
    "label-file": ("Labels", values.labels_of_files),
    "label": ("Labels", pairs),
    "link": ("HostConfig.Links", texts),
    "link-local-ip": ("Client.endpoint.IPAMConfig.LinkLocalIPs", texts),
    "log-driver": ("HostConfig.LogConfig.Type", values.log_driver),
    "log-opt": ("HostConfig.LogConfig.Config", pairs),
    "mac-address": ("MacAddress", text),
    "memory": ("HostConfig.Memory", size),
    "memory-reservation": ("HostConfig.MemoryReservation", size),
    "memory-swap": ("HostConfig.MemorySwap", size_or_unlimited),
    "memory-swappiness": ("HostConfig.MemorySwappiness", integer),
    "mount": ("", merged(parts.mount)),
    "network": ("", parts.networks),
    "network-alias": ("Client.endpoint.Aliases", texts),
    "no-healthcheck": ("Healthcheck.Test", values.no_check),
    "oom-kill-disable": ("HostConfig.OomKillDisable", flag),
    "oom-score-adj": ("HostConfig.OomScoreAdj", integer),
    "pid": ("HostConfig.PidMode", text),
    "pids-limit": ("HostConfig.PidsLimit", integer),
    "platform": ("Client.platform", text),
    "privileged": ("HostConfig.Privileged", flag),
    "publish": ("", merged(parts.publish)),
    "publish-all": ("HostConfig.PublishAllPorts", flag),
    "pull": ("Client.pull", values.one_of("missing", "always", "never")),
    "read-only": ("HostConfig.ReadonlyRootfs", flag),
    "runtime": ("HostConfig.Runtime", text),
    "security-opt": ("", merged(parts.security)),
    "shm-size": ("HostConfig.ShmSize", size),
    "stop-signal": ("StopSignal", text),
    "storage-opt": ("HostConfig.StorageOpt", pairs),
    "sysctl": ("HostConfig.Sysctls", pairs),
    "tmpfs": ("", merged(parts.tmpfs)),
    "ulimit": ("HostConfig.Ulimits", parts.ulimits),
    "user": ("User", text),
    "userns": ("HostConfig.UsernsMode", text),
    "uts": ("HostConfig.UTSMode", text),
    "volume": ("", merged(parts.volume)),
    "volume-driver": ("HostConfig.VolumeDriver", text),
    "volumes-from": ("HostConfig.VolumesFrom", texts),
    "workdir": ("WorkingDir", text),
}
"""Name -> its place in the create request, and the reader of its value.

What lies below ``Client`` is the docker command's own work; a reader without a place gives a part
of the whole request. The order counts where two options meet: the later one wins.
"""

SHORT = {
    "a": "attach",
    "c": "cpu-shares",
    "d": "detach",
    "e": "env",
    "h": "hostname",
    "i": "interactive",
    "l": "label",
    "m": "memory",
    "p": "publish",
    "P": "publish-all",
    "q": "quiet",
    "t": "tty",
    "u": "user",
    "v": "volume",
    "w": "workdir",
    "dns-opt": "dns-option",
    "net": "network",
    "net-alias": "network-alias",
}

FIXED: dict[str, tuple[object, str]] = {
    "detach": (True, "the container always runs on its own"),
    "disable-content-trust": (True, "image signatures are not checked here"),
    "interactive": (False, "nothing can be typed into a run"),
    "quiet": (False, "the progress of a pull is always shown"),
    "restart": ("no", "a run ends with its program; launch it again instead"),
    "rm": (True, "the container is always removed once its log and result are stored"),
    "tty": (False, "a terminal would mix the program's two output streams"),
}
"""Options of which one value is the way it is done here anyway: that one is accepted."""

REFUSED = {
    "attach": "the log always has both output streams",
    "cidfile": "the run's id is known without it",
    "detach-keys": "nothing can be typed into a run",
    "help": "it starts nothing",
    "name": "the container is named after the run; name the run instead (-n)",
    "sig-proxy": "stopping the run is how the program gets a signal",
    "stop-timeout": "it is the launch option --grace",
    "use-api-socket": "mount the socket if need be: volume=/var/run/docker.sock:"
    "/var/run/docker.sock",
}


@dataclass(frozen=True)
class ContainerOptions:
    """What the options come to.

    Parameters
    ----------
    body : dict
        The body of the engine's create request, as far as the options fill it.
    pull : str
        ``missing``, ``always`` or ``never``.
    platform : str, optional
        Such as ``linux/arm64``.
    env_files : tuple of str
        Files with environment variables on the owner's side, not read yet: they hold secrets.
    """

    body: Body
    pull: str = "missing"
    platform: str | None = None
    env_files: tuple[str, ...] = ()

    def environment(self, given: Mapping[str, str]) -> list[str]:
        """Add the options' variables to those given, as the engine's list.

        Options win, as with the docker command; names alone are looked up in this process.
        """
        try:
            lines = [line for path in self.env_files for line in values.file_lines(path)]
        except ValueError as error:
            raise _refusal("env-file", f"is {self.env_files}; expected: {error}") from error
        merged_env = dict(given)
        for line in [*lines, *self.body.get("Env", [])]:
            name, sign, value = line.partition("=")
            if sign or name in os.environ:
                merged_env[name] = value if sign else os.environ[name]
        return [f"{name}={value}" for name, value in merged_env.items()]


def container_options(given: Mapping[str, Any]) -> ContainerOptions:
    """Translate options.

    Parameters
    ----------
    given : mapping
        Names as the docker command has them, long or short, to values as YAML or Python has them.

    Raises
    ------
    SpecError
        Naming the option that is not known, not possible here, or has a wrong value.
    """
    named = _long_names(given)
    body: Body = {}
    for name in [name for name in OPTIONS if name in named]:
        place, read = OPTIONS[name]
        try:
            value = read(named[name])
        except ValueError as error:
            raise _refusal(name, f"is {named[name]!r}; expected: {error}") from error
        merge(body, parts.placed(place, value) if place else value)
    if len(body.get("Healthcheck", {}).get("Test", ())) > 2:
        raise _refusal("no-healthcheck", "contradicts health-cmd")
    client = body.pop("Client", {})
    _add_endpoint(body, client.get("endpoint", {}))
    return ContainerOptions(
        body,
        client.get("pull", "missing"),
        client.get("platform"),
        tuple(client.get("env_files", ())),
    )


def _long_names(given: Mapping[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for key, value in given.items():
        name = SHORT.get(key, key)
        if name in named:
            raise _refusal(name, "is given twice, by its long and its short name")
        if name in REFUSED:
            raise _refusal(name, f"is not possible here: {REFUSED[name]}")
        if name in FIXED:
            only, reason = FIXED[name]
            if str(value).lower() != str(only).lower():
                raise _refusal(name, f"cannot be {value!r} here: {reason}")
        elif name in OPTIONS:
            named[name] = value
        else:
            raise _unknown(key)
    return named


def _unknown(key: str) -> SpecError:
    known = [*OPTIONS, *FIXED]
    close = difflib.get_close_matches(str(key).replace("_", "-"), known, n=1)
    advice = f"Did you mean {close[0]!r}? " if close else ""
    return SpecError(
        f"resource_args: {RESOURCE} has no option {key!r}.",
        hint=f"{advice}Known, as in docker run: {', '.join(sorted(known))}.",
        field=f"resource_args.{RESOURCE}.{key}",
    )


def _refusal(name: str, what: str) -> SpecError:
    return SpecError(
        f"resource_args: the option {name!r} of {RESOURCE} {what}.",
        field=f"resource_args.{RESOURCE}.{name}",
    )


def _add_endpoint(body: Body, endpoint: Body) -> None:
    """Give the first network what the options say of the container's place in it."""
    host = body.get("HostConfig", {})
    mode = host.get("NetworkMode", "default")
    user_defined = mode.partition(":")[0] not in ("default", "bridge", "host", "none", "container")
    if user_defined and "Links" in host:
        endpoint["Links"] = host["Links"]
    if endpoint:
        merge(body, {"NetworkingConfig": {"EndpointsConfig": {mode: endpoint}}})
