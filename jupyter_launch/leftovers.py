"""What ended runs, and attempts that were given up, left behind at the backends of this machine."""

from __future__ import annotations

import contextlib
import time

from . import backends
from .errors import BackendError, StoreError
from .stores.base import Store

SETTLED_S = 60.0
"""How long ago a run ended before others than its owner clear away what it left, in seconds."""


def clear(store: Store, run_id: str, host: str) -> None:
    """Remove what an ended run left at its backend here. What cannot be is tried again later."""
    run = store.find(run_id)
    if run and run.state.terminal and run.handle and run.resource and run.host in {None, host}:
        with contextlib.suppress(BackendError, StoreError):
            backends.backend(run.resource).remove(run.handle)
            store.clear_handle(run_id, run.handle)


def clear_leftovers(store: Store, host: str) -> None:
    """Remove what runs left on a machine that ended a while ago."""
    for run in store.leftovers(time.time() - SETTLED_S, host):
        clear(store, run.id, host)


def clear_strays(store: Store) -> None:
    """End and remove programs of attempts that were given up while this machine was away.

    A run is tried again elsewhere when nothing is heard of its machine any more. What an attempt
    of now is goes by its name, so that nothing is touched that anybody follows.
    """
    for name in backends.names():
        with contextlib.suppress(BackendError):
            backend = backends.backend(name)
            for run_id, handle in list(backend.strays(store.id)):
                run = store.find(run_id)
                if run and run.attempt and not handle.endswith(run.unique_name):
                    with contextlib.suppress(BackendError):  # one that stays keeps no other
                        backend.stop(handle, 0)
                        backend.remove(handle)
