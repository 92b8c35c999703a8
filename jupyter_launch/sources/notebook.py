"""A notebook as a source: a program that runs it from its first cell to its last."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from ..errors import SpecError

SUFFIX = ".ipynb"
RUNNER = ".run_notebook.py"
"""The file that goes along with a notebook, and runs it."""


def is_notebook(name: str | None) -> bool:
    """Say whether a file is a notebook, by its name."""
    return name is not None and name.endswith(SUFFIX)


def check_notebook(path: Path) -> None:
    """Refuse a file that is called a notebook and is none. Raises `SpecError`."""
    try:
        found = json.loads(path.read_bytes())
        form = found["nbformat"]
        code = [cell for cell in found.get("cells", []) if cell["cell_type"] == "code"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise SpecError(f"{path} is no notebook: {error!r}.", field="path") from error
    if form != 4:
        raise SpecError(
            f"{path} is a notebook of version {form}, and only version 4 can be launched.",
            hint="Open it in JupyterLab and save it: that makes a new one of it.",
            field="path",
        )
    if not code:
        raise SpecError(f"{path} has no code cell: there is nothing to launch.", field="path")


def with_runner(files: bytes | None) -> bytes:
    """Add what runs a notebook to a program's tar file."""
    data = Path(__file__).with_name("notebook_runner.py").read_bytes()
    out = io.BytesIO(files or b"")
    with tarfile.open(fileobj=out, mode="a" if files else "w") as tar:
        entry = tarfile.TarInfo(RUNNER)
        entry.size, entry.mode = len(data), 0o644
        tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()
