"""Settings, and where each one came from.

A setting is looked up in this order: what the caller says, the environment
(``JUPYTER_LAUNCH_<NAME>``), the project file (``.jupyter-launch.yaml``, in the working directory
or the nearest folder above that has one), W&B's own environment variables, the built-in default.
"""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_data_dir

from .errors import ConfigError

PROJECT_FILE = ".jupyter-launch.yaml"
NAMES = (
    "entity", "project", "queue", "resource", "image", "store", "build.inherit_pip_config",
)  # fmt: skip
_WANDB = {"entity": "WANDB_ENTITY", "project": "WANDB_PROJECT"}


@dataclass(frozen=True)
class Setting:
    """A value and where it came from, in words for people."""

    value: str | None
    origin: str


def setting(name: str, **given: str | None) -> Setting:
    """Look a setting up.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    **given : str, optional
        What callers have already, strongest first, by the name of where it is from; ``None`` is
        passed over.

    Raises
    ------
    ConfigError
        When the project file is malformed.
    """
    for origin, value in given.items():
        if value:
            return Setting(value, origin)
    own = f"JUPYTER_LAUNCH_{name.upper().replace('.', '_')}"
    variables = [own, _WANDB.get(name, "")]
    if value := os.environ.get(variables[0]):
        return Setting(value, variables[0])
    path, project = project_file()
    if project.get(name):
        return Setting(project[name], str(path))
    if value := os.environ.get(variables[1]):
        return Setting(value, variables[1])
    return Setting(_default(name), "default")


def _default(name: str) -> str | None:
    if name == "store":
        return f"sqlite:///{Path(jupyter_data_dir()) / 'jupyter_launch' / 'launch.db'}"
    if name == "entity":
        try:
            return getpass.getuser()
        except (KeyError, OSError):  # a user id without a name, as in some containers
            return f"uid{os.getuid()}"
    return {"queue": "default", "resource": "auto"}.get(name)


def user_path(text: str) -> Path:
    """Read a path as people write it: ``~`` is their home, and one of nobody stays as it is."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - pathlib's own raises for such a user


def project_file() -> tuple[Path | None, dict[str, Any]]:
    """Give the nearest project file and what it says."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        path = folder / PROJECT_FILE
        if path.is_file():
            return path, _read(path)
    return None, {}


def _read(path: Path) -> dict[str, Any]:
    # Loading the extension reads settings: it pays for this import only where there is a file.
    import yaml  # noqa: PLC0415

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"The project file {path} cannot be read: {error}.") from error
    if not isinstance(data, dict):
        raise ConfigError(f"The project file {path} must hold names and values.")
    for name, value in list(data.items()):
        if isinstance(value, dict):  # build: {inherit_pip_config: true}
            del data[name]
            data |= {f"{name}.{inner}": item for inner, item in value.items()}
    unknown = sorted(map(str, set(data) - set(NAMES)))
    if unknown:
        raise ConfigError(
            f"The project file {path} has a setting nobody knows: {', '.join(unknown)}.",
            hint=f"Known: {', '.join(NAMES)}.",
        )
    return {name: str(value) for name, value in data.items() if value is not None}
