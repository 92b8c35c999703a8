"""A feed brings pages to what the store says: in order, without gaps, whatever gets lost."""

from __future__ import annotations

import queue
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_launch.frontends import feed as module
from jupyter_launch.frontends import viewer as limits
from jupyter_launch.frontends.feeds import Feeds
from jupyter_launch.line_index import SCREEN_ROWS
from jupyter_launch.owner import new_owner
from jupyter_launch.runs import Run, Sample
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores.base import Change, Store
from jupyter_launch.submit import Launcher

SPEC = LaunchSpec.from_dict({"docker": {"docker_image": "busybox"}, "name": "job"})
TICK_S = 0.01


class Program:
    """Writes a run's log and ends it, as whoever executes it would."""

    def __init__(self, store: Store) -> None:
        self.store, self.owner = store, new_owner()
        self.run: Run = store.submit(SPEC, owner=self.owner)

    def start(self) -> None:
        self.go(State.STARTING)
        self.go(State.RUNNING)

    def write(self, data: bytes, stream: int = 1) -> None:
        self.store.append_log(self.run.id, self.owner, [(stream, data)])

    def end(self) -> None:
        self.go(State.FINISHED, Change(exit_code=0))

    def go(self, state: State, change: Change | None = None) -> None:
        self.store.move(self.run.id, self.owner, state, change or Change())


class Page:
    """A page at the other end of a wire: keeps lines by number, as the card's view does."""

    def __init__(self, feeds: Feeds, run_id: str, name: str = "p1") -> None:
        self.feeds, self.run_id, self.name = feeds, run_id, name
        self.inbox: queue.Queue[tuple[dict[str, Any], bytes]] = queue.Queue()
        self.lines: dict[int, str] = {}
        self.total = self.seq = self.asked = self.pushed = 0
        self.record: dict[str, Any] = {}
        self.samples: list[list[Any]] = []
        self.answers: dict[int, dict[str, Any]] = {}
        self.lose = 0
        self.acknowledges = True

    def send(self, message: dict[str, Any], buffer: bytes | None) -> None:
        self.inbox.put((message, buffer or b""))

    def say(self, kind: str, **more: Any) -> None:
        message = {"t": kind, "v": self.name, "run": self.run_id, **more}
        self.feeds.hear(message, self.send)

    def watch(self) -> None:
        # What is further up than a terminal is high does not change any more.
        self.seq = 0
        have = max(0, min(max(self.lines, default=-1) + 1, self.total) - SCREEN_ROWS)
        self.lines = {number: line for number, line in self.lines.items() if number < have}
        self.say("watch", have=have)

    def ask(self, verb: str, **more: Any) -> dict[str, Any]:
        self.asked += 1
        self.say("ask", id=self.asked, verb=verb, **more)
        self.until(lambda: self.asked in self.answers)
        return self.answers[self.asked]

    def take(self) -> dict[str, Any]:
        """Take the next message."""
        message, buffer = self.inbox.get(timeout=20)
        if message["t"] == "live":
            if self.lose:
                self.lose -= 1
                return message
            if message["seq"] != self.seq + 1 and message["seq"] != 1:
                self.watch()
                return message
            self.seq = message["seq"]
            self._apply(message, buffer)
            if self.acknowledges and buffer:
                self.say("ack", seq=self.seq)
        elif message["t"] == "answer":
            if "log" in message:
                self._fill(message["log"], buffer)
            self.answers[message["id"]] = message
        return message

    def _apply(self, message: dict[str, Any], buffer: bytes) -> None:
        self.record = message.get("record", self.record)
        self.total = message.get("total", self.total)
        self.samples += message.get("samples", [])
        if "log" in message:
            assert len(buffer) <= limits.CHUNK + 50_000
            self.pushed += len(buffer)
            self.lines = {n: line for n, line in self.lines.items() if n < message["log"]["first"]}
            self._fill(message["log"], buffer)

    def _fill(self, log: dict[str, Any], buffer: bytes) -> None:
        # Where a colour is switched on depends on where a chunk begins; what is shown does not.
        lines = re.sub("\x1b\\[[0-9;]*m", "", buffer.decode()).split("\n")
        assert lines.pop() == ""
        assert len(lines) == log["count"]
        self.lines.update(enumerate(lines, log["first"]))

    def until(self, done: Callable[[], bool]) -> None:
        while not done():
            self.take()

    def until_line(self, number: int, text: str) -> None:
        self.until(lambda: self.lines.get(number) == text)

    def until_total(self, total: int) -> None:
        self.until(lambda: self.total == total)

    def until_end(self) -> None:
        # Colours that were never switched off may stand before it.
        self.until(lambda: any(line.endswith("end") for line in self.lines.values()))

    def fetch(self) -> list[str]:
        """Ask for what was left out, and give all lines."""
        while missing := sorted(set(range(self.total)) - self.lines.keys()):
            self.ask("lines", first=missing[0], count=512)
        return [self.lines[number] for number in range(self.total)]


@pytest.fixture
def feeds(launcher: Launcher) -> Iterator[Feeds]:
    made = Feeds(launcher.handle, TICK_S)
    yield made
    made.close()


@pytest.fixture
def program(store: Store) -> Program:
    return Program(store)


@pytest.fixture
def page(feeds: Feeds, program: Program) -> Page:
    return Page(feeds, program.run.id)


def numbered(first: int, last: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in range(first, last))


def texts(first: int, last: int) -> list[str]:
    return [f"line {number}" for number in range(first, last)]


def test_a_page_is_told_the_record_the_log_and_the_end(page: Page, program: Program) -> None:
    program.start()
    program.write(b"one\n")
    page.watch()
    page.until(lambda: page.total == 1 and len(page.lines) == 1)
    assert page.record["state"] == "running"
    program.write(b"two\nthr")
    page.until(lambda: page.total == 3 and len(page.lines) == 3)
    program.write(b"ee\n")
    page.until(lambda: page.lines.get(2) == "three")
    program.end()
    page.until(lambda: bool(page.record["terminal"]))
    assert page.fetch() == ["one", "two", "three"]


def test_a_progress_bar_stays_one_line(page: Page, program: Program) -> None:
    program.start()
    page.watch()
    for percent in range(0, 101, 10):
        program.write(b"\r%d %%" % percent)
        page.until_line(0, f"{percent} %")
        assert page.total == 1


def test_cursor_up_replaces_lines_that_the_page_has(page: Page, program: Program) -> None:
    program.start()
    program.write(b"a 0\nb 0\n")
    page.watch()
    page.until(lambda: len(page.lines) == 2)
    program.write(b"\x1b[2Aa 1\nb 1\n")
    page.until(lambda: page.lines.get(0) == "a 1" and page.lines.get(1) == "b 1")
    assert page.total == 2


def test_a_page_far_behind_gets_the_end_and_asks_for_the_rest(page: Page, program: Program) -> None:
    program.start()
    program.write(numbered(0, 30_000))
    page.watch()
    page.until(lambda: page.lines.get(29_999) is not None)
    assert page.pushed < 20_000
    assert page.fetch() == texts(0, 30_000)


def test_an_unfinished_line_does_not_stay_when_the_log_runs_ahead(
    page: Page, program: Program
) -> None:
    program.start()
    program.write(b"line")
    page.watch()
    page.until(lambda: page.lines.get(0) == "line")
    program.write(b" 0\n" + numbered(1, 9_000))
    page.until(lambda: page.lines.get(8_999) is not None)
    assert page.lines.get(0) != "line"
    assert page.fetch() == texts(0, 9_000)


def test_a_page_that_lost_a_message_is_brought_up_to_date(page: Page, program: Program) -> None:
    program.start()
    page.watch()
    page.until(lambda: bool(page.record))
    page.lose = 1
    program.write(numbered(0, 10))
    page.until(lambda: not page.lose)
    program.write(numbered(10, 20))
    page.until(lambda: page.total == 20)
    assert page.fetch() == texts(0, 20)


def test_a_reloaded_page_and_a_second_one_see_the_same(
    feeds: Feeds, page: Page, program: Program
) -> None:
    program.start()
    program.write(numbered(0, 10))
    page.watch()
    page.until(lambda: len(page.lines) == 10)
    reloaded = Page(feeds, program.run.id, "p2")
    reloaded.watch()
    program.write(numbered(10, 20))
    for each in (page, reloaded):
        each.until_total(20)
        assert each.fetch() == texts(0, 20)


def test_a_page_that_does_not_follow_is_told_how_long_the_log_is(
    page: Page, program: Program
) -> None:
    program.start()
    program.write(numbered(0, 5))
    page.watch()
    page.until(lambda: len(page.lines) == 5)
    page.say("follow", on=False)
    program.write(numbered(5, 50))
    page.until(lambda: page.total == 50)
    assert len(page.lines) == 5
    page.say("follow", on=True)
    page.until(lambda: len(page.lines) == 50)
    assert page.fetch() == texts(0, 50)


def test_what_a_page_asked_for_is_void_once_it_changed(page: Page, program: Program) -> None:
    program.start()
    page.watch()
    page.until(lambda: bool(page.record))
    page.say("follow", on=False)
    program.write(b"10 %")
    page.until(lambda: page.total == 1)
    page.ask("lines", first=0, count=10)
    assert page.lines == {0: "10 %"}
    program.write(b"\r20 %")
    page.until(lambda: not page.lines)
    assert page.fetch() == ["20 %"]


def test_a_page_that_draws_nothing_is_sent_no_more_than_a_window(
    page: Page, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WINDOW", 2_000)
    page.acknowledges = False
    program.start()
    page.watch()
    for first in range(0, 1000, 100):
        program.write(numbered(first, first + 100))
        page.until_total(first + 100)
    assert page.pushed <= 2_000 + 20
    page.acknowledges = True
    page.say("ack", seq=page.seq)
    page.until(lambda: page.lines.get(999) is not None)


def test_a_kernel_goes_on_blindly_when_nothing_is_acknowledged(
    launcher: Launcher, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WINDOW", 2_000)
    monkeypatch.setattr(limits, "FULL_S", 0.01)
    monkeypatch.setattr(module, "LOOK_S", 0.05)
    feeds = Feeds(launcher.handle, TICK_S, blind=True)
    page = Page(feeds, program.run.id)
    page.acknowledges = False
    program.start()
    program.write(numbered(0, 900))
    page.watch()
    page.until(lambda: page.lines.get(899) is not None)
    feeds.close()


def test_an_ended_run_is_shown_whole_without_a_thread_staying(
    feeds: Feeds, page: Page, program: Program
) -> None:
    program.start()
    program.write(numbered(0, 5))
    program.end()
    page.watch()
    page.until(lambda: len(page.lines) == 5)
    assert page.record["terminal"]
    assert page.ask("find", text="line 3")["lines"] == [3]
    later = Page(feeds, program.run.id, "p2")
    later.watch()
    later.until(lambda: len(later.lines) == 5)


def test_a_page_that_left_gets_nothing_more(feeds: Feeds, page: Page, program: Program) -> None:
    program.start()
    page.watch()
    page.until(lambda: bool(page.record))
    other = Page(feeds, program.run.id, "p2")
    other.watch()
    other.until(lambda: bool(other.record))
    feeds.leave(page.send)
    program.write(b"more\n")
    other.until(lambda: other.lines == {0: "more"})
    assert page.inbox.empty()


def test_statistics_reach_the_page_thinned_first_and_then_as_they_come(
    page: Page, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAMPLES_S", 0.0)
    program.start()
    for at in range(1, 1001):
        sample = Sample(float(at), 0.5, 1 << 20, 0, None, None)
        page.feeds.feed(program.run.id).handle.store.append_sample(
            program.run.id, program.owner, sample
        )
    page.watch()
    page.until(lambda: bool(page.samples))
    assert 200 <= len(page.samples) <= module.SAMPLES
    sample = Sample(2000.0, 1.5, 2 << 20, 4 << 20, None, None)
    page.feeds.feed(program.run.id).handle.store.append_sample(
        program.run.id, program.owner, sample
    )
    program.write(b"x\n")
    page.until(lambda: page.samples[-1] == [2000.0, 1.5, 2 << 20, 4 << 20, None, None])


def test_an_unknown_run_is_gone(feeds: Feeds) -> None:
    page = Page(feeds, "nosuchid")
    page.watch()
    message = page.take()
    assert (message["t"], message["run"]) == ("gone", "nosuchid")
    assert "nosuchid" in message["message"]


@pytest.mark.parametrize(
    "request_",
    [
        {"verb": "lines", "first": -1},
        {"verb": "lines", "first": "1"},
        {"verb": "lines", "first": True},
        {"verb": "find", "text": "(", "regex": True},
        {"verb": "copy", "as": "fax"},
        {"verb": "stop"},
        {"verb": "explode"},
        {},
    ],
)
def test_a_bad_request_is_answered_with_the_reason(
    page: Page, program: Program, request_: dict[str, Any]
) -> None:
    program.start()
    page.watch()
    arguments = {"verb": "", **request_}
    answer = page.ask(arguments.pop("verb"), **arguments)
    assert answer["ok"] is False
    assert answer["message"]
    assert program.store.get(program.run.id).state is State.RUNNING


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    steps=st.lists(
        st.one_of(
            st.sampled_from([b"a\n", b"b", b"\r", b"c\rdd", b"\x1b[A", b"\x1b[31mred\n", b"\n"]),
            st.sampled_from(["reload", "lose", "pause", "follow", "ask"]),
        ),
        max_size=30,
    ),
    early=st.sampled_from([0, 200, 3000]),
)
def test_whatever_happens_a_page_ends_with_the_log(
    launcher: Launcher, store: Store, steps: list[bytes | str], early: int
) -> None:
    feeds = Feeds(launcher.handle, 0.001)
    program = Program(store)
    page = Page(feeds, program.run.id)
    program.start()
    program.write(b"early\n" * early)
    page.watch()
    for step in steps:
        if isinstance(step, bytes):
            program.write(step)
        elif step == "reload":
            page = Page(feeds, program.run.id, page.name + "'")
            page.watch()
        elif step == "lose":
            page.lose += 1
        elif step == "ask":
            page.ask("lines", first=0, count=100)
        else:
            page.say("follow", on=step == "follow")
    program.write(b"\n" * len(steps) + b"end\n")
    program.end()
    page.lose = 0
    page.say("follow", on=True)
    page.watch()
    page.until(lambda: bool(page.record.get("terminal")))
    page.until_end()
    fresh = Page(feeds, program.run.id, "fresh")
    fresh.watch()
    fresh.until_end()
    assert page.fetch() == fresh.fetch()
    feeds.close()
