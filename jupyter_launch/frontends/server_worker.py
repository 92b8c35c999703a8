"""The threads in which the server extension does what would block the server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from .server_service import Service

THREADS = 8

T = TypeVar("T")


class Worker:
    """Runs calls on the `Service` in threads; it is made, and what it needs imported, on first use.

    A server starts as fast with the extension as without it, and one in which nobody launches
    anything never opens a store.

    Parameters
    ----------
    root : Path, optional
        Where the server's notebooks are, if they are files.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="jupyter-launch")
        self._lock = threading.Lock()
        self._service: Service | None = None

    async def run(self, call: Callable[[Service], T]) -> T:
        """Give what `call` makes of the service. Raises what it raises.

        Raises
        ------
        ConfigError, StoreUnavailable
            When the store cannot be opened; the next call tries again.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: call(self._opened()))

    async def close(self) -> None:
        """Let go of the store. Runs go on."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._service is not None:
            await asyncio.to_thread(self._service.close)

    def _opened(self) -> Service:
        with self._lock:
            if self._service is None:
                from .server_service import Service  # noqa: PLC0415

                self._service = Service(self._root)
            return self._service
