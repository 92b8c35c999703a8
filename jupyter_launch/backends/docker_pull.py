"""Pulling an image, with its progress."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from docker.errors import APIError, NotFound

from ..docker_engine import Engine, words
from ..errors import ImageNotFound
from ..report import Report

HINT = "Check the name and the network, log in to its registry (docker login), or build it."
REPORT_S = 0.25


def present(engine: Engine, image: str, platform: str | None) -> bool:
    """Say whether the engine has the image (for that platform)."""
    try:
        found = engine.image(image)
    except NotFound:
        return False
    except APIError as error:
        raise ImageNotFound(f"Image {image!r}: {words(error)}.", hint=HINT) from error
    wanted = (platform or "").split("/")
    there = [found.get("Os", ""), found.get("Architecture", ""), found.get("Variant", "")]
    return not platform or wanted == there[: len(wanted)]


def provide(engine: Engine, image: str, platform: str | None, policy: str, report: Report) -> None:
    """See to it that the image is there, by the policy ``always``, ``missing`` or ``never``.

    Raises
    ------
    ImageNotFound
        When it is not there and cannot, or must not, be pulled.
    """
    there = present(engine, image, platform)
    if there and policy != "always":
        return
    if policy == "never":
        raise ImageNotFound(
            f"Image {image!r} is not on this engine, and the option pull is 'never'.",
            hint="Pull or build it first, or leave that option out.",
        )
    pull(engine, image, platform, report)


def pull(engine: Engine, image: str, platform: str | None, report: Report) -> None:
    """Pull an image.

    Parameters
    ----------
    engine : Engine
        Where to.
    image, platform : str
        What.
    report : callable
        Takes a line of progress, at most four in a second. If it raises, the pull is given up.

    Raises
    ------
    ImageNotFound
        With the engine's own words.
    """
    report(f"pulling image {image}")
    try:
        lines: Any = engine.pull(image, stream=True, decode=True, platform=platform)
        with contextlib.closing(lines):
            for percent in _percents(lines):
                report(f"pulling image {image}: {percent} %")
    except APIError as error:
        raise _failed(image, words(error)) from error
    except PullError as error:
        raise _failed(image, str(error)) from error


class PullError(Exception):
    """The engine broke a pull off in the middle."""


def _failed(image: str, why: str) -> ImageNotFound:
    return ImageNotFound(
        f"Image {image!r} is not on this engine, and pulling it failed: {why.rstrip('.')}.",
        hint=HINT,
    )


def _percents(lines: Iterator[dict[str, Any]]) -> Iterator[int]:
    """Give how much of the layers known so far is there, when it changes, but not too often."""
    layers: dict[str, tuple[int, int]] = {}
    shown, next_time = -1, 0.0
    for line in lines:
        # The engine answers 200 before it knows: what goes wrong later is a line like the others.
        if "error" in line:
            raise PullError(line["error"])
        detail = line.get("progressDetail") or {}
        if line.get("status") == "Downloading" and detail.get("total"):
            layers[line["id"]] = (detail["current"], detail["total"])
        elif line.get("status") in ("Download complete", "Pull complete") and line["id"] in layers:
            layers[line["id"]] = (layers[line["id"]][1],) * 2
        if not layers or time.monotonic() < next_time:
            continue
        current, total = (sum(column) for column in zip(*layers.values(), strict=True))
        percent = 100 * current // total
        if percent != shown:
            yield percent
            shown, next_time = percent, time.monotonic() + REPORT_S
