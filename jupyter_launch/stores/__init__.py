"""Places where runs are recorded, opened by URL; each scheme is an entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigError

if TYPE_CHECKING:
    from .base import Store


def open_store(url: str) -> Store:
    """Open the store at a URL such as ``sqlite:////home/me/launch.db``, making it if need be.

    Raises
    ------
    ConfigError
        When no store has the URL's scheme.
    StoreUnavailable
        When the store cannot be opened; the message says why.
    """
    # Slow to import, and not needed by `orphans`, which loading the extension uses.
    from importlib.metadata import entry_points  # noqa: PLC0415

    points = {point.name: point for point in entry_points(group="jupyter_launch.stores")}
    scheme, found, _ = url.partition("://")
    if scheme not in points:
        # What follows may hold a password.
        raise ConfigError(
            f"No store is known for {scheme + '://...' if found else url!r}.",
            hint=f"Known schemes: {', '.join(sorted(points))}.",
        )
    try:
        kind = points[scheme].load()
    except ImportError as error:
        if (error.name or "").startswith(__package__.partition(".")[0]):
            raise
        raise ConfigError(
            f"A store at {scheme}:// needs more than is installed here ({error}).",
            hint="Install it: pip install 'jupyter_launch[postgres]'",
        ) from error
    store: Store = kind(url)
    return store
