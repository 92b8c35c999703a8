"""The small program that stands between a local process and everybody who watches it.

It is nobody's child, so it and its program outlive the kernel, the agent or the server that
started them. It keeps what the program writes, both streams in one file in the order they came,
ends the program when it is told to, and leaves a file with the result. As a script it gets the
run's folder and the open end of the folder's control pipe as arguments, and the plan on its
standard input, so that the program's environment is never written down.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import struct
import sys
import time

TYPE_CHECKING = False  # typing and pathlib are not imported: a program's start waits for this file
if TYPE_CHECKING:
    from typing import Any, NoReturn

HEAD = struct.Struct(">BI")
"""What stands before each piece of output: the stream (1 or 2) and the piece's length in bytes."""

STARTED = "started"
"""What is answered when the program runs; otherwise "step errno message" of what failed."""

BELL = "output"
"""The topic that rings in the folder's ``bells`` when there is more to read, and at the end."""

CHUNK = 1 << 20
"""Bytes read at once: all that a pipe can hold."""

DRAIN_S = 1.0
"""How long processes the program left behind may keep its output open after it ended."""

GRACE_S = 10.0
"""Seconds between asking and killing where nobody named a grace: the system shuts down."""

NEVER = math.inf


class Supervisor:
    """Runs one program.

    Parameters
    ----------
    folder : str
        The run's folder.
    control : int
        Where commands arrive. As long as it is open, watchers take the program for alive.
    """

    def __init__(self, folder: str, control: int) -> None:
        self._folder = folder
        self._control = control
        # Holding a writer ourselves keeps the pipe from reporting end-of-file between commands.
        os.open(f"{folder}/control", os.O_WRONLY | os.O_NONBLOCK)
        self._spool = os.open(f"{folder}/output", os.O_WRONLY | os.O_APPEND)
        self._streams: dict[int, int] = {}
        self._status: int | None = None
        self._problem = ""
        self._kill_at = self._drained_at = NEVER

    def start(self, plan: dict[str, Any]) -> str:
        """Start the program and give the answer for whoever asked for it."""
        self._wakened = _wake_on(signal.SIGCHLD, signal.SIGTERM)
        self._group = _lead_group()
        pipes = os.pipe(), os.pipe()
        hear, tell = os.pipe()
        self._program = os.fork()
        if not self._program:
            _become(plan, self._group, (pipes[0][1], pipes[1][1]), tell)
        os.close(tell)
        for stream, (read, write) in enumerate(pipes, start=1):
            os.close(write)
            os.set_blocking(read, False)
            self._streams[read] = stream
        with os.fdopen(hear, encoding="utf-8") as answer:  # ends when the program has taken over
            return answer.read() or STARTED

    def run(self) -> None:
        """Stay until the program has ended and its output is kept."""
        # Imported while the program starts up, so that it need not wait for that.
        from pathlib import Path  # noqa: PLC0415

        sys.path.insert(0, str(Path(__file__).parents[2]))
        from jupyter_launch.bell import Ringer  # noqa: PLC0415

        # Only statistics need it: a full disk is no reason to give up the program.
        with contextlib.suppress(OSError):
            session = f"{os.getsid(0)} {os.getpid()} {self._group}"
            Path(self._folder, "session").write_text(session, encoding="ascii")
        ringer = Ringer(Path(self._folder, "bells"))
        poller = select.poll()
        for descriptor in (self._control, self._wakened, *self._streams):
            poller.register(descriptor, select.POLLIN)
        while self._lives():
            wait = min(self._kill_at, self._drained_at) - time.monotonic()
            ready = {fd for fd, _ in poller.poll(None if wait == NEVER else max(0, wait) * 1000)}
            if self._wakened in ready:
                self._look(os.read(self._wakened, 4096))
            if self._control in ready:
                self._obey(os.read(self._control, 4096))
            # What was printed before an error usually comes before it: stdout first.
            for descriptor in [stream for stream in self._streams if stream in ready]:
                if not self._read(descriptor):
                    poller.unregister(descriptor)
                    del self._streams[descriptor]
            ringer.ring(BELL)
        self._finish()
        ringer.ring(BELL)

    def _lives(self) -> bool:
        now = time.monotonic()
        if now >= self._kill_at:
            self._kill_at = NEVER
            self._signal(signal.SIGKILL)
        return self._status is None or (bool(self._streams) and now < self._drained_at)

    def _look(self, signals: bytes) -> None:
        if signal.SIGTERM in signals:
            self._stop(GRACE_S)
        if self._status is not None:
            return
        ended, status = os.waitpid(self._program, os.WNOHANG)
        if ended:
            self._status = os.waitstatus_to_exitcode(status)
            # What is left of a program that is being stopped has its grace, too.
            kill_at = 0 if self._kill_at == NEVER else self._kill_at
            self._drained_at = max(time.monotonic() + DRAIN_S, kill_at)

    def _obey(self, commands: bytes) -> None:
        for command in commands.decode().splitlines():
            verb, _, grace = command.partition(" ")
            if verb == "stop":
                self._stop(float(grace))

    def _stop(self, grace_s: float) -> None:
        self._kill_at = min(self._kill_at, time.monotonic() + grace_s)
        if grace_s <= 0:
            return
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # one that is suspended hears nothing

    def _signal(self, number: signal.Signals) -> None:
        # The group's id cannot belong to others: its leader is our child and not waited for.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._group, number)

    def _read(self, descriptor: int) -> bool:
        """Keep what there is to read. False at the end of the stream."""
        try:
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return True
        if data and not self._problem:
            self._keep(HEAD.pack(self._streams[descriptor], len(data)) + data)
        return bool(data)

    def _keep(self, frame: bytes) -> None:
        try:
            while frame:
                frame = frame[os.write(self._spool, frame) :]
        except OSError as error:
            self._problem = f"its output could not be kept: {error.strerror}"
            self._stop(0)

    def _finish(self) -> None:
        self._signal(signal.SIGKILL)  # as with a container, nothing of it stays behind
        for descriptor in self._streams:
            self._read(descriptor)
        result = json.dumps({"status": self._status, "problem": self._problem})
        with open(f"{self._folder}/result.new", "w", encoding="utf-8") as new:  # noqa: PTH123
            new.write(result)
        os.replace(new.name, f"{self._folder}/result")  # noqa: PTH105


def _wake_on(*numbers: signal.Signals) -> int:
    """Make signals readable, as bytes of their numbers; give the descriptor."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    for number in numbers:
        signal.signal(number, lambda *_: None)
    return read


def _lead_group() -> int:
    """Found the program's process group: its leader kills it should the supervisor be killed.

    A leader of our own also keeps the group's id from being used for anybody else's.
    """
    watch, held = os.pipe()
    leader = os.fork()
    if leader:
        os.close(watch)
        os.setpgid(leader, leader)
        return leader
    os.close(held)
    os.close(sys.stdout.fileno())
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    os.setpgid(0, 0)
    os.read(watch, 1)  # returns when the last holder of the other end, the supervisor, is gone
    os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _become(plan: dict[str, Any], group: int, outputs: tuple[int, int], tell: int) -> NoReturn:
    """Turn this process, a fresh child, into the program."""
    step = "group"
    try:
        os.setpgid(0, group)
        # What Python, we ourselves or nohup ignore, the program would ignore, too.
        for name in ("SIGPIPE", "SIGXFSZ", "SIGHUP", "SIGINT", "SIGQUIT"):
            signal.signal(signal.Signals[name], signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        step = "nice"
        os.nice(plan["nice"])
        step = "workdir"
        os.chdir(plan["workdir"])
        step = "program"
        for standard, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), *outputs)):
            os.dup2(descriptor, standard)
        os.execvpe(plan["argv"][0], plan["argv"], plan["environment"])  # noqa: S606 - no shell
    except (OSError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) else 0
        os.write(tell, f"{step} {number} {os.strerror(number) if number else error}".encode())
    os._exit(127)


def main(folder: str, control: int) -> None:
    """Read the plan, start the program, answer, and stay until it has ended."""
    plan = json.load(sys.stdin)
    if os.fork():
        os._exit(0)
    os.set_inheritable(control, False)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    supervisor = Supervisor(folder, control)
    answer = supervisor.start(plan)
    with contextlib.suppress(BrokenPipeError):  # whoever asked may be gone: then others adopt it
        os.write(sys.stdout.fileno(), answer.encode())
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    os.umask(0o077)
    if answer == STARTED:
        supervisor.run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
