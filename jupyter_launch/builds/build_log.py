"""What a builder says: as the run's log and progress, and as the words of its failure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence

from ..errors import BuildFailed
from ..redact import REDACTED, redact_text
from ..report import Report

TAIL_LINES = 10
SHOWN = 120
"""How many characters of an instruction are shown in one line."""

_USER_IN_URL = re.compile(r"(?<=://)[^\s/@'\"‹]+(?=@)")
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")
_PREFACE = re.compile(r"^RUN (?:--\S+ |[A-Z_]+=\S+ )+")
_HUB = re.compile(r"^FROM docker\.io/(?:library/)?")  # what BuildKit adds
_CODE = re.compile(r"(?:exit code:?|non-zero code:) (\d+)")

HINTS = {
    r"(?i)no space left on device": (
        "Make room where the engine keeps its images: docker system prune"
    ),
    r"python3?: (?:command )?not found|No module named pip": (
        "The base image needs Python and pip: choose another one, such as python:3.11-slim."
    ),
    r"No matching distribution|Could not find a version|new connection|(?i:name resolution)": (
        "Check the names and versions, and that the engine's containers reach the package index "
        "(with pip's own settings of this machine: build.inherit_pip_config)."
    ),
    r"(?i)externally[- ]managed|permission denied": (
        "Choose a base image into which its user may install, or write a Dockerfile."
    ),
}
HINT = "Its whole output stands in the run's log."


class BuildLog:
    """Hands a builder's output on, cleaned, and remembers what a failure should tell.

    Parameters
    ----------
    report : Report
        Where to.
    secrets : sequence of str
        Words that must not be seen.
    """

    def __init__(self, report: Report, secrets: Sequence[str] = ()) -> None:
        self._report = report
        self._secrets = [word for word in secrets if len(word) > 3]
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._step = ""

    def step(self, position: str, instruction: str) -> None:
        """Say that a step begins, such as ``3/7`` and ``RUN make``."""
        self.blame(position, instruction)
        self._tail.clear()
        self._report(f"building {self._step}")
        self._report.output(f"{self._step}\n".encode())

    def blame(self, position: str, instruction: str) -> None:
        """Say which step a failure is about, where several run at once."""
        self._step = f"step {position}: {self._clean(shown(instruction))}"

    def write(self, text: str) -> None:
        """Add lines of output; of a line that was overwritten, what was last seen."""
        lines = [line for line in map(self._clean, text.split("\n")) if line]
        if lines:
            self._tail.extend(lines)
            self._report.output("".join(f"{line}\n" for line in lines).encode())

    def failure(self, why: str) -> BuildFailed:
        """Make the error that says which instruction failed, how, and what was last said.

        Parameters
        ----------
        why : str
            The builder's own words.
        """
        why = self._clean(why).strip().rstrip(".")
        code = _CODE.search(why)
        ended = f"exit code {code[1]}" if code else why
        where = f"The build failed at {self._step}" if self._step else "The image cannot be built"
        tail = "".join(f"\n  | {line}" for line in self._tail)
        said = f"{why}\n{tail}"
        hint = next((hint for form, hint in HINTS.items() if re.search(form, said)), HINT)
        return BuildFailed(f"{where} ({ended}).{tail}", hint=hint)

    def _clean(self, line: str) -> str:
        line = _CONTROL.sub("", line.rstrip("\r").rpartition("\r")[2]).rstrip()
        for word in self._secrets:
            line = line.replace(word, REDACTED)
        return redact_text(_USER_IN_URL.sub(REDACTED, line))


def shown(instruction: str) -> str:
    """Shorten an instruction to what it does: without mounts and settings before a command."""
    text = _PREFACE.sub("RUN ", " ".join(instruction.split()))
    text = _HUB.sub("FROM ", text)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
