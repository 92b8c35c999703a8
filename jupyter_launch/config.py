"""Settings, and where each one came from.

A setting is looked up in this order, and the first that says something is taken:

1. what the caller says: an option on the line, then ``%config LaunchMagics``, which is also what
   IPython's own configuration file says;
2. the environment: ``JUPYTER_LAUNCH_<NAME>``;
3. the project file: the nearest, in the working directory or a folder above it (`PROJECT_FILES`);
   in it, what it says of this very notebook comes first (`NOTEBOOKS`);
4. Jupyter's configuration: ``jupyter_launch_config.json`` or ``.py``, with ``c.LaunchMagics.queue``
   and the like, in the folders that ``jupyter --paths`` lists;
5. W&B's own environment variables;
6. the built-in default.

What is said for one process is nearer than what stands in a project, and that is nearer than what
holds for all of somebody's work.
"""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_config_path, jupyter_data_dir

from .config_markup import parsed
from .errors import ConfigError

PROJECT_FILE = ".jupyter-launch.yaml"
PROJECT_FILES = (".jupyter-launch.toml", PROJECT_FILE, "pyproject.toml")
"""What a project file is called. Of several in one folder, the first of these is read.

``pyproject.toml`` is one if it has a table ``[tool.jupyter_launch]``.
"""

NOTEBOOKS = "notebooks"
"""The section of a project file with settings of single notebooks, by path from its folder."""

JUPYTER_FILES = ("jupyter_launch_config.json", "jupyter_launch_config.py")
"""Jupyter's configuration; where a folder has both, the first says more, as with Jupyter's own."""

NAMES = (
    "entity", "project", "queue", "resource", "image", "store", "build.inherit_pip_config",
    "artifacts.limit",
)  # fmt: skip
OF_AGENTS = (
    "agent.allow.resources", "agent.allow.images", "agent.allow.volumes", "agent.allow.secrets",
    "agent.allow.privileged", "agent.allow.network_host", "agent.allow.docker_socket",
    "agent.allow.host",
)  # fmt: skip
"""What the owner of an agent decides: in the environment or Jupyter's configuration, and in no
project, whose files may be anybody's."""

LISTS = OF_AGENTS[:4]
"""Settings of several values: a list in a file; one text elsewhere, with commas in between."""

SECTION = "LaunchMagics"
YES = {"1", "true", "True", "yes", "on"}
NO = {"0", "false", "False", "no", "off"}
EVERYTHING, NOTHING = "*", "none"
"""What stands for all, and for an empty list, where a setting is a list."""

WANDB = {"entity": "WANDB_ENTITY", "project": "WANDB_PROJECT"}

_IN_FILES_OF_PYTHON = (
    OSError, SyntaxError, ValueError, NameError, TypeError, AttributeError, ImportError,
    LookupError,
)  # fmt: skip


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
        When a file is malformed that has to be read.
    """
    return next(sayings(name, **given))


def sayings(name: str, **given: str | None) -> Iterator[Setting]:
    """Give all that is said of a setting, strongest first; the default comes last.

    Parameters and errors are those of `setting`. What is not asked for is not read.
    """
    yield from (Setting(value, origin) for origin, value in given.items() if value)
    yield from _of_environment(variable(name))
    if name not in OF_AGENTS:
        yield from _of_files(name, _project_values())
    yield from _of_files(name, _jupyter_values())
    yield from _of_environment(WANDB.get(name, ""))
    yield Setting(_default(name), "default")


def variable(name: str) -> str:
    """Name the environment variable of a setting."""
    return f"JUPYTER_LAUNCH_{name.upper().replace('.', '_')}"


def near(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Ask whether the name was meant that comes nearest, for a hint; empty where none does."""
    import difflib  # noqa: PLC0415 - loading the extension looks settings up, and errs rarely

    close = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {close[0]}? " if close else ""


def user_path(text: str) -> Path:
    """Read a path as people write it: ``~`` is their home, and one of nobody stays as it is."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - pathlib's own raises for such a user


def project_file() -> tuple[Path | None, Mapping[str, str]]:
    """Give the nearest project file and what it says for all notebooks."""
    found = _project()
    return (None, {}) if found is None else (found[0], found[1].get("", {}))


def _of_environment(name: str) -> Iterator[Setting]:
    if value := os.environ.get(name):
        yield Setting(value, name)


def _of_files(name: str, files: Iterator[tuple[str, Mapping[str, str]]]) -> Iterator[Setting]:
    for origin, values in files:
        if value := values.get(name):
            yield Setting(value, origin)


def _default(name: str) -> str | None:
    if name == "store":
        return f"sqlite:///{Path(jupyter_data_dir()) / 'jupyter_launch' / 'launch.db'}"
    if name == "entity":
        try:
            return getpass.getuser()
        except (KeyError, OSError):  # a user id without a name, as in some containers
            return f"uid{os.getuid()}"
    return {"queue": "default", "resource": "auto"}.get(name)


# -- project files -----------------------------------------------------------------------------

Said = Mapping[str, Mapping[str, str]]
"""What a file says: settings by name, under the notebook they are for, or '' for all."""


def _project_values() -> Iterator[tuple[str, Mapping[str, str]]]:
    found = _project()
    if found is None:
        return
    path, said = found
    notebook = os.environ.get("JPY_SESSION_NAME")  # set by whoever starts the kernel of a notebook
    if notebook and len(said) > 1:
        inside = os.path.relpath(notebook, path.parent).replace(os.sep, "/")
        if inside in said:
            yield f"{path}, {inside}", said[inside]
    yield str(path), said.get("", {})


def _project() -> tuple[Path, Said] | None:
    here = Path.cwd()
    for folder in (here, *here.parents):
        for name in PROJECT_FILES:
            path = folder / name
            if path.is_file() and (said := _cached(_read_project, path)) is not None:
                return path, said
    return None


def _read_project(path: Path) -> Said | None:
    what = f"The project file {path}"
    try:
        written = path.read_bytes()
        if path.name == "pyproject.toml" and not re.search(rb"jupyter.launch", written):
            return None  # whatever is wrong with it is not for us to say
        data = parsed(path, written.decode())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{what} cannot be read: {error}.") from error
    if data is None:
        return None
    if not isinstance(data, dict):
        raise ConfigError(f"{what} must hold names and values.")
    notebooks = data.pop(NOTEBOOKS, None) or {}
    if not isinstance(notebooks, dict) or not all(isinstance(v, dict) for v in notebooks.values()):
        raise ConfigError(f"{what}: {NOTEBOOKS} must hold paths, and settings for each.")
    inner = {str(key): _named(value, f"{what}, {key},") for key, value in notebooks.items()}
    return {**inner, "": _named(data, what)}


def _named(data: Mapping[Any, Any], what: str, known: tuple[str, ...] = NAMES) -> Mapping[str, str]:
    """Check the names and values of a file, and write nested ones with a dot."""
    flat = dict(_flat(data, ""))
    if decided := sorted(flat.keys() & set(OF_AGENTS) - set(known)):
        raise ConfigError(
            f"{what} has {decided[0]}, which no project decides: it is up to the agent's owner.",
            hint=f"It belongs into {JUPYTER_FILES[0]}, or {variable(decided[0])}.",
        )
    if unknown := sorted(flat.keys() - set(known)):
        raise ConfigError(
            f"{what} has a setting nobody knows: {', '.join(unknown)}.",
            hint=f"{near(unknown[-1], known)}Known: {', '.join(known)}.",
        )
    return {name: _text(name, value, what) for name, value in flat.items() if value is not None}


def _flat(data: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in data.items():
        if isinstance(value, dict):  # build: {inherit_pip_config: true}
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _text(name: str, value: Any, what: str) -> str:
    """Write a value as the environment would have it."""
    several = isinstance(value, (dict, list, set, tuple))
    if several and name not in LISTS:
        kind = type(value).__name__
        raise ConfigError(f"{what}: {name} must be a single value, and is a {kind}.")
    if not several:
        return str(value)
    if any(not isinstance(item, str) or "," in item for item in value):
        raise ConfigError(f"{what}: {name} must be a list of texts without commas, not {value!r}.")
    return ",".join(value) or NOTHING


# -- Jupyter's configuration -------------------------------------------------------------------


def _jupyter_values() -> Iterator[tuple[str, Mapping[str, str]]]:
    for folder in jupyter_config_path():
        for name in JUPYTER_FILES:
            path = Path(folder, name)
            if path.is_file() and (said := _cached(_read_jupyter, path)):
                yield str(path), said.get("", {})


def _read_jupyter(path: Path) -> Said:
    from traitlets.config.loader import (  # noqa: PLC0415 - only where there is such a file
        JSONFileConfigLoader,
        PyFileConfigLoader,
    )

    what = f"Jupyter's configuration {path}"
    loader = JSONFileConfigLoader if path.suffix == ".json" else PyFileConfigLoader
    try:
        config = loader(path.name, str(path.parent)).load_config()
    except _IN_FILES_OF_PYTHON as error:
        raise ConfigError(f"{what} cannot be read: {error}.") from error
    known = (*NAMES, *OF_AGENTS)
    spelt = {name.replace(".", "_"): name for name in known}
    section = dict(config[SECTION]) if SECTION in config else {}
    return {"": _named({spelt.get(k, k): value for k, value in section.items()}, what, known)}


def _cached(read: Callable[[Path], Said | None], path: Path) -> Said | None:
    """Read a file anew only when it changed: settings are looked up for every launch."""
    try:
        now = path.stat()
    except OSError:
        return read(path)
    return _read_once(read, path, (now.st_mtime_ns, now.st_size, now.st_ino))


@lru_cache(maxsize=32)
def _read_once(
    read: Callable[[Path], Said | None], path: Path, _stamp: tuple[int, int, int]
) -> Said | None:
    return read(path)
