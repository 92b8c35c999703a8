"""An image as a source: its own entry point, or the one the spec names, with arguments."""

from __future__ import annotations

from ..program import Program
from ..spec import LaunchSpec


def program(spec: LaunchSpec) -> Program:
    """Make the program of an image."""
    return Program(
        command=spec.overrides.entry_point,
        args=spec.overrides.args,
        image=spec.image,
        user_id=spec.docker.user_id,
        grace_s=spec.grace_s,
        foreign=True,
    )
