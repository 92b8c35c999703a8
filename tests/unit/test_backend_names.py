"""Backends by name: one of each in a process, whoever asks, and however many at once."""

from __future__ import annotations

import subprocess
import sys

from jupyter_launch import backends

TOGETHER = """
import threading
from jupyter_launch import backends
names = ["local-container", "local"] * 8
gate, made = threading.Barrier(len(names)), []
def ask(name):
    gate.wait()
    made.append(backends.backend(name))
threads = [threading.Thread(target=ask, args=[name]) for name in names]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(made), len({id(one) for one in made}))
"""


def test_there_is_one_of_a_kind_by_any_of_its_names() -> None:
    assert backends.backend("local") is backends.backend("local-container")


def test_threads_that_ask_first_get_the_same() -> None:
    asked = subprocess.run(
        [sys.executable, "-c", TOGETHER], capture_output=True, text=True, check=True
    )
    assert asked.stdout.split() == ["16", "1"]
