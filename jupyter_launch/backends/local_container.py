"""The backend ``local-container``: programs in containers of a Docker Engine.

The engine may be on another machine: files go in through its API, never as a bind mount.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from docker.errors import APIError, NotFound
from docker.errors import ImageNotFound as NoSuchImage

from ..artifact import Output
from ..builds.build import ensure
from ..docker_engine import Blocks, Engine, address, connect, patiently, translated, words
from ..errors import BackendError, BackendUnavailable, ImageNotFound, SpecError, StartFailed
from ..program import Program
from ..report import Report
from ..runs import LogPosition, Run
from .base import Backend, Frame, Result, Usage
from .container_outputs import outputs
from .docker_create import (
    RUN_LABEL,
    STORE_LABEL,
    create,
    create_body,
    names,
    output_variables,
    start,
    was_started,
)
from .docker_log import EXACT_LOG, after, careless, frames, mended, merged, skipped
from .docker_options import RESOURCE, container_options
from .docker_outcome import outcome
from .docker_pull import HINT, provide
from .docker_stats import container_usage

OURS = "jupyter-launch-"
"""How the names of all runs' containers begin."""

SETTLE_S = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Pauses between looks at a container whose output has ended, until it counts as running on."""


class LocalContainer(Backend):
    """Runs programs in containers, found again by the engine's address and the container's name."""

    name: ClassVar[str] = RESOURCE

    def __init__(self) -> None:
        self._live: dict[str, Blocks] = {}
        self._interrupted: set[str] = set()
        self._ended: dict[str, dict[str, Any]] = {}
        """The last inspection of containers that have ended: it does not change any more."""

    def available(self) -> str | None:
        """Say why nothing can be started here; ``None`` if it can."""
        try:
            where = address()
            with translated(where):
                connect(where).alive()
        except BackendError as error:
            return str(error)
        return None

    def check(self, options: Mapping[str, Any]) -> None:
        """Refuse what `docker run` does not know, or what contradicts how runs are kept."""
        container_options(options)

    def prepare(self, program: Program, report: Report) -> Program:
        """Build the image, or pull it if it is not there, or if the option `pull` says so."""
        image, options = _image(program), container_options(program.options)
        engine = connect(address())
        with translated(engine.address):
            if program.build is not None:
                recipe = dataclasses.replace(program.build, platform=options.platform)
                image, built = ensure(engine, recipe, report)
                return program.evolve(image=image, build=None, built=built)
            provide(engine, image, options.platform, options.pull, report)
        return program

    def describe(self, program: Program, run: Run) -> dict[str, object]:
        """Give the create request that `start` would send, with names only of hidden values."""
        options = container_options(program.options)
        body = create_body(program, run, options, {})
        if program.build is not None:
            body["Image"] = {"built from": program.build.dockerfile.splitlines()}
        given = {**program.env, **output_variables(body), **dict.fromkeys(program.secrets)}
        named = [name if value is None else f"{name}={value}" for name, value in given.items()]
        body["Env"] = [*named, *options.body.get("Env", [])]
        return {
            "resource": self.name,
            "image": _image(program),
            "argv": [*body.get("Entrypoint", []), *body.get("Cmd", [])],
            "create": body,
            "platform": options.platform,
            "env_files": list(options.env_files),
            "files": names(program.archive),
        }

    def handle(self, run: Run) -> str:
        """Name the engine and the container."""
        return f"{address()}#{OURS}{run.unique_name}"

    def start(self, program: Program, run: Run, environment: Mapping[str, str]) -> None:
        """Create the container, put the files in, listen, start it."""
        handle = self.handle(run)
        engine, name = _open(handle)
        options = container_options(program.options)
        with translated(engine.address):
            image = _inspect_image(engine, _image(program))
            body = create_body(program, run, options, image)
            body["Env"] = options.environment({**environment, **output_variables(body)})
            body["Labels"][STORE_LABEL] = run.store
            try:
                if create(engine, name, body, options.platform):
                    self._live[handle] = start(engine, name, program, body, image)
            except NoSuchImage as error:
                raise ImageNotFound(f"{words(error)}.", hint=HINT) from error
            except APIError as error:
                raise StartFailed(
                    f"The container of image {program.image!r} could not be started. The Docker "
                    f"Engine says: {words(error)}.",
                    hint="Check the options of local-container (resource_args) and the image.",
                ) from error

    def find(self, handle: str) -> bool:
        """Say whether the container is there and was ever started."""
        info = _inspect(handle)
        return info is not None and was_started(info)

    def strays(self, store_id: str) -> list[tuple[str, str]]:
        """Find the containers by their labels, unless no engine answers."""
        engine = connect(address())
        with translated(engine.address):
            found = engine.containers(all=True, filters={"label": f"{STORE_LABEL}={store_id}"})
        return [
            (there["Labels"][RUN_LABEL], f"{engine.address}#{there['Names'][0].lstrip('/')}")
            for there in found
            if there["Names"] and RUN_LABEL in there["Labels"]
        ]

    def attach(self, handle: str, position: LogPosition) -> Iterator[list[Frame]]:
        """Follow the output: live if this process started it, otherwise from the engine's log."""
        if position.stdout or position.stderr:
            self._hang_up(handle)
        live = self._live.pop(handle, None)
        ended = live is None and self._has_ended(handle, wait=False)[0]
        while True:
            whole = live is not None or ended or not careless(_open(handle)[0])
            try:
                for batch in _output(handle, live, position):
                    position = after(position, batch)
                    yield batch
            except BackendUnavailable:
                whole = False
            live = None
            ended, away = self._has_ended(handle, wait=True)
            # What an interruption swallowed is in the engine's log.
            if ended and not away and whole:
                return

    def result(self, handle: str) -> Result:
        """Give the exit code, and why, once the program has ended."""
        self._hang_up(handle)
        while True:
            info = self._ended.get(handle) or self._look(handle)[0]
            if info is None:
                return Result(None, "the container was removed by somebody else")
            if not info["State"]["Running"]:
                return outcome(info, interrupted=handle in self._interrupted)
            engine, name = _open(handle)
            # Whatever breaks the waiting is looked at by the next inspection.
            with contextlib.suppress(BackendUnavailable), translated(engine.address):
                engine.wait(name)

    def stats(self, handle: str) -> Usage | None:
        """Ask the engine, and for the GPUs of a container on this machine ``nvidia-smi``."""
        engine, name = _open(handle)
        with translated(engine.address):
            return container_usage(engine, name)

    def outputs(self, handle: str, paths: Sequence[str]) -> Iterator[Output]:
        """Read them from the engine's archive, whether the container runs or not."""
        return outputs(*_open(handle), self._ended.get(handle), paths)

    def stop(self, handle: str, grace_s: float) -> None:
        """Send the stop signal, and kill after the grace, in whole seconds as the engine counts."""
        self._hang_up(handle)
        engine, name = _open(handle)
        with translated(engine.address), contextlib.suppress(NotFound):
            if was_started(engine.inspect_container(name)):
                if grace_s <= 0:
                    with contextlib.suppress(APIError):  # it has ended
                        engine.kill(name)
                engine.stop(name, timeout=math.ceil(grace_s))
            else:
                engine.remove_container(name, v=True)

    def remove(self, handle: str) -> None:
        """Remove the container and its anonymous volumes."""
        self._interrupted.discard(handle)
        self._ended.pop(handle, None)
        self._hang_up(handle)
        engine, name = _open(handle)
        with translated(engine.address), contextlib.suppress(NotFound):
            engine.remove_container(name, v=True, force=True)

    def _look(self, handle: str) -> tuple[dict[str, Any] | None, bool]:
        """Inspect the container, as soon as the engine answers; say whether it was away."""
        info, away = patiently(partial(_inspect, handle))
        if away:
            self._interrupted.add(handle)
        if info and not info["State"]["Running"] and was_started(info):
            self._ended[handle] = info
        return info, away

    def _has_ended(self, handle: str, *, wait: bool) -> tuple[bool, bool]:
        """Say whether the container has ended, and whether the engine was away.

        `wait`: its output has ended, so that it should follow at once.
        """
        interrupted = False
        for pause in SETTLE_S if wait else SETTLE_S[:1]:
            time.sleep(pause)
            info, away = self._look(handle)
            interrupted = interrupted or away
            if info is None or not info["State"]["Running"]:
                return True, interrupted
        return False, interrupted

    def _hang_up(self, handle: str) -> None:
        """End the listening that nobody came for: unread output blocks the program and its end."""
        live = self._live.pop(handle, None)
        if live is not None:
            live.close()


def _image(program: Program) -> str:
    if not program.image:
        raise SpecError(
            "A container needs an image, and none was named.",
            hint="Name one with -d IMAGE.",
            field="docker_image",
        )
    return program.image


def _inspect_image(engine: Engine, image: str) -> dict[str, Any]:
    info = engine.image(image)
    config = {name: value for name, value in info["Config"].items() if value}
    return {**config, "Id": f"{engine.address} {info['Id']}"}


def _open(handle: str) -> tuple[Engine, str]:
    where, _, name = handle.rpartition("#")
    if not name.startswith(OURS):  # a store may be written by others
        raise BackendError(f"{handle!r} is no container of a run.")
    return connect(where), name


def _inspect(handle: str) -> dict[str, Any] | None:
    engine, name = _open(handle)
    with translated(engine.address):
        try:
            info: dict[str, Any] = engine.inspect_container(name)
        except NotFound:
            return None
    return info


def _output(handle: str, live: Blocks | None, position: LogPosition) -> Iterator[list[Frame]]:
    """Give the output from the live stream, or behind `position` from the engine's log."""
    engine, name = _open(handle)
    with translated(engine.address):
        if live is not None:
            with contextlib.closing(live):
                yield from merged(frames(live))
            return
        try:
            driver = engine.inspect_container(name)["HostConfig"]["LogConfig"]["Type"]
        except NotFound:
            return
        path = f"/containers/{name}/logs"
        with contextlib.closing(engine.blocks("GET", path, stdout=1, stderr=1, follow=1)) as log:
            batches = frames(log)
            if driver == EXACT_LOG["Type"] and careless(engine):
                batches = mended(batches)
            yield from skipped(merged(batches), position)
