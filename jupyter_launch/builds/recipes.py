"""Whether an image is to be built for a program, and of what."""

from __future__ import annotations

import io
import posixpath
import tarfile
from typing import TYPE_CHECKING

from ..errors import SpecError, Unsupported
from ..program import Program
from ..recipe import Recipe
from ..sources.code import cell_name
from ..spec import LaunchSpec

if TYPE_CHECKING:
    from .requirements import Dependencies


def asked_for(spec: LaunchSpec) -> str | None:
    """Name a field of a spec that asks for a container, or for its image; ``None`` if none does."""
    asked = {
        "requirements": spec.requirements,
        "build": spec.build,
        "repository": spec.repository,
        "overrides.dockerfile": spec.overrides.dockerfile,
        "builder.base_image": spec.builder.image,
        "docker.user_id": spec.docker.user_id is not None,
    }
    return next((field for field, value in asked.items() if value), None)


def refuse_images(spec: LaunchSpec, place: str) -> None:
    """Refuse what asks for an image, for a place that runs none. Raises `Unsupported`."""
    field = asked_for(spec)
    if field is not None:
        raise Unsupported(
            f"{field} needs a container, and {place} runs none.",
            hint="Launch it with the resource local-container, or leave that out: the program "
            "then finds what is installed on this machine.",
        )


def with_build(spec: LaunchSpec, program: Program) -> Program:
    """Add to a program the image that is to be built for it, if there is something to build.

    Parameters
    ----------
    spec : LaunchSpec
        With its job laid under it.
    program : Program
        What its source became, for a place that runs images.

    Raises
    ------
    SpecError
        When the Dockerfile is not there, or the requirements cannot be installed.
    """
    if spec.builder.type == "noop" and not spec.build:
        return program.evolve(image=spec.builder.image or program.image)  # it is as it should be
    if spec.overrides.dockerfile is not None:
        return _by_dockerfile(spec, program, spec.overrides.dockerfile)
    base = spec.builder.image or program.image
    needs = _needs(spec, program)
    if needs is None and not spec.build and not spec.repository:
        return program.evolve(image=base)
    assert base is not None
    if needs is None:
        return program.evolve(build=_recipe(spec, base, f"FROM {base}\n", None))
    from .dockerfile import generated  # noqa: PLC0415 - as below

    text = generated(base, needs, inherit_pip_config=bool(spec.builder.inherit_pip_config))
    return program.evolve(build=_recipe(spec, base, text, needs.context()))


def _needs(spec: LaunchSpec, program: Program) -> Dependencies | None:
    whole_tree = spec.kind in {"path", "git"}
    if not spec.requirements and not whole_tree:
        return None
    # What few launches need is not paid for by all: each import takes milliseconds.
    from .requirements import Dependencies, declared  # noqa: PLC0415

    if spec.requirements:
        return Dependencies.from_lines(spec.requirements)
    return declared(program.archive)


def _recipe(spec: LaunchSpec, base: str, text: str, context: bytes | None) -> Recipe:
    return Recipe(
        base=base,
        dockerfile=text,
        context=context,
        repository=spec.repository,
        inherit_pip_config=bool(spec.builder.inherit_pip_config),
    )


def _by_dockerfile(spec: LaunchSpec, program: Program, path: str) -> Program:
    from .dockerfile import bases, copies_context, has_command  # noqa: PLC0415 - as above

    text = _read(program.archive, path)
    context = _context(spec, program.archive) if copies_context(text) else None
    made = program.evolve(build=_recipe(spec, (*bases(text), "scratch")[0], text, context))
    if context is None or spec.kind == "cell":
        return made
    # The code is where the Dockerfile put it, and so is the program that runs it.
    own_command = has_command(text) and not spec.overrides.entry_point
    command = () if own_command else made.command
    return made.evolve(archive=None, workdir=None, command=command)


def _context(spec: LaunchSpec, archive: bytes | None) -> bytes:
    """Give the files that come with a source, without the cell: changing that rebuilds nothing."""
    source = spec.source
    if source is None or source.body is None:
        return archive or b""
    cell, out = cell_name(source.body), io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive or b"")) as files,
        tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as kept,
    ):
        for entry in files:
            if entry.name != cell:
                kept.addfile(entry, files.extractfile(entry))
    return out.getvalue()


def _read(archive: bytes | None, path: str) -> str:
    name = posixpath.normpath(path)
    try:
        with tarfile.open(fileobj=io.BytesIO(archive or b"")) as tar:
            file = tar.extractfile(name)
            if file is not None:
                return file.read().decode()
    except (KeyError, tarfile.ReadError):
        pass
    except UnicodeDecodeError as error:
        raise SpecError(f"The Dockerfile {path} is no text.", field="dockerfile") from error
    raise SpecError(
        f"The source has no Dockerfile {path!r}.",
        hint="Name it from the top of the folder or repository; beside a cell, its path here.",
        field="dockerfile",
    )
