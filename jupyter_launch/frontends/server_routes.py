"""The routes of the server extension; ``openapi.yaml`` describes them."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from jupyter_server.auth.decorator import authorized
from tornado import web

from ..runs import DRAINING, PAUSED, RUNNING
from .server_artifacts import Artifact
from .server_log import Log
from .server_rest import Rest

DESCRIPTION = Path(__file__).with_name("openapi.yaml")


class Store(Rest):
    """``store``: which store this server serves, so that a page knows whether it is its own."""

    @web.authenticated
    @authorized("read")
    async def get(self) -> None:
        """Give its id."""
        await self.reply(lambda service: service.about(self.query))


class Runs(Rest):
    """``runs``."""

    @web.authenticated
    @authorized("read")
    async def get(self) -> None:
        """List runs."""
        await self.reply(lambda service: service.runs(self.query))

    @web.authenticated
    @authorized("execute")
    async def post(self) -> None:
        """Launch."""
        await self.reply(lambda service: service.create(self.body), HTTPStatus.CREATED)


class Run(Rest):
    """``runs/ID``."""

    @web.authenticated
    @authorized("read")
    async def get(self, run_id: str) -> None:
        """Give its record."""
        await self.reply(lambda service: service.run(run_id, self.query))

    @web.authenticated
    @authorized("write")
    async def patch(self, run_id: str) -> None:
        """Move it to another queue, or give it another priority."""
        await self.reply(lambda service: service.move(run_id, self.body))


class Stop(Rest):
    """``runs/ID/stop``."""

    @web.authenticated
    @authorized("write")
    async def post(self, run_id: str) -> None:
        """Stop it."""
        await self.reply(lambda service: service.stop(run_id, self.body))


class Relaunch(Rest):
    """``runs/ID/relaunch``."""

    @web.authenticated
    @authorized("execute")
    async def post(self, run_id: str) -> None:
        """Launch it again."""
        await self.reply(lambda service: service.relaunch(run_id, self.body), HTTPStatus.CREATED)


class Events(Rest):
    """``runs/ID/events``."""

    @web.authenticated
    @authorized("read")
    async def get(self, run_id: str) -> None:
        """Give what happened."""
        await self.reply(lambda service: service.events(run_id, self.query))


class Lines(Rest):
    """``runs/ID/lines``."""

    @web.authenticated
    @authorized("read")
    async def get(self, run_id: str) -> None:
        """Give lines by number."""
        await self.reply(lambda service: service.lines(run_id, self.query))


class Find(Rest):
    """``runs/ID/find``."""

    @web.authenticated
    @authorized("read")
    async def get(self, run_id: str) -> None:
        """Search the log."""
        await self.reply(lambda service: service.find(run_id, self.query))


class Samples(Rest):
    """``runs/ID/samples``."""

    @web.authenticated
    @authorized("read")
    async def get(self, run_id: str) -> None:
        """Give what it used."""
        await self.reply(lambda service: service.samples(run_id, self.query))


class Artifacts(Rest):
    """``runs/ID/artifacts``."""

    @web.authenticated
    @authorized("read")
    async def get(self, run_id: str) -> None:
        """List what it left behind."""
        await self.reply(lambda service: service.artifacts(run_id, self.query))


class Bundle(Rest):
    """``runs/ID/bundle``."""

    @web.authenticated
    @authorized("read")
    async def get(self, run_id: str) -> None:
        """Give what stands for it in a notebook."""
        await self.reply(lambda service: service.bundle(run_id, self.query))


class Copy(Rest):
    """``runs/ID/copy``."""

    @web.authenticated
    @authorized("read")
    async def get(self, run_id: str) -> None:
        """Give it as text that launches it again."""
        await self.reply(lambda service: service.copy(run_id, self.query))


class Spec(Rest):
    """``runs/ID/spec``."""

    @web.authenticated
    @authorized("read")
    async def get(self, run_id: str) -> None:
        """Give what was asked for."""
        await self.reply(lambda service: service.spec(run_id, self.query))


class Diff(Rest):
    """``runs/ID/diff``."""

    @web.authenticated
    @authorized("read")
    async def get(self, run_id: str) -> None:
        """Compare it with another."""
        await self.reply(lambda service: service.diff(run_id, self.query))


class Queues(Rest):
    """``queues``."""

    @web.authenticated
    @authorized("read")
    async def get(self) -> None:
        """List queues."""
        await self.reply(lambda service: service.queues(self.query))

    @web.authenticated
    @authorized("write")
    async def post(self) -> None:
        """Make a queue."""
        await self.reply(lambda service: service.create_queue(self.body), HTTPStatus.CREATED)


class Queue(Rest):
    """``queues/NAME``."""

    @web.authenticated
    @authorized("read")
    async def get(self, name: str) -> None:
        """Give all about it."""
        await self.reply(lambda service: service.queue(name, self.query))

    @web.authenticated
    @authorized("write")
    async def patch(self, name: str) -> None:
        """Change it."""
        await self.reply(lambda service: service.change_queue(name, self.query, self.body))

    @web.authenticated
    @authorized("write")
    async def delete(self, name: str) -> None:
        """Delete it."""
        await self.reply(lambda service: service.delete_queue(name, self.query))


class Turned(Rest):
    """``queues/NAME/pause`` and the like."""

    state = RUNNING

    @web.authenticated
    @authorized("write")
    async def post(self, name: str) -> None:
        """Let it take and give items, or not."""
        change = {"state": self.state}
        await self.reply(lambda service: service.change_queue(name, self.query, change))


class Pause(Turned):
    """``queues/NAME/pause``."""

    state = PAUSED


class Drain(Turned):
    """``queues/NAME/drain``."""

    state = DRAINING


class Agents(Rest):
    """``agents``."""

    @web.authenticated
    @authorized("read")
    async def get(self) -> None:
        """List agents."""
        await self.reply(lambda service: service.agents(self.query))


class Description(Rest):
    """``openapi.yaml``."""

    @web.authenticated
    @authorized("read")
    async def get(self) -> None:
        """Give the description of these routes."""
        self.finish(DESCRIPTION.read_bytes(), set_content_type="application/yaml")  # type: ignore[call-arg]


ROUTES: dict[str, type[Rest]] = {
    "store": Store,
    "runs": Runs,
    "runs/{id}": Run,
    "runs/{id}/stop": Stop,
    "runs/{id}/relaunch": Relaunch,
    "runs/{id}/events": Events,
    "runs/{id}/log": Log,
    "runs/{id}/lines": Lines,
    "runs/{id}/find": Find,
    "runs/{id}/samples": Samples,
    "runs/{id}/artifacts": Artifacts,
    "runs/{id}/artifacts/{name}": Artifact,
    "runs/{id}/bundle": Bundle,
    "runs/{id}/copy": Copy,
    "runs/{id}/spec": Spec,
    "runs/{id}/diff": Diff,
    "queues": Queues,
    "queues/{queue}": Queue,
    "queues/{queue}/pause": Pause,
    "queues/{queue}/resume": Turned,
    "queues/{queue}/drain": Drain,
    "agents": Agents,
    "openapi.yaml": Description,
}
"""Every address below the prefix, as the description writes it."""
