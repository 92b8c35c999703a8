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
    """Puts an item on a queue, and takes the next one off, each by its name."""

    def put(self) -> str: ...
    def serve(self) -> None: ...
    def take(self) -> str | None: ...
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

    def take(self) -> str | None:
        task = self._huey.dequeue()
        return str(task.args[0]) if task else None

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

    def take(self) -> str | None:
        raise NotImplementedError

    def close(self) -> None:
        self._connection.close()


class Procrastinate:
    """Deferring with procrastinate, and what its worker does for each job, but for running it.

    It fetches the job, a commit, and records its end, another one: its worker does not go on to the
    next one before, and was measured so where the bars come from.
    """

    def __init__(self, url: str) -> None:
        import procrastinate as library  # noqa: PLC0415 - as above

        self._loop = asyncio.new_event_loop()
        self._app = library.App(connector=library.PsycopgConnector(conninfo=url))
        self._loop.run_until_complete(self._app.open_async())
        self._task = self._app.task(name="run")(_work)
        self._manager: Any = self._app.job_manager
        self._succeeded = library.jobs.Status.SUCCEEDED
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
        deferred = self._task.defer_async(name=uuid.uuid4().hex, text=self._text)
        return str(self._loop.run_until_complete(deferred))

    def serve(self) -> None:
        self._worker = self._loop.run_until_complete(self._manager.register_worker())

    def take(self) -> str | None:
        return self._loop.run_until_complete(self._worked())

    async def _worked(self) -> str | None:
        job = await self._manager.fetch_job(None, self._worker)
        if job is None:
            return None
        await self._manager.finish_job(job, self._succeeded, delete_job=False)
        return str(job.id)

    def close(self) -> None:
        self._loop.run_until_complete(self._app.close_async())


RIVALS: dict[str, type[Any]] = {
    "ours": Ours,
    "huey": Huey,
    "pgqueuer": PgQueuer,
    "procrastinate": Procrastinate,
}
