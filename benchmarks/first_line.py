"""From a launch to the program's first line in the store, beside ``docker run``."""

from __future__ import annotations

from pathlib import Path

from jupyter_launch.runs import new_id
from jupyter_launch.stores import open_store
from tests.kernels import Kernel, kernel

from .measure import Row, in_turns
from .tiny import TINY, docker_run, first_line, seconds_until, store_url, warm

BAR = 1.0


def rows(folder: Path) -> list[Row]:
    """Launch from a process that has launched before, and by ``%launch`` in a live notebook."""
    with warm(folder) as here, kernel(live=True) as notebook:
        notebook.run("%load_ext jupyter_launch")
        ours, magic, peer = in_turns(
            lambda: here.seconds(first_line, "echo", "hello"),
            lambda: _magic(notebook, folder),
            lambda: docker_run("echo", "hello"),
        )
    shown = f"docker run --rm {peer.text('ms', 1000)}"
    ratio = ours.median / peer.median
    return [
        Row(
            "launch -> first line in the store",
            ours.text("ms", 1000),
            shown,
            ratio,
            f"<= {BAR}x",
            ratio <= BAR,
        ),
        Row(
            "%launch in a kernel -> first line",
            magic.text("ms", 1000),
            shown,
            magic.median / peer.median,
        ),
    ]


def _magic(notebook: Kernel, folder: Path) -> float:
    store, run_id = open_store(store_url(folder)), new_id()
    launch = f"%launch --run-id {run_id} -r local-container -d {TINY} -E 'echo hello' -o launched"
    seconds = seconds_until(store, run_id, first_line, lambda: notebook.client.execute(launch))
    gone = "import time\nlaunched.wait()\nwhile launched.run.handle: time.sleep(0.01)"
    if trouble := notebook.error(gone):
        raise RuntimeError(trouble)
    store.close()
    return seconds
