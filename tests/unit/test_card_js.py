"""The browser folds output exactly as `jupyter_launch.terminal` does."""

from __future__ import annotations

import base64
import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import jupyter_launch.frontends
from jupyter_launch.frontends.record import elapsed
from jupyter_launch.style import css
from jupyter_launch.terminal import Line, Screen

NODE = shutil.which("node")
SOURCE = Path(jupyter_launch.frontends.__file__).with_name("card.js")

pytestmark = pytest.mark.node

PROGRAM = """
import { readFileSync } from "node:fs";
import { Screen, css, elapsed } from "./card.mjs";

const { corpus, times } = JSON.parse(readFileSync(0, "utf-8"));
const folded = corpus.map((chunks) => {
  const screen = new Screen();
  for (const chunk of chunks) screen.write(Buffer.from(chunk, "base64"));
  screen.write(new Uint8Array(), true);
  return screen.lines().map((line) => line.map(([text, style]) => [text, css(style)]));
});
console.log(JSON.stringify({ folded, times: times.map(elapsed) }));
"""

PIECES = [
    b"\r", b"\n", b"\n", b"\b", b"\t", b"\0", b"\x1b", b"\x1b[", b"\x1b[K", b"\x1b[1K", b"\x1b[2K",
    b"\x1b[A", b"\x1b[2A", b"\x1b[3B", b"\x1b[E", b"\x1b[F", b"\x1b[7G", b"\x1b[2D", b"\x1b[C",
    b"\x1b[m", b"\x1b[31m", b"\x1b[1;97;44m", b"\x1b[7m", b"\x1b[27;39;49m", b"\x1b[2;3;4;9m",
    b"\x1b[38;5;99m", b"\x1b[48;5;250m", b"\x1b[38;2;1;22;255m", b"\x1b[48:2::1:2:3m", b"\x1b[4:0m",
    b"\x1b[38;5m", b"\x1b[38m", b"\x1b[999999m", b"\x1b[?25l", b"\x1b[>4;1m", b"\x1b[2J", b"\x1b(B",
    b"\x1b]0;title\x07", b"\x1b]8;;http://x\x1b\\", b"\x1b]open", b"\x1bPx\x1b\\", b"\x1b\x1b[1m",
    b"<script>alert(1)</script>", b"plain text", b"a", b"bc ", "é✓😀漢".encode(),
    "\u202e\u2028\u200f".encode(),
    "\ufeff".encode(), b"\xe2\x9c", b"\xff", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\xc3(",
]  # fmt: skip
FIXED = [
    b"",
    b"x" * 10_000_000,
    "😀".encode() * 12_000 + b"\rab",
    b"x" * 12_000 + b"\b\b\b" + b"\x1b[5D!\r\x1b[9999Cend",
    b"\n".join(b"line %d" % number for number in range(4900)),
    b"".join(b"\x1b[A\r%3d%%\n\r%3d it" % (n, n) for n in range(1000)),
    b"\x1b]" + b"y" * 9000 + b"\n",
    b"\x1b[" + b"1" * 300 + b"m",
    bytes(range(256)) * 4,
]


def made_up(seed: int) -> list[bytes]:
    """Make output of many kinds, cut into chunks anywhere."""
    dice = random.Random(seed)
    data = b"".join(dice.choices(PIECES, k=dice.randrange(1, 60)))
    cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.randrange(4)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def folded(chunks: list[bytes]) -> list[Line]:
    screen = Screen()
    for chunk in chunks:
        screen.write(chunk)
    screen.write(b"", final=True)
    return screen.lines()


@pytest.fixture
def browser(tmp_path: Path) -> Callable[[Any], Any]:
    """Give what the script of the card makes of some input."""
    assert NODE is not None, "node is needed where CI is set"
    (tmp_path / "card.mjs").write_bytes(SOURCE.read_bytes())
    (tmp_path / "main.mjs").write_text(PROGRAM)

    def run(data: Any) -> Any:
        argv = [str(NODE), str(tmp_path / "main.mjs")]
        done = subprocess.run(
            argv, input=json.dumps(data).encode(), capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    return run


def test_browser_and_terminal_agree(browser: Callable[[Any], Any]) -> None:
    corpus = [[data] for data in FIXED] + [made_up(seed) for seed in range(2000)]
    times = [-1, 0, 0.04, 3.24, 9.96, 10, 59.9, 60, 3599, 3600, 86399, 86400, 273_600.5]
    coded = [[base64.b64encode(chunk).decode() for chunk in chunks] for chunks in corpus]
    seen = browser({"corpus": coded, "times": times})
    for chunks, lines in zip(corpus, seen["folded"], strict=True):
        expected = [[[run.text, css(run.style)] for run in line] for line in folded(chunks)]
        assert lines == expected, chunks
    assert seen["times"] == [elapsed(seconds) for seconds in times]


def test_script_is_small_and_loads_nothing() -> None:
    source = SOURCE.read_text(encoding="utf-8")
    assert len(source.encode()) < 30_000
    assert "http" not in source
    assert "innerHTML" not in source
    assert "\nimport " not in source
