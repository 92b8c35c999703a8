"""docker-run options become the engine's JSON, or are refused by name."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_launch.backends import docker_values as values
from jupyter_launch.backends.docker_options import (
    FIXED,
    OPTIONS,
    REFUSED,
    SHORT,
    container_options,
)
from jupyter_launch.errors import SpecError


def body(**options: Any) -> dict[str, Any]:
    return container_options({name.replace("_", "-"): v for name, v in options.items()}).body


def host(**options: Any) -> dict[str, Any]:
    made: dict[str, Any] = body(**options)["HostConfig"]
    return made


# -- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("512m", 512 << 20),
        ("2g", 2 << 30),
        ("1.5G", 3 << 29),
        ("10 MiB", 10 << 20),
        ("10kb", 10240),
        ("7b", 7),
        ("7", 7),
        (4096, 4096),
    ],
)
def test_sizes(written: object, expected: int) -> None:
    assert values.size(written) == expected


@given(st.integers(0, 10**6), st.sampled_from("kmgtp"), st.sampled_from(["", "b", "ib"]))
def test_sizes_with_every_unit(number: int, unit: str, end: str) -> None:
    expected = number * 1024 ** ("kmgtp".index(unit) + 1)
    assert values.size(f"{number}{unit}{end}") == expected
    assert values.size(f"{number}{unit}{end}".upper()) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [("30s", 30), ("1m30s", 90), ("1.5h", 5400), ("0", 0), ("250ms", 0.25), ("1h0m1s", 3601)],
)
def test_durations(written: str, expected: float) -> None:
    assert values.duration(written) == expected * 10**9


# -- options --------------------------------------------------------------------------------------


def test_scalars_land_in_their_places() -> None:
    made = body(
        hostname="h", user=1000, workdir="/w", memory="1g", cpus=1.5, shm_size="64m", init=False
    )
    assert made == {
        "Hostname": "h",
        "User": "1000",
        "WorkingDir": "/w",
        "HostConfig": {
            "Memory": 1 << 30,
            "NanoCpus": 1_500_000_000,
            "ShmSize": 64 << 20,
            "Init": False,
        },
    }


def test_short_names() -> None:
    assert container_options({"m": "1g", "u": "me", "w": "/w", "h": "x"}).body == body(
        memory="1g", user="me", workdir="/w", hostname="x"
    )


def test_one_value_or_several() -> None:
    assert host(cap_add="NET_ADMIN") == host(cap_add=["NET_ADMIN"])
    assert host(dns=["1.1.1.1", "8.8.8.8"]) == {"Dns": ["1.1.1.1", "8.8.8.8"]}


def test_names_and_values_as_list_or_mapping() -> None:
    assert body(label=["a=1", "b", "c=x=y"]) == {"Labels": {"a": "1", "b": "", "c": "x=y"}}
    assert body(label={"a": 1, "b": "", "c": "x=y"}) == body(label=["a=1", "b", "c=x=y"])
    assert body(env={"A": 1, "B": True, "C": None}) == {"Env": ["A=1", "B=true", "C"]}


def test_volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    made = body(volume=["/a:/b:ro", "named:/c", "./d:/d", "~/e:/e", "/anonymous"])
    assert made["HostConfig"]["Binds"] == [
        "/a:/b:ro",
        "named:/c",
        f"{tmp_path}/d:/d",
        "/home/me/e:/e",
    ]
    assert made["Volumes"] == {"/anonymous": {}}


def test_mounts() -> None:
    written = "type=bind,source=/a,target=/b,readonly,bind-propagation=rslave"
    expected = {
        "Type": "bind",
        "Source": "/a",
        "Target": "/b",
        "ReadOnly": True,
        "BindOptions": {"Propagation": "rslave"},
    }
    as_mapping = {
        "type": "bind",
        "src": "/a",
        "dst": "/b",
        "ro": True,
        "bind-propagation": "rslave",
    }
    assert host(mount=written) == host(mount=as_mapping) == {"Mounts": [expected]}
    assert host(mount="type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770")["Mounts"][0] == {
        "Type": "tmpfs",
        "Target": "/t",
        "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1770},
    }


def test_ports() -> None:
    made = body(publish=["8080:80", "127.0.0.1:53:53/udp", 9000, "7000-7001:70-71"], expose="99")
    assert made["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostIp": "", "HostPort": "8080"}],
        "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "53"}],
        "9000/tcp": [{"HostIp": "", "HostPort": ""}],
        "70/tcp": [{"HostIp": "", "HostPort": "7000"}],
        "71/tcp": [{"HostIp": "", "HostPort": "7001"}],
    }
    assert set(made["ExposedPorts"]) == {*made["HostConfig"]["PortBindings"], "99/tcp"}


@pytest.mark.parametrize(
    ("written", "count", "ids"),
    [
        ("all", -1, []),
        (2, 2, []),
        ("2", 2, []),
        ("device=0,1", 0, ["0", "1"]),
        ('"device=0,1"', 0, ["0", "1"]),
        ("driver=nvidia", 1, []),
        ("device=GPU-3a23c669", 0, ["GPU-3a23c669"]),
    ],
)
def test_gpus(written: object, count: int, ids: list[str]) -> None:
    [request] = host(gpus=written)["DeviceRequests"]
    assert (request["Count"], request["DeviceIDs"]) == (count, ids)
    assert request["Capabilities"] == [["gpu"]]


def test_gpus_with_capabilities() -> None:
    [request] = host(gpus='all,driver=nvidia,"capabilities=compute,utility"')["DeviceRequests"]
    assert (request["Driver"], request["Count"]) == ("nvidia", -1)
    assert request["Capabilities"] == [["compute", "utility", "gpu"]]


def test_endpoint_options_go_to_the_first_network() -> None:
    made = body(network=["one", "two"], network_alias="me", ip="10.0.0.9")
    assert made["HostConfig"]["NetworkMode"] == "one"
    assert made["NetworkingConfig"]["EndpointsConfig"] == {
        "one": {"Aliases": ["me"], "IPAMConfig": {"IPv4Address": "10.0.0.9"}},
        "two": {},
    }
    assert body(network="name=one,alias=me,ip=10.0.0.9") == body(
        network="one", network_alias="me", ip="10.0.0.9"
    )


def test_environment_of_options_wins_and_files_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "env").write_text("# a comment\n\nFILE=1\nBOTH=file\nHANDED\n")
    monkeypatch.setenv("HANDED", "over")
    monkeypatch.delenv("ABSENT", raising=False)
    made = container_options(
        {"env-file": str(tmp_path / "env"), "env": ["BOTH=option", "ABSENT", "PRESET=0"]}
    )
    assert made.environment({"PRESET": "1", "KEPT": "a=b"}) == [
        "PRESET=0",
        "KEPT=a=b",
        "FILE=1",
        "BOTH=option",
        "HANDED=over",
    ]


def test_secrets_of_a_file_are_not_in_the_body(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("TOKEN=s3cret\n")
    assert "s3cret" not in str(container_options({"env-file": str(tmp_path / "env")}))


def test_what_the_docker_command_does_itself() -> None:
    made = container_options({"platform": "linux/arm64", "pull": "always"})
    assert (made.body, made.platform, made.pull) == ({}, "linux/arm64", "always")


# -- refusals -------------------------------------------------------------------------------------


def refusal(**options: Any) -> SpecError:
    with pytest.raises(SpecError) as failure:
        body(**options)
    return failure.value


def test_an_unknown_option_is_refused_with_the_list_of_what_is_known() -> None:
    error = refusal(memry="1g")
    assert "'memry'" in error.message
    assert "'memory'" in error.hint
    assert all(name in error.hint for name in OPTIONS)
    assert error.field == "resource_args.local-container.memry"


@pytest.mark.parametrize("name", REFUSED)
def test_an_impossible_option_is_refused_with_the_reason(name: str) -> None:
    assert REFUSED[name] in refusal(**{name: "x"}).message


@pytest.mark.parametrize("name", FIXED)
def test_what_is_done_anyway_may_be_asked_for(name: str) -> None:
    only, reason = FIXED[name]
    assert body(**{name: only}) == {}
    assert reason in refusal(**{name: not only if isinstance(only, bool) else "always"}).message


@pytest.mark.parametrize(
    ("name", "wrong", "expected"),
    [
        ("memory", "1 zettabyte", "512m"),
        ("memory", -5, "512m"),
        ("memory", True, "a text"),
        ("memory", None, "a text"),
        ("cpus", "many", "1.5"),
        ("pids-limit", "1.5", "whole number"),
        ("init", "perhaps", "true or false"),
        ("health-interval", 30, "30s"),
        ("publish", "eighty", "8080:80"),
        ("publish", "1-2:3-5", "as many ports"),
        ("publish", 70000, "65535"),
        ("expose", "1:2", "a port"),
        ("ulimit", "nofile=many", "nofile=1024"),
        ("env", "=x", "NAME=VALUE"),
        ("label", {"a": [1]}, "a text"),
        ("mount", "type=bind,source=/a", "target"),
        ("mount", "type=bind,sauce=/a,target=/b", "'sauce'"),
        ("network", "alias=x", "name=NETWORK"),
        ("gpus", "brand=x", "device=0,1"),
        ("add-host", "nothing", "HOST:IP"),
        ("device-read-bps", "sda:1mb", "/dev/sda:1mb"),
        ("device", "a:b:c:d", "HOST[:CONTAINER]"),
        ("pull", "sometimes", "missing or always or never"),
        ("log-driver", "none", "keeps the log"),
        ("security-opt", "seccomp=/no/such.json", "JSON file"),
        ("label-file", "/no/such", "can be read"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_expected(
    name: str, wrong: object, expected: str
) -> None:
    error = refusal(**{name: wrong})
    assert repr(name) in error.message
    assert expected in error.message
    assert error.field == f"resource_args.local-container.{name}"


def test_a_missing_environment_file_is_named() -> None:
    with pytest.raises(SpecError, match="/no/such"):
        container_options({"env-file": "/no/such"}).environment({})


def test_long_and_short_name_at_once_are_refused() -> None:
    assert "twice" in refusal(m="1g", memory="2g").message


def test_health_check_and_none_are_refused_together() -> None:
    assert "health-cmd" in refusal(health_cmd="true", no_healthcheck=True).message


@pytest.mark.skipif(not shutil.which("docker"), reason="compares with the docker command's help")
def test_every_option_of_docker_run_is_applied_or_refused() -> None:
    shown = subprocess.run(
        ["docker", "run", "--help"], capture_output=True, text=True, check=True
    ).stdout
    found = re.findall(r"^ +(?:-(\w), )?--([\w-]+)", shown, re.MULTILINE)
    assert len(found) > 80
    assert {name for _, name in found} - {*OPTIONS, *FIXED, *REFUSED} == set()
    assert {(short, SHORT[short]) for short, _ in found if short} == {
        (short, name) for short, name in found if short
    }
