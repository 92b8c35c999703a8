"""Tab behind a magic: how long IPython's completer takes when every call of the store takes 1 s."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_launch.config import setting
from jupyter_launch.owner import new_owner
from jupyter_launch.runs import Queue, QueueRecord
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.stores import open_store

from .measure import Row, Sample
from .tiny import store_url

BAR_MS = 50
CALL_S = 1.0
RUNS, QUEUES, TABS, KERNELS = 10_000, 50, 10, 3
COPY = """
WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < ?)
INSERT INTO runs (id, {copied}) SELECT 'run' || n, {copied} FROM runs, many WHERE id = ?
"""
LINES = (
    "%launch --que", "%launch -q qu", "%launch_add --queue=qu", "%launch -p ", "%launch -e ",
    "%launch -j ", "%launch --set ", "%launch -d ", "%launch -r ", "%relaunch ",
    "%launch_add -q queue-7 -v ",
)  # fmt: skip


def rows(folder: Path) -> list[Row]:
    """Press Tab in fresh IPythons: the first time, and again and again while the store is slow."""
    _fill(store_url(folder))
    environment = {**os.environ, "IPYTHONDIR": str(folder / "ipython")}
    found = [_tabs(environment) for _ in range(KERNELS)]
    first = Sample([one["first"] for one in found])
    again = Sample([seconds for one in found for seconds in one["again"]])
    names = Sample([seconds for one in found for seconds in one["peer"]])
    p95 = again.percentile(95)
    known = min(one["known"] for one in found)
    return [
        Row(
            f"Tab, {RUNS:,} runs, a store that takes {CALL_S:.0f} s per call: p95",
            f"{p95 * 1000:.0f} ms",
            f"names of Python: p95 {names.percentile(95) * 1000:.0f} ms",
            p95 / names.percentile(95),
            f"<= {BAR_MS} ms",
            p95 * 1000 <= BAR_MS,
        ),
        Row("... the first of a kernel, with what it imports", first.text("ms", 1000)),
        Row("... of lines with an answer at the end", f"{known} of {len(LINES)}"),
    ]


def _fill(url: str) -> None:
    """Make queues, and runs: one is submitted, and copied within the file."""
    store = open_store(url)
    entity = setting("entity").value or ""
    template = {"template_variables": {"n": {"schema": {"type": "integer", "default": 1}}}}
    for number in range(QUEUES):
        store.create_queue(QueueRecord(Queue(entity, f"queue-{number}"), "local-process", template))
    given = {"docker": {"docker_image": "any"}, "overrides": {"run_config": {"lr": 0.1}}}
    owned = {"entity": entity, "project": "weather", "run_id": "first"}
    run = store.submit(LaunchSpec.from_dict({**given, **owned}), owner=new_owner())
    store.close()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as file:
        names = [row[1] for row in file.execute("PRAGMA table_info(runs)")]
        copied = ", ".join(name for name in names if name not in {"seq", "id"})
        ended = "UPDATE runs SET state = 'finished', owner = NULL, lease_until = NULL, ended = 1"
        file.execute(ended)
        file.execute(COPY.format(copied=copied), (RUNS, run.id))
    file.close()


def _tabs(environment: dict[str, str]) -> dict[str, Any]:
    code = "from benchmarks.completion import measure; measure(get_ipython())"
    command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "-c", code]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        command, env=environment, cwd=root, capture_output=True, check=True, timeout=120
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(shell: Any) -> None:
    """Measure in this IPython, and print what was found as JSON."""
    from IPython.core.completer import provisionalcompleter  # noqa: PLC0415

    shell.run_line_magic("load_ext", "jupyter_launch")

    def tab(line: str) -> float:
        begun = time.perf_counter()
        with provisionalcompleter():
            offered[line] = [one.text for one in shell.Completer.completions(line, len(line))]
        return time.perf_counter() - begun

    offered: dict[str, list[str]] = {}
    first = tab(LINES[0])
    _slow_down()
    again, peer = [], []
    for _ in range(TABS):
        again += [tab(line) for line in LINES]
        peer.append(tab("pri"))
        time.sleep(0.3)  # as people do; what is read in the background goes on
    known = sum(any(offered[line]) for line in LINES)
    print(json.dumps({"first": first, "again": again, "peer": peer, "known": known}))


def _slow_down() -> None:
    """Make every call of the store take its time."""
    from jupyter_launch.frontends import candidate_values  # noqa: PLC0415

    opens: Callable[[str], Any] = vars(candidate_values)["open_store"]
    vars(candidate_values)["open_store"] = lambda url: Slow(opens(url))


class Slow:
    """A store far away."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        time.sleep(CALL_S)
        return getattr(self._store, name)
