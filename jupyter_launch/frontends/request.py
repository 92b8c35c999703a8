"""From what was typed to a launch spec, the same for the magics and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..backends import FALLBACK
from ..config import YES, setting, user_path
from ..errors import SpecError
from ..resolve import INHERIT
from ..sources.base import Snapshots
from ..sources.code import from_cell, from_path
from ..spec import LaunchSpec, merge
from .options import Request
from .values import load_mapping, mapping


def spec_of(
    request: Request,
    cell: str | None,
    keep: Snapshots,
    defaults: Mapping[str, str | None],
    where: Mapping[str, str | None],
) -> LaunchSpec:
    """Make the spec that a request means.

    Parameters
    ----------
    request : Request
        What was typed.
    cell : str, optional
        The body of the cell.
    keep : Snapshots
        Where the submitter's files are kept.
    defaults : mapping
        Settings of the front end (such as ``%config``); other settings are looked up.
    where : mapping
        ``notebook`` and ``cell``: where the request was typed.

    Raises
    ------
    SpecError, ConfigError
    """
    data = dict(request.spec)
    if cell is not None and request.path is not None:
        raise SpecError(
            f"A cell and a path ({request.path!r}) cannot be launched together.",
            hint=f"To bring files along: --include {request.path}",
            field="path",
        )
    include, data = _with_dockerfile(request.include, data, request.path)
    if include and (request.spec_body or (cell is None and request.path is None)):
        raise SpecError("--include goes with a cell, a script or a folder.", field="include")
    if request.spec_body:
        data = merge(typed_spec(request.path, cell), data)
    elif cell is not None:
        data["source"] = from_cell(cell, include, keep).model_dump(mode="json")
    elif request.path is not None:
        data["source"] = from_path(request.path, include, keep).model_dump(mode="json")
    if where:
        data["origin"] = dict(where)
    return LaunchSpec.from_dict(_with_defaults(data, defaults))


def typed_spec(path: str | None, cell: str | None) -> dict[str, Any]:
    """Read the launch spec that stands in a file, or else in a cell. Raises `SpecError`."""
    if path is not None:
        return load_mapping(path, "--spec")
    return mapping(cell or "", "--spec", "The cell")


def _with_dockerfile(
    include: tuple[str, ...], data: dict[str, Any], path: str | None
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Bring along a Dockerfile that is not in the source: beside a cell, or anywhere here."""
    given = data.get("overrides", {}).get("dockerfile")
    here = user_path(given or "")
    own = {"uri", "job"} & data.keys()
    if given is None or own or (path and (Path(path) / given).is_file()) or not here.is_file():
        return include, data
    outside = here.is_absolute() or ".." in here.parts
    name = here.name if outside else here.as_posix()
    brought = include if given in include else (*include, given)
    return brought, merge(data, {"overrides": {"dockerfile": name}})


def _with_defaults(data: dict[str, Any], defaults: Mapping[str, str | None]) -> dict[str, Any]:
    # What a spec leaves open in so many words (null) stays open.
    own = "source" in data
    for name in ("entity", "project", *(["resource"] if own else [])):
        if name not in data:
            data[name] = setting(name, given=defaults.get(name)).value
    docker = data.get("docker") or {}
    if own and data["resource"] != FALLBACK and docker.get("docker_image", "") == "":
        image = setting("image", given=defaults.get("image")).value
        data["docker"] = {**docker, "docker_image": image}
    wanted = setting(INHERIT, given=defaults.get(INHERIT)).value in YES
    if wanted != (setting(INHERIT).value in YES):
        data["builder"] = {"inherit_pip_config": wanted, **(data.get("builder") or {})}
    return data
