"""The backend ``local-process``: programs as processes of this machine, without containers.

Every run has a folder, which is its handle. Between us and the program stands the supervisor, a
process of its own that nobody waits for.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..artifact import OUTPUT_DIR, Output
from ..config import user_path
from ..errors import BackendError, SpecError, StartFailed, Unsupported
from ..program import Program
from ..runs import LogPosition, Run
from . import supervisor
from .base import Backend, Frame, Result, Usage
from .docker_parts import gpus
from .docker_values import Reader, nano, size
from .process_folder import OUTPUTS, ProcessFolder, files, fill
from .process_outputs import outputs
from .process_stats import session_usage

FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
"""What the folder of a run is called: `Run.unique_name`."""

KILL_S = 10.0
"""How long a killed program may take to disappear before `LocalProcess.stop` complains."""

OPTIONS: dict[str, type] = {"nice": int, "workdir": str}

COUNTED: dict[str, Reader] = {"cpus": nano, "memory": size, "gpus": gpus}
"""Options that agents count and nobody enforces, written as for containers."""


class LocalProcess(Backend):
    """Runs programs on this machine, as the user who launches them.

    Parameters
    ----------
    root : Path, optional
        Where the runs' folders are. Default: ``$JUPYTER_LAUNCH_PROCESS_DIR``, otherwise
        ``jupyter_launch/processes`` in Jupyter's data folder.

    Notes
    -----
    Options (``resource_args``): ``workdir``, a folder to run in instead of the run's own (a
    relative one is inside that); ``nice``, an integer added to the program's niceness; and what
    an agent counts, so that what does not fit does not run at once: ``cpus``, ``memory``, ``gpus``.
    """

    name = "local-process"
    inherits = True

    def __init__(self, root: Path | None = None) -> None:
        self._root = (root or _default_root()).absolute()

    def available(self) -> str | None:
        if os.name == "posix":
            return None
        return "local-process needs POSIX signals and named pipes, which Windows does not have."

    def check(self, options: Mapping[str, Any]) -> None:
        for name, value in options.items():
            field = f"resource_args.local-process.{name}"
            if name in COUNTED:
                _check_counted(name, value, field)
                continue
            if name not in OPTIONS:
                known = ", ".join((*OPTIONS, *COUNTED))
                raise SpecError(
                    f"local-process has no option {name!r}.", hint=f"Known: {known}.", field=field
                )
            if type(value) is not OPTIONS[name]:
                wanted = OPTIONS[name].__name__
                raise SpecError(f"{name} must be of type {wanted}, not {value!r}.", field=field)

    def describe(self, program: Program, run: Run) -> dict[str, object]:
        plan = _plan(program, Path(self.handle(run)), program.env)
        return {
            "resource": self.name,
            "argv": plan["argv"],
            "workdir": plan["workdir"],
            "nice": plan["nice"],
            "env": plan["environment"],
            "files": files(program.archive),
        }

    def handle(self, run: Run) -> str:
        return str(self._root / run.unique_name)

    def start(self, program: Program, run: Run, environment: Mapping[str, str]) -> None:
        """Start the program, once: a second call for the same run does nothing."""
        reason = self.available()
        if reason:
            raise Unsupported(reason)
        folder = Path(self.handle(run))
        plan = _plan(program, folder, environment)
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=f"{run.unique_name}.", dir=self._root))
        except OSError as error:
            raise StartFailed(f"The run's folder could not be made: {error}.") from error
        try:
            _start(program.archive, made, folder, plan)
        except OSError as error:
            raise StartFailed(f"The program could not be started: {error}.") from error
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def find(self, handle: str) -> bool:
        # A store may be written by others: what is no run's folder is not looked into.
        return FOLDER.fullmatch(Path(handle).name) is not None and Path(handle).is_dir()

    def strays(self, store_id: str) -> list[tuple[str, str]]:
        name = re.compile(rf"(?P<run>.+)-{re.escape(store_id[:8])}(-[0-9]+)?")
        try:
            folders = [path for path in self._root.iterdir() if FOLDER.fullmatch(path.name)]
        except OSError:
            return []
        found = ((name.fullmatch(path.name), str(path)) for path in folders)
        return [(match["run"], handle) for match, handle in found if match]

    def attach(self, handle: str, position: LogPosition) -> Iterator[list[Frame]]:
        if self.find(handle):
            yield from ProcessFolder(Path(handle)).follow(position)

    def result(self, handle: str) -> Result:
        if not self.find(handle):
            return Result(None, "no trace of it is left on this machine")
        folder = ProcessFolder(Path(handle))
        folder.await_end(math.inf)
        outcome = folder.outcome()
        if outcome is None:
            return Result(None, "its supervisor was killed, or the machine was restarted")
        status, problem = outcome
        if status >= 0:
            return Result(status, problem)
        return Result(128 - status, problem or f"killed by signal {_signal_name(-status)}")

    def stats(self, handle: str) -> Usage | None:
        """Add up what Linux tells of the program's processes; elsewhere nobody can tell."""
        session = ProcessFolder(Path(handle)).session()
        return None if session is None else session_usage(session)

    def outputs(self, handle: str, paths: Sequence[str]) -> Iterator[Output]:
        folder = ProcessFolder(Path(handle))
        return outputs(folder.path / OUTPUTS, folder.workdir(), paths)

    def stop(self, handle: str, grace_s: float) -> None:
        if not self.find(handle):
            return
        folder = ProcessFolder(Path(handle))
        if folder.tell(f"stop {grace_s}\n") and not folder.await_end(grace_s + KILL_S):
            raise BackendError(
                f"The program did not end within {KILL_S:g} s of being killed.",
                hint="It waits for a device or a file server, or runs as another user.",
            )

    def remove(self, handle: str) -> None:
        folder = Path(handle)
        if folder.parent != self._root or not FOLDER.fullmatch(folder.name):
            raise BackendError(f"{handle} is not the folder of a run below {self._root}.")
        # With what a start that was killed before it was done may have left.
        try:
            for part in (folder, *self._root.glob(f"{folder.name}.*")):
                ProcessFolder(part).remove()
        except OSError as error:
            raise BackendError(f"{handle} could not be removed: {error}.") from error


def _check_counted(name: str, value: Any, field: str) -> None:
    try:
        COUNTED[name](value)
    except ValueError as error:
        raise SpecError(f"{name} must be {error}, not {value!r}.", field=field) from error


def _default_root() -> Path:
    named = os.environ.get("JUPYTER_LAUNCH_PROCESS_DIR")
    if named:
        return user_path(named)
    from jupyter_core.paths import jupyter_data_dir  # noqa: PLC0415 - not light

    return Path(jupyter_data_dir()) / "jupyter_launch" / "processes"


def _plan(program: Program, folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Say what the supervisor is to run, where and how."""
    if not program.command:
        raise Unsupported(
            f"local-process runs no images, and {program.image or 'the program'} brings no "
            "command of its own here.",
            hint="Say what to run with --entry-point, or run it in a container: "
            "--resource local-container.",
        )
    return {
        "argv": [*program.command, *program.args],
        "workdir": str(_workdir(program, folder / "work")),
        "nice": program.options.get("nice", 0),
        "environment": {**environment, OUTPUT_DIR: str(folder / OUTPUTS)},
    }


def _workdir(program: Program, work: Path) -> Path:
    return work / (program.workdir or "") / user_path(program.options.get("workdir", ""))


def _start(archive: bytes | None, made: Path, folder: Path, plan: dict[str, Any]) -> None:
    # Open before anybody can find the folder, and handed on to the supervisor: so there is
    # no moment at which a program that is about to start looks dead.
    control = fill(made, archive, plan["workdir"])
    try:
        if not _claim(made, folder):
            return
        try:
            _supervise(folder, control, plan)
        except (OSError, StartFailed):
            shutil.rmtree(folder, ignore_errors=True)  # nothing was started: nothing is found
            raise
    finally:
        os.close(control)


def _claim(made: Path, folder: Path) -> bool:
    """Give a run's folder its name. False if it was there: the program was started before."""
    try:
        made.rename(folder)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def _supervise(folder: Path, control: int, plan: dict[str, Any]) -> None:
    """Start the supervisor, in a session of its own; return once the program runs."""
    command = [sys.executable, "-I", "-S", "-X", "utf8", supervisor.__file__]
    with (folder / "supervisor.err").open("wb") as complaints:
        done = subprocess.run(
            [*command, str(folder), str(control)],
            input=json.dumps(plan).encode(),
            stdout=subprocess.PIPE,
            stderr=complaints,
            cwd="/",
            pass_fds=(control,),
            start_new_session=True,
            check=False,
        )
    answer = done.stdout.decode()
    if answer == supervisor.STARTED:
        return
    if not answer:
        said = (folder / "supervisor.err").read_text(errors="replace").strip()
        raise StartFailed(f"The program's supervisor could not start: {said}")
    step, number, text = answer.split(" ", 2)
    raise _refusal(step, int(number), text, plan)


def _refusal(step: str, number: int, text: str, plan: dict[str, Any]) -> StartFailed:
    """Say why the system refused to start the program."""
    name = plan["argv"][0]
    if step == "workdir":
        return StartFailed(f"The working directory {plan['workdir']} cannot be used: {text}.")
    if step != "program":
        return StartFailed(f"The {step} of the program {name!r} could not be set: {text}.")
    if number == errno.ENOENT and "/" not in name:
        path = plan["environment"].get("PATH", os.defpath)
        return StartFailed(
            f"The program {name!r} was not found on this machine (PATH was {path}).",
            hint="Install it, or name it with its full path.",
        )
    hints = {
        errno.ENOENT: "Is it there, and so is the interpreter in its #! line?",
        errno.EACCES: f"Make it executable: chmod +x {name}",
        errno.ENOEXEC: "It is no binary and has no #! line: name its interpreter before it.",
    }
    message = f"The program {name!r} could not be started: {text}."
    return StartFailed(message, hint=hints.get(number, ""))


def _signal_name(number: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return str(number)
