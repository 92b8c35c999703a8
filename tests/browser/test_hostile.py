"""A log may hold anything: it is shown as text, and nothing in it runs or breaks the layout."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from jupyter_launch.stores.base import Store
from tests.browser.card import LAUNCH, PATIENCE_MS
from tests.browser.conftest import Desk
from tests.browser.lab import MIME, save, saved_output

pytestmark = [pytest.mark.browser, pytest.mark.docker]

HUGE = 10_000_000
PROGRAM = f"""{LAUNCH}
import sys
out = sys.stdout.buffer
out.write(b"<script>window.hacked = 1</script>\\n")
out.write(b"<img src=x onerror='window.hacked = 1'>\\n")
out.write(b"</textarea></pre></div></style><style>* {{ display: none }}</style>\\n")
out.write(b"\\x1b]8;;javascript:window.hacked=1\\x1b\\\\a link\\x1b]8;;\\x1b\\\\\\n")
out.write(b"\\x1b]0;a title\\x07\\x1b]52;c;aGFja2Vk\\x07after the title\\n")
out.write("right \\u202e to left \\u2066 and \\u200f on\\n".encode())
out.write(b"bad \\xff\\xfe\\xc3( bytes\\x00\\x08\\x7f\\x9b31m\\n")
out.write(b"\\x1b[31;1mred\\x1b[0m \\x1b[999;38;5;300;48;2;1m and more\\x1b[0m\\n")
out.write(b"h" * {HUGE} + b"\\n")
out.write(b"\\x1b[2J\\x1b[10;10H\\x1b[?1049h\\x1b(0the end\\x1b(B\\n")
out.write(b"\\x1b]8;;never closed")
out.flush()"""


def test_a_log_full_of_traps(desk: Desk, store: Store) -> None:
    card = desk.launch(PROGRAM).expect_state("finished")
    page, run_id = card.page, card.run_id
    assert store.log_position(run_id).size > HUGE
    card.expect_total(10)
    lines = card.read_all()
    assert lines[0] == "<script>window.hacked = 1</script>"
    assert lines[1] == "<img src=x onerror='window.hacked = 1'>"
    assert lines[2].startswith("</textarea></pre></div></style><style>")
    assert lines[3] == "a link"
    assert lines[4] == "after the title"
    assert "\u202e" not in lines[5]
    assert "202E" in lines[5]
    assert lines[6].startswith("bad \ufffd")
    assert lines[7].startswith("red  and more")
    assert lines[8].startswith("hhh")
    assert len(lines[8]) < 11_000
    assert "more characters" in lines[8]
    assert "the end" in lines[9]

    expect(card.log.locator("script, img, textarea, style, a")).to_have_count(0)
    assert page.evaluate("() => window.hacked === undefined")
    assert page.title() != "a title"
    fits = """root => { const box = root.getBoundingClientRect();
        const around = root.closest('.jp-OutputArea-output').getBoundingClientRect();
        return box.left >= around.left - 1 && box.right <= around.right + 1
            && document.documentElement.scrollWidth <= innerWidth && box.height < innerHeight; }"""
    assert card.root.evaluate(fits)
    save(page)
    data = saved_output(desk.path)
    assert data[MIME]["state"] == "finished"
    assert desk.path.stat().st_size < 100_000
    assert "<script>" not in "".join(data["text/html"])
    page.reload(wait_until="commit")
    card.expect_state("finished").expect_line(lines[9])
    expect(card.root).to_be_visible(timeout=PATIENCE_MS)
    assert page.evaluate("() => window.hacked === undefined")
