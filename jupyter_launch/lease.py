"""Holding runs: keeping their leases alive, and hearing when they are to be stopped."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from .errors import RunStopped, StoreError
from .owner import new_owner
from .runs import Run
from .states import State
from .stores.base import LEASE_S, Store


class Ending(NamedTuple):
    """Into which state a run is stopped, and why."""

    state: State
    why: str


ON_REQUEST = Ending(State.STOPPED, "on request")
AGENT_ENDS = Ending(State.STOPPED, "because its agent was told to end")


class Claim:
    """One held run, as the thread that executes it sees it.

    Parameters
    ----------
    adopted : bool
        Whether somebody else held the run before.
    """

    def __init__(self, *, adopted: bool) -> None:
        self.adopted = adopted
        self.ending: Ending | None = None
        self.because = ON_REQUEST
        """What counts when it is not said why the run is stopped."""
        self.killing = False
        self.lost = False
        self.when_lost: Callable[[], None] = lambda: None
        """What is done when another process holds the run, or it is over for all others."""
        self._stopper: Callable[[], None] | None = None
        self._lock = threading.Lock()
        self._asked = threading.Event()

    @property
    def stopping(self) -> bool:
        """Whether the run is to be stopped."""
        return self.ending is not None

    def check(self) -> None:
        """Raise `RunStopped` if the run is to be stopped."""
        if self.stopping:
            raise RunStopped

    def pause(self, seconds: float) -> None:
        """Do nothing for so long. Raises `RunStopped` as soon as the run is to be stopped."""
        self._asked.wait(seconds)
        self.check()

    def stop(self, ending: Ending | None = None, *, kill: bool = False) -> None:
        """Stop the run, now or as soon as it can be stopped, in a thread of its own.

        Asking again changes nothing, unless it is to be killed now.
        """
        with self._lock:
            news = not self.stopping or (kill and not self.killing)
            self.ending = self.ending or ending or self.because
            self.killing = self.killing or kill
            self._asked.set()
            if news and self._stopper:
                threading.Thread(target=self._stopper, name="launch-stop", daemon=True).start()

    def stop_with(self, stopper: Callable[[], None] | None) -> None:
        """Say how the run is stopped, or killed, from now on; called at once if that was asked."""
        with self._lock:
            self._stopper = stopper
            if stopper and self.stopping:
                threading.Thread(target=stopper, name="launch-stop", daemon=True).start()


class Keeper:
    """Renews the leases of this process, in one thread, and passes stop requests on.

    Parameters
    ----------
    store : Store
        Where the runs are.
    take : callable
        Called with each run that this process holds but nobody here executes, and whether it was
        just taken over from a dead owner; otherwise its thread gave up because the store could not
        be written.
    """

    def __init__(self, store: Store, take: Callable[[Run, bool], None]) -> None:
        self.owner = new_owner()
        self.on_ring: Callable[[], None] = lambda: None
        """Called when somebody wants something of this process."""
        self._store = store
        self._take = take
        self._claims: dict[str, Claim] = {}
        self._lock = threading.Lock()
        self._sweeping = threading.Lock()
        self._closed = False
        self._renewed, self._patient_until = time.monotonic(), 0.0
        self._listener = store.listen(self.owner)
        self._thread = threading.Thread(target=self._run, name="launch-lease", daemon=True)

    def start(self) -> None:
        """Begin to renew, and to take over."""
        self._thread.start()

    def hold(self, run: Run, *, adopted: bool) -> Claim | None:
        """Count a run as executed here; ``None`` if it already is."""
        with self._lock:
            if run.id in self._claims:
                return None
            self._claims[run.id] = claim = Claim(adopted=adopted)
        if run.stop_requested:
            claim.stop(kill=run.kill_requested)
        return claim

    def release(self, run_id: str) -> None:
        """Count a run as no longer executed here."""
        with self._lock:
            self._claims.pop(run_id, None)

    def held(self) -> int:
        """Count the runs executed here."""
        return len(self._claims)

    def stop_all(self, ending: Ending) -> None:
        """Stop all runs that are executed here."""
        with self._lock:
            claims = dict(self._claims)
        for run_id, claim in claims.items():
            claim.because = ending
            # First, so that whoever takes the run over, should this process die, stops it too.
            with contextlib.suppress(StoreError):
                self._store.request_stop(run_id)
            claim.stop()

    def sweep(self) -> None:
        """Take over what dead owners left: all of it is held when this returns.

        Where this process itself could not renew for longer than a lease, others could not either:
        they are given the time to, before they count as dead.
        """
        if time.monotonic() < self._patient_until:
            return
        with self._sweeping:
            for run in self._store.sweep(self.owner):
                self._take(run, True)

    def close(self) -> None:
        """Stop renewing. Runs go on; whoever looks next takes them over."""
        self._closed = True
        self._listener.ring()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        with self._listener:
            rang = False
            while not self._closed:
                # A store that cannot be written now is tried again at the next beat.
                with contextlib.suppress(StoreError):
                    self._beat()
                    if rang:
                        self.on_ring()
                rang = self._listener.wait(LEASE_S / 3)

    def _beat(self) -> None:
        with self._lock:
            claims = dict(self._claims)
        held = self._store.renew(self.owner)
        now = time.monotonic()
        if now - self._renewed > LEASE_S:
            self._patient_until = now + LEASE_S
        self._renewed = now
        for run_id in claims.keys() - {run.id for run in held}:
            if not claims[run_id].lost:
                claims[run_id].lost = True
                threading.Thread(target=claims[run_id].when_lost, daemon=True).start()
        for run in held:
            claim = self._claims.get(run.id)
            if claim is None:
                self._take(run, False)
            elif run.stop_requested:
                claim.stop(kill=run.kill_requested)
        self.sweep()
