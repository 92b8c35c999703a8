"""Agents that serve a queue together, and the program whose traces tell what was executed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_launch.runs import ATTEMPT, Queue, QueueRecord, Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores.base import Store
from tests.conftest import TINY

QUEUE = Queue("me", "faulty")
LINES = 40
PROGRAM = """
echo "$WANDB_RUN_ID $JUPYTER_LAUNCH_ATTEMPT" >> /shared/effects
i=0
while [ $i -lt 40 ]; do echo "line $i"; i=$((i+1)); [ $i = 20 ] && eval "$1"; done
exit 0
"""


@dataclass
class Fleet:
    """Agent processes on one queue of one store.

    Parameters
    ----------
    store : Store
        Where runs and agents are.
    shared : Path
        A folder that every program sees as ``/shared``.
    words : list of str
        Arguments of each agent, besides its queue.
    environment : mapping
        What they have in their environment beside this process's.
    """

    store: Store
    shared: Path
    words: list[str] = field(default_factory=list)
    environment: Mapping[str, str] = field(default_factory=dict)
    kills: int = 0
    at_work: list[subprocess.Popen[bytes]] = field(default_factory=list)
    log: Path = Path()

    def open(self) -> None:
        """Make the queue; what it mounts is its administrator's own will."""
        self.shared.mkdir()
        self.log = self.shared.with_name("agents.log")
        options = {"volume": [f"{self.shared}:/shared"]}
        config = {"resource_args": {"local-container": options}}
        self.store.create_queue(QueueRecord(QUEUE, "local-container", config))

    def start(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start one more agent."""
        command = [sys.executable, "-m", "jupyter_launch", "agent", f"--queue={QUEUE.name}"]
        command += [f"--entity={QUEUE.entity}", f"--store={self.store.url}", *self.words, *words]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment, **environment},
            )
        self.at_work.append(process)
        return process

    def kill_one(self) -> None:
        """Kill an agent as no program can prevent it, and start another."""
        victim = self.at_work.pop(random.randrange(len(self.at_work)))
        victim.kill()
        victim.wait()
        self.kills += 1
        self.start()

    def close(self) -> None:
        """End the agents; what runs goes on."""
        for process in self.at_work:
            process.kill()
            process.wait()

    def submit(self, count: int, pause: str = "sleep 0.3", **spec: Any) -> list[str]:
        """Put runs of `PROGRAM` on the queue, which pause as a shell's command does."""
        data: dict[str, Any] = {
            "docker": {"docker_image": TINY},
            "overrides": {"entry_point": ["sh", "-c", PROGRAM, "sh", pause]},
            "entity": QUEUE.entity,
            "retry": {"max_retries": 5, "on": ["crashed"], "backoff_s": 0.1},
            **spec,
        }
        made = LaunchSpec.from_dict(data)
        return [self.store.submit(made, queue=QUEUE).id for _ in range(count)]

    @contextmanager
    def faults(self, every_s: float, fault: Callable[[], None]) -> Iterator[None]:
        """Let something go wrong now and then while the block lasts."""
        over = threading.Event()

        def go_on() -> None:
            while not over.wait(every_s * random.uniform(0.5, 1.5)):
                fault()

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def wait(self, run_ids: list[str], timeout_s: float) -> list[Run]:
        """Wait until all these runs have ended, and give them."""
        deadline = time.monotonic() + timeout_s
        for run_id in run_ids:
            left = max(0.0, deadline - time.monotonic())
            done = self.store.wait(run_id, lambda run: run.state.terminal, left)
            assert done, f"{self.store.get(run_id)} hangs; the agents said:\n{self.said()}"
        return [self.store.get(run_id) for run_id in run_ids]

    def said(self) -> str:
        """Give the end of what the agents said."""
        with suppress(FileNotFoundError):
            return self.log.read_text(errors="replace")[-4000:]
        return ""

    def effects(self) -> Counter[tuple[str, int]]:
        """Count the lines that each attempt at a run left in the shared file."""
        lines = (self.shared / "effects").read_text().splitlines()
        return Counter((line.split()[0], int(line.split()[1])) for line in lines)


def check_run(store: Store, run: Run, effects: Counter[tuple[str, int]]) -> None:
    """See that a run ended once, was executed once per attempt, and its log is whole."""
    states = [event.data["state"] for event in store.events(run.id) if event.kind == "state"]
    assert sum(State(state).terminal for state in states) == 1, states
    assert State(states[-1]) is run.state
    for attempt in range(run.attempt + 1):
        assert effects[run.id, attempt] <= 1, f"attempt {attempt} at {run.id} was executed twice"
    if run.state is State.FINISHED:
        assert effects[run.id, run.attempt] == 1
        assert attempts_of(store, run)[-1] == b"".join(b"line %d\n" % n for n in range(LINES))


def attempts_of(store: Store, run: Run) -> list[bytes]:
    """Give the log of each attempt at a run."""
    log = store.read_log(run.id, 0, 1 << 30)
    attempts, offset = [b""], 0
    for piece in store.log_pieces(run.id, 0, 1 << 20):
        data = log[offset : offset + piece.length]
        offset += piece.length
        if piece.stream == ATTEMPT:
            attempts.append(b"")
        else:
            attempts[-1] += data
    return attempts
