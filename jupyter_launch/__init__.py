"""Take work out of a Jupyter notebook, into a container or onto a queue, and watch it live.

``%load_ext jupyter_launch`` brings the magics; `launch` and `launch_add` are the same in Python.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .errors import ExecutionError, LaunchError, RunStopped, SpecError, Unsupported
    from .frontends.api import Api
    from .frontends.api_runs import AbstractRun, QueuedRun, SubmittedRun
    from .frontends.form import launch_form
    from .frontends.launches import launch, launch_add
    from .handle import RunHandle
    from .spec import LaunchSpec

_HOMES = {
    "AbstractRun": "frontends.api_runs",
    "Api": "frontends.api",
    "ExecutionError": "errors",
    "LaunchError": "errors",
    "LaunchSpec": "spec",
    "QueuedRun": "frontends.api_runs",
    "RunHandle": "handle",
    "RunStopped": "errors",
    "SpecError": "errors",
    "SubmittedRun": "frontends.api_runs",
    "Unsupported": "errors",
    "launch": "frontends.launches",
    "launch_add": "frontends.launches",
    "launch_form": "frontends.form",
}

__all__ = [
    "AbstractRun",
    "Api",
    "ExecutionError",
    "LaunchError",
    "LaunchSpec",
    "QueuedRun",
    "RunHandle",
    "RunStopped",
    "SpecError",
    "SubmittedRun",
    "Unsupported",
    "__version__",
    "launch",
    "launch_add",
    "launch_form",
    "load_ipython_extension",
    "unload_ipython_extension",
]


def __getattr__(name: str) -> Any:
    # Public names are fetched on first use, so that importing the package costs next to nothing.
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add the magics to IPython: ``%load_ext jupyter_launch``. Doing it twice changes nothing.

    Parameters
    ----------
    shell : InteractiveShell
        The IPython to add them to.
    """
    from .frontends.extension import load  # noqa: PLC0415

    load(shell)


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Tell a Jupyter server where the server extension is."""
    from .frontends.server import JupyterLaunch  # noqa: PLC0415

    return [{"module": "jupyter_launch", "app": JupyterLaunch}]


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics away again and stop their threads; runs go on.

    Parameters
    ----------
    shell : InteractiveShell
        The IPython to take them from.
    """
    from .frontends.extension import unload  # noqa: PLC0415

    unload(shell)
