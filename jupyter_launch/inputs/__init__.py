"""The inputs of a launched program, for the program itself: its run config and its config files.

A program that is launched finds its run config in the variable ``WANDB_CONFIG``, and what its
launch changes in config files in ``WANDB_LAUNCH_FILE_OVERRIDES``; a text that is too long for one
variable comes in ``NAME_0``, ``NAME_1`` and so on. The functions here read both, refuse what the
program does not want changed, and check the result. They need neither W&B nor a server, and agree
with W&B's own where both are used.
"""

from __future__ import annotations

import copy
import json
import os
import posixpath
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import LaunchError
from .config_file import checked_path, read, replace
from .dotted import check_allowed, leaves, put, shown
from .schema import check_schema

if TYPE_CHECKING:
    from .schema import Schema

__all__ = ["load_config", "manage_config", "manage_config_file"]

CONFIG = "WANDB_CONFIG"
FILES = "WANDB_LAUNCH_FILE_OVERRIDES"


def load_config() -> dict[str, Any]:
    """Read the run config that this program was launched with.

    Returns
    -------
    dict
        The values of ``--set``, ``--config``, ``parameters`` or ``overrides.run_config``.

    Raises
    ------
    LaunchError
        When there is none, since nobody launched this program, or it is no JSON.

    Examples
    --------
    >>> import os
    >>> os.environ["WANDB_CONFIG"] = '{"lr": 0.1, "layers": [64, 64]}'
    >>> load_config()
    {'lr': 0.1, 'layers': [64, 64]}
    """
    found = _variable(CONFIG)
    if found is None:
        raise LaunchError(
            f"There is no run config: neither {CONFIG} nor {CONFIG}_0 is in the environment.",
            hint=f"A launched program has it. To run this one by itself, set {CONFIG}='{{}}'.",
        )
    return found


def manage_config(
    include: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
    schema: Schema | None = None,
) -> dict[str, Any]:
    r"""Say what of the run config a launch may set, and give the config that came of it.

    Parameters
    ----------
    include : sequence of str, optional
        Dotted paths: a launch may set what is there or below. Default: everything. A dot in a
        name is written ``\.``.
    exclude : sequence of str, optional
        Dotted paths that no launch may set, even below one of `include`.
    schema : mapping or pydantic model, optional
        What the config must be: a JSON Schema, or a pydantic model (the class or an instance).

    Returns
    -------
    dict
        The run config of the launch; empty if nobody launched this program. While a run of W&B's
        is active in this process, all of its ``wandb.config``, where the launch's values are too.

    Raises
    ------
    SpecError
        Listing every value that may not be set, or every violation of the schema.
    LaunchError
        When the environment or the schema itself is broken.

    Examples
    --------
    >>> import os
    >>> os.environ["WANDB_CONFIG"] = '{"lr": 0.1}'
    >>> limits = {"properties": {"lr": {"type": "number", "maximum": 1}}}
    >>> manage_config(include=["lr"], schema=limits)
    {'lr': 0.1}
    """
    launched = _variable(CONFIG) or {}
    check_allowed(launched, include, exclude, "the run config")
    run = getattr(sys.modules.get("wandb"), "run", None)
    config = launched if run is None else {**launched, **dict(run.config)}
    check_schema(config, schema, "The run config")
    return config


def manage_config_file(
    path: str,
    include: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
    schema: Schema | None = None,
) -> Any:
    r"""Change a config file as the launch asks for, and give what is in it then.

    The values in ``overrides.files`` for this path are laid over those in the file, level by level,
    and the file is replaced in one step; comments in it are lost. A file for which nothing is asked
    stays as it is, and so does one whose new content would be wrong.

    Parameters
    ----------
    path : str
        A ``.json``, ``.yaml`` or ``.yml`` file below the working directory, relative to that.
    include, exclude, schema
        As for `manage_config`.

    Returns
    -------
    any
        The content, usually a dict.

    Raises
    ------
    SpecError
        Listing every value that may not be set, or every violation of the schema.
    LaunchError
        When there is no such file, it cannot be read or written, or the environment or the schema
        itself is broken.

    Examples
    --------
    >>> import os, pathlib
    >>> _ = pathlib.Path("model.yaml").write_text("layers: 18\nname: resnet\n")
    >>> os.environ["WANDB_LAUNCH_FILE_OVERRIDES"] = '{"model.yaml": {"layers": 50}}'
    >>> manage_config_file("model.yaml", include=["layers"])
    {'layers': 50, 'name': 'resnet'}
    >>> print(pathlib.Path("model.yaml").read_text(), end="")
    layers: 50
    name: resnet
    """
    file = checked_path(path)
    files = {posixpath.normpath(name): asked for name, asked in (_variable(FILES) or {}).items()}
    overrides = files.get(posixpath.normpath(path)) or {}
    before = read(file, path)
    if overrides and not (isinstance(overrides, Mapping) and isinstance(before, Mapping)):
        wrong = "its content" if isinstance(overrides, Mapping) else "what is asked for it"
        raise LaunchError(f"The values of {path} cannot be set: {wrong} is no mapping.")
    check_allowed(overrides, include, exclude, path)
    after = copy.deepcopy(before)
    for keys, value in leaves(overrides):
        put(after, keys, value)
    check_schema(after, schema, path)
    if repr(after) != repr(before):
        replace(file, path, after)
    return after


def _variable(name: str) -> dict[str, Any] | None:
    text = os.environ.get(name)
    if text is None:
        found = (re.fullmatch(rf"{name}_(0|[1-9][0-9]*)", key) for key in os.environ)
        numbers = sorted(int(match[1]) for match in found if match)
        for expected, number in enumerate(numbers):
            if number != expected:
                raise LaunchError(
                    f"{name} is incomplete: {name}_{number} is there, and {name}_{expected} is not."
                )
        pieces = [os.environ[f"{name}_{number}"] for number in numbers]
        text = "".join(pieces) if pieces else None
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise LaunchError(f"{name} is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise LaunchError(f"{name} must hold a JSON object, and holds {shown(value)}.")
    return value
