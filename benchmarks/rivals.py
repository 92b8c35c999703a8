"""Queues that are compared: ours, and those of others, each with one durable commit per item.

Who takes has come to serve before, as an agent listens before it claims.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import uuid
from typing import Any, Protocol

from jupyter_launch.owner import new_owner
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import NEW_WORK

from .submits import QUEUE, SPEC


class Rival(Protocol):
    """Puts an item on a queue, and takes all off, one by one, each by its name."""

    def put(self) -> str: ...
    def serve(self) -> None: ...
    def drain(self) -> list[str]: ...
    def close(self) -> None: ...


class Ours:
    """Submitting a run, and leasing the next one as an agent does."""

    def __init__(self, url: str) -> None:
        self.store, self._owner = open_store(url), new_owner()

    def put(self) -> str:
        return self.store.submit(SPEC, queue=QUEUE).id

    def serve(self) -> None:
        self._bell = self.store.listen(NEW_WORK)

    def take(self) -> str | None:
        run = self.store.claim([QUEUE], self._owner, os.environ)
        return run.id if run else None

    def drain(self) -> list[str]:
        return list(iter(self.take, None))

    def close(self) -> None:
        self.store.close()


class Huey:
    """Calling a task of huey's SQLite storage, and what its consumer does to get the next."""

    def __init__(self, url: str) -> None:
        # As the others, it is installed for `make bench` alone, and comes without types.
        huey: Any = importlib.import_module("huey")

        self._huey = huey.SqliteHuey(filename=url, fsync=True, timeout=60)
        self._task = self._huey.task()(_work)
        self._text = SPEC.to_json()

    def put(self) -> str:
        name = uuid.uuid4().hex
        self._task(name, self._text)
        return name

    def serve(self) -> None:
        """Nobody waits here for others."""

    def drain(self) -> list[str]:
        return [str(task.args[0]) for task in iter(self._huey.dequeue, None)]

    def close(self) -> None:
        self._huey.storage.close()


def _work(name: str, text: str) -> None:
    """Stand for the program."""


class PgQueuer:
    """Enqueueing with pgqueuer, from a program that is not asynchronous."""

    def __init__(self, url: str) -> None:
        import psycopg  # noqa: PLC0415 - each peer is needed by its own benchmark alone
        from pgqueuer.db import SyncPsycopgDriver  # noqa: PLC0415 - as above
        from pgqueuer.queries import SyncQueries  # noqa: PLC0415 - as above

        self._connection = psycopg.connect(url, autocommit=True)
        self._queries = SyncQueries(SyncPsycopgDriver(self._connection))
        self._payload = SPEC.to_json().encode()

    @staticmethod
    def install(url: str) -> None:
        """Make its tables."""
        import psycopg  # noqa: PLC0415 - as above
        from pgqueuer.db import PsycopgDriver  # noqa: PLC0415 - as above
        from pgqueuer.queries import Queries  # noqa: PLC0415 - as above

        async def install() -> None:
            connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
            async with connection:
                await Queries(PsycopgDriver(connection)).install()

        asyncio.run(install())

    def put(self) -> str:
        (name,) = self._queries.enqueue("run", self._payload)
        return str(name)

    def serve(self) -> None:
        raise NotImplementedError

    def drain(self) -> list[str]:
        raise NotImplementedError

    def close(self) -> None:
        self._connection.close()


class Procrastinate:
    """Deferring with procrastinate, and its own worker, whose jobs do nothing.

    The bars come from that worker. It fetches a job, a commit, and records its end, another one,
    before it goes on to the next.
    """

    def __init__(self, url: str) -> None:
        import procrastinate as library  # noqa: PLC0415 - as above

        self._loop = asyncio.new_event_loop()
        self._app = library.App(connector=library.PsycopgConnector(conninfo=url))
        self._loop.run_until_complete(self._app.open_async())
        self._task = self._app.task(name="run")(self._work)
        self._done: list[str] = []
        self._text = SPEC.to_json()

    @staticmethod
    def install(url: str) -> None:
        """Make its tables."""
        import procrastinate as library  # noqa: PLC0415 - as above

        async def install() -> None:
            app = library.App(connector=library.PsycopgConnector(conninfo=url))
            async with app.open_async():
                await app.schema_manager.apply_schema_async()

        asyncio.run(install())

    def put(self) -> str:
        name = uuid.uuid4().hex
        self._loop.run_until_complete(self._task.defer_async(name=name, text=self._text))
        return name

    def _work(self, name: str, **_: str) -> None:
        self._done.append(name)

    def serve(self) -> None:
        """Its worker comes to serve when it is started."""

    def drain(self) -> list[str]:
        self._done = []
        worker = self._app.run_worker_async(
            wait=False, install_signal_handlers=False, listen_notify=False
        )
        self._loop.run_until_complete(worker)
        return self._done

    def close(self) -> None:
        self._loop.run_until_complete(self._app.close_async())


RIVALS: dict[str, type[Any]] = {
    "ours": Ours,
    "huey": Huey,
    "pgqueuer": PgQueuer,
    "procrastinate": Procrastinate,
}
