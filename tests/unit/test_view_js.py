"""The parts of the card's view that need no page, run by Node.js as the browser runs them."""

from __future__ import annotations

import base64
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import jupyter_launch
from jupyter_launch.frontends.record import elapsed
from jupyter_launch.style import PLAIN, Style, restyle
from jupyter_launch.terminal import fold, to_ansi

ROOT = Path(__file__).parents[2]
VIEW = ROOT / "labextension"
BUILT = VIEW / "lib"
PACKAGE = Path(jupyter_launch.__file__).parent

pytestmark = pytest.mark.node

PIECES = [
    b"\r", b"\n", b"\n", b"\b", b"\t", b"\0", b"\x1b", b"\x1b[", b"\x1b[K", b"\x1b[2K",
    b"\x1b[A", b"\x1b[3B", b"\x1b[7G", b"\x1b[2D", b"\x1b[m", b"\x1b[31m", b"\x1b[1;97;44m",
    b"\x1b[7m", b"\x1b[27;39;49m", b"\x1b[2;3;4;9m", b"\x1b[38;5;99m", b"\x1b[48;5;250m",
    b"\x1b[38;2;1;22;255m", b"\x1b[48:2::1:2:3m", b"\x1b[4:0m", b"\x1b[?25l", b"\x1b(B",
    b"\x1b]0;title\x07", b"\x1b]8;;http://x\x1b\\", b"\x1b]open", b"<script>alert(1)</script>",
    b"plain text", b"a", b"bc ", "é✓😀漢".encode(), "\u202e\u2028\u200f\ufeff".encode(),
    b"\xe2\x9c", b"\xff",
]  # fmt: skip
CODES = ["", "0", "1", "2", "3", "4", "4:0", "4:3", "7", "9", "22", "23", "24", "27", "29", "31",
         "37", "38", "39", "42", "48", "49", "5", "58", "90", "97", "98", "103", "107", "109",
         "38;5;9", "38;5;99", "48;5;240", "38;2;1;2;3", "38:2::1:2:3", "48:2:1:2:3", "38:5:7",
         "999", "999999", "x", "255"]  # fmt: skip


def node(script: str, data: Any = None) -> Any:
    """Run a script with the view's modules at hand, and give what it returns."""
    found = shutil.which("node", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert found, "node is needed where CI is set"
    assert BUILT.is_dir(), "scripts/front-end builds the modules"
    program = f"""
        import {{ readFileSync }} from "node:fs";
        globalThis.addEventListener ??= () => {{}};
        globalThis.removeEventListener ??= () => {{}};
        const data = JSON.parse(readFileSync(0, "utf-8"));
        const load = (name) => import("{BUILT.as_uri()}/card/" + name + ".js");
        const encode = (text) => new TextEncoder().encode(text);
        const result = await (async () => {{ {script} }})();
        console.log(JSON.stringify(result));
    """
    done = subprocess.run(
        [found, "--input-type=module", "--eval", program],
        input=json.dumps(data).encode(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def as_json(style: Style) -> list[Any]:
    """Write a style as the view's script writes one."""
    return [style.fg, style.bg, *style[2:]]


STYLE = """(({fg, bg, bold, dim, italic, underline, inverse, strike}) =>
    [fg, bg, bold, dim, italic, underline, inverse, strike])"""


def test_styles_are_read_as_everywhere_else() -> None:
    dice = random.Random(1)
    corpus = [";".join(dice.choices(CODES, k=dice.randrange(1, 7))) for _ in range(5000)]
    seen = node(
        f"""const {{ restyle, PLAIN }} = await load("sgr");
        return data.map((codes) => {STYLE}(restyle(PLAIN, codes)));""",
        corpus,
    )
    assert seen == [as_json(restyle(PLAIN, codes)) for codes in corpus]


def test_a_folded_line_is_drawn_as_it_was_folded() -> None:
    dice = random.Random(2)
    corpus = [b"".join(dice.choices(PIECES, k=dice.randrange(1, 60))) for _ in range(2000)]
    lines = [line for data in corpus for line in fold(data)]
    seen = node(
        f"""const {{ pieces, PLAIN }} = await load("sgr");
        const style = {STYLE};
        return data.map((line) =>
            pieces(line, PLAIN).map((one) => [one.text, style(one.style)]));""",
        to_ansi(lines).split("\n"),
    )
    assert seen == [[[run.text, as_json(run.style)] for run in line] for line in lines]


def test_nothing_but_text_comes_out_of_a_line() -> None:
    dice = random.Random(3)
    raw = [piece for piece in PIECES if piece not in {b"\r", b"\n"}]
    corpus = [
        b"".join(dice.choices(raw, k=dice.randrange(1, 60))).decode(errors="replace")
        for _ in range(2000)
    ]
    texts = node(
        """const { pieces, plain, PLAIN } = await load("sgr");
        return data.map((line) =>
            [pieces(line, PLAIN).map(({ text }) => text).join(""), plain(line)]);""",
        corpus,
    )
    for line, (drawn, plain) in zip(corpus, texts, strict=True):
        assert drawn == plain, line
        assert not any(ord(char) < 32 and char != "\t" for char in drawn), line
        assert not set(drawn) & set("\x7f\x1b\u202e\u2028\u200f"), line


def test_a_search_is_marked_across_colours() -> None:
    seen = node(
        """const { marked } = await load("row");
        const { pieces, PLAIN } = await load("sgr");
        const { pattern } = await load("search");
        return data.map(([line, text, matchCase, regex]) => marked(pieces(line, PLAIN),
            pattern({ text, case: matchCase, regex }))
            .map(({ text, hit }) => [text, Boolean(hit)]));""",
        [
            ["\x1b[32mnee\x1b[31mdle\x1b[0m in hay, NEEDLE", "needle", False, False],
            ["one needle", "Needle", True, False],
            ["a.b axb", "a.b", False, False],
            ["a.b axb", "a.b", False, True],
            ["text", "(", False, True],
            ["text", "x*", False, True],
        ],
    )
    assert seen == [
        [["nee", True], ["dle", True], [" in hay, ", False], ["NEEDLE", True]],
        [["one needle", False]],
        [["a.b", True], [" axb", False]],
        [["a.b", True], [" ", False], ["axb", True]],
        [["text", False]],
        [["te", False], ["x", True], ["t", False]],
    ]


LOG = f"""
const {{ Log }} = await load("chunks");
const style = {STYLE};
return data.map(({{ limit, steps }}) => {{
    const log = new Log(limit);
    let most = 0;
    for (const [verb, ...values] of steps) {{
        if (verb === "resize") log.resize(values[0]);
        else {{
            const [first, lines, end] = values;
            const head = {{ first, count: lines.length, style: "", streams: [[0, 1]], times: [] }};
            const bytes = encode(lines.map((line) => line + "\\n").join(""));
            if (verb === "replace") log.replaceFrom(head, bytes);
            else log.insert(head, bytes, end ?? undefined);
        }}
        most = Math.max(most, log.bytes);
    }}
    const lines = Array.from({{ length: log.total }}, (_, n) => {{
        const line = log.line(n);
        return line && [line.text, style(line.style)];
    }});
    return {{ lines, missing: log.missing(0, log.total), most }};
}});
"""


def made_up_steps(dice: random.Random) -> tuple[list[list[Any]], list[str | None]]:
    """Make what happens to a log that a page has in part, and what it has in the end."""
    steps: list[list[Any]] = []
    known: list[str | None] = []
    for number in range(dice.randrange(1, 25)):
        lines = [f"{number}:{place} é" for place in range(dice.randrange(0, 9))]
        verb = dice.choice(["replace", "replace", "insert", "resize"])
        if verb == "replace":
            first = dice.randrange(len(known) + 5)
            end = first + len(lines)
            known += [None] * (end - len(known))
            known[first:] = [*lines, *[None] * (len(known) - end)]
            steps.append([verb, first, lines])
        elif verb == "resize":
            total = dice.randrange(len(known) + 5)
            known = known[:total] + [None] * (total - len(known))
            steps.append([verb, total])
        elif lines:
            first = dice.randrange(len(known) + 1)
            below = dice.choice([None, dice.randrange(len(known) + 1)])
            for place, line in enumerate(lines, first):
                if place < len(known) and (below is None or place < below):
                    known[place] = line
            steps.append([verb, first, lines, below])
    return steps, known


def test_a_page_knows_what_it_was_told_last() -> None:
    dice = random.Random(4)
    made = [made_up_steps(dice) for _ in range(1500)]
    seen = node(LOG, [{"limit": 10**6, "steps": steps} for steps, _ in made])
    for (steps, known), page in zip(made, seen, strict=True):
        assert [line and line[0] for line in page["lines"]] == known, steps
        asked = {n for block in page["missing"] for n in range(block["first"], len(known))}
        assert {n for n, line in enumerate(known) if line is None} <= asked, steps


def test_a_colour_goes_on_over_lines_and_pieces_of_the_log() -> None:
    lines = ["\x1b[31mred", "still \x1b[1mbold", "both\x1b[0m", "plain \x1b[38;5m", "\x1b[4mline"]
    whole = [["replace", 0, lines]]
    cut = [["replace", 0, lines], ["insert", 1, ["x"], 0], ["replace", 4, lines[4:]]]
    middle = [["replace", 0, lines], ["insert", 0, ["\x1b[31mred"], None]]
    seen = node(LOG, [{"limit": 10**6, "steps": steps} for steps in (whole, cut, middle)])
    styles = []
    style = PLAIN
    for line in lines:
        styles.append(as_json(style))
        for part in line.split("\x1b[")[1:]:
            style = restyle(style, part.partition("m")[0])
    for page in (seen[0], seen[2]):
        assert [line[1] for line in page["lines"]] == styles
    assert [line[1] for line in seen[1]["lines"]][:4] == styles[:4]


def test_a_page_forgets_what_it_has_not_looked_at() -> None:
    lines = ["x" * 100] * 500
    steps: list[list[Any]] = [["replace", 500 * n, lines] for n in range(40)]
    (page,) = node(LOG, [{"limit": 500_000, "steps": steps}])
    assert page["most"] < 600_000
    assert len(page["lines"]) == 20_000
    assert page["lines"][-1][0] == lines[0]
    assert page["lines"][0] is None
    assert page["missing"][0] == {"first": 0, "count": 512}


FEED = """
const { feed } = await load("feed");
const said = [], told = [];
let to = null;
const transport = {
    state: "connected",
    send: (message) => said.push(message),
    listen: (v, listener) => { to = { v, ...listener }; return () => { to = null; }; },
};
const viewer = {
    have: () => 7,
    onLive: ({ seq }, bytes) => told.push([seq, bytes.length]),
    onState: (state) => told.push(state),
    onGone: (message) => told.push(message),
};
const made = feed(transport, "r1", viewer);
const live = (seq, size = 0, v = to.v) =>
    to.onMessage({ t: "live", v, run: "r1", seq, now: 0 }, new Uint8Array(size));
const heard = () => said.splice(0).map(({ v, run, ...message }) => message);
const end = (value) => { made.close(); return value; };
"""


def test_a_feed_says_what_it_has_when_messages_got_lost() -> None:
    said, told = node(
        FEED
        + """const now = Date.now;
        live(1); live(2); live(4);
        Date.now = () => now() + 2000;
        live(5); live(6);
        Date.now = now;
        live(1); live(2);
        return end([heard(), told]);"""
    )
    assert said == [{"t": "watch", "have": 7}] * 2
    assert told == [[1, 0], [2, 0], [1, 0], [2, 0]]


def test_a_feed_acknowledges_by_volume_what_was_drawn() -> None:
    said = node(
        FEED
        + """live(1, 200_000); made.drawn(); live(2, 100_000);
        const before = heard(); made.drawn(); made.drawn();
        return end([before, heard()]);"""
    )
    assert said == [[{"t": "watch", "have": 7}], [{"t": "ack", "seq": 2}]]


def test_a_feed_comes_back_after_the_connection_was_lost() -> None:
    said, told, refused = node(
        FEED
        + """made.follow(false); live(1);
        const asked = made.ask("spec").catch(({ message }) => message);
        to.onState("reconnecting");
        const refused = await asked;
        to.onState("connected"); live(1); live(2);
        return end([heard(), told, refused]);"""
    )
    assert said == [
        {"t": "watch", "have": 7},
        {"t": "follow", "on": False},
        {"t": "ask", "id": 1, "verb": "spec"},
        {"t": "watch", "have": 7},
        {"t": "follow", "on": False},
    ]
    assert told == [[1, 0], "reconnecting", "connected", [1, 0], [2, 0]]
    assert refused == "The connection was lost."


def test_answers_find_their_questions() -> None:
    seen = node(
        FEED
        + """const answer = (id, rest) =>
            to.onMessage({ t: "answer", v: to.v, run: "r1", id, ...rest }, new Uint8Array(id));
        const one = made.ask("copy", { as: "cli" }), two = made.ask("spec");
        answer(2, { ok: false, message: "No.", hint: "Do this." });
        answer(1, { ok: true, text: "x" }); answer(1, { ok: true, text: "y" });
        const refused = await two.catch(({ message, hint }) => [message, hint]);
        const { text, bytes } = await one;
        return end([heard().slice(1), text, bytes.length, refused]);"""
    )
    assert seen == [
        [{"t": "ask", "id": 1, "verb": "copy", "as": "cli"}, {"t": "ask", "id": 2, "verb": "spec"}],
        "x",
        1,
        ["No.", "Do this."],
    ]


def test_what_is_for_everybody_counts_until_one_is_heard() -> None:
    told = node(
        FEED + 'live(5, 1, ""); live(9, 2, ""); live(1, 3); live(10, 4, ""); return end(told);'
    )
    assert told == [[5, 1], [9, 2], [1, 3]]


def test_frames_of_the_socket() -> None:
    text = json.dumps({"t": "live", "v": "é"}).encode()
    frame = len(text).to_bytes(4, "big") + text + b"\xff\x00lines"
    seen = node(
        """const { parse } = await load("../frame");
        const bytes = Uint8Array.from(Buffer.from(data, "base64"));
        return [parse(bytes.buffer), parse('{"t":"welcome"}')].map(([m, b]) => [m, [...b]]);""",
        base64.b64encode(frame).decode(),
    )
    assert seen == [[{"t": "live", "v": "é"}, list(b"\xff\x00lines")], [{"t": "welcome"}, []]]


def test_times_and_sizes_as_people_read_them() -> None:
    times = [-1, 0, 0.04, 3.24, 9.96, 10, 59.9, 60, 3599, 3600, 86399, 86400, 273_600.5]
    sizes = [0, 999, 1000, 9949, 9999, 123_456, 999_499, 999_600, 2_500_000_000]
    seen = node(
        """const { elapsed, size } = await load("format");
        return [data[0].map(elapsed), data[1].map(size)];""",
        [times, sizes],
    )
    assert seen[0] == [elapsed(seconds) for seconds in times]
    assert seen[1] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "9.9 kB",
        "10 kB",
        "123 kB",
        "999 kB",
        "1.0 MB",
        "2.5 GB",
    ]


def test_the_anywidget_module_is_small_and_loads_nothing() -> None:
    source = (PACKAGE / "frontends/static/card.js").read_text(encoding="utf-8")
    assert len(source.encode()) <= 30_000
    assert source.replace("http://www.w3.org/2000/svg", "").count("http") == 0
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "import(", "import{"):
        assert word not in source


def test_the_labextension_is_small_and_complete() -> None:
    built = PACKAGE / "labextension"
    described = json.loads((built / "package.json").read_text())
    assert described["version"] == jupyter_launch.__version__
    assert (built / described["jupyterlab"]["_build"]["load"]).is_file()
    scripts = b"".join(path.read_bytes() for path in (built / "static").glob("*.js"))
    assert len(gzip.compress(scripts)) <= 60_000


def test_the_lock_file_names_no_registry() -> None:
    locked = json.loads((VIEW / "package-lock.json").read_text())["packages"]
    assert not [name for name, package in locked.items() if "resolved" in package]
    assert json.loads((VIEW / "package.json").read_text())["version"] == jupyter_launch.__version__
