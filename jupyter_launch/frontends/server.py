"""The Jupyter server extension: the runs of the store over REST, and live over one websocket.

It must start at no cost: what is heavy is imported, and the store opened, by the first request.
"""

from __future__ import annotations

import os
import re
from datetime import datetime, timezone
from pathlib import Path

from jupyter_server.extension.application import ExtensionApp
from tornado.ioloop import PeriodicCallback
from traitlets import Bool

from .server_rest import Missing
from .server_routes import ROUTES
from .server_stream import Audience, Stream
from .server_worker import Worker

PREFIX = "jupyter-launch/api"
"""Where the routes are, below the server's base URL."""

SERVED = "JUPYTER_LAUNCH_SERVER"
"""Set for the kernels of a server with this extension: their cards are fed by the server."""

ACTIVITY_S = 60
"""How often a followed run is counted as activity of the server, in seconds."""


class JupyterLaunch(ExtensionApp):
    """The extension, with its settings: ``c.JupyterLaunch.keep_server_alive = True``."""

    name = "jupyter_launch"
    load_other_extensions = True

    keep_server_alive = Bool(
        default_value=False,
        help="Whether a server in which somebody follows a run that is not over counts as active, "
        "so that it is not shut down for being idle.",
    ).tag(config=True)

    def initialize_handlers(self) -> None:
        """Add the routes."""
        os.environ[SERVED] = "1"
        assert self.serverapp is not None
        # Other contents managers than that of files have no such folder.
        root = getattr(self.serverapp.contents_manager, "root_dir", None)
        self._worker = Worker(Path(root).absolute() if root else None)
        self._audience = Audience(self._touch)
        given = {"worker": self._worker}
        self.handlers.append((f"/{PREFIX}/stream", Stream, {**given, "audience": self._audience}))
        for path, handler in ROUTES.items():
            pattern = re.escape(path)
            for name, form in {"id": "([^/]+)", "queue": "([^/]+)", "name": "(.+)"}.items():
                pattern = pattern.replace(rf"\{{{name}\}}", form)
            self.handlers.append((f"/{PREFIX}/{pattern}", handler, given))
        self.handlers.append((f"/{PREFIX}(?:/.*)?", Missing, given))
        if self.keep_server_alive:
            PeriodicCallback(self._touch, ACTIVITY_S * 1000).start()

    def current_activity(self) -> int | None:
        """Count the followed runs, if they are to keep the server alive."""
        return len(self._audience) if self.keep_server_alive else None

    async def stop_extension(self) -> None:
        """Let go of the store; runs go on."""
        await self._worker.close()

    def _touch(self) -> None:
        assert self.serverapp is not None
        if self.current_activity():
            now = datetime.now(timezone.utc)
            self.serverapp.web_app.settings["jupyter_launch_last_activity"] = now
