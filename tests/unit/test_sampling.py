"""A run's samples: when they are taken, what they say, and that they disturb nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from jupyter_launch import sampling
from jupyter_launch.backends.base import Usage
from jupyter_launch.errors import BackendUnavailable
from jupyter_launch.owner import new_owner
from jupyter_launch.runs import Run
from jupyter_launch.sampling import sampled
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores.base import Change, Store

SPEC = LaunchSpec.from_dict({"docker": {"docker_image": "tiny"}})
NOTHING = Change()


class Looks:
    """Gives what it was made of, one a look, and lets others wait for the last of them."""

    def __init__(self, *answers: Usage | Exception | None) -> None:
        self._answers = iter(answers)
        self.all_given = threading.Event()

    def __call__(self) -> Usage | None:
        answer = next(self._answers, None)
        if answer is None:
            self.all_given.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def run(store: Store) -> Run:
    made = store.submit(SPEC, owner=new_owner())
    for state in (State.STARTING, State.RUNNING):
        made = store.move(made.id, made.owner, state, NOTHING)
    return made


@pytest.fixture
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "FIRST_S", 0.01)
    monkeypatch.setattr(sampling, "OFTEN_S", 0.01)


@pytest.fixture
def threads() -> Iterator[Callable[[], list[threading.Thread]]]:
    """Give a function that names the threads that sample; none must be left."""

    def found() -> list[threading.Thread]:
        return [t for t in threading.enumerate() if t.name.startswith("launch-stats")]

    yield found
    for thread in found():
        thread.join(30)
    assert found() == []


def sample(store: Store, run: Run, looks: Looks, *, fresh: bool = True) -> None:
    assert run.owner is not None
    with sampled(store, run, run.owner, looks, fresh=fresh):
        assert looks.all_given.wait(30)


@pytest.mark.usefixtures("restless", "threads")
def test_samples_say_what_was_used(store: Store, run: Run) -> None:
    sample(store, run, Looks(Usage(3600.0, 5, 9), Usage(3600.0, 6, 0, 0.5, 7)))
    first, second = store.samples(run.id)
    assert run.started is not None
    assert first.cpu == pytest.approx(3600 / (first.at - run.started))
    assert first[2:] == (5, 9, None, None)
    assert second[1:] == (0.0, 6, 0, 0.5, 7)
    assert run.started < first.at < second.at


@pytest.mark.usefixtures("restless", "threads")
def test_cpu_is_counted_from_look_to_look(store: Store, run: Run) -> None:
    sample(store, run, Looks(Usage(10.0, 0), Usage(12.0, 0), Usage(1.0, 0)))
    first, second, third = store.samples(run.id)
    assert second.cpu == pytest.approx(2 / (second.at - first.at))
    assert third.cpu == 0.0, "it was started again"


@pytest.mark.usefixtures("restless", "threads")
def test_what_was_used_before_an_adoption_is_not_counted(store: Store, run: Run) -> None:
    sample(store, run, Looks(Usage(3600.0, 1), Usage(3600.0, 2)), fresh=False)
    (only,) = store.samples(run.id)
    assert (only.cpu, only.memory) == (0.0, 2)


@pytest.mark.usefixtures("restless", "threads")
def test_a_look_that_fails_is_no_event_and_not_the_last(store: Store, run: Run) -> None:
    before = store.events(run.id)
    sample(store, run, Looks(BackendUnavailable("away"), Usage(1.0, 7)))
    assert [s.memory for s in store.samples(run.id)] == [7]
    assert store.events(run.id) == before


@pytest.mark.usefixtures("restless")
def test_it_ends_when_somebody_else_has_the_run(
    store: Store, run: Run, threads: Callable[[], list[threading.Thread]]
) -> None:
    looks = Looks(*[Usage(1.0, 7)] * 10_000)
    with sampled(store, run, "somebody else", looks, fresh=True):
        for thread in threads():
            thread.join(30)
        assert threads() == []
    assert store.samples(run.id) == []


def test_a_short_run_is_not_looked_at(
    store: Store, run: Run, threads: Callable[[], list[threading.Thread]]
) -> None:
    looks = Looks(Usage(1.0, 7))
    assert run.owner is not None
    with sampled(store, run, run.owner, looks, fresh=True):
        pass
    for thread in threads():
        thread.join(30)
    assert not looks.all_given.is_set()
    assert store.samples(run.id) == []
