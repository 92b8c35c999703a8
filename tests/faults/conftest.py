"""How long the faults go on, and where their figures go."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

LONG = os.environ.get("JUPYTER_LAUNCH_TEST_SOAK") == "1"
"""Whether this is ``make soak``."""


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Give a function that prints a line of figures, whatever pytest captures."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def show(**numbers: object) -> None:
        text = ", ".join(f"{name} {value}" for name, value in numbers.items())
        with capture.global_and_fixture_disabled():
            print(f"\n{request.node.name}: {text}")

    return show
