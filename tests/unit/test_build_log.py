"""What is shown of a builder's output, and how a failure is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_launch.builds.build_log import BuildLog, shown
from jupyter_launch.report import Silent


class Kept(Silent):
    """A report that keeps the log."""

    def __init__(self) -> None:
        self.log = b""

    def output(self, data: bytes) -> None:
        self.log += data


def said(*texts: str, secrets: tuple[str, ...] = ()) -> str:
    report = Kept()
    log = BuildLog(report, secrets)
    for text in texts:
        log.write(text)
    return report.log.decode()


def test_of_a_line_that_was_overwritten_the_last_state_is_kept() -> None:
    assert said("10 %\r50 %\r100 %\r\ndone") == "100 %\ndone\n"


def test_colours_are_taken_out() -> None:
    assert said("\x1b[91mho\n\x1b[0m", "\x1b[1;32mok\x1b[K") == "ho\nok\n"


def test_secrets_are_taken_out() -> None:
    log = said("see open-sesame at https://ada:hunter22@x.test/", secrets=("open-sesame", "at"))
    assert "sesame" not in log
    assert "hunter22" not in log
    assert " at https://" in log


@given(st.lists(st.text(), max_size=5))
def test_the_log_gets_whole_clean_lines(texts: list[str]) -> None:
    log = said(*(text.encode("utf-8", "replace").decode() for text in texts))
    assert not log or log.endswith("\n")
    assert not {"\x1b", "\r", "\0"} & set(log)


def test_an_instruction_is_shown_by_what_it_does() -> None:
    text = "RUN --mount=type=secret,id=x PIP_NO_INPUT=1 A=2 python3 -m pip install -r x"
    assert shown(text) == "RUN python3 -m pip install -r x"
    assert shown("FROM docker.io/library/python:3.11-slim") == "FROM python:3.11-slim"
    assert shown("FROM docker.io/team/image") == "FROM team/image"
    assert len(shown("RUN " + "x" * 1000)) == 120


def test_a_failure_tells_the_step_the_code_and_the_last_lines() -> None:
    log = BuildLog(Silent())
    log.step("1/2", "FROM a")
    log.write("not of this step")
    log.step("2/2", "RUN make")
    log.write("\n".join(f"line {n}" for n in range(12)))
    error = log.failure("executor failed running [/bin/sh -c make]: exit code: 2")
    first, *tail = error.message.splitlines()
    assert first == "The build failed at step 2/2: RUN make (exit code 2)."
    assert tail == [f"  | line {n}" for n in range(2, 12)]


@pytest.mark.parametrize(
    ("why", "hint"),
    [
        ("write /x: no space left on device", "Make room"),
        ("/bin/sh: python3: not found: exit code: 127", "needs Python"),
        ("ERROR: No matching distribution found for x", "Check the names"),
        ("something else", "the run's log"),
    ],
)
def test_a_failure_says_what_to_do(why: str, hint: str) -> None:
    assert hint in BuildLog(Silent()).failure(why).hint
