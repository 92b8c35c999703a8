"""A run's id that is not there: the ones like it are named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_launch.errors import RunNotFound
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import Store
from tests.jupyter_server import recorded


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(f"sqlite:///{tmp_path}/store/launch.db")
    yield made
    made.close()


def hint(store: Store, run_id: str) -> str:
    with pytest.raises(RunNotFound) as caught:
        store.get(run_id)
    return caught.value.hint


def test_ids_that_begin_so_come_first(store: Store) -> None:
    run = recorded(store)
    assert f"Did you mean {run.id}? " in hint(store, run.id[:5])


def test_a_slip_is_noticed(store: Store) -> None:
    run = recorded(store)
    wrong = run.id[:3] + ("a" if run.id[3] != "a" else "b") + run.id[4:]
    assert f"Did you mean {run.id}? " in hint(store, wrong)


def test_nothing_is_guessed_where_nothing_is_like_it(store: Store) -> None:
    recorded(store)
    assert hint(store, "-" * 8) == "`jupyter launch list` shows the runs there are."
