"""Wake-ups between processes, and whether the owner of a lease lives."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

from jupyter_launch.bell import GRAIN_NS, POLL_S, Bell, Ringer
from jupyter_launch.owner import known_dead, new_owner, pid_of

LISTEN = """
import sys
from pathlib import Path
from jupyter_launch.bell import Bell
with Bell(Path(sys.argv[1]), sys.argv[2]) as bell:
    print("listening", flush=True)
    print(bell.wait(60), flush=True)
"""
RING = """
import sys
from pathlib import Path
from jupyter_launch.bell import Ringer
Ringer(Path(sys.argv[1])).ring(sys.argv[2])
"""
OWN = """
import sys
from jupyter_launch.owner import new_owner
print(new_owner(), flush=True)
sys.stdin.read()
"""
SHOVE = """
import sys, threading
from pathlib import Path
from jupyter_launch.bell import Bell, Ringer
root, missed = Path(sys.argv[1]), []
ringer = Ringer(root)

def shove(topic):
    for _ in range(150):
        with Bell(root, topic) as bell:
            ringer.ring(topic)
            if not bell.wait(20):
                missed.append(topic)

threads = [threading.Thread(target=shove, args=(topic,)) for topic in ("a", "a", "a", "b")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(missed))
"""


class Child:
    """Python code in a process of its own, killed at the end of the test."""

    def __init__(self, code: str, *args: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        out: IO[str] | None = self.process.stdout
        assert out is not None
        return out.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def children() -> Iterator[list[Child]]:
    started: list[Child] = []
    yield started
    for child in started:
        child.kill()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "bells"


def ring(root: Path, *topics: str) -> None:
    """Ring as somebody who has never done so before."""
    Ringer(root).ring(*topics)


def pipes(root: Path) -> list[Path]:
    return list(root.iterdir())


class TestBell:
    def test_ring_wakes(self, root: Path) -> None:
        with Bell(root, "run") as bell:
            ring(root, "run")
            assert bell.wait(10)

    def test_any_of_several_topics_wakes(self, root: Path) -> None:
        with Bell(root, "run", "run.log") as bell:
            ring(root, "run.log")
            assert bell.wait(10)
            ring(root, "run")
            assert bell.wait(10)
            ring(root, "run.", "log", "run+run.log")
            assert not bell.wait(0)

    def test_a_bell_that_is_being_made_is_left_alone(self, root: Path) -> None:
        with Bell(root, "other"):  # makes the folder
            os.mkfifo(root / ".1-ab.run+run.log")
            ring(root, "run", "run.log")
            assert (root / ".1-ab.run+run.log").exists()

    def test_silence_times_out(self, root: Path) -> None:
        with Bell(root, "run") as bell:
            assert not bell.wait(0.01)
            assert not bell.wait(0)
            assert not bell.wait(-1)

    def test_many_rings_wake_once(self, root: Path) -> None:
        with Bell(root, "run") as bell:
            for _ in range(100):
                ring(root, "run")
            assert bell.wait(10)
            assert not bell.wait(0)

    def test_a_bell_that_nobody_answers_never_blocks_the_ringer(self, root: Path) -> None:
        with Bell(root, "run") as bell:
            for _ in range(70_000):  # more than a pipe holds
                bell.ring()
            ring(root, "run")
            assert bell.wait(10)

    def test_everybody_on_the_topic_wakes(self, root: Path) -> None:
        with Bell(root, "run") as first, Bell(root, "run") as second:
            ring(root, "run")
            assert first.wait(10)
            assert second.wait(10)

    @pytest.mark.parametrize("other", ["ru", "runs", "a.run", "run.a", "Run", "", ".run"])
    def test_other_topics_do_not(self, root: Path, other: str) -> None:
        with Bell(root, "run") as bell:
            ring(root, other)
            assert not bell.wait(0)

    @pytest.mark.parametrize("topic", ["a.b", "host:boot-1:7:9:ff", "entity team", "ü", "x" * 64])
    def test_topics_may_be_any_name(self, root: Path, topic: str) -> None:
        with Bell(root, topic) as bell:
            ring(root, topic)
            assert bell.wait(10)

    def test_own_ring_wakes_this_one_alone(self, root: Path) -> None:
        with Bell(root, "run") as bell, Bell(root, "run") as other:
            waker = threading.Thread(target=bell.ring)
            waker.start()
            assert bell.wait(10)
            assert not other.wait(0)
            waker.join()

    def test_ringing_a_closed_bell_touches_no_other_file(self, root: Path, tmp_path: Path) -> None:
        bell = Bell(root, "run")
        bell.close()
        with (tmp_path / "a").open("wb"), (tmp_path / "b").open("wb"):
            bell.ring()
        assert (tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes() == b""
        bell.close()

    def test_nothing_stays_behind(self, root: Path) -> None:
        with Bell(root, "run"):
            assert len(pipes(root)) == 1
        assert pipes(root) == []

    def test_only_the_user_gets_in(self, root: Path) -> None:
        with Bell(root, "run"):
            assert stat.S_IMODE(root.stat().st_mode) == 0o700
            assert stat.S_IMODE(pipes(root)[0].stat().st_mode) == 0o600

    def test_ringing_where_nobody_ever_listened(self, root: Path) -> None:
        ring(root, "run")
        assert not root.exists()

    def test_a_system_without_named_pipes_looks_again_by_itself(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(os, "mkfifo")
        with Bell(root, "run") as bell:
            began = time.monotonic()
            assert bell.wait()
            assert bell.wait(-1)
            assert time.monotonic() - began < POLL_S + 5
            bell.ring()
            ring(root, "run")


class TestRinger:
    @pytest.mark.parametrize("age_ns", [0, GRAIN_NS + 1])
    def test_it_hears_of_listeners_that_come_and_go(self, root: Path, age_ns: int) -> None:
        ringer = Ringer(root)
        ringer.ring("run")
        with Bell(root, "run") as first:
            self._age(root, age_ns)
            ringer.ring("run")
            assert first.wait(10)
            with Bell(root, "run") as second:
                ringer.ring("run")
                assert second.wait(10)
            ringer.ring("run")
            assert first.wait(10)
        assert pipes(root) == []
        ringer.ring("run")

    def test_a_folder_that_did_not_change_for_long_is_not_read_again(self, root: Path) -> None:
        ringer = Ringer(root)
        with Bell(root, "run") as first:
            as_it_was = self._age(root, GRAIN_NS + 1)
            ringer.ring("run")
            with Bell(root, "run") as second:
                os.utime(root, ns=(as_it_was, as_it_was))
                ringer.ring("run")
                assert (first.wait(10), second.wait(0)) == (True, False)

    def test_two_changes_at_once_are_both_heard_of(self, root: Path) -> None:
        ringer = Ringer(root)
        with Bell(root, "run"):
            at_once = self._age(root, 0)
            ringer.ring("run")
            with Bell(root, "run") as second:
                os.utime(root, ns=(at_once, at_once))
                ringer.ring("run")
                assert second.wait(10)

    @staticmethod
    def _age(root: Path, age_ns: int) -> int:
        changed = time.time_ns() - age_ns
        os.utime(root, ns=(changed, changed))
        return root.stat().st_mtime_ns


class TestBellAcrossProcesses:
    def test_another_process_is_woken(self, root: Path, children: list[Child]) -> None:
        children.append(child := Child(LISTEN, root, "run"))
        assert child.line() == "listening"
        ring(root, "run")
        assert child.line() == "True"

    def test_another_process_wakes_us(self, root: Path, children: list[Child]) -> None:
        with Bell(root, "run") as bell:
            children.append(Child(RING, root, "run"))
            assert bell.wait(30)

    def test_a_killed_listener_disturbs_nobody_and_is_cleared_away(
        self, root: Path, children: list[Child]
    ) -> None:
        children.append(child := Child(LISTEN, root, "run"))
        assert child.line() == "listening"
        with Bell(root, "run") as bell:
            child.kill()
            assert len(pipes(root)) == 2
            ring(root, "run")
            assert bell.wait(10)
            assert len(pipes(root)) == 1

    def test_a_killed_listener_to_a_silent_topic_is_cleared_away_by_the_next_listener(
        self, root: Path, children: list[Child]
    ) -> None:
        children.append(child := Child(LISTEN, root, "never again"))
        assert child.line() == "listening"
        child.kill()
        with Bell(root, "run"):
            assert len(pipes(root)) == 1

    def test_listeners_that_come_and_go_miss_no_ring(
        self, root: Path, children: list[Child]
    ) -> None:
        children += [Child(SHOVE, root) for _ in range(3)]
        assert [child.line() for child in children] == ["0"] * 3
        assert pipes(root) == []

    def test_ringers_survive_listeners_that_close_under_their_hands(self, root: Path) -> None:
        over = threading.Event()
        ringer = Ringer(root)

        def keep_ringing() -> None:
            while not over.is_set():
                ringer.ring("run")

        with ThreadPoolExecutor(3) as pool:
            ringers = [pool.submit(keep_ringing) for _ in range(3)]
            for _ in range(500):
                Bell(root, "run").close()
            over.set()
        assert [ringer.exception() for ringer in ringers] == [None] * 3


class TestOwner:
    def test_each_name_is_its_own(self) -> None:
        assert new_owner() != new_owner()

    def test_it_tells_the_process(self) -> None:
        assert pid_of(new_owner()) == os.getpid()

    def test_we_live(self) -> None:
        assert not known_dead(new_owner())

    def test_another_process_lives_until_it_is_killed(self, children: list[Child]) -> None:
        children.append(child := Child(OWN))
        owner = child.line()
        assert pid_of(owner) == child.process.pid
        assert not known_dead(owner)
        child.process.kill()
        os.waitid(os.P_PID, child.process.pid, os.WEXITED | os.WNOWAIT)
        assert known_dead(owner), "a zombie is dead"
        child.process.wait()
        assert known_dead(owner)

    def test_a_suspended_process_lives(self, children: list[Child]) -> None:
        children.append(child := Child(OWN))
        owner = child.line()
        child.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.process.pid, os.WSTOPPED)
        assert not known_dead(owner)

    def test_another_process_with_our_number_is_not_us(self) -> None:
        host, boot, pid, birth, rest = new_owner().split(":")
        assert known_dead(":".join([host, boot, pid, birth + "0", rest]))

    @pytest.mark.parametrize("place", [0, 1], ids=["host", "boot"])
    def test_what_lives_elsewhere_cannot_be_told(self, place: int) -> None:
        parts = new_owner().split(":")
        parts[place] += "x"
        parts[3] = "0"
        assert not known_dead(":".join(parts))

    @pytest.mark.parametrize("name", ["", "agent-7", "h:b:1", "h:b:1:2:3:4"])
    def test_nothing_is_known_of_a_name_that_is_not_ours(self, name: str) -> None:
        assert not known_dead(name)

    def test_a_host_name_may_have_colons(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(socket, "gethostname", lambda: "fe80::1")
        owner = new_owner()
        assert not known_dead(owner)
        assert pid_of(owner) == os.getpid()

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
    def test_a_program_cannot_fool_it_by_its_name(self, tmp_path: Path) -> None:
        host, boot, *_ = new_owner().split(":")
        tricky = tmp_path / "a) Z 1 (b"
        shutil.copy2(shutil.which("sleep") or "", tricky)
        with subprocess.Popen([tricky, "60"]) as sleeper:
            try:
                fields = Path(f"/proc/{sleeper.pid}/stat").read_text().rpartition(")")[2].split()
                owner = f"{host}:{boot}:{sleeper.pid}:{fields[19]}:ff"
                assert not known_dead(owner)
            finally:
                sleeper.kill()
        assert known_dead(owner)
