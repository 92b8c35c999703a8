"""Which test proves which documented argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Test = TypeVar("Test", bound=Callable[..., object])


def proves(*arguments: str) -> Callable[[Test], Test]:
    """Say that a test shows that arguments do what is documented. The test itself stays as it is.

    Parameters
    ----------
    *arguments : str
        Arguments of the functions, such as ``launch_add.uri``, and options, such as ``--env``. They
        are written out, since `tests.arguments_table` reads them without running anything.
    """
    del arguments
    return lambda test: test
