"""Work that a form puts off and does in a thread, so that the kernel stays free."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Later:
    """Does its work once nobody has asked for it any more for a while.

    Parameters
    ----------
    work : callable
        Done in a thread of its own, never twice at once.
    delay_s : float
        How long nobody may have asked, in seconds.
    """

    def __init__(self, work: Callable[[], None], delay_s: float) -> None:
        self._work, self._delay_s = work, delay_s
        self._changed = threading.Condition()
        self._working = threading.Lock()
        self._asked = self._done = 0
        self._timer: threading.Timer | None = None

    def ask(self) -> None:
        """Ask for the work; asking again before it has begun puts it off."""
        with self._changed:
            self._asked += 1
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(self._delay_s, self._run, (self._asked,))
            self._timer.daemon = True
            self._timer.start()

    def wait(self, timeout: float) -> bool:
        """Wait until all that was asked for is done; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._done >= self._asked, timeout)

    def _run(self, number: int) -> None:
        try:
            with self._working:
                self._work()
        finally:
            with self._changed:
                self._done = max(self._done, number)
                self._changed.notify_all()
