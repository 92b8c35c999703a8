"""A report whose lines a test hears."""

from __future__ import annotations

from collections.abc import Callable

from jupyter_launch.report import Silent


class Heard(Silent):
    """Hands its lines on.

    Parameters
    ----------
    hear : callable
        Takes each line; what it raises goes to whoever reports.
    """

    def __init__(self, hear: Callable[[str], None]) -> None:
        self._hear = hear

    def __call__(self, text: str) -> None:
        """Hand a line on."""
        self._hear(text)
