"""The git program: how it is called, watched and ended, and what its complaints mean."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import IO

from ..errors import SourceUnavailable
from ..report import Report, Silent
from .git_login import ANONYMOUS, Login
from .git_trouble import GitFailed, translated

QUIET_S = 60.0
"""A fetch of which nothing arrives for so long is given up."""

LOCAL_S = 120.0
"""What git may take for reading what is on this machine's disk."""

MOST_BYTES = 64 << 20
"""A longer list, of branches or of files, is somebody's trap."""

_TICK_S = 0.25
_KEPT = 64 * 1024
_PROGRESS = re.compile(r"(?:remote: )?([A-Z][a-z]+ing [a-z]+):\s+(\d+)% ")
_OWN = re.compile(
    r"GIT_(?:DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|NAMESPACE"
    r"|COMMON_DIR|PREFIX|CURL_VERBOSE|TRACE.*|REDIRECT_.*)|SSH_ASKPASS"
)
"""Variables that lead git elsewhere than to the repository asked for, or to a window that asks."""

_SETTINGS = (
    ("core.hooksPath", os.devnull),  # no repository's hooks run here
    ("core.fsmonitor", "false"),  # nor the program its own settings may name
    ("fetch.recurseSubmodules", "false"),
    ("fetch.unpackLimit", "1"),  # one file for all that comes, however little, with progress
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", str(int(QUIET_S))),
)


@dataclass(frozen=True)
class Git:
    """Calls of git about one repository.

    Parameters
    ----------
    subject : str
        The repository's name, for people.
    login : Login
        Who asks for it.
    folder : str
        The folder git works in: a repository on this machine.
    """

    subject: str
    login: Login = ANONYMOUS
    folder: str = ""

    def at(self, folder: str) -> Git:
        """Give the same for a folder."""
        return replace(self, folder=folder)

    def run(
        self,
        *words: str,
        limit_s: float = LOCAL_S,
        report: Report | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> bytes:
        """Run git and give its output.

        Parameters
        ----------
        *words : str
            Its arguments; what users chose stands behind ``--end-of-options`` or ``--``.
        limit_s : float
            Seconds it may take in all.
        report : Report, optional
            Hears of the run's stop.
        stdin : int
            Descriptor of what git reads; default: nothing.

        Raises
        ------
        GitFailed
            When it fails or takes longer.
        """
        with self.started(*words, report=report or Silent(), stdin=stdin) as process:
            talk = Talk(process)
            out = bytearray()
            for data in talk.output(total_s=limit_s):
                out += data
                if len(out) > MOST_BYTES:
                    raise GitFailed(f"{self.subject} lists more than {MOST_BYTES >> 20} MiB.")
            self._check(process, talk, f"it did not answer within {limit_s:.0f} seconds")
        return bytes(out)

    def fetch(self, *words: str, report: Report) -> None:
        """Run ``git fetch --progress`` for as long as something arrives, and say how far it is.

        Raises
        ------
        GitFailed
            When it fails, or nothing arrives for `QUIET_S` seconds.
        """
        with self.started("fetch", "--progress", *words, report=report) as process:
            talk = Talk(process, _teller(self.subject, report))
            for _ in talk.output(quiet_s=QUIET_S):
                pass
            self._check(process, talk, f"nothing arrived for {QUIET_S:.0f} seconds")

    @contextlib.contextmanager
    def started(
        self, *words: str, report: Report, stdin: int = subprocess.DEVNULL
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start git in a session of its own, without a terminal to ask at; end it afterwards."""
        prefix = ["-C", self.folder] if self.folder else []
        try:
            process = subprocess.Popen(
                ["git", *prefix, *words],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(self.login),
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise SourceUnavailable(
                "git is not installed on this machine, so no repository can be fetched.",
                hint="Install git where the run is launched from (and on the agent's machine).",
            ) from error
        except OSError as error:
            raise SourceUnavailable(f"git cannot be started: {error.strerror}.") from error
        with process, report.stoppable(lambda: end(process)):
            try:
                yield process
            finally:
                end(process)

    def _check(self, process: subprocess.Popen[bytes], talk: Talk, late: str) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = process.wait(0 if talk.late else LOCAL_S)
            if status == 0:
                return
            raise translated(self.subject, self.login.secret, talk.said.decode("utf-8", "replace"))
        raise GitFailed(
            f"{self.subject} could not be read: {late}.",
            hint="Check the connection to it, and try again.",
        )


class Talk:
    """What a started git prints, read as it comes.

    Parameters
    ----------
    process : Popen
        Git, with pipes for its output and errors.
    hear : callable, optional
        Given each line of the errors, progress lines too; an empty one while there is none.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], hear: Callable[[str], None] | None = None
    ) -> None:
        self._process, self._hear = process, hear
        self.said, self._line = b"", b""
        self.late = False

    def output(
        self, *, total_s: float | None = None, quiet_s: float | None = None
    ) -> Iterator[bytes]:
        """Give the output as it comes; stop, and set `late`, when a limit is passed."""
        began = heard = time.monotonic()
        with selectors.DefaultSelector() as selector:
            for pipe in (self._process.stdout, self._process.stderr):
                assert pipe is not None
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(_TICK_S)
                if not ready and self._hear:
                    self._hear("")
                now = time.monotonic()
                heard = now if ready else heard
                if (total_s and now - began > total_s) or (quiet_s and now - heard > quiet_s):
                    self.late = True
                    return
                if not ready and self._process.poll() is not None:
                    return  # a helper that git left behind, such as a shared ssh, has the pipe
                for key, _ in ready:
                    yield from self._take(selector, key.fileobj)  # type: ignore[arg-type]

    def _take(self, selector: selectors.BaseSelector, pipe: IO[bytes]) -> Iterator[bytes]:
        data = os.read(pipe.fileno(), 1 << 16)
        if not data:
            selector.unregister(pipe)
            if pipe is self._process.stderr and self._line:
                self._listen(self._line)
        elif pipe is self._process.stdout:
            yield data
        else:
            *lines, self._line = re.split(rb"[\r\n]", self._line + data)
            self._line = self._line[-_KEPT:]
            for line in filter(None, lines):
                self._listen(line)

    def _listen(self, line: bytes) -> None:
        if not _PROGRESS.match(line.decode("utf-8", "replace")):
            self.said = (self.said + line + b"\n")[-_KEPT:]
        if self._hear:
            self._hear(line.decode("utf-8", "replace"))


def end(process: subprocess.Popen[bytes]) -> None:
    """End git and what it started, at once: all they leave is in folders that are thrown away."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _teller(subject: str, report: Report) -> Callable[[str], None]:
    """Pass git's progress on, a few times a second; what is done at once needs no word."""
    said, latest, at = "", "", time.monotonic()

    def tell(line: str) -> None:
        nonlocal said, latest, at
        if found := _PROGRESS.match(line):
            latest = f"fetching {subject}: {found[1].lower()} {found[2]} %"
        if latest != said and time.monotonic() - at >= _TICK_S:
            said, at = latest, time.monotonic()
            report(said)

    return tell


def _environment(login: Login) -> dict[str, str]:
    """Give git the user's own surroundings, without what would make it ask, or look elsewhere."""
    env = {name: value for name, value in os.environ.items() if not _OWN.fullmatch(name)}
    env |= {
        "LC_ALL": "C",
        "GIT_NO_REPLACE_OBJECTS": "1",  # a commit's name stands for one content
        "GIT_TERMINAL_PROMPT": "0",
        "SSH_ASKPASS_REQUIRE": "never",
        "GCM_INTERACTIVE": "never",
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    }
    count = env.get("GIT_CONFIG_COUNT", "")
    first = int(count) if count.isdecimal() else 0
    settings = [*_SETTINGS, *login.settings]
    for place, (key, value) in enumerate(settings, first):
        env |= {f"GIT_CONFIG_KEY_{place}": key, f"GIT_CONFIG_VALUE_{place}": value}
    env["GIT_CONFIG_COUNT"] = str(first + len(settings))
    return env | login.env
