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
    scheme = url.partition("://")[0]
    if scheme not in points:
        raise ConfigError(
            f"No store is known for {url!r}.", hint=f"Known schemes: {', '.join(sorted(points))}."
        )
    store: Store = points[scheme].load()(url)
    return store
