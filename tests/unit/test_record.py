"""What is shown of a run: complete, escaped, without secrets, short."""

from __future__ import annotations

import html.parser
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_launch.frontends.record import (
    MIME,
    TAIL_LINES,
    bundle,
    elapsed,
    program_text,
    status_line,
)
from jupyter_launch.runs import Queue, Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State

NOON = 1_790_000_000.0
IMAGE = {"docker": {"docker_image": "python:3.11-slim"}, "overrides": {"args": ["a b", "--x"]}}


def a_run(state: State = State.FINISHED, spec: dict[str, Any] = IMAGE, **fields: Any) -> Run:
    text = LaunchSpec.from_dict(spec).to_json()
    return Run(id="k3j9x2ab", spec_json=text, state=state, created=NOON, **fields)


class Reader(html.parser.HTMLParser):
    """Takes HTML to pieces as a browser would."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_finished_run_says_everything_once() -> None:
    run = a_run(
        name="train", started=NOON, ended=NOON + 754, exit_code=0, resource="local-container",
        queue=Queue("team", "gpu"), priority=1, entity="team", project="p",
    )  # fmt: skip
    shown = bundle(run, b"\x1b[32mok\x1b[0m\n10%\r20%\n", "store-1")
    data = json.loads(json.dumps(shown[MIME]))
    assert (data["id"], data["store"], data["state"]) == ("k3j9x2ab", "store-1", "finished")
    assert (data["exit_code"], data["started"], data["ended"]) == (0, NOON, NOON + 754)
    assert LaunchSpec.from_dict(data["spec"]) == run.spec
    assert data["log"] == "\x1b[32mok\x1b[0m\n20%"
    for text in (Reader(shown["text/html"]).text.replace("\xa0", " "), shown["text/plain"]):
        for fact in (
            "✓ finished", "train", "k3j9x2ab", "12 min 34 s", "python:3.11-slim 'a b' --x",
            "local-container", "queue team/gpu, high priority", "started 2026-09-21", "exit code 0",
        ):  # fmt: skip
            assert text.count(fact) == 1
    assert shown["text/plain"].endswith("│ \x1b[32mok\x1b[0m\n│ 20%")


def test_a_failed_run_says_why_and_what_to_do() -> None:
    run = a_run(State.FAILED, exit_code=127, reason="the program ended with exit code 127")
    text = bundle(run, b"", "s")["text/plain"]
    assert text.count("exit code 127") == 1
    assert "check its name" in text
    given = a_run(State.FAILED, reason="The image is not there.\nPull it first.")
    assert "The image is not there.\n  Pull it first." in bundle(given, b"", "s")["text/plain"]


def test_a_live_run_says_when_that_was() -> None:
    text = bundle(a_run(State.RUNNING, started=NOON), b"", "s")["text/plain"]
    assert re.search(r"So it stood at \d{4}-", text)


def test_notices_stay_in_the_record() -> None:
    shown = bundle(a_run(), b"", "s", notices=["No container: <engine> is down."])
    assert "No container: <engine> is down." in Reader(shown["text/html"]).text
    assert "No container: <engine> is down." in shown["text/plain"]


def test_long_logs_are_cut_and_say_so() -> None:
    long = b"".join(b"line %d\n" % number for number in range(5000))
    shown = bundle(a_run(), long, "s")
    assert "earlier lines: jupyter launch logs k3j9x2ab" in shown["text/plain"]
    assert shown[MIME]["log"].splitlines()[0] == f"line {5000 - TAIL_LINES}"
    assert "earlier lines" in Reader(bundle(a_run(), b"x\n", "s", earlier=9)["text/html"]).text
    assert "earlier lines" not in bundle(a_run(), b"x\n" * TAIL_LINES, "s")["text/html"]
    assert len(json.dumps(bundle(a_run(), b"\x1b[31mx\x1b[32my" * 100_000, "s"))) < 2_000_000


def test_html_needs_no_script_and_no_style_sheet() -> None:
    run = a_run(
        State.FAILED, spec={"source": {"kind": "cell", "body": "<script>alert(1)</script>"}},
        name='"><img src=x onerror=alert(1)>', reason="<b>bold</b>\n<i>hint</i>",
    )  # fmt: skip
    reader = Reader(bundle(run, b"</pre><script>alert(2)</script>\n&lt;\n", "s")["text/html"])
    assert reader.open == []
    assert reader.tags <= {"div", "span", "strong", "code", "pre"}
    assert reader.attributes <= {"style", "tabindex"}
    assert "</pre><script>alert(2)</script>\n&lt;" in reader.text
    assert '"><img src=x onerror=alert(1)>' in reader.text


def test_secrets_are_nowhere() -> None:
    key = "hf" + "_" + "Ab3dEf6hIj9lMn2pQr5t" * 2
    run = a_run(
        State.FAILED, name=f"with {key}", reason=f"cannot log in with {key}\n{key}?",
        spec={
            "docker": {"docker_image": "x"},
            "env": {"MY_TOKEN": key},
            "overrides": {"args": ["--key", key], "run_config": {"a": {"b": key}}},
        },
    )  # fmt: skip
    log = f"\x1b[31mred\x1b[0m\nMY_TOKEN=\x1b[1m{key}\x1b[0m\n\x1b[32mgreen\x1b[0m\n".encode()
    shown = bundle(run, log, "s", notices=[f"careful: {key}"])
    assert key not in json.dumps(shown)
    assert key not in status_line(run, NOON)
    assert shown[MIME]["log"] == ("\x1b[31mred\x1b[0m\nMY_TOKEN=‹redacted›\n\x1b[32mgreen\x1b[0m")


def test_a_secret_of_several_lines_leaves_the_log() -> None:
    body = "A1b2C3d4" * 8
    block = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"
    shown = bundle(a_run(), f"before\n{block}\nafter\n".encode(), "s")
    assert shown[MIME]["log"] == "before\n‹redacted›\nafter"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"docker": {"docker_image": "busybox"}}, "busybox"),
        (IMAGE, "python:3.11-slim 'a b' --x"),
        ({"source": {"kind": "path", "path": "train.py", "main": "train.py"}}, "train.py"),
        ({"source": {"kind": "cell", "body": "#!/bin/sh\n# note\n\necho hi\nls"}}, "echo hi"),
        ({"source": {"kind": "cell", "body": "# only a note"}}, "# only a note"),
        ({"source": {"kind": "cell", "body": ""}}, ""),
        ({"uri": "https://h/r.git", "git": {"version": "v1"}}, "https://h/r.git@v1"),
        ({"job": "e/p/j:latest"}, "e/p/j:latest"),
        ({"docker": {"docker_image": "x" * 200}}, "x" * 79 + "…"),
    ],
)
def test_program_text(spec: dict[str, Any], text: str) -> None:
    assert program_text(LaunchSpec.from_dict(spec)) == text


def test_status_line() -> None:
    run = a_run(State.FAILED, name="a\x1b[31m\nb", started=NOON, exit_code=137, reason="killed\nx")
    assert status_line(run, NOON + 65) == (
        "✗ failed · a  b · k3j9x2ab · 1 min 05 s · exit code 137 · killed"
    )
    assert status_line(a_run(State.PENDING, name="n"), NOON) == "○ pending · n · k3j9x2ab"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0.0 s"), (3.24, "3.2 s"), (59.9, "59 s"), (60, "1 min 00 s"), (8040, "2 h 14 min"),
     (273_600, "3 d 4 h")],
)  # fmt: skip
def test_elapsed(seconds: float, text: str) -> None:
    assert elapsed(seconds) == text


@given(st.binary(max_size=300), st.text(max_size=30), st.sampled_from(State))
def test_any_log_and_any_name_can_be_shown(log: bytes, name: str, state: State) -> None:
    shown = bundle(a_run(state, name=name, reason=name), log, "s")
    reader = Reader(shown["text/html"])
    assert reader.open == []
    assert reader.tags <= {"div", "span", "strong", "code", "pre"}
    json.dumps(shown)
