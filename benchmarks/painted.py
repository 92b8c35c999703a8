"""From the moment a program prints a line until a browser has painted it, at ten lines a second."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

from .measure import Row, Sample
from .page import begin, end, live, notebook, painted
from .programs import in_container, paced

RATE, SECONDS = 10, 15
BARS_MS = {50: 100, 95: 250}


def rows(folder: Path) -> list[Row]:
    """Print from a container, and from the notebook's own kernel into its cell's output."""
    program = paced(RATE, SECONDS)
    with notebook(folder, [in_container(program), program]) as page:
        ours = _late(page, 0, card=True)
        peer = _late(page, 1, card=False)
    return [_row(percent, bar, ours, peer) for percent, bar in BARS_MS.items()]


def _late(page: Page, cell: int, *, card: bool) -> Sample:
    begin(page, cell)
    if card:
        live(page, cell)
    painted(page, RATE * SECONDS - 1)
    return Sample(end(page).late.values[RATE:])  # the first second shows the start, not the pace


def _row(percent: int, bar: int, ours: Sample, peer: Sample) -> Row:
    late, theirs = ours.percentile(percent), peer.percentile(percent)
    return Row(
        f"line printed -> painted, {RATE} lines/s, p{percent}",
        f"{late:,.0f} ms (max {max(ours.values):,.0f})",
        f"print in a cell {theirs:,.0f} ms (max {max(peer.values):,.0f})",
        late / theirs,
        f"<= {bar} ms",
        late <= bar,
    )
