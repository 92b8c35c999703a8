"""The record of a run as a page shows it that has neither script nor extension."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import BrowserContext, Page

from jupyter_launch.frontends.record import bundle
from jupyter_launch.runs import Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State

pytestmark = pytest.mark.browser

LOG = b"".join(b"\x1b[32mline\x1b[0m %d\n" % number for number in range(200)) + b"x" * 5000 + b"\n"
SEEN = """() => {
    const pre = document.querySelector(".jp-OutputArea-output pre");
    const inner = pre.getBoundingClientRect(), outer = pre.parentElement.getBoundingClientRect();
    return {
        whole: pre.scrollHeight === pre.clientHeight && inner.height > outer.height,
        end: Math.abs(inner.bottom - outer.bottom) < 2,
        wrapped: inner.right <= outer.right,
    };
}"""


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    page = context.new_page()
    context.set_offline(True)
    yield page
    context.set_offline(False)
    page.close()


def test_the_log_stands_at_its_end(page: Page, tmp_path: Path) -> None:
    text = LaunchSpec.from_dict({"docker": {"docker_image": "busybox"}}).to_json()
    run = Run(id="k3j9x2ab", spec_json=text, state=State.FINISHED, created=0.0)
    output = nbformat.v4.new_output("display_data", data=bundle(run, LOG))
    cell = nbformat.v4.new_code_cell("%launch -d busybox", outputs=[output])
    html, _ = HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    path = tmp_path / "notebook.html"
    path.write_text(html, encoding="utf-8")
    page.goto(path.as_uri(), wait_until="domcontentloaded")
    assert page.evaluate(SEEN) == {"whole": True, "end": True, "wrapped": True}
