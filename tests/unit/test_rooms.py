"""The room that runs ask for, and that machines have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_launch import rooms
from jupyter_launch.rooms import asked_room, left, machine_room
from jupyter_launch.runs import NO_ROOM, Queue, QueueRecord, Room
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.stores.base import Store

QUEUE = Queue("me", "q")
GIB = 2**30
ROOMS = st.builds(Room, st.floats(0, 1e6), st.integers(0, 2**50), st.integers(0, 100))


def asked(
    options: dict[str, Any],
    resource: str | None = None,
    config: dict[str, Any] | None = None,
    **more: Any,
) -> Room:
    name = resource if resource not in {None, "auto", "local"} else "local-container"
    spec = {"docker": {"docker_image": "tiny"}, "resource": resource, **more}
    spec["resource_args"] = {name: options}
    return asked_room(LaunchSpec.from_dict(spec), QueueRecord(QUEUE, config=config or {}))


@pytest.mark.parametrize(
    ("room", "said"),
    [
        (Room(64, 64 * 2**20), "64 CPUs, 64 MiB"),
        (Room(1, 2**30, 1), "1 CPU, 1 GiB, 1 GPU"),
        (Room(0.5, 3 * 2**29, 8), "0.5 CPUs, 1.5 GiB, 8 GPUs"),
        (Room(gpus=2), "2 GPUs"),
        (NO_ROOM, ""),
    ],
)
def test_it_is_written_as_it_is_asked_for(room: Room, said: str) -> None:
    assert str(room) == said


@pytest.mark.parametrize("resource", ["local-container", "local-process"])
def test_however_much_is_asked_for_it_can_be_recorded(resource: str, store: Store) -> None:
    huge = {"cpus": "1e400", "memory": "99999999999999999999g", "gpus": 10**30}
    room = asked(huge, resource)
    run = store.submit(LaunchSpec.from_dict({"docker": {"docker_image": "tiny"}}), room=room)
    assert store.get(run.id).room == room
    assert not room.within(machine_room())


@pytest.mark.parametrize("resource", [None, "local-container", "local", "auto", "local-process"])
def test_it_is_read_from_the_options(resource: str | None) -> None:
    options = {"cpus": 1.5, "memory": "4g", "gpus": 2}
    assert asked(options, resource) == (1.5, 4 * GIB, 2)
    assert asked({}, resource) == NO_ROOM


@pytest.mark.parametrize(
    ("gpus", "number"),
    [("all", 1), (3, 3), ("2", 2), ("device=0,1", 2), ('"device=0,2",capabilities=utility', 2)],
)
def test_gpus_are_counted(gpus: Any, number: int) -> None:
    assert asked({"gpus": gpus}).gpus == number
    assert asked({"gpus": gpus}, "local-process").gpus == number


def test_a_short_name_counts() -> None:
    assert asked({"m": "1g"}).memory == GIB


def test_it_is_laid_over_what_the_queue_says() -> None:
    args = {"local-container": {"cpus": "{{n}}", "memory": "1g", "builder": {"type": "docker"}}}
    config = {"resource_args": args}
    assert asked({}, config=config, template_variables={"n": 3}) == (3, GIB, 0)
    assert asked({"memory": "2g"}, config=config, template_variables={"n": 3}).memory == 2 * GIB
    of_process = {"resource_args": {"local-process": {"gpus": 1}}}
    spec = LaunchSpec.from_dict({"source": {"kind": "cell", "body": "1"}})
    assert asked_room(spec, QueueRecord(QUEUE, "local-process", of_process)) == (0, 0, 1)


@pytest.mark.parametrize("resource", ["local-container", "local-process"])
@pytest.mark.parametrize(
    "options", [{"cpus": "many"}, {"memory": -1}, {"gpus": "x=1"}, {"cpus": []}]
)
def test_what_is_wrong_is_told_by_whoever_executes_it(
    resource: str, options: dict[str, Any]
) -> None:
    assert asked(options, resource) == NO_ROOM


@given(ROOMS, st.lists(ROOMS, max_size=5))
def test_what_is_left_is_never_less_than_nothing(whole: Room, taken: list[Room]) -> None:
    rest = left(whole, taken)
    assert NO_ROOM.within(rest)
    assert rest.within(whole)
    assert left(whole, []) == whole


def test_the_machine_has_some() -> None:
    room = machine_room()
    assert room.cpus > 0
    assert room.memory > 2**20
    assert room.gpus >= 0


@pytest.mark.parametrize(
    ("quota", "limit", "cpus", "memory"),
    [
        ("50000 100000", "1048576", 0.5, 2**20),
        ("max 100000", "max", None, None),
        ("nonsense", "", None, None),
    ],
)
def test_a_container_around_it_counts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    quota: str,
    limit: str,
    cpus: float | None,
    memory: int | None,
) -> None:
    monkeypatch.setattr(rooms, "CGROUP", tmp_path / "nothing")
    bare = machine_room()
    monkeypatch.setattr(rooms, "CGROUP", tmp_path)
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    room = machine_room()
    assert room.cpus == (bare.cpus if cpus is None else cpus)
    assert room.memory == (bare.memory if memory is None else memory)
