"""Opening a notebook with 50 finished cards, beside the same one with their logs as text."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext

from jupyter_launch.frontends.record import bundle_of
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.stores import open_store
from jupyter_launch.submit import Launcher
from tests.browser.lab import Server, browser

from .measure import Row, in_turns
from .page import PROBE, server
from .programs import flood
from .tiny import store_url

CARDS, LINES = 50, 200
TIMES = 7
BAR = 1.15
PROGRAM = LaunchSpec.from_dict(
    {
        "resource": "local-process",
        "docker": {"docker_image": "none"},
        "overrides": {"entry_point": [sys.executable, "-c", flood(LINES)]},
    }
)
CARDS_SHOWN = f"""() => {{
    const cards = Array.from(document.querySelectorAll('.jp-OutputArea .jl-output'));
    const visible = card => card.getBoundingClientRect().top < innerHeight;
    const drawn = card => card.querySelector('[data-line="{LINES - 1}"]')?.textContent;
    return cards.length === {CARDS} && cards.filter(visible).every(drawn);
}}"""
TEXTS_SHOWN = f"""() => {{
    const texts = Array.from(document.querySelectorAll('.jp-OutputArea-output pre'));
    return texts.length === {CARDS} && texts.every(text => text.textContent.includes('#'));
}}"""


def rows(folder: Path) -> list[Row]:
    """Open each in a fresh page, in turns; both notebooks start a kernel."""
    with _launcher(folder) as launcher:
        bundles = [_bundle(launcher) for _ in range(CARDS)]
    with server(folder) as lab, browser(folder / "profile") as page:
        _write(lab.root / "cards.ipynb", bundles)
        _write(lab.root / "texts.ipynb", [{"text/plain": b["text/plain"]} for b in bundles])
        cards, texts = in_turns(
            lambda: _open(page.context, lab, "cards.ipynb", CARDS_SHOWN),
            lambda: _open(page.context, lab, "texts.ipynb", TEXTS_SHOWN),
            times=TIMES,
        )
    ratio = cards.median / texts.median
    return [
        Row(
            f"opening a notebook with {CARDS} finished cards",
            cards.text("ms"),
            f"{CARDS} plain text outputs {texts.text('ms')}",
            ratio,
            f"<= {BAR}x",
            ratio <= BAR,
        )
    ]


@contextmanager
def _launcher(folder: Path) -> Iterator[Launcher]:
    launcher = Launcher(open_store(store_url(folder)))
    yield launcher
    launcher.close()
    launcher.store.close()


def _bundle(launcher: Launcher) -> dict[str, Any]:
    run = launcher.launch(PROGRAM)
    run.wait()
    return bundle_of(run)


def _write(path: Path, outputs: list[dict[str, Any]]) -> None:
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "source": "",
            "execution_count": number + 1,
            "outputs": [{"output_type": "display_data", "metadata": {}, "data": data}],
        }
        for number, data in enumerate(outputs)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}}
    path.write_text(json.dumps({**notebook, "cells": cells}))


def _open(context: BrowserContext, lab: Server, name: str, shown: str) -> float:
    """Give the milliseconds from the request of the page until all its outputs are painted."""
    page = context.new_page()
    page.add_init_script(path=PROBE)
    page.goto(lab.url(name), wait_until="commit")
    taken: float = page.evaluate(f"() => probe.opened({shown})")
    page.close()
    lab.end_kernels()
    return taken
