"""What is shown of a run: complete, escaped, without secrets, short."""

from __future__ import annotations

import html.parser
import json
import re
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbconvert.filters import ansi2html, clean_html

from jupyter_launch.frontends.record import (
    bundle,
    bundle_of,
    elapsed,
    live_record,
    program_text,
    status_line,
    summary,
)
from jupyter_launch.frontends.saved import MIME, TAIL_BYTES, TAIL_LINES, size
from jupyter_launch.runs import Queue, Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores.base import Change, Store
from jupyter_launch.submit import Launcher
from jupyter_launch.terminal import fold, to_plain

NOON = 1_790_000_000.0
TAGS = {"div", "span", "strong", "code", "pre", "b"}
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
        queue=Queue("team", "gpu"), priority=1, entity="team", project="p", store="store-1",
    )  # fmt: skip
    shown = bundle(run, b"\x1b[32mok\x1b[0m\n10%\r20%\n")
    data = json.loads(json.dumps(shown[MIME]))
    assert (data["id"], data["store"], data["state"]) == ("k3j9x2ab", "store-1", "finished")
    assert (data["exit_code"], data["started"], data["ended"]) == (0, NOON, NOON + 754)
    assert LaunchSpec.from_dict(data["spec"]) == run.spec
    assert data["tail"] == "\x1b[32mok\x1b[m\n20%"
    for text in (Reader(shown["text/html"]).text.replace("\xa0", " "), shown["text/plain"]):
        for fact in (
            "✓ finished", "train", "k3j9x2ab", "12 min 34 s", "python:3.11-slim 'a b' --x",
            "local-container", "queue team/gpu, high priority", "started 2026-09-21", "ended",
            "exit code 0",
        ):  # fmt: skip
            assert text.count(fact) == 1
    assert shown["text/plain"].endswith("│ \x1b[32mok\x1b[m\n│ 20%")


def test_a_failed_run_says_why_and_what_to_do() -> None:
    run = a_run(State.FAILED, exit_code=127, reason="the program ended with exit code 127")
    text = bundle(run, b"")["text/plain"]
    assert text.count("exit code 127") == 1
    assert "check its name" in text
    given = a_run(State.FAILED, reason="The image is not there.\nPull it first.")
    assert "The image is not there.\n  Pull it first." in bundle(given, b"")["text/plain"]


def test_a_live_run_says_when_that_was() -> None:
    text = bundle(a_run(State.RUNNING, started=NOON), b"")["text/plain"]
    assert re.search(r"So it stood at \d{4}-", text)


def test_notices_stay_in_the_record() -> None:
    shown = bundle(a_run(), b"", notices=["No container: <engine> is down."])
    assert "No container: <engine> is down." in Reader(shown["text/html"]).text
    assert "No container: <engine> is down." in shown["text/plain"]


def grown(shown: dict[str, Any]) -> int:
    """Count the bytes that an output adds to a notebook file."""
    cell = nbformat.v4.new_code_cell("%%launch")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    before = len(nbformat.writes(notebook).encode())
    cell.outputs = [nbformat.v4.new_output("display_data", data=shown)]
    return len(nbformat.writes(notebook).encode()) - before


def shown_lines(shown: dict[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """Give the log's lines as they stand in the data, in the HTML and in the text."""
    pre = re.search(r"<pre[^>]*>(.*)</pre>", shown["text/html"], re.DOTALL)
    page = Reader(pre[1]).text.split("\n") if pre else []
    text = [line[2:] for line in shown["text/plain"].splitlines() if line.startswith("│ ")]
    plain = to_plain(fold("\n".join(text).encode(), 10**6, 10**6)).split("\n") if text else []
    tail = fold(shown[MIME]["tail"].encode(), 10**6, 10**6)
    return to_plain(tail).split("\n"), page, plain


def test_a_notebook_grows_by_80_kb_at_most() -> None:
    line = "\x1b[32m#{:07}\x1b[0m \x1b[36minfo\x1b[0m \x1b[1mstep\x1b[0m "
    lines = [line.format(number).ljust(104, ".") for number in range(2000)]
    shown = bundle(a_run(), "\n".join([*lines, ""]).encode()[-TAIL_BYTES:], earlier=1)
    assert grown(shown) <= 80_000
    tail, page, text = shown_lines(shown)
    last = to_plain(fold("\n".join(lines).encode(), TAIL_LINES, 10**6)).split("\n")
    note = "… earlier lines: jupyter launch logs k3j9x2ab"
    assert (tail, page) == (last, [note, *last])
    assert (text[0], text[1:]) == (note, last[-len(text) + 1 :])
    assert len(text) > 100
    assert "color:#2f8540" in shown["text/html"]
    assert "\x1b[32m" in shown[MIME]["tail"]


def test_longer_lines_are_fewer() -> None:
    lines = [f"{number} ".ljust(1000, "'") for number in range(100)]
    shown = bundle(a_run(), "\n".join(lines).encode())
    assert grown(shown) <= 80_000
    tail, page, text = shown_lines(shown)
    assert tail == lines[-len(tail) :]
    assert page[1:] == tail
    assert page[0] == text[0] == "… earlier lines: jupyter launch logs k3j9x2ab"
    assert text[1:] == lines[-len(text) + 1 :]
    assert shown[MIME]["earlier"]
    assert min(len(tail), len(text)) >= 10


HOSTILE = [
    "x", "\U0001f600", "\"<&>'\\", "\x1b[31mx\x1b[42;1;38;2;1;2;3my",
    "</textarea><script>alert(1)</script>\n", "\x1b]8;;https://evil\x07link\x1b]8;;\x07\n",
    "\u202e\u2066\n", "\ufffd", "\x1b]0;title", "\r\x1b[A\x1b[2K", "50%\r", "\n",
    "\x9b\x85\u2028", "abc def\n",
]  # fmt: skip
HIDDEN = re.compile("[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@given(
    st.lists(st.tuples(st.sampled_from(HOSTILE), st.sampled_from([9, 4000])), max_size=3),
    st.tuples(st.sampled_from(HOSTILE), st.sampled_from([1, 300])),
)
@settings(deadline=None, max_examples=20)
def test_hostile_logs_and_texts_stay_small_and_safe(
    parts: list[tuple[str, int]], said: tuple[str, int]
) -> None:
    log = "".join(unit * times for unit, times in parts).encode()
    text = said[0] * said[1]
    config = {"overrides": {"run_config": {text: [text] * 30}}, "docker": {"docker_image": text}}
    run = a_run(State.FAILED, config, name=text, reason=f"{text}\n{text}", queue=Queue(text, text))
    shown = bundle(run, log + b"\n\xff\xfe\n", notices=[text] * 5)
    assert grown(shown) <= 80_000
    reader = Reader(shown["text/html"])
    assert reader.open == []
    assert reader.tags <= TAGS
    assert "\ufffd\ufffd" in reader.text
    for part in (shown["text/html"], shown["text/plain"], shown[MIME]["tail"]):
        assert not HIDDEN.search(part)


@pytest.mark.parametrize(
    "line", [b"x" * 10_000_000, b"\x1b[31mx\x1b[32my" * 100_000, b"\xff" * 99_999]
)
def test_one_endless_line_is_shown_from_its_start(line: bytes) -> None:
    shown = bundle(a_run(), line)
    assert grown(shown) <= 80_000
    tail, page, _ = shown_lines(shown)
    assert tail == page
    assert re.fullmatch("[xy\ufffd]{2000} …", tail[0])


def test_size_is_what_the_file_grows_by() -> None:
    shown = bundle(a_run(), b"a\nb\n\x1b[31m\xc3\xa9\n")
    frame = grown({"text/plain": ""}) - size({"text/plain": ""})
    assert grown(shown) == size(shown) + frame


def test_a_long_spec_leaves_room_for_the_log() -> None:
    body = "".join(f"x = {number}\n" for number in range(30_000))
    run = a_run(spec={"source": {"kind": "cell", "body": body}, "name": "n"})
    shown = bundle(run, b"line\n" * 200)
    assert grown(shown) <= 80_000
    assert len(shown_lines(shown)[0]) == 200
    assert shown[MIME]["spec"]["name"] == "n"
    assert shown[MIME]["spec"]["source"]["body"].endswith(f" … {len(body) - 10_000:,} more")
    many = {
        "docker": {"docker_image": "x"},
        "overrides": {"run_config": dict.fromkeys(map(str, range(9999)))},
    }
    assert bundle(a_run(spec=many), b"line\n")[MIME]["spec"] is None


def test_sanitisers_leave_a_readable_record() -> None:
    run = a_run(State.FAILED, reason="it <failed>", started=NOON, ended=NOON + 5)
    shown = bundle(run, b"cut\n\x1b[1;31mred\x1b[0m <b>\nplain \x1b[4mlined\x1b[0m\n", earlier=9)
    clean = clean_html(shown["text/html"])
    assert Reader(clean).text == Reader(shown["text/html"]).text
    assert "&lt;div" not in clean
    assert "<b>red</b>" in clean
    text = ansi2html(shown["text/plain"])
    assert '<span class="ansi-red-intense-fg ansi-bold">red</span>' in text
    assert "\x1b" not in text


def test_long_logs_are_cut_and_say_so() -> None:
    long = b"".join(b"line %d\n" % number for number in range(5000))
    shown = bundle(a_run(), long)
    assert "earlier lines: jupyter launch logs k3j9x2ab" in shown["text/plain"]
    assert shown[MIME]["tail"].splitlines()[0] == f"line {5000 - TAIL_LINES}"
    assert "earlier lines" in Reader(bundle(a_run(), b"x\n", earlier=9)["text/html"]).text
    assert "earlier lines" not in bundle(a_run(), b"x\n" * TAIL_LINES)["text/html"]
    assert len(json.dumps(bundle(a_run(), b"\x1b[31mx\x1b[32my" * 100_000))) < 2_000_000


def test_html_needs_no_script_and_no_style_sheet() -> None:
    run = a_run(
        State.FAILED, spec={"source": {"kind": "cell", "body": "<script>alert(1)</script>"}},
        name='"><img src=x onerror=alert(1)>', reason="<b>bold</b>\n<i>hint</i>",
    )  # fmt: skip
    reader = Reader(bundle(run, b"</pre><script>alert(2)</script>\n&lt;\n")["text/html"])
    assert reader.open == []
    assert reader.tags <= TAGS
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
    shown = bundle(run, log, notices=[f"careful: {key}"])
    assert key not in json.dumps(shown)
    assert key not in status_line(run, NOON)
    assert shown[MIME]["tail"] == "\x1b[31mred\x1b[m\nMY_TOKEN=‹redacted›\n\x1b[32mgreen\x1b[m"


def test_a_secret_of_several_lines_leaves_the_log() -> None:
    body = "A1b2C3d4" * 8
    block = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"
    shown = bundle(a_run(), f"before\n{block}\nafter\n".encode())
    assert shown[MIME]["tail"] == "before\n‹redacted›\nafter"


# -- what views are told ----------------------------------------------------------------------

FIELDS = {
    "id", "store", "state", "symbol", "color", "terminal", "name", "program", "facts", "reason",
    "hint", "grace", "exit_code", "created", "started", "ended", "resource", "image", "queue",
    "priority", "relaunchable", "parent",
}  # fmt: skip
LIVE = {"doing", "notices", "stopping", "killing", "ahead", "attempts"}


def test_a_summary_has_every_fact_as_plain_values() -> None:
    run = a_run(
        State.PENDING, {"source": {"kind": "path", "path": "a.py", "python_version": "3.12"}},
        queue=Queue("te/am", "g\x1b[31mpu"), priority=0, resource="local-container", parent="p",
        store="s",
    )  # fmt: skip
    told = summary(run)
    assert told.keys() == FIELDS
    assert json.loads(json.dumps(told)) == told
    assert told["image"] == "python:3.12-slim"
    assert told["queue"] == "te%2Fam/g pu"
    assert (told["priority"], told["resource"]) == ("critical", "local-container")
    assert (told["store"], told["parent"], told["relaunchable"]) == ("s", "p", True)
    assert summary(a_run())["queue"] is None


def test_a_spec_of_another_version_is_shown_all_the_same() -> None:
    run = Run(id="k3j9x2ab", spec_json='{"env": 1}', state=State.FINISHED, created=NOON)
    told = bundle(run, b"x\n")[MIME]
    assert (told["relaunchable"], told["program"]) == (False, "(a spec this version cannot read)")
    assert told["spec"] == {"env": 1}


def test_a_live_record_says_why_a_run_waits(store: Store, launcher: Launcher) -> None:
    spec = LaunchSpec.from_dict(IMAGE)
    queue = Queue("me", "default")
    first, second = store.submit(spec, queue=queue), store.submit(spec, queue=queue, parent="gone")
    told = live_record(launcher.handle(second.id))
    assert told.keys() == FIELDS | LIVE
    assert (told["ahead"], told["attempts"]) == (
        1,
        [{"id": second.id, "state": "pending", "symbol": "○"}],
    )
    assert told["doing"] == "1 ahead in queue me/default, no agent yet"
    assert (told["stopping"], told["killing"]) == (False, False)
    assert live_record(launcher.handle(first.id))["ahead"] == 0


def test_a_live_record_says_what_happened(store: Store, launcher: Launcher) -> None:
    spec = LaunchSpec.from_dict(IMAGE)
    run = store.submit(spec, owner="host:1:somebody")
    again = store.submit(spec, owner="host:1:somebody", parent=run.id)
    for number in range(7):
        store.append_event(run.id, "notice", {"text": f"notice\x07 {number}"})
    store.move(run.id, "host:1:somebody", State.STARTING, Change())
    store.append_event(run.id, "progress", {"text": "pulling image 43 %"})
    told = live_record(launcher.handle(run.id))
    assert told["notices"] == [f"notice  {number}" for number in range(2, 7)]
    assert told["doing"] == "pulling image 43 %"
    assert told["attempts"] == [
        {"id": run.id, "state": "starting", "symbol": "◔"},
        {"id": again.id, "state": "leased", "symbol": "○"},
    ]
    store.request_stop(run.id)
    assert live_record(launcher.handle(run.id))["stopping"]
    store.request_stop(run.id, kill=True)
    assert live_record(launcher.handle(run.id))["killing"]
    store.move(run.id, "host:1:somebody", State.STOPPED, Change("stopped on request"))
    told = live_record(launcher.handle(run.id))
    assert (told["stopping"], told["killing"], told["terminal"]) == (False, False, True)


def test_progress_bars_do_not_crowd_lines_out(store: Store, launcher: Launcher) -> None:
    run = store.submit(LaunchSpec.from_dict(IMAGE), owner="host:1:somebody")
    log = b"before\n" * 100 + b"loading\n" + b"\r 50% |#####     |" * 20_000 + b"\nafter\n"
    store.append_log(run.id, "host:1:somebody", [(1, log)])
    store.append_event(run.id, "notice", {"text": "careful"})
    shown = bundle_of(launcher.handle(run.id))
    tail = shown[MIME]["tail"].split("\n")
    assert (len(tail), tail[-3:]) == (103, ["loading", " 50% |#####     |", "after"])
    assert (shown[MIME]["notices"], shown[MIME]["store"]) == (["careful"], store.id)
    assert not shown[MIME]["earlier"]


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
    shown = bundle(a_run(state, name=name, reason=name), log)
    reader = Reader(shown["text/html"])
    assert reader.open == []
    assert reader.tags <= TAGS
    json.dumps(shown)
