"""A run outlives whoever launched it: kernels, agents and terminals killed in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_launch.runs import Run
from jupyter_launch.states import State
from jupyter_launch.stores.base import Store, log_of
from tests.conftest import PYTHON
from tests.kernels import Kernel, kernel

LINES = 300
# A line is one write: the order of two streams is kept from piece to piece, not inside a line.
PROGRAM = f"""
import os, sys, time
for n in range({LINES}):
    os.write(1, f"line {{n}}\\n".encode())
    if n % 3 == 0:
        os.write(2, f"warning {{n}}\\n".encode())
    time.sleep(0.01)
sys.exit(7)
"""
PLACES = [
    pytest.param("-r local-process", id="local-process"),
    pytest.param(f"-r local-container -d {PYTHON}", id="local-container", marks=pytest.mark.docker),
]


@pytest.fixture
def killable() -> Iterator[Kernel]:
    made = Kernel(live=True)
    made.run("%load_ext jupyter_launch")
    yield made
    made.close()


def launched(killable: Kernel, store: Store, place: str) -> str:
    """Launch the program in the kernel and kill that in the middle of the output."""
    killable.run(f"%%launch {place} -o run\n{PROGRAM}")
    run_id: str = killable.value("print(repr(run.id))")
    seen = b""
    with store.listen(run_id, log_of(run_id)) as listener:
        while b"line 20\n" not in seen:
            listener.wait(5)
            seen = store.read_log(run_id)
    killable.kill()
    assert not store.get(run_id).state.terminal
    return run_id


def assert_whole(store: Store, run_id: str) -> None:
    """Every line of both streams stands in the log once, in order, and the exit code is known."""
    run = store.get(run_id)
    assert (run.state, run.exit_code) == (State.FAILED, 7)
    lines = store.read_log(run_id).decode().splitlines()
    assert [line for line in lines if line.startswith("line")] == [
        f"line {n}" for n in range(LINES)
    ]
    warnings = [f"warning {n}" for n in range(0, LINES, 3)]
    assert [line for line in lines if line.startswith("warning")] == warnings


def ended(store: Store, run_id: str) -> Run | None:
    return store.wait(run_id, lambda run: run.state.terminal, timeout=60)


@pytest.mark.parametrize("place", PLACES)
def test_the_next_kernel_takes_over_a_run_whose_kernel_was_killed(
    killable: Kernel, store: Store, place: str
) -> None:
    run_id = launched(killable, store, place)
    with kernel() as other:
        other.run("%load_ext jupyter_launch")
        assert ended(store, run_id)
    assert_whole(store, run_id)


@pytest.mark.parametrize("place", PLACES)
def test_attach_takes_over_and_prints_the_log_from_its_first_byte(
    killable: Kernel, store: Store, place: str
) -> None:
    run_id = launched(killable, store, place)
    command = [sys.executable, "-m", "jupyter_launch", "attach", run_id]
    attached = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert attached.returncode == 1
    assert attached.stdout == store.read_log(run_id)
    assert_whole(store, run_id)


@pytest.mark.parametrize("place", PLACES)
def test_an_agent_takes_over_what_a_killed_agent_was_running(store: Store, place: str) -> None:
    script = "program.py"
    Path(script).write_text(PROGRAM)
    add = [sys.executable, "-m", "jupyter_launch", "add", script, *place.split()]
    run_id = subprocess.check_output(add, text=True).strip()
    run = store.wait(run_id, lambda run: run.state is State.RUNNING, timeout=30)
    assert run is not None
    assert run.owner is not None
    os.kill(int(run.owner.split(":")[2]), signal.SIGKILL)
    agent = [sys.executable, "-m", "jupyter_launch", "agent", "--idle", "1"]
    subprocess.run(agent, check=True, timeout=60, capture_output=True)
    assert ended(store, run_id)
    assert_whole(store, run_id)


@pytest.mark.parametrize("place", PLACES)
def test_a_program_that_ended_while_nobody_looked_is_still_known(
    killable: Kernel, store: Store, place: str
) -> None:
    run_id = launched(killable, store, place)
    time.sleep(LINES * 0.012)  # the program ends within this: nothing tells when nobody looks
    with kernel() as other:
        other.run("%load_ext jupyter_launch")
        assert ended(store, run_id)
    assert_whole(store, run_id)
