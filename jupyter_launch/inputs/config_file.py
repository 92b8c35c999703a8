"""Config files in a program's working directory: found, read, replaced."""

from __future__ import annotations

import json
import os
import posixpath
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from ..errors import LaunchError

_SUFFIXES = (".json", ".yaml", ".yml")


def checked_path(path: str) -> Path:
    """Find a config file, from which no path and no link may lead out of the working directory."""
    if "\\" in path or "\0" in path:
        raise LaunchError(
            f"The config file {path!r} has a character that is not portable.",
            hint="Write '/' between folders.",
        )
    if not path.endswith(_SUFFIXES):
        raise LaunchError(f"The config file {path!r} must end in one of {', '.join(_SUFFIXES)}.")
    here = Path(os.path.realpath(Path.cwd()))
    file = Path(os.path.realpath(here / path))
    if posixpath.isabs(path) or ".." in path.split("/") or not file.is_relative_to(here):
        raise LaunchError(
            f"The config file {path!r} is not in the working directory, {here}.",
            hint="Give its path relative to that, without '..'.",
        )
    if not file.is_file():
        raise LaunchError(f"There is no config file {path!r} in the working directory, {here}.")
    return file


def read(file: Path, path: str) -> Any:
    """Read what a file holds; an empty YAML file holds an empty mapping."""
    try:
        data = file.read_bytes()
        if path.endswith(".json"):
            return json.loads(data)
        content = yaml.safe_load(data)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise LaunchError(f"The config file {path!r} cannot be read: {error}.") from error
    return {} if content is None else content


def replace(file: Path, path: str, content: Any) -> None:
    """Write a file anew, in one step: nobody ever sees half of it."""
    if path.endswith(".json"):
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    else:
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        if yaml.safe_load(text) != content:  # a few characters it writes cannot be read again
            text = yaml.safe_dump(content, sort_keys=False)
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            shutil.copymode(file, name)
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink()
            raise
    except OSError as error:
        raise LaunchError(f"The config file {path!r} cannot be written: {error}.") from error
