"""Programs whose lines tell their number and when they were printed.

Each line has 105 bytes with its end, and three colours.
"""

from __future__ import annotations

PYTHON = "jupyter-launch-test/python:latest"
WIDTH = 105

LINE = f"""
import sys, time

def line(n, at):
    text = f"\\x1b[32m#{{n:07}}\\x1b[0m {{at:.3f}} \\x1b[36minfo\\x1b[0m \\x1b[1mstep\\x1b[0m "
    return text + "." * ({WIDTH - 1} - len(text)) + "\\n"
"""


def flood(count: int) -> str:
    """Print many lines, as fast as they can be printed."""
    return f"""{LINE}
for first in range(0, {count}, 1000):
    now = time.time()
    sys.stdout.write("".join(line(n, now) for n in range(first, min(first + 1000, {count}))))
"""


def paced(rate: int, seconds: float, burst: int = 1, *, flush: bool = True) -> str:
    """Print so many lines a second, `burst` at once."""
    return f"""{LINE}
begun = time.time()
for first in range(0, {round(rate * seconds)}, {burst}):
    time.sleep(max(0, begun + first / {rate} - time.time()))
    now = time.time()
    sys.stdout.write("".join(line(n, now) for n in range(first, first + {burst})))
    {"sys.stdout.flush()" if flush else ""}
"""


def printing(count: int) -> str:
    """Print many lines, each by a ``print`` of its own, as code does that knows of no other way."""
    return f"""{LINE}
for n in range({count}):
    print(line(n, time.time()), end="")
"""


def in_container(program: str) -> str:
    """Give the cell that launches a program in a container."""
    return f"%%launch -d {PYTHON}\n{program}"
