"""What a Jupyter server pays for 200 open cards, of which 20 get 1,000 lines a second."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import websocket

from jupyter_launch.owner import new_owner
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import Change
from jupyter_launch.submit import Launcher
from tests.browser.lab import Server

from .measure import Row, Sample
from .page import server
from .programs import paced
from .tiny import PATIENCE_S, store_url

BUSY, QUIET, ENDED = 20, 90, 90
CARDS = BUSY + QUIET + ENDED
RATE, BURST, SECONDS = 1000, 20, 15
ACKNOWLEDGE = 256 * 1024
BAR_CORES, BAR_MB = 0.5, 150
STAMP = re.compile(rb"#(\d+)\x1b\[0m (\d+\.\d+)")
LINES = b"a line of a run that says no more\n" * 200


def _spec(seconds: float) -> LaunchSpec:
    return LaunchSpec.from_dict(
        {
            "resource": "local-process",
            "docker": {"docker_image": "none"},
            "overrides": {
                "entry_point": [sys.executable, "-c", paced(RATE, seconds, BURST)],
            },
        }
    )


class Page:
    """One websocket with many cards, all of which want every new line, as the front end has it.

    Parameters
    ----------
    lab : Server
        Whose runs they show.
    """

    def __init__(self, lab: Server) -> None:
        address = f"ws://127.0.0.1:{lab.port}/jupyter-launch/api/stream"
        header = [f"Authorization: token {lab.token}"]
        self._socket = websocket.create_connection(address, header=header, timeout=PATIENCE_S)
        self._unsaid: dict[str, int] = {}
        self.ages: list[float] = []
        self.lines: dict[str, int] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self._reader = threading.Thread(target=self._read, name="page", daemon=True)
        self._reader.start()

    def watch(self, run_id: str) -> None:
        """Open a card."""
        self._say({"t": "watch", "v": run_id, "run": run_id, "have": 0})

    def close(self) -> None:
        """Close the page."""
        self._socket.close()
        self._reader.join(PATIENCE_S)

    def _say(self, message: dict[str, Any]) -> None:
        self._socket.send(json.dumps(message))

    def _read(self) -> None:
        while True:
            try:
                opcode, frame = self._socket.recv_data()
            except (websocket.WebSocketException, OSError):
                return
            if opcode == websocket.ABNF.OPCODE_BINARY:
                length = 4 + int.from_bytes(frame[:4], "big")
                self._take(json.loads(frame[4:length]), frame[length:])
            elif opcode == websocket.ABNF.OPCODE_TEXT:
                self._take(json.loads(frame), b"")

    def _take(self, message: dict[str, Any], text: bytes) -> None:
        run_id = message.get("run", "")
        if "record" in message:
            self.records[run_id] = message["record"]
        if "log" in message:
            self.lines[run_id] = message["log"]["first"] + message["log"]["count"]
        if stamps := STAMP.findall(text[-400:]):
            self.ages.append(time.time() - float(stamps[-1][1]))
        self._unsaid[run_id] = self._unsaid.get(run_id, 0) + len(text)
        if self._unsaid[run_id] > ACKNOWLEDGE:
            self._unsaid[run_id] = 0
            self._say({"t": "ack", "v": run_id, "run": run_id, "seq": message["seq"]})


def rows(folder: Path) -> list[Row]:
    """Launch as processes, from here: the server only reads."""
    with server(folder) as lab, _launcher(folder) as launcher, _others(launcher) as others:
        process = psutil.Process(lab.process.pid)
        idle, idle_cores = process.memory_info().rss, _cores(process, 2)
        page = Page(lab)
        for run_id in others:
            page.watch(run_id)
        _until(lambda: len(page.records) == QUIET + ENDED)
        runs = [launcher.launch(_spec(SECONDS + 15)).id for _ in range(BUSY)]
        for run_id in runs:
            page.watch(run_id)
        _until(lambda: all(page.lines.get(run_id) for run_id in runs))
        page.ages.clear()
        begun = dict(page.lines)
        cores = _cores(process, SECONDS)
        ages = Sample(page.ages)
        told = sum(page.lines[r] - begun[r] for r in runs) / SECONDS
        growth = process.memory_info().rss - idle
        page.close()
        for run_id in runs:
            launcher.handle(run_id).stop(kill=True)
    if told < 0.9 * BUSY * RATE:
        raise RuntimeError(f"The page was told only {told:,.0f} lines/s.")
    return _shown(cores, idle_cores, ages, growth)


def _shown(cores: float, idle: float, ages: Sample, growth: int) -> list[Row]:
    figure = f"server, {CARDS} open cards, {BUSY} at {RATE:,} lines/s"
    age = ages.percentile(95) * 1000
    return [
        Row(
            f"{figure}: its CPU",
            f"{cores:.2f} cores",
            f"without cards {idle:.2f} cores",
            bar=f"<= {BAR_CORES} cores",
            passed=cores <= BAR_CORES,
        ),
        Row(
            "... its memory grows",
            f"{growth / 1e6:,.0f} MB",
            bar=f"<= {BAR_MB} MB",
            passed=growth <= BAR_MB * 1e6,
        ),
        Row("... age of the newest line a page is sent, p95", f"{age:,.0f} ms"),
    ]


def _cores(process: psutil.Process, seconds: float) -> float:
    before, begun = sum(process.cpu_times()[:2]), time.perf_counter()
    time.sleep(seconds)
    used: float = sum(process.cpu_times()[:2]) - before
    return used / (time.perf_counter() - begun)


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError("The page is not told what it should be.")
        time.sleep(0.05)


@contextmanager
def _launcher(folder: Path) -> Iterator[Launcher]:
    launcher = Launcher(open_store(store_url(folder)))
    try:
        yield launcher
    finally:
        launcher.close()
        launcher.store.close()


@contextmanager
def _others(launcher: Launcher) -> Iterator[list[str]]:
    """Record runs that have ended, and runs that go on and print nothing, without any program."""
    store, owner, done = launcher.store, new_owner(), threading.Event()
    ids = []
    for number in range(ENDED + QUIET):
        run = store.submit(_spec(1), owner=owner)
        store.move(run.id, owner, State.STARTING, Change())
        store.move(run.id, owner, State.RUNNING, Change())
        store.append_log(run.id, owner, [(1, LINES)])
        if number < ENDED:
            store.move(run.id, owner, State.FINISHED, Change(exit_code=0))
        ids.append(run.id)

    def renew() -> None:
        while not done.wait(1):
            store.renew(owner)

    keeper = threading.Thread(target=renew, name="renew", daemon=True)
    keeper.start()
    try:
        yield ids
    finally:
        done.set()
        keeper.join()
        for run in store.renew(owner):
            store.move(run.id, owner, State.FINISHED, Change(exit_code=0))
