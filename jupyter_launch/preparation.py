"""What a run does before its program starts, told to the store, and stopped with the run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from .lease import Claim
from .runs import BUILD
from .stores.base import Store


class Preparation:
    """A `Report` on one run: its lines become events, what tools print goes to the log.

    Parameters
    ----------
    store : Store
        Where the run is recorded.
    run_id, owner : str
        Which run, and who holds it.
    claim : Claim
        Says when to stop.
    """

    def __init__(self, store: Store, run_id: str, owner: str, claim: Claim) -> None:
        self._store, self._run_id, self._owner, self._claim = store, run_id, owner, claim

    def __call__(self, text: str) -> None:
        """Say in one line what is being done."""
        self._claim.check()
        self._store.append_event(self._run_id, "progress", {"text": text})

    def output(self, data: bytes) -> None:
        """Add what a tool printed to the run's log."""
        self._claim.check()
        self._store.append_log(self._run_id, self._owner, [(BUILD, data)])

    @contextlib.contextmanager
    def stoppable(self, end: Callable[[], None]) -> Iterator[None]:
        """Call `end` if the run is to be stopped while the block runs."""
        self._claim.stop_with(end)
        try:
            yield
        finally:
            self._claim.stop_with(None)
            # What fails because it was ended is no failure: this takes its place.
            self._claim.check()
