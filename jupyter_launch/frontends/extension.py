"""Loading into IPython and out of it again."""

from __future__ import annotations

import sys
import threading
from typing import Any

from .completion import Completion
from .magics import NAMES, LaunchMagics

_completions: dict[int, Completion] = {}
"""What completes the magics' lines, by the identity of the magics."""


def load(shell: Any) -> None:
    """Register the magics, once, and take over runs whose kernel died."""
    if _loaded(shell) is not None:
        return
    magics = LaunchMagics(shell)
    shell.register_magics(magics)
    if getattr(shell, "Completer", None) is not None:
        _completions[id(magics)] = Completion(shell, magics)
    threading.Thread(target=_adopt, args=(magics.store or None,), daemon=True).start()


def unload(shell: Any) -> None:
    """Remove the magics and end this package's threads."""
    magics = _loaded(shell)
    if magics is None:
        return
    for kind in shell.magics_manager.magics.values():
        for name in NAMES:
            kind.pop(name, None)
    shell.magics_manager.registry.pop("LaunchMagics", None)
    shell.configurables.remove(magics)
    if completion := _completions.pop(id(magics), None):
        completion.close()
    if "jupyter_launch.submit" in sys.modules:
        from ..submit import close_all  # noqa: PLC0415

        close_all()


def _loaded(shell: Any) -> LaunchMagics | None:
    found: LaunchMagics | None = shell.magics_manager.registry.get("LaunchMagics")
    return found


def _adopt(given: str | None) -> None:
    """Look for runs without an owner; where there are none, nothing more is imported."""
    from ..config import setting  # noqa: PLC0415
    from ..errors import LaunchError  # noqa: PLC0415
    from ..stores.orphans import any_orphans  # noqa: PLC0415

    try:
        url = setting("store", given=given).value or ""
        if any_orphans(url):
            from ..submit import launcher  # noqa: PLC0415

            launcher(url).sweep()
    except LaunchError:
        # The first launch meets the same trouble and shows it where somebody is looking.
        return
