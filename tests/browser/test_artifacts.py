"""What a run left behind, in its card: a list, images and tables, files to download."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Desk
from tests.browser.lab import save, wait_open
from tests.browser.test_accessibility import findings
from tests.browser.test_saved import without_extension, without_kernels

pytestmark = [pytest.mark.browser, pytest.mark.docker]

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)
LEAVES = f"""%%launch -r local-process
import base64, os, pathlib
out = pathlib.Path(os.environ["JUPYTER_LAUNCH_OUTPUT_DIR"])
(out / "plots").mkdir()
(out / "plots/loss #1.png").write_bytes(base64.b64decode("{PIXEL}"))
rows = "".join(f"{{n}},<b>bold</b>\\n" for n in range(30))
(out / "table.csv").write_text('epoch,"what, else"\\n' + rows)
(out / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")
(out / "<img src=x onerror=alert(1)>").touch()
(out / "model.bin").write_bytes(b"x" * 2_000_000)
"""


def test_the_card_lists_and_shows_them(desk: Desk, tmp_path: Path) -> None:
    card = desk.launch(LEAVES).expect_state("finished")
    section = card.page.locator(".jl-artifacts")
    expect(section.locator(".jl-artifact-row")).to_have_count(5)
    expect(section).to_contain_text("model.bin 2.0 MB")
    expect(section).to_contain_text("<img src=x onerror=alert(1)>")
    image = section.get_by_role("img", name="plots/loss #1.png")
    expect(image).to_have_js_property("naturalWidth", 1)
    assert section.locator("img").count() == 1
    table = section.get_by_role("table")
    expect(table.get_by_role("columnheader")).to_have_text(["epoch", "what, else"])
    expect(table.get_by_role("row")).to_have_count(21)
    expect(table.get_by_role("row").nth(1)).to_have_text("0<b>bold</b>")
    expect(section).to_contain_text("the first 20 of 30 rows")
    assert findings(card) == []
    with card.page.expect_download() as begun:
        section.get_by_role("link", name="model.bin").click()
    assert begun.value.suggested_filename == "model.bin"
    begun.value.save_as(tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_size == 2_000_000


def test_the_saved_notebook_names_them(desk: Desk) -> None:
    card = desk.launch(LEAVES).expect_state("finished")
    expect(card.page.locator(".jl-artifact-row")).to_have_count(5)
    save(card.page)
    card.page.close()
    desk.server.end_kernels()
    page = desk.page()
    without_kernels(page)
    without_extension(page)
    page.goto(desk.server.url(desk.notebook), wait_until="commit")
    wait_open(page, kernel=False)
    section = page.locator(".jl-artifacts")
    expect(section.locator(".jl-artifact-row")).to_have_count(5)
    expect(section).to_contain_text("model.bin 2.0 MB")
    expect(section.get_by_role("link")).to_have_count(0)
