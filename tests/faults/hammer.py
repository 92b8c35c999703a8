"""A process that submits to a store, or claims from it, or both, as fast as it can.

``python hammer.py URL SECONDS submit|claim|both [PAUSE]`` writes one line for each thing that the
store said was done: ``submitted ID`` or ``claimed ID``, as soon as it was said. With a pause, it
takes its time in between.
"""

from __future__ import annotations

import os
import sys
import time

from jupyter_launch.owner import new_owner
from jupyter_launch.runs import Queue
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.stores import open_store

QUEUE = Queue("me", "hammered")
SPEC = LaunchSpec.from_dict({"docker": {"docker_image": "tiny"}, "entity": "me"})


def say(text: str) -> None:
    """Write a line past all buffers: it must be there even if this process is killed next."""
    os.write(1, f"{text}\n".encode())


def main(url: str, seconds: float, does: str, pause: float) -> None:
    """Go on for so many seconds."""
    store = open_store(url)
    owner = new_owner()
    say("ready")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if does != "claim":
            say(f"submitted {store.submit(SPEC, queue=QUEUE).id}")
        if does != "submit":
            run = store.claim([QUEUE], owner, ())
            if run:
                say(f"claimed {run.id}")
        time.sleep(pause)
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3], float(sys.argv[4]) if sys.argv[4:] else 0.0)
