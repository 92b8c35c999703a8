"""Options of ``docker run`` with a grammar of their own: mounts, ports, devices, networks.

As `docker_values`, of which these are made.
"""

from __future__ import annotations

import re
from typing import Any

from .docker_values import (
    Body,
    Reader,
    compact_json_file,
    each,
    fields,
    flag,
    host_path,
    integer,
    merge,
    pair,
    size,
    text,
    texts,
)

MOUNT_PLACES: dict[str, tuple[str, Reader]] = {
    "type": ("Type", text),
    "source": ("Source", text),
    "target": ("Target", text),
    "readonly": ("ReadOnly", flag),
    "consistency": ("Consistency", text),
    "bind-propagation": ("BindOptions.Propagation", text),
    "bind-nonrecursive": ("BindOptions.NonRecursive", flag),
    "volume-nocopy": ("VolumeOptions.NoCopy", flag),
    "volume-subpath": ("VolumeOptions.Subpath", text),
    "volume-label": ("VolumeOptions.Labels", pair),
    "volume-driver": ("VolumeOptions.DriverConfig.Name", text),
    "volume-opt": ("VolumeOptions.DriverConfig.Options", pair),
    "image-subpath": ("ImageOptions.Subpath", text),
    "tmpfs-size": ("TmpfsOptions.SizeBytes", size),
    "tmpfs-mode": ("TmpfsOptions.Mode", lambda value: int(text(value), 8)),
}
MOUNT_ALIASES = {
    "src": "source",
    "dst": "target",
    "destination": "target",
    "ro": "readonly",
}
NETWORK_PLACES: dict[str, tuple[str, Reader]] = {
    "alias": ("Aliases", texts),
    "driver-opt": ("DriverOpts", pair),
    "gw-priority": ("GwPriority", integer),
    "ip": ("IPAMConfig.IPv4Address", text),
    "ip6": ("IPAMConfig.IPv6Address", text),
    "link-local-ip": ("IPAMConfig.LinkLocalIPs", texts),
    "mac-address": ("MacAddress", text),
}
RECURSION: dict[str, Body] = {
    "enabled": {},
    "disabled": {"NonRecursive": True},
    "writable": {"ReadOnlyNonRecursive": True},
    "readonly": {"ReadOnlyForceRecursive": True},
}
PORT = re.compile(
    r"(?:(?:(?P<ip>\[[0-9a-fA-F:.%]+\]|\d+\.\d+\.\d+\.\d+):)?(?P<host>\d+(?:-\d+)?)?:)?"
    r"(?P<port>\d+)(?:-(?P<last>\d+))?(?:/(?P<protocol>tcp|udp|sctp))?"
)


def placed(place: str, value: Any) -> Body:
    """Put a value at a dotted place of an otherwise empty body."""
    for name in reversed(place.split(".")):
        value = {name: value}
    body: Body = value
    return body


def volume(value: Any) -> Body:
    """Read ``HOST:CONTAINER[:OPTIONS]``, ``NAME:CONTAINER`` or ``CONTAINER``."""
    source, colon, rest = text(value).partition(":")
    if not colon:
        return {"Volumes": {source: {}}}
    return placed("HostConfig.Binds", [f"{host_path(source)}:{rest}"])


def mount(value: Any) -> Body:
    """Read ``type=bind,source=/a,target=/b,...``."""
    body: Body = {"Type": "volume"}
    for key, given in fields(value):
        name = MOUNT_ALIASES.get(key, key)
        if name == "bind-recursive" and given in RECURSION:
            merge(body, {"BindOptions": RECURSION[given]})
            continue
        if name not in MOUNT_PLACES:
            raise ValueError(f"type=..., source=..., target=...; {key!r} is not known")
        place, read = MOUNT_PLACES[name]
        item = read("true" if given is None else given)
        merge(body, placed(place, dict([item]) if isinstance(item, tuple) else item))
    if "Target" not in body:
        raise ValueError("target=... besides the rest")
    if body["Type"] == "bind":
        body["Source"] = host_path(body.get("Source", ""))
    return placed("HostConfig.Mounts", [body])


def tmpfs(value: Any) -> Body:
    """Read ``PATH[:OPTIONS]``."""
    path, _, options = text(value).partition(":")
    return placed("HostConfig.Tmpfs", {path: options})


def expose(value: Any) -> Body:
    """Read ``PORT[-PORT][/PROTOCOL]``."""
    match = PORT.fullmatch(text(value))
    if match is None or match["host"] or match["ip"]:
        raise ValueError("a port such as 80, 80/udp or 8000-8005")
    return {"ExposedPorts": {name: {} for name in _ports(match)}}


def publish(value: Any) -> Body:
    """Read ``[[IP:]HOSTPORT[-HOSTPORT]:]PORT[-PORT][/PROTOCOL]``."""
    match = PORT.fullmatch(text(value))
    if match is None:
        raise ValueError("[[IP:]HOSTPORT:]PORT[/PROTOCOL], such as '8080:80', in quotes")
    ports = _ports(match)
    first, dash, last = (match["host"] or "").partition("-")
    hosts = [match["host"] or ""] * len(ports)
    if first and len(ports) > 1:
        hosts = [str(port) for port in range(int(first), int(last or first) + 1)]
        if len(hosts) != len(ports):
            raise ValueError("as many ports of the host as of the container")
    elif dash and int(last) < int(first):
        raise ValueError("a range of ports that ends after it begins")
    ip = (match["ip"] or "").strip("[]")
    bindings = {
        port: [{"HostIp": ip, "HostPort": host}] for port, host in zip(ports, hosts, strict=True)
    }
    return {
        "ExposedPorts": {port: {} for port in ports},
        "HostConfig": {"PortBindings": bindings},
    }


def _ports(match: re.Match[str]) -> list[str]:
    first, last = int(match["port"]), int(match["last"] or match["port"])
    if not 0 < first <= last < 65536:
        raise ValueError("ports from 1 to 65535")
    protocol = match["protocol"] or "tcp"
    return [f"{port}/{protocol}" for port in range(first, last + 1)]


def device(value: Any) -> Body:
    """Read ``HOST[:CONTAINER][:PERMISSIONS]``, or the name ``vendor/class=x``."""
    given = text(value)
    if "=" in given and not given.startswith("/"):
        return placed("HostConfig.DeviceRequests", [{"Driver": "cdi", "DeviceIDs": [given]}])
    source, *rest = given.split(":")
    allowed = rest.pop() if rest and re.fullmatch("[rwm]+", rest[-1]) else "rwm"
    if len(rest) > 1 or not source:
        raise ValueError("HOST[:CONTAINER][:rwm]")
    target = rest[0] if rest else source
    item = {"PathOnHost": source, "PathInContainer": target, "CgroupPermissions": allowed}
    return placed("HostConfig.Devices", [item])


def networks(value: Any) -> Body:
    """Read the names of one or several networks, or ``name=NETWORK,alias=...,ip=...``."""
    given = dict(each(_network)(value))
    body = placed("HostConfig.NetworkMode", next(iter(given)))
    if len(given) > 1 or any(given.values()):
        merge(body, {"NetworkingConfig": {"EndpointsConfig": given}})
    return body


def _network(value: Any) -> tuple[str, Body]:
    if isinstance(value, str) and "=" not in value:
        return value, {}
    name, endpoint = "", Body()
    for key, given in fields(value):
        if key == "name":
            name = given or ""
        elif key in NETWORK_PLACES:
            place, read = NETWORK_PLACES[key]
            item = read(given or "")
            merge(endpoint, placed(place, dict([item]) if isinstance(item, tuple) else item))
        else:
            raise ValueError(f"name=NETWORK,alias=...,ip=...; {key!r} is not known")
    if not name:
        raise ValueError("the name of a network, or name=NETWORK besides the rest")
    return name, endpoint


def rate(read: Reader) -> Reader:
    """Make a reader of ``PATH:RATE``."""

    def read_rate(value: Any) -> Body:
        path, _, given = text(value).rpartition(":")
        if not path.startswith("/"):
            raise ValueError("a device and its rate, such as /dev/sda:1mb")
        return {"Path": path, "Rate": read(given)}

    return read_rate


def weight(value: Any) -> Body:
    """Read ``PATH:WEIGHT``."""
    read: Body = rate(integer)(value)
    return {"Path": read["Path"], "Weight": read["Rate"]}


def gpus(value: Any) -> list[Body]:
    """Read ``all``, a number, or ``device=0,1``, ``driver=...``, ``capabilities=...``."""
    lists: dict[str, list[str]] = {"device": [], "capabilities": [], "options": []}
    count, driver, key = None, "", "count"
    for name, given in fields(value):
        # Without CSV's quotes, a list's later items stand alone: device=0,1
        key, item = (name, given) if given is not None else (key, name)
        if key in lists:
            lists[key].extend(item.split(","))
        elif key == "count":
            count = -1 if item == "all" else integer(item)
        elif key == "driver":
            driver = item
        else:
            raise ValueError("all, a number, or device=0,1")
    if count is None:
        count = 0 if lists["device"] else 1
    request = {
        "Driver": driver,
        "Count": count,
        "DeviceIDs": lists["device"],
        "Capabilities": [[*lists["capabilities"], "gpu"]],
        "Options": dict(map(pair, lists["options"])),
    }
    return [request]


def ulimits(value: Any) -> list[Body]:
    """Read ``NAME=SOFT[:HARD]``, a list of them, or a mapping of names."""
    if isinstance(value, dict):
        value = [f"{name}={text(item)}" for name, item in value.items()]
    return [_ulimit(*pair(item)) for item in texts(value)]


def _ulimit(name: str, limits: str) -> Body:
    soft, _, hard = limits.partition(":")
    try:
        return {"Name": name, "Soft": int(soft), "Hard": int(hard or soft)}
    except ValueError:
        raise ValueError("NAME=SOFT[:HARD], such as nofile=1024:2048") from None


def host_entry(value: Any) -> str:
    """Read ``HOST:IP`` or ``HOST=IP``."""
    given = text(value)
    name, sign, ip = given.partition("=" if "=" in given else ":")
    if not (name and sign and ip):
        raise ValueError("HOST:IP")
    return f"{name}:{ip.strip('[]')}"


def host_entries(value: Any) -> list[str]:
    """Read one or several entries of the hosts file, or a mapping."""
    if isinstance(value, dict):
        return [f"{text(name)}:{text(ip)}" for name, ip in value.items()]
    return [host_entry(item) for item in each(text)(value)]


def security(value: Any) -> Body:
    """Read a security option; a seccomp profile is a file on the owner's side."""
    given = text(value)
    name, _, rest = given.partition("=" if "=" in given else ":")
    if name == "systempaths" and rest == "unconfined":
        return {"HostConfig": {"MaskedPaths": [], "ReadonlyPaths": []}}
    if name == "seccomp" and rest not in ("unconfined", "builtin"):
        given = f"seccomp={compact_json_file(rest)}"
    return placed("HostConfig.SecurityOpt", [given])
