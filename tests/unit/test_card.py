"""The card that a kernel feeds: the messages of the server's websocket, over a comm."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm

from jupyter_launch.frontends import card as module
from jupyter_launch.frontends.card import Card
from jupyter_launch.frontends.saved import MIME
from jupyter_launch.owner import new_owner
from jupyter_launch.runs import Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores.base import Change, Store
from jupyter_launch.submit import Launcher

SPEC = LaunchSpec.from_dict({"docker": {"docker_image": "busybox"}, "name": "job"})
WIDGET = "application/vnd.jupyter.widget-view+json"


class Page:
    """A browser page at the other end of the comm."""

    def __init__(self, name: str = "p1") -> None:
        self.name = name
        self.inbox: queue.Queue[tuple[dict[str, Any], list[bytes]]] = queue.Queue()
        self.wire: BaseComm | None = None
        self.record: dict[str, Any] = {}
        self.log = b""
        self.answers: dict[int, dict[str, Any]] = {}

    def say(self, kind: str, run: str, **more: Any) -> None:
        assert self.wire is not None
        content = {"t": kind, "v": self.name, "run": run, **more}
        data = {"method": "custom", "content": content}
        self.wire.handle_msg({"content": {"comm_id": "", "data": data}, "buffers": []})

    def until(self, done: Callable[[], bool]) -> None:
        """Take messages until something holds."""
        while not done():
            data, buffers = self.inbox.get(timeout=20)
            self.record = data.get("state", {}).get("record", self.record)
            content = data.get("content", {})
            if content.get("t") == "live" and content["v"] in {"", self.name}:
                self.record = content.get("record", self.record)
                self.log += bytes(buffers[0]) if buffers else b""
            elif content.get("t") == "answer":
                self.answers[content["id"]] = content


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
def show(launcher: Launcher, program: Program) -> Iterator[Callable[[], Card]]:
    cards: list[Card] = []

    def make() -> Card:
        cards.append(Card(launcher.handle(program.run.id)))
        return cards[-1]

    yield make
    for made in cards:
        made.close()


def test_the_bundle_is_the_record_and_the_live_view(
    page: Page, program: Program, show: Callable[[], Card]
) -> None:
    program.write(b"one line\n")
    shown = show().mimebundle()
    assert shown[MIME]["id"] == program.run.id
    assert shown[WIDGET]["model_id"]
    assert "one line" in shown["text/html"]
    assert "one line" in shown["text/plain"]
    page.until(lambda: page.record.get("state") == "running")


def test_a_page_watches_and_is_told(page: Page, program: Program, show: Callable[[], Card]) -> None:
    show()
    page.until(lambda: page.wire is not None)
    page.say("watch", program.run.id, have=0)
    program.write(b"first\n")
    page.until(lambda: page.log == b"first\n")
    program.go(State.FINISHED, Change(exit_code=0))
    page.until(lambda: page.record["state"] == "finished")


def test_everybody_is_told_while_nobody_can_be_heard(
    page: Page, program: Program, show: Callable[[], Card], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNHEARD_S", 0.01)
    show()
    program.write(b"said into the dark\n")
    page.until(lambda: page.log == b"said into the dark\n")


def test_a_kernel_leaves_the_telling_to_its_server(
    page: Page, program: Program, show: Callable[[], Card], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNHEARD_S", 0.0)
    monkeypatch.setenv("JUPYTER_LAUNCH_SERVER", "1")
    show()
    program.write(b"whoever hears this\n")
    page.until(lambda: page.wire is not None)
    page.say("ask", program.run.id, id=1, verb="find", text="hears")
    page.until(lambda: 1 in page.answers)
    assert page.answers[1]["lines"] == [0]
    assert page.log == b""


def test_a_page_stops_the_run(page: Page, program: Program, show: Callable[[], Card]) -> None:
    show()
    page.until(lambda: page.wire is not None)
    page.say("ask", program.run.id, id=1, verb="stop", kill=True)
    page.until(lambda: 1 in page.answers)
    assert page.answers[1]["ok"]
    run = program.store.get(program.run.id)
    assert run.stop_requested
    assert run.kill_requested


def test_a_page_launches_again_with_an_edited_spec(
    page: Page, program: Program, show: Callable[[], Card]
) -> None:
    show()
    page.until(lambda: page.wire is not None)
    spec = {**SPEC.to_dict(), "name": "edited", "resource": "local-process"}
    page.say("ask", program.run.id, id=1, verb="relaunch", spec=spec)
    page.until(lambda: 1 in page.answers)
    made = program.store.get(page.answers[1]["run"])
    assert (made.name, made.parent) == ("edited", program.run.id)
    page.until(lambda: page.record.get("id") == made.id)  # what a page that is reloaded shows


@pytest.mark.parametrize("message", [None, 7, {}, {"t": "watch"}, {"t": "nap", "v": "p1"}])
def test_nonsense_is_not_heard(
    page: Page, program: Program, show: Callable[[], Card], message: Any
) -> None:
    show()
    page.until(lambda: page.wire is not None)
    assert page.wire is not None
    data = {"method": "custom", "content": message}
    page.wire.handle_msg({"content": {"comm_id": "", "data": data}, "buffers": []})
    page.say("watch", program.run.id, have=0)
    program.write(b"still here\n")
    page.until(lambda: page.log == b"still here\n")
