"""BuildKit, through the docker command line, which alone can hand it secrets."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

from ..docker_engine import Engine
from ..report import Report
from .build_log import BuildLog
from .order import LABEL, Order
from .stream import limited

ASK_S = 20.0
"""How long a docker command may take to say what it is, in seconds."""

END_S = 1.0
"""How long a docker command that was told to end may take for it, in seconds."""

NAMES = ("docker.exe",) if sys.platform == "win32" else ("docker",)
# The default builder is the engine itself; others have neither its images nor its tags.
BUILDX = ("buildx", "build", "--builder", "default", "--load")

_STEP = re.compile(r"#(\d+) \[(?:[^\]]* )?(\d+/\d+)\] (.*)")
_OUTPUT = re.compile(r"#(\d+) \d+\.\d+ ?(.*)", re.DOTALL)
_FAILED = re.compile(r"#(\d+) ERROR:? (.*)")


def command(engine: Engine) -> tuple[str, ...] | None:
    """Find a docker command that builds with this engine's BuildKit; ``None`` if there is none."""
    if environment(engine) is None or not _able(engine):
        return None
    # What decides where docker and its plugins are found.
    names = ("PATH", "DOCKER_CONFIG", "HOME")
    return _command(*(os.environ.get(name, "") for name in names))


def environment(engine: Engine) -> dict[str, str] | None:
    """Give the environment in which a docker command talks to this engine, if there is one."""
    given = {name: value for name, value in os.environ.items() if name != "DOCKER_CONTEXT"}
    if given.get("DOCKER_HOST") == engine.address:
        return given
    if engine.base_url.startswith("https"):
        return None  # its certificates are those of a context, or nobody knows where
    for name in ("DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        given.pop(name, None)
    return {**given, "DOCKER_HOST": engine.address}


def _able(engine: Engine) -> bool:
    version = engine.version()
    parts = [str(part.get("Name", "")) for part in version.get("Components") or []]
    numbers = tuple(map(int, re.findall(r"\d+", version.get("ApiVersion", "0"))))
    return numbers >= (1, 39) and version.get("Os") != "windows" and not any(map(_podman, parts))


def _podman(component: str) -> bool:
    return "podman" in component.lower()


@cache
def _command(path: str, *_plugins: str) -> tuple[str, ...] | None:
    """Look through all docker commands: the first one in the path need not be able to."""
    folders = dict.fromkeys(path.split(os.pathsep))
    found = [Path(folder, name) for folder in folders if folder for name in NAMES]
    for program in (str(one) for one in found if os.access(one, os.X_OK)):
        if _says(program, "buildx", "version"):
            return (program, *BUILDX)
        version = _says(program, "--version")
        major = re.search(r"version (\d+)\.", version)
        if major and 18 <= int(major[1]) < 23:  # from then on it builds by the plugin only
            return (program, "build")
    return None


def _says(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, timeout=ASK_S, check=True, text=True)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return done.stdout


def build(engine: Engine, order: Order, log: BuildLog, report: Report) -> None:
    """Build an image. There is a `command` for it.

    Raises
    ------
    BuildFailed
        With the instruction that failed.
    """
    try:
        _build(engine, order, log, report)
    except OSError as error:  # of this machine: what the engine says comes from the command
        raise log.failure(f"docker cannot be run here: {error.strerror}") from error


def _build(engine: Engine, order: Order, log: BuildLog, report: Report) -> None:
    begin = command(engine)
    assert begin is not None
    # The directory is for this user's eyes only, and gone with the build.
    with tempfile.TemporaryDirectory(prefix="jupyter-launch-") as folder:
        argv = [*begin, "--progress=plain", f"--tag={order.tag}", f"--label={LABEL}=1"]
        argv += [f"--file={order.dockerfile}", *_secrets(order, Path(folder))]
        if order.platform:
            argv.append(f"--platform={order.platform}")
        with (
            _running([*argv, "-"], environment(engine) or {}, order.context) as process,
            limited(report, partial(_end, process)),
        ):
            why = _follow(process, log)
            if process.wait() != 0:
                raise log.failure(why)


def _secrets(order: Order, folder: Path) -> Iterator[str]:
    for name, data in order.secrets.items():
        file = folder / name
        file.touch(mode=0o600)
        file.write_bytes(data)
        yield f"--secret=id={name},src={file}"


@contextlib.contextmanager
def _running(
    argv: list[str], variables: dict[str, str], data: bytes
) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryFile() as stdin:
        stdin.write(data)
        stdin.seek(0)
        with subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**variables, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"},
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a docker command, on which the engine gives the build up."""
    if process.poll() is not None:
        return
    _signal(process, signal.SIGTERM)
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if sys.platform == "win32":
            process.terminate()
        else:
            os.killpg(process.pid, number)


def _follow(process: subprocess.Popen[bytes], log: BuildLog) -> str:
    """Hand the output on until it ends, and give the reason should the build have failed."""
    assert process.stdout is not None
    steps: dict[str, tuple[str, str]] = {}
    why, failed, summary = "", False, False
    for raw in process.stdout:
        line = raw.decode("utf-8", "replace").rstrip("\n")
        summary = summary or line.startswith("------")  # what follows was said before
        if (output := _OUTPUT.fullmatch(line)) and not summary:
            if output[1] in steps:  # what BuildKit says about itself is not the program's
                log.write(output[2])
        elif begun := _STEP.match(line):
            if begun[1] not in steps:
                steps[begun[1]] = begun[2], begun[3]
                log.step(*steps[begun[1]])
        elif broken := _FAILED.match(line):
            failed, why = True, broken[2]
            if broken[1] in steps:
                log.blame(*steps[broken[1]])
        elif line.strip() and not line.startswith("#") and not failed:
            failed, why = line.startswith("ERROR: "), line.removeprefix("ERROR: ")
    return why
