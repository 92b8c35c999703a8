"""The seam through which slow preparations (a fetch, a pull, a build) are watched and stopped."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Report(Protocol):
    """Takes what a run that is not running yet is doing. Raises `RunStopped` to stop it."""

    def __call__(self, text: str) -> None:
        """Say in one line what is being done, such as ``pulling image x: 43 %``."""

    def output(self, data: bytes) -> None:
        """Add what a tool printed, whole lines, to the run's log."""

    def stoppable(self, end: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `end`, from another thread, if the run is to be stopped while the block runs.

        The block should then return or fail soon: whatever it raises becomes `RunStopped`.
        """


class Silent:
    """A report that nobody reads, and that stops nothing."""

    def __call__(self, text: str) -> None:
        """Say nothing."""

    def output(self, data: bytes) -> None:
        """Throw it away."""

    def stoppable(self, end: Callable[[], None]) -> AbstractContextManager[None]:
        """Let the block run to its end."""
        del end
        return nullcontext()
