"""PostgreSQL is killed and started again under submits: what returned an id is there, once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jupyter_launch.runs import QueueRecord
from jupyter_launch.stores import open_store
from tests.postgres import Server, running

from .conftest import LONG
from .hammer import QUEUE
from .hammering import hammer

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(600)]

PROCESSES = 4
SECONDS, OUTAGES = (60, 8) if LONG else (8, 2)
DURABLE = ("fsync=on", "synchronous_commit=on")


def ready(folder: Path) -> int:
    """Count the processes that have said something."""
    return sum(path.stat().st_size > 0 for path in folder.glob("*.out"))


@pytest.fixture
def server() -> Iterator[Server]:
    """Give a server that loses nothing it has said is done."""
    with running(DURABLE) as made:
        yield made


@pytest.mark.parametrize("does", ["submit", "both"])
def test_the_server_is_killed_and_started_again(
    server: Server, tmp_path: Path, figures: Callable[..., None], does: str
) -> None:
    url = server.new_database()
    with closing(open_store(url)) as store:
        store.create_queue(QueueRecord(QUEUE, "local-process"))
        over, said = threading.Event(), tmp_path / "said"

        def outages() -> None:
            while ready(said) < PROCESSES and not over.wait(0.1):
                pass
            while not over.wait(SECONDS / (OUTAGES + 1)):
                server.kill()
                server.start()

        thread = threading.Thread(target=outages)
        thread.start()
        try:
            # 50 submits a second altogether.
            result = hammer(url, said, SECONDS, (does, "0.08"), PROCESSES)
        finally:
            over.set()
            thread.join()
        assert len(result.submitted) > SECONDS
        figures(**result.check(store), outages=OUTAGES)
