"""The engine's statistics are read as its own command line reads them."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_launch.backends.base import Usage
from jupyter_launch.backends.docker_stats import gpu_ids, usage


def stats(cpu: int = 0, **memory: Any) -> dict[str, Any]:
    return {"cpu_stats": {"cpu_usage": {"total_usage": cpu}}, "memory_stats": memory}


@pytest.mark.parametrize(
    ("memory", "used"),
    [
        ({"usage": 100, "stats": {"total_inactive_file": 30, "inactive_file": 10}}, 70),
        ({"usage": 100, "stats": {"inactive_file": 30}}, 70),
        ({"usage": 100, "stats": {"inactive_file": 130}}, 100),
        ({"usage": 100, "stats": None}, 100),
        ({"usage": 100}, 100),
        ({}, 0),
    ],
)
def test_memory_is_without_unused_cache(memory: dict[str, Any], used: int) -> None:
    assert usage(stats(2_500_000_000, **memory)) == Usage(2.5, used)


def test_the_limit_is_told() -> None:
    assert usage(stats(0, usage=5, limit=1 << 30)) == Usage(0.0, 5, 1 << 30)


def test_what_does_not_run_uses_nothing() -> None:
    assert usage(stats()) is None


@pytest.mark.parametrize(
    ("requests", "ids"),
    [
        (None, None),
        ([], None),
        ([{"Driver": "", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]]}], []),
        ([{"Count": 2, "DeviceIDs": None, "Capabilities": [["gpu"]]}], ["0", "1"]),
        ([{"Count": 0, "DeviceIDs": ["1", "GPU-7f"], "Capabilities": [["gpu"]]}], ["1", "GPU-7f"]),
        ([{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0", "nvidia.com/gpu=3"]}], ["0", "3"]),
        ([{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=all"]}], []),
    ],
)
def test_which_gpus_a_container_was_given(requests: Any, ids: list[str] | None) -> None:
    assert gpu_ids({"HostConfig": {"DeviceRequests": requests}}) == ids


def test_a_runtime_that_gives_all_gpus() -> None:
    assert gpu_ids({"HostConfig": {"Runtime": "nvidia"}}) == []
