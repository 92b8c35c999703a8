"""A thousand lines a second: how old is what the browser shows, and what does it cost?"""

from __future__ import annotations

import contextlib
from pathlib import Path

from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as PageTimeout

from tests.browser.lab import save

from .measure import Row
from .page import NOTEBOOK, Seen, all_ended, begin, end, heap, live, notebook, painted
from .programs import in_container, paced

RATE, SECONDS, PRINT_SECONDS = 1000, 20, 5
BAR_AGE_MS, BAR_GAP_MS, BAR_HEAP_MB, BAR_FILE_KB = 100, 150, 20, 80


def rows(folder: Path) -> list[Row]:
    """Watch a card, then the same lines printed by the kernel; `print` may fall behind for good."""
    cells = [in_container(paced(RATE, SECONDS)), paced(RATE, PRINT_SECONDS, flush=False)]
    with notebook(folder, cells) as page:
        size = _saved(page, folder)
        held = heap(page)
        begin(page, 0)
        live(page, 0)
        painted(page, RATE * SECONDS - 1)
        ours = end(page)
        all_ended(folder)
        grown_file, grown_heap = _saved(page, folder) - size, heap(page) - held
        peer = _printed(page)
    return [
        _age(ours, peer),
        _gap(ours, peer),
        Row(
            f"... page heap grows, {RATE * SECONDS:,} lines",
            f"{grown_heap / 1e6:,.1f} MB",
            bar=f"<= {BAR_HEAP_MB} MB",
            passed=grown_heap <= BAR_HEAP_MB * 1e6,
        ),
        Row(
            "... notebook file grows",
            f"{grown_file / 1e3:,.1f} KB",
            bar=f"<= {BAR_FILE_KB} KB",
            passed=grown_file <= BAR_FILE_KB * 1e3,
        ),
    ]


def _printed(page: Page) -> Seen:
    begin(page, 1)
    with contextlib.suppress(PageTimeout):  # it may never catch up
        painted(page, RATE * PRINT_SECONDS - 1, 2 * PRINT_SECONDS)
    return end(page)


def _age(ours: Seen, peer: Seen) -> Row:
    age, theirs = ours.ages.percentile(95), peer.ages.percentile(95)
    return Row(
        f"{RATE:,} lines/s: age of the newest line on screen, p95",
        f"{age:,.0f} ms (p50 {ours.ages.median:,.0f})",
        f"print in a cell {theirs:,.0f} ms (p50 {peer.ages.median:,.0f})",
        age / theirs,
        f"<= {BAR_AGE_MS} ms",
        age <= BAR_AGE_MS,
    )


def _gap(ours: Seen, peer: Seen) -> Row:
    gap, theirs = max(ours.gaps.values), max(peer.gaps.values)
    return Row(
        "... longest gap between frames",
        f"{gap:,.0f} ms",
        f"print in a cell {theirs:,.0f} ms",
        gap / theirs,
        f"<= {BAR_GAP_MS} ms",
        gap <= BAR_GAP_MS,
    )


def _saved(page: Page, folder: Path) -> int:
    save(page)
    return (folder / "work" / NOTEBOOK).stat().st_size
