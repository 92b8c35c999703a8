"""Take the README's pictures: a real JupyterLab, in a real Chromium, with runs of its own.

    .venv/bin/python -m scripts.screenshots [FOLDER]

They go to ``notebooks/images``. What it needs is what the browser tests need: Chromium, and the
front end, built. Nothing of whoever runs it is seen or changed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page, sync_playwright

from jupyter_launch.queues import make_queue
from jupyter_launch.runs import Queue, QueueRecord
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.stores import open_store
from tests.browser.lab import (
    CHROMIUM,
    SWITCHES,
    Server,
    open_notebook,
    output,
    run_cell,
    wait_executed,
    write_notebook,
)

IMAGES = Path(__file__).parents[1] / "notebooks/images"
SIZE, SCALE = {"width": 820, "height": 1500}, 2
PATIENCE_MS = 60_000
TRAIN = """%%launch -r local-process -n digits --set lr=0.01
import os, time
out = os.environ["JUPYTER_LAUNCH_OUTPUT_DIR"]
scores = open(f"{out}/scores.csv", "w")
print("epoch,loss", file=scores)
for epoch in range(1, 4):
    time.sleep(0.3)
    loss = round(2.3 * 0.62**epoch, 4)
    print(f"\\033[36mepoch {epoch}/3\\033[0m", loss, flush=True)
    print(epoch, loss, sep=",", file=scores)"""
FAILS = """%%launch -r local-process -n "digits, lr 10"
raise ValueError("the loss is not finite")"""
LASTS = """%%launch -r local-process -n "digits, whole set"
import time
time.sleep(1000)"""
FORM = """%%launch_form -r local-process -n "digits, lr 0.02" --set lr=0.02
print("training")"""


def main(folder: Path) -> None:
    """Take all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screenshots-") as own, _environment(Path(own)):
        root = Path(own) / "work"
        root.mkdir()
        with Server("lab", root) as server, _page(Path(own)) as page:
            write_notebook(root / "digits.ipynb", [TRAIN, FAILS, LASTS, FORM])
            open_notebook(page, server, "digits.ipynb")
            _take_all(page, folder)


def _take_all(page: Page, folder: Path) -> None:
    for number, state in enumerate(("finished", "failed", "running")):
        run_cell(page, number)
        card = output(page, number).locator(f"[data-state={state}][data-live=live]")
        card.wait_for(timeout=PATIENCE_MS)
        if number == 0:
            card.locator(".jl-artifact-table").wait_for(timeout=PATIENCE_MS)
            _shoot(page.locator(".jp-NotebookPanel .jp-Cell").first, folder / "card.png", skip=16)
    _queue()
    page.evaluate("() => void window.jupyterapp.commands.execute('jupyter-launch:show-runs')")
    panel = page.locator(".jl-panel")
    panel.get_by_text("digits, at night").wait_for(timeout=PATIENCE_MS)
    page.evaluate("() => document.activeElement?.blur()")
    _shoot(panel, folder / "panel.png", height=440)
    page.evaluate("() => void window.jupyterapp.commands.execute('application:toggle-left-area')")
    run_cell(page, 3)
    wait_executed(page, 3)
    form = output(page, 3)
    form.get_by_role("button", name="Launch now").wait_for(timeout=PATIENCE_MS)
    form.get_by_label("lr", exact=True).or_(form.get_by_label("name", exact=True)).first.wait_for()
    _shoot(form, folder / "form.png", height=720)
    output(page, 2).get_by_role("button", name="Stop").click()
    output(page, 2).locator("[data-state=stopped]").wait_for(timeout=PATIENCE_MS)


def _queue() -> None:
    """Put a run on a queue, so that the panel shows one that waits."""
    with closing(open_store(os.environ["JUPYTER_LAUNCH_STORE"])) as store:
        queue = Queue("", "night")
        make_queue(store, QueueRecord(queue, "local-process"))
        named = {"name": "digits, at night", "resource": "local-process"}
        source = {"kind": "cell", "body": "print('training')", "python": sys.executable}
        store.submit(LaunchSpec.from_dict({**named, "source": source}), queue=queue)


def _shoot(part: Locator, path: Path, height: float | None = None, skip: float = 0) -> None:
    """Take a picture of a part of the page, or of its upper end, but for what it begins with."""
    part.scroll_into_view_if_needed()
    part.page.wait_for_timeout(500)  # until nothing fades any more
    box = part.bounding_box()
    assert box is not None
    clip = {**box, "height": min(box["height"], height or box["height"])}
    clip["x"], clip["width"] = box["x"] + skip, box["width"] - skip
    part.page.screenshot(path=path, clip=clip, animations="disabled", caret="hide")
    print(f"{path}: {path.stat().st_size:,} bytes")


@contextmanager
def _environment(own: Path) -> Iterator[None]:
    """Keep the runs and the settings of whoever takes the pictures apart."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("JUPYTER_LAUNCH_", "WANDB_"))]:
        del os.environ[name]
    os.environ["JUPYTER_DATA_DIR"] = str(own / "data")
    os.environ["JUPYTER_LAUNCH_STORE"] = f"sqlite:///{own}/store/launch.db"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _page(own: Path) -> Iterator[Page]:
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(own / "profile"),
            executable_path=CHROMIUM,
            args=SWITCHES,
            viewport=SIZE,
            device_scale_factor=SCALE,
            color_scheme="light",
        )
        yield context.new_page()
        context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
