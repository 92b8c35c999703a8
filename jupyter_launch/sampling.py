"""What a run's program uses, looked at from time to time while it runs."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from .backends.base import Usage
from .errors import BackendError, LeaseLost, StoreError
from .runs import Run, Sample
from .stores.base import Store

FIRST_S = 1.0
"""How long a program has run when it is looked at first, in seconds: short ones never are."""

OFTEN_S, OFTEN_FOR_S = 2.0, 300.0
"""At first, this is between two looks, for so long; in seconds."""

SELDOM_S = 10.0
"""Afterwards, this is."""

SHARE = 0.01
"""How much of a core the looking may use: what takes longer is done less often."""


@contextlib.contextmanager
def sampled(
    store: Store, run: Run, owner: str, look: Callable[[], Usage | None], *, fresh: bool
) -> Iterator[None]:
    """Record what a run's program uses, in a thread of its own, until the context is left.

    Parameters
    ----------
    look : callable
        Gives what the program uses now. What it cannot give this time it may give the next time.
    fresh : bool
        Whether the program was started just now. What it used before is not counted otherwise.
    """
    over = threading.Event()
    work = _Sampler(store, run, owner, look, over)
    name = f"launch-stats-{run.id}"
    threading.Thread(target=work.sample, args=[fresh], name=name, daemon=True).start()
    try:
        yield
    finally:
        over.set()  # nobody waits for a look that is under way


class _Sampler:
    def __init__(
        self,
        store: Store,
        run: Run,
        owner: str,
        look: Callable[[], Usage | None],
        over: threading.Event,
    ) -> None:
        self._store, self._id, self._owner = store, run.id, owner
        self._look, self._over = look, over
        self._started = run.started or time.time()

    def sample(self, fresh: bool) -> None:
        """Look and record until it is over, or somebody else's."""
        # When the CPU time was known last, and how much it was.
        before = (self._started, 0.0) if fresh else None
        pause = FIRST_S
        while not self._over.wait(pause):
            spent = time.thread_time()
            with contextlib.suppress(BackendError):
                usage = self._look()
                if usage is not None:
                    now = time.time()
                    if before and now > before[0] and not self._keep(usage, now, before):
                        return
                    before = now, usage.cpu_s
            spent = time.thread_time() - spent
            young = time.time() - self._started < OFTEN_FOR_S
            pause = max(OFTEN_S if young else SELDOM_S, spent / SHARE)

    def _keep(self, usage: Usage, now: float, before: tuple[float, float]) -> bool:
        """Record it; say whether there is any sense in going on."""
        at, cpu_s = before
        cpu = max(0.0, usage.cpu_s - cpu_s) / (now - at)
        try:
            self._store.append_sample(self._id, self._owner, Sample(now, cpu, *usage[1:]))
        except LeaseLost:
            return False
        except StoreError:
            pass  # a disk that is full now may have room later
        return True
