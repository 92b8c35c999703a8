"""How large the front end is, and what it costs the start of a page."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import anywidget
from playwright.sync_api import BrowserContext

from tests.browser.lab import Server, browser, write_notebook

from .measure import Row, Sample
from .page import NOTEBOOK, PACKAGE, server

TIMES = 5
INTERVAL_US = 100
BAR_GZIP_KB, BAR_START_MS, BAR_MODULE_KB = 60, 20, 30
OURS, PEER = "jupyter_launch", "anywidget"
PEER_PACKAGE = Path(anywidget.__file__).parent
READY = "() => window.jupyterapp?.shell.currentWidget?.context?.isReady"


def rows(folder: Path) -> list[Row]:
    """Weigh the built files, and profile the opening of a notebook without outputs."""
    with server(folder) as lab, browser(folder / "profile") as page:
        write_notebook(lab.root / NOTEBOOK, ["6 * 7"])
        profiles = [_profile(page.context, lab) for _ in range(TIMES + 1)][1:]
    return [
        _extension(_gzipped(PACKAGE / "labextension"), _gzipped(PEER_PACKAGE / "labextension")),
        _start(*(Sample([_share(p, name) for p in profiles]) for name in (OURS, PEER))),
        _module((PACKAGE / "frontends/static/card.js").stat().st_size),
    ]


def _extension(ours: int, peer: int) -> Row:
    return Row(
        "labextension, all its scripts, gzip",
        f"{ours / 1e3:,.1f} KB",
        f"{PEER}'s {peer / 1e3:,.1f} KB",
        ours / peer,
        f"<= {BAR_GZIP_KB} KB",
        ours <= BAR_GZIP_KB * 1e3,
    )


def _start(ours: Sample, peer: Sample) -> Row:
    return Row(
        "... work in the page until a notebook is open",
        _text(ours),
        f"{PEER}'s {_text(peer)}",
        ours.median / peer.median if peer.median else None,
        f"<= {BAR_START_MS} ms",
        ours.median <= BAR_START_MS,
    )


def _module(size: int) -> Row:
    return Row(
        "the anywidget's module",
        f"{size / 1e3:,.1f} KB",
        bar=f"<= {BAR_MODULE_KB} KB",
        passed=size <= BAR_MODULE_KB * 1e3,
    )


def _text(sample: Sample) -> str:
    return f"{sample.median:,.1f} ms ({min(sample.values):,.1f}-{max(sample.values):,.1f})"


def _gzipped(extension: Path) -> int:
    scripts = sorted((extension / "static").glob("*.js"))
    return sum(len(gzip.compress(path.read_bytes())) for path in scripts)


def _profile(context: BrowserContext, lab: Server) -> dict[str, Any]:
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Profiler.enable")
    session.send("Profiler.setSamplingInterval", {"interval": INTERVAL_US})
    session.send("Profiler.start")
    page.goto(lab.url(NOTEBOOK), wait_until="commit")
    page.wait_for_function(READY)
    page.wait_for_load_state("networkidle")
    profile: dict[str, Any] = session.send("Profiler.stop")["profile"]
    page.close()
    lab.end_kernels()
    return profile


def _share(profile: dict[str, Any], name: str) -> float:
    """Give the milliseconds in which a script of that extension ran, or what it had called."""
    nodes = {node["id"]: node for node in profile["nodes"]}
    inside: set[int] = set()
    pending = [n for n in nodes if f"/extensions/{name}/" in nodes[n]["callFrame"]["url"]]
    while pending:
        inside.add(node := pending.pop())
        pending += set(nodes[node].get("children", ())) - inside
    # A sample stands until the next one, whose delta says how long that was.
    taken = zip(profile["samples"], profile["timeDeltas"][1:], strict=False)
    return float(sum(delta for node, delta in taken if node in inside)) / 1000
