"""Many processes on one store at once, some of which are killed, and what came of it."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_launch.states import State
from jupyter_launch.stores.base import Store

HAMMER = Path(__file__).with_name("hammer.py")


@dataclass
class Hammered:
    """What the processes were told was done, and what they complained of."""

    submitted: list[str] = field(default_factory=list)
    claimed: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    kills: int = 0

    def take(self, folder: Path) -> Hammered:
        """Read what they wrote into a folder."""
        for path in sorted(folder.glob("*.out")):
            *lines, last = path.read_text().split("\n")
            assert not last, "each line is written at once"
            for line in lines:
                what, _, run_id = line.partition(" ")
                {"submitted": self.submitted, "claimed": self.claimed}.get(what, []).append(run_id)
        errors = (path.read_text() for path in sorted(folder.glob("*.err")))
        self.complaints += [text for text in errors if text]
        return self

    def check(self, store: Store) -> dict[str, int]:
        """See that nothing was lost and nothing done twice; give the figures."""
        assert not self.complaints, self.complaints[0]
        there = {run.id: run for run in store.runs(limit=10_000_000)}
        lost = set(self.submitted) - there.keys()
        assert not lost, f"{len(lost)} of {len(self.submitted)} submitted runs are lost"
        doubled = [run_id for run_id, times in Counter(self.claimed).items() if times > 1]
        assert not doubled, f"{len(doubled)} runs were given to two"
        leased = {run.id for run in there.values() if run.state is State.LEASED}
        # Who is killed between a commit and its line has done one thing more than it said.
        assert set(self.claimed) <= leased
        assert len(leased) - len(self.claimed) <= self.kills
        assert len(there) - len(self.submitted) <= self.kills
        for run_id in random.sample(sorted(there), min(200, len(there))):
            told = [event.data["state"] for event in store.events(run_id)]
            assert told == (["leased"] if run_id in leased else [])
        return {
            "submitted": len(self.submitted),
            "claimed": len(self.claimed),
            "kills": self.kills,
            "lost": 0,
            "doubled": 0,
        }


def hammer(
    url: str,
    folder: Path,
    seconds: float,
    words: Sequence[str] = ("both",),
    processes: int = 8,
    kills_every: float | None = None,
) -> Hammered:
    """Let processes submit and claim at once, and kill one of them now and then.

    Parameters
    ----------
    url : str
        Their store.
    folder : Path
        What they say is written there.
    seconds : float
        How long they go on.
    words : sequence of str
        What each of them does, as ``hammer.py`` takes it.
    processes : int
        How many of them.
    kills_every : float, optional
        Seconds between two kills; whoever is killed gets a successor.
    """
    folder.mkdir()
    result = Hammered()
    with ExitStack() as stack:

        def start(number: int, left: float) -> subprocess.Popen[bytes]:
            out = stack.enter_context((folder / f"{number}.out").open("wb"))
            err = stack.enter_context((folder / f"{number}.err").open("wb"))
            command = [sys.executable, str(HAMMER), url, str(left), *words]
            process = subprocess.Popen(command, stdout=out, stderr=err)
            stack.callback(process.kill)
            return process

        until = time.monotonic() + seconds
        at_work = [start(number, seconds) for number in range(processes)]
        while kills_every and (left := until - time.monotonic()) > kills_every:
            time.sleep(kills_every)  # the faults come at their own pace
            victim = random.randrange(len(at_work))
            at_work[victim].kill()
            at_work[victim].wait()
            result.kills += 1
            at_work[victim] = start(processes + result.kills, left - kills_every)
        for process in at_work:
            process.wait(timeout=seconds + 60)
    return result.take(folder)
