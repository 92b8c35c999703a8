"""From a program to a started container."""

from __future__ import annotations

import io
import posixpath
import tarfile
from typing import Any

from docker.errors import APIError, NotFound

from ..artifact import OUTPUT_DIR
from ..docker_engine import Blocks, Engine, words
from ..errors import SpecError, StartFailed
from ..program import Program
from ..runs import Run
from . import docker_values as values
from .container_outputs import OUTPUTS, UNTOUCHED
from .docker_log import EXACT_LOG
from .docker_options import RESOURCE, ContainerOptions
from .docker_values import Body, merge

RUN_LABEL, STORE_LABEL = "jupyter_launch.run", "jupyter_launch.store"
WORKDIR = "/work"
"""Where files go if neither the options nor the image name a working directory."""

MOST_FOUND = 1000
_FOUND: dict[tuple[str, ...], None] = {}
"""What was found in images already: each look has the engine mount all files of a container."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The engine's own, for an image that sets none."""


def create_body(program: Program, run: Run, options: ContainerOptions, image: Body) -> Body:
    """Make the body of the create request, but for the environment.

    Parameters
    ----------
    program, run, options
        What to run.
    image : dict
        The image's own configuration, empty where it is not known yet.
    """
    body: Body = {}
    merge(body, options.body)
    merge(body, {"Image": program.image, "Labels": {RUN_LABEL: run.id}})
    if program.command:
        if "Entrypoint" in body:
            raise SpecError(
                "resource_args: the option 'entrypoint' contradicts the program's own command, "
                f"{program.command[0]!r}.",
                hint="Use the launch's entry_point (-E) instead.",
                field=f"resource_args.{RESOURCE}.entrypoint",
            )
        body["Entrypoint"] = [program.command[0]]
        body["Cmd"] = [*program.command[1:], *program.args]
    elif program.args:
        body["Cmd"] = list(program.args)
    host = body.setdefault("HostConfig", {})
    # Without an init, a program that handles no signals ignores being stopped, as pid 1 may.
    host.setdefault("Init", True)
    host.setdefault("LogConfig", EXACT_LOG)
    if program.archive and image and image.get("WorkingDir", "/") == "/":
        body.setdefault("WorkingDir", WORKDIR)
    if program.workdir:
        body["WorkingDir"] = posixpath.join(_workdir(body, image), program.workdir)
    if program.user_id is not None:
        body.setdefault("User", str(program.user_id))
    return body


def create(engine: Engine, name: str, body: Body, platform: str | None) -> bool:
    """Create the container.

    Returns
    -------
    bool
        False if it was created *and started* before. One that was never started is made anew: its
        owner may have died before all files were in.
    """
    send: Any = engine.create_container_from_config
    try:
        send(body, name, platform)
    except APIError as error:
        if error.status_code == 409:
            if _started_before(engine, name, body["Labels"]):
                return False
            # Not forced: should its owner be alive after all and start it now, the engine refuses.
            engine.remove_container(name, v=True)
        elif "log driver" in words(error) and body["HostConfig"]["LogConfig"] is EXACT_LOG:
            del body["HostConfig"]["LogConfig"]  # Podman has other drivers
        else:
            raise
        send(body, name, platform)
    return True


def _started_before(engine: Engine, name: str, labels: dict[str, str]) -> bool:
    there = engine.inspect_container(name)
    if labels.items() <= (there["Config"]["Labels"] or {}).items():
        return was_started(there)
    raise StartFailed(
        f"The engine has a container {name!r} already, of another run or another store.",
        hint="Give the run another id, or remove that container if nobody needs it.",
    )


def start(engine: Engine, name: str, program: Program, body: Body, image: Body) -> Blocks:
    """Fill the created container, start it, and give its output; remove it if that fails."""
    try:
        if output_variables(body):
            engine.put_archive(name, "/", _folders(OUTPUTS, mode=0o777))
        if program.archive:
            folder = _workdir(body, image)
            if program.workdir:
                folder = folder.removesuffix(program.workdir)
            _put(engine, name, folder, program.archive)
        _check_program(engine, name, program, body, image)
        # Listening begins before the start: nothing the program prints can be missed.
        live = engine.blocks("POST", f"/containers/{name}/attach", stream=1, stdout=1, stderr=1)
        try:
            engine.start(name)
        except BaseException:
            live.close()
            raise
    except (APIError, StartFailed):
        engine.remove_container(name, v=True, force=True)
        raise
    return live


def _put(engine: Engine, name: str, folder: str, archive: bytes) -> None:
    try:
        engine.put_archive(name, folder, archive)
    except NotFound:  # Podman makes the working directory only when the container starts
        engine.put_archive(name, "/", _folders(folder))
        engine.put_archive(name, folder, archive)


def _folders(path: str, mode: int = 0o755) -> bytes:
    """Make the archive of a folder, empty, and of those above it; its mode is `mode`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        parts = path.strip("/").split("/")
        for depth in range(1, len(parts) + 1):
            folder = tarfile.TarInfo("/".join(parts[:depth]))
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755 if depth < len(parts) else mode
            folder.mtime = UNTOUCHED
            tar.addfile(folder)
    return out.getvalue()


def output_variables(body: Body) -> dict[str, str]:
    """Tell a program its folder for outputs, which it has unless all files are read-only."""
    return {} if body.get("HostConfig", {}).get("ReadonlyRootfs") else {OUTPUT_DIR: OUTPUTS}


def names(archive: bytes | None) -> list[str]:
    """Name what is in a program's tar file."""
    if not archive:
        return []
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return tar.getnames()


def _check_program(engine: Engine, name: str, asked: Program, body: Body, image: Body) -> None:
    """See that there is such a program: the init would start in any case, and end with 127."""
    own_cmd: list[str] = [] if "Entrypoint" in body else image.get("Cmd", [])
    entry: list[str] = body.get("Entrypoint") or image.get("Entrypoint") or []
    argv = [*entry, *body.get("Cmd", own_cmd)]
    program = next(filter(None, argv), "")
    if not program:
        raise StartFailed(
            f"Image {body['Image']!r} names no program of its own.",
            hint="Name one with entry_point (-E).",
        )
    variables = values.pairs([*image.get("Env", []), *body["Env"]])
    folders = variables.get("PATH", PATH).split(":")
    workdir = _workdir(body, image)
    places = [workdir] if "/" in program else folders
    known = image.get("Id", ""), program, *places
    if known in _FOUND:
        return
    if any(engine.has_file(name, posixpath.join(place, program)) for place in places):
        if image.get("Id") and not _covered(asked, body, [workdir, *places]):
            _FOUND[known] = None
            if len(_FOUND) > MOST_FOUND:
                _FOUND.pop(next(iter(_FOUND)), None)
        return
    where = "" if "/" in program else f" (PATH is {':'.join(folders)})"
    raise StartFailed(
        f"The program {program!r} was not found in image {body['Image']!r}{where}.",
        hint="Name another one with entry_point (-E), or another image (-d).",
    )


def _covered(asked: Program, body: Body, places: list[str]) -> bool:
    """Say whether a container may have other files than its image at the places behind the first.

    The first is where the program's files go to.
    """
    mounted = ("Binds", "Mounts", "Tmpfs", "VolumesFrom")
    if "Volumes" in body or any(body["HostConfig"].get(name) for name in mounted):
        return True
    root = f"{places[0].rstrip('/')}/"
    return bool(asked.archive) and any(f"{place}/".startswith(root) for place in places[1:])


def _workdir(body: Body, image: Body) -> str:
    return body.get("WorkingDir") or image.get("WorkingDir") or "/"


def was_started(info: dict[str, Any]) -> bool:
    """Say whether a container, as inspected, has ever been started."""
    return not info["State"]["StartedAt"].startswith("0001")
