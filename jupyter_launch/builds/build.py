"""Building: one image for one content, whoever asks for it, and however often."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import replace
from typing import Any

from docker.errors import APIError, NotFound

from ..backends.docker_pull import present, pull
from ..docker_engine import Engine, translated, words
from ..errors import BuildFailed
from ..recipe import Recipe
from ..report import Report
from . import buildkit, classic, push
from .build_log import BuildLog
from .dockerfile import bases, check_image
from .lock import alone
from .order import Order, with_dockerfile, without_ignored
from .pip_config import Inherited, inherited
from .requirements import CONSTRAINTS, REQUIREMENTS

NAME = "jupyter-launch/built"
GENERATION = 1
"""Part of every tag: another number makes all images anew."""

NOTHING = Inherited({}, (), ())


def ensure(engine: Engine, recipe: Recipe, report: Report) -> tuple[str, bool]:
    """See to it that a recipe's image is there.

    Parameters
    ----------
    engine : Engine
        Who builds it, and keeps it.
    recipe : Recipe
        How it is made.
    report : Report
        Takes the progress and the builder's output, and may stop it all.

    Returns
    -------
    tuple
        The image to run, which is its tag, or its digest in the recipe's repository; and whether
        it was built now.

    Raises
    ------
    BuildFailed
        With the instruction that failed and what it said last; or what the registry said.
    ImageNotFound
        When there is no such base image.
    SpecError
        When a name in the recipe cannot be one.
    """
    if recipe.repository is not None:
        push.check_repository(recipe.repository)
    if recipe.base:
        check_image(recipe.base)
    recipe = replace(recipe, context=without_ignored(recipe.context))
    tag = _tag(engine, recipe, report)
    info, built = _find(engine, tag), False
    if info is None:
        with alone(tag, report):
            info = _find(engine, tag)
            if info is None:
                info, built = _built(engine, recipe, tag, report), True
    if recipe.repository is None:
        return tag, built
    known = push.digest(info, recipe.repository)
    return known or push.push(engine, tag, recipe.repository, report), built


def _tag(engine: Engine, recipe: Recipe, report: Report) -> str:
    """Name the image after all that decides what is in it."""
    names = bases(recipe.dockerfile)
    parts = {
        "generation": GENERATION,
        "bases": [_identity(engine, name, recipe.platform, report) for name in names],
        "dockerfile": recipe.dockerfile,
        "context": hashlib.sha256(recipe.context or b"").hexdigest(),
        "platform": recipe.platform,
    }
    content = json.dumps(parts, sort_keys=True).encode("utf-8", "surrogatepass")
    return f"{NAME}:{hashlib.sha256(content).hexdigest()[:24]}"


def _identity(engine: Engine, image: str, platform: str | None, report: Report) -> str:
    """Give what an engine knows a base image by; it is pulled if it is not there."""
    with translated(engine.address):
        if platform and not present(engine, image, platform):
            pull(engine, image, platform, report)
        try:
            return str(engine.image(image)["Id"])
        except NotFound:
            pull(engine, image, platform, report)
        return str(engine.image(image)["Id"])


def _find(engine: Engine, tag: str) -> dict[str, Any] | None:
    with translated(engine.address):
        try:
            return engine.image(tag)
        except NotFound:
            return None


def _built(engine: Engine, recipe: Recipe, tag: str, report: Report) -> dict[str, Any]:
    with translated(engine.address):
        able = buildkit.command(engine) is not None
    secrets = NOTHING
    if recipe.inherit_pip_config:
        if not able:
            raise BuildFailed(
                "build.inherit_pip_config needs BuildKit, and there is none here: the classic "
                "builder would leave the settings in the image.",
                hint="Install docker's plugin buildx (package docker-buildx-plugin).",
            )
        secrets = inherited(_indexes(recipe.context))
    for line in secrets.left_out:
        report.output(f"{line}\n".encode())
    log = BuildLog(report, secrets.secrets)
    context, name = with_dockerfile(recipe.context, recipe.dockerfile)
    order = Order(tag, context, name, recipe.platform, secrets.files)
    try:
        with translated(engine.address):
            try:
                (buildkit if able else classic).build(engine, order, log, report)
            except APIError as error:
                raise log.failure(words(error)) from error
    except BuildFailed:
        with translated(engine.address):
            engine.alive()  # raises what is the matter, if it is the engine
        raise
    info = _find(engine, tag)
    if info is None:
        raise log.failure("the engine broke the build off")
    return info


def _indexes(context: bytes | None) -> str:
    """Give the requirements in a context, whose indexes may want a login too."""
    if not context:
        return ""
    with tarfile.open(fileobj=io.BytesIO(context)) as tar:
        names = {REQUIREMENTS, CONSTRAINTS}.intersection(tar.getnames())
        found = [tar.extractfile(name) for name in names]
        return "\n".join(file.read().decode("utf-8", "replace") for file in found if file)
