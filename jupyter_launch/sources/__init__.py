"""Where programs come from: each kind of source becomes a `Program`, whoever executes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import Unsupported
from . import code, image

if TYPE_CHECKING:
    from ..program import Program
    from ..spec import LaunchSpec
    from .base import Snapshots

_WAYS_OUT = {
    "uri": "Clone it and launch the folder: %launch path/to/clone",
    "job": "Launch the job's image (-d IMAGE) or its code (%launch path/to/code).",
    "build": "Build the image yourself (docker build) and launch it with -d IMAGE.",
    "requirements": "Install them in the program, or choose an image that has them with -d IMAGE.",
}


def refuse_unsupported(spec: LaunchSpec) -> None:
    """Refuse every argument that would have no effect, rather than pass it over.

    Raises
    ------
    Unsupported
        Naming the argument, with a way out where there is one.
    SpecError
        When the spec names no source, or two that exclude each other.
    """
    given = {
        "uri": spec.uri,
        "job": spec.job,
        "build": spec.build,
        "version": spec.git.version or spec.git.repo,
        "repository": spec.registry,
        "requirements": spec.requirements,
        "template_variables": spec.template_variables,
        "builder": spec.builder,
        "python_version": spec.python_version,
        "docker.user_id": spec.docker.user_id,
        "overrides.dockerfile": spec.overrides.dockerfile,
        "overrides.working_dir": spec.overrides.working_dir,
    }
    _ = spec.kind  # raises unless there is exactly one source
    if spec.source is not None and not spec.overrides.entry_point:
        code.command(spec.source)  # raises unless it is known what to run
    for argument, value in given.items():
        if value:
            hint = _WAYS_OUT.get(argument, "Leave it out.")
            raise Unsupported(f"The argument {argument!r} is not supported yet.", hint=hint)


def program(spec: LaunchSpec, snapshots: Snapshots) -> Program:
    """Make the program of a spec.

    Raises
    ------
    SpecError, StoreError, Unsupported
        When its source cannot become one.
    """
    refuse_unsupported(spec)
    return image.program(spec) if spec.kind == "image" else code.program(spec, snapshots)
