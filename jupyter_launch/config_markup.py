"""The markup of settings files: YAML and TOML."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def parsed(path: Path, text: str) -> Any:
    """Read YAML or TOML; what is imported for that is paid for only where there is such a file."""
    if path.suffix == ".yaml":
        import yaml  # noqa: PLC0415 - each is read where there is such a file

        try:
            return yaml.safe_load(text) or {}
        except yaml.YAMLError as error:
            raise ValueError(error) from error
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 - as above
    else:
        import tomli as tomllib  # noqa: PLC0415 - as above
    data = tomllib.loads(text)
    if path.name != "pyproject.toml":
        return data
    tool = data.get("tool", {})
    if "jupyter-launch" in tool:
        raise ValueError("there is a table [tool.jupyter-launch]; it is called jupyter_launch")
    return tool.get("jupyter_launch")
