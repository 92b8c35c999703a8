"""The card feeds pages from the stored log: whole, in order, at a bearable rate."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm

from jupyter_launch.frontends import card as module
from jupyter_launch.frontends.card import Card
from jupyter_launch.frontends.record import MIME
from jupyter_launch.owner import new_owner
from jupyter_launch.runs import Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores.base import Change, Store
from jupyter_launch.submit import Launcher

SPEC = LaunchSpec.from_dict({"docker": {"docker_image": "busybox"}, "name": "job"})
WIDGET = "application/vnd.jupyter.widget-view+json"


class Page:
    """A browser page at the other end of the wire: takes what is sent, says what a page says."""

    def __init__(self, name: str = "p1") -> None:
        self.name = name
        self.inbox: queue.Queue[tuple[dict[str, Any], list[bytes]]] = queue.Queue()
        self.wire: BaseComm | None = None
        self.record: dict[str, Any] = {}
        self.log = b""
        self.froms: list[int] = []

    def say(self, kind: str, **more: Any) -> None:
        assert self.wire is not None
        content = {"t": kind, "v": self.name, **more}
        data = {"method": "custom", "content": content}
        self.wire.handle_msg({"content": {"comm_id": "", "data": data}, "buffers": []})

    def take(self) -> dict[str, Any]:
        """Take the next message."""
        data, buffers = self.inbox.get(timeout=20)
        if "record" in data.get("state", {}):
            self.record = data["state"]["record"]
        content: dict[str, Any] = data.get("content", {})
        if content.get("t") == "log" and content["v"] in {"", self.name}:
            assert len(buffers[0]) <= module.CHUNK
            if content["skipped"]:
                self.log = b""
            else:
                assert not self.froms or content["from"] in {0, self.froms[0] + len(self.log)}
            if not self.log:
                self.froms = [content["from"]]
            self.log += bytes(buffers[0])
        return content

    def until(self, done: Callable[[], bool], *, ack: bool = True) -> None:
        """Take messages until something holds."""
        while not done():
            if self.take().get("t") == "log" and ack:
                self.say("ack", have=self.froms[0] + len(self.log))


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    page = Page()

    class Wire(BaseComm):  # type: ignore[misc]
        def publish_msg(self, msg_type: str, data: Any = None, metadata: Any = None,
                        buffers: Any = None, **keys: Any) -> None:  # fmt: skip
            page.wire = self
            page.inbox.put((data or {}, buffers or []))

    monkeypatch.setattr(comm, "create_comm", Wire)
    return page


class Program:
    """Writes a run's log and ends it, as whoever executes it would."""

    def __init__(self, store: Store) -> None:
        self.store, self.owner = store, new_owner()
        self.run: Run = store.submit(SPEC, owner=self.owner)

    def start(self) -> None:
        self.go(State.STARTING)
        self.go(State.RUNNING)

    def write(self, data: bytes) -> None:
        self.store.append_log(self.run.id, self.owner, [(1, data)])

    def go(self, state: State, change: Change | None = None) -> None:
        self.store.move(self.run.id, self.owner, state, change or Change())


@pytest.fixture
def program(store: Store) -> Program:
    return Program(store)


@pytest.fixture
def show(launcher: Launcher, program: Program) -> Iterator[Callable[..., Card]]:
    cards: list[Card] = []

    def make(**options: Any) -> Card:
        cards.append(Card(launcher.handle(program.run.id), **options))
        return cards[-1]

    yield make
    for made in cards:
        made.close()
    for thread in threading.enumerate():
        if thread.name.startswith("card-"):
            thread.join(10)
            assert not thread.is_alive()


def test_a_page_sees_log_and_state_to_the_end(
    page: Page, program: Program, show: Callable[..., Card]
) -> None:
    ended = threading.Event()
    show(on_end=ended.set)
    page.say("hello", have=0)
    program.store.append_event(program.run.id, "progress", {"text": "pulling image 43 %"})
    page.until(lambda: "43 %" in page.record.get("doing", ""))
    program.store.append_event(program.run.id, "notice", {"text": "No\x1b[2J container."})
    page.until(lambda: page.record.get("notices") == ["No  container."])
    program.start()
    program.write(b"one\n")
    page.until(lambda: page.log == b"one\n" and page.record["state"] == "running")
    assert page.record["doing"] == ""
    assert not ended.is_set()
    program.write(b"two\n")
    program.go(State.FAILED, Change(reason="exit code 3", exit_code=3))
    page.until(lambda: page.log == b"one\ntwo\n" and page.record["terminal"])
    assert (page.record["state"], page.record["exit_code"]) == ("failed", 3)
    assert ended.wait(10)


def test_a_reloaded_page_gets_the_log_again_even_after_the_end(
    page: Page, program: Program, show: Callable[..., Card]
) -> None:
    ends: queue.Queue[float] = queue.Queue()
    program.start()
    program.write(b"all of it\n")
    program.go(State.FINISHED, Change(exit_code=0))
    show(on_end=lambda: ends.put(time.monotonic()))
    ends.get(timeout=10)
    for name in ("p1", "p2"):
        page.name, page.log = name, b""
        page.say("hello", have=0)
        page.until(lambda: page.log == b"all of it\n")
        page.say("bye")
    page.name, page.log, page.froms = "p3", b"", []
    page.say("hello", have=7)
    page.until(lambda: page.log == b"it\n")
    assert ends.empty()


def test_a_kernel_that_hears_nobody_sends_all_the_same(
    page: Page, program: Program, show: Callable[..., Card]
) -> None:
    program.start()
    program.write(b"unheard\n")
    begun = time.monotonic()
    show()
    page.until(lambda: page.log == b"unheard\n", ack=False)
    assert time.monotonic() - begun >= module.UNHEARD_S
    program.write(b"more\n")
    page.until(lambda: page.log == b"unheard\nmore\n", ack=False)


def test_far_behind_begins_near_the_end_at_a_line(
    page: Page, program: Program, show: Callable[..., Card]
) -> None:
    whole = b"".join(b"%09d\n" % number for number in range(600_000))
    program.start()
    program.write(whole)
    show()
    page.say("hello", have=0)
    page.until(lambda: page.log.endswith(whole[-10:]))
    assert page.log == whole[page.froms[0] :]
    assert page.froms[0] % 10 == 0
    assert module.LAG // 4 - 10 <= len(page.log) <= module.LAG // 4


def test_a_page_that_acknowledges_nothing_is_not_flooded_and_not_left(
    page: Page, program: Program, show: Callable[..., Card], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WINDOW", 100_000)
    monkeypatch.setattr(module, "FULL_S", 1.0)
    program.start()
    program.write(b"x" * 300_000)
    show()
    page.say("hello", have=0)
    begun = time.monotonic()
    page.until(lambda: len(page.log) >= 100_000, ack=False)
    assert len(page.log) == 100_000
    page.until(lambda: len(page.log) > 100_000, ack=False)
    assert time.monotonic() - begun >= 1.0
    page.until(lambda: len(page.log) == 300_000, ack=False)


def test_acknowledging_keeps_the_stream_going(
    page: Page, program: Program, show: Callable[..., Card], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WINDOW", 100_000)
    monkeypatch.setattr(module, "FULL_S", 1000.0)
    program.start()
    program.write(b"x" * 300_000)
    show()
    page.say("hello", have=0)
    page.until(lambda: len(page.log) == 300_000)


def test_a_page_that_left_is_sent_nothing(
    page: Page, program: Program, show: Callable[..., Card]
) -> None:
    program.start()
    program.write(b"before\n")
    show()
    page.say("hello", have=0)
    page.until(lambda: page.log == b"before\n")
    page.say("bye")
    program.write(b"after\n")
    program.go(State.FINISHED, Change(exit_code=0))
    page.until(lambda: bool(page.record.get("terminal")))
    assert page.log == b"before\n"


def test_stop(page: Page, program: Program, show: Callable[..., Card]) -> None:
    program.start()
    show()
    page.say("stop")
    assert program.store.get(program.run.id).stop_requested
    page.until(lambda: bool(page.record.get("stopping")))


def test_the_bundle_has_the_record_and_the_live_view(
    page: Page, program: Program, show: Callable[..., Card]
) -> None:
    program.start()
    program.write(b"hello <world>\n")
    card = show()
    shown = json.loads(json.dumps(card.mimebundle()))
    assert shown[WIDGET]["model_id"] == card.model_id
    assert shown[MIME]["log"] == "hello <world>"
    assert shown[MIME]["store"] == program.store.id
    assert "│ hello <world>" in shown["text/plain"]
    assert "hello &lt;world&gt;" in shown["text/html"]


def test_the_model_holds_no_log_and_no_secret(
    page: Page, program: Program, show: Callable[..., Card]
) -> None:
    program.start()
    program.write(b"needle\n" * 1000)
    card = show()
    page.say("hello", have=0)
    page.until(lambda: page.log.count(b"needle") == 1000)
    state = {**card.get_state(), "_esm": "", "_css": ""}
    assert "needle" not in repr(state)
    assert len(json.dumps(state["record"])) < 2000
