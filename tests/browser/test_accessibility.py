"""The card is for everybody: seen by axe, used by keyboard alone, in light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Locator, Page, expect

from jupyter_launch.states import State
from jupyter_launch.stores.base import Store
from tests.browser.card import COUNT, LAUNCH
from tests.browser.conftest import ONLY_LAB, Desk

pytestmark = [pytest.mark.browser, pytest.mark.docker]

AXE = Path(__file__).parents[2] / "labextension/node_modules/axe-core/axe.min.js"
THEMES = ("JupyterLab Light", "JupyterLab Dark")
COLOURS = f"""{LAUNCH}
import sys, time
for n in range(16):
    code = 30 + n if n < 8 else 82 + n
    print(f"\\033[{{code}}mcolour {{n}}\\033[0m \\033[1;{{code}}mbold\\033[0m \\033[2mdim\\033[0m")
for n in range(16):
    code = 40 + n if n < 8 else 92 + n
    print(f"\\033[{{code}}mground {{n}}\\033[0m \\033[7;{{code - 10}}mreversed\\033[0m")
print("\\033[4munderlined\\033[0m \\033[38;5;200m256\\033[0m \\033[38;2;250;250;10mtrue\\033[0m")
sys.stdout.flush()
print("an error", file=sys.stderr, flush=True)
"""
WAITING = f"{COLOURS}time.sleep(1000)"
FAILED = f"{COLOURS}raise SystemExit(3)"
DONE = f"{LAUNCH}\nprint('done')"


class Seen(Protocol):
    """What axe can look at: a part of a page."""

    page: Page
    root: Locator


def findings(part: Seen) -> list[dict[str, Any]]:
    """Give what axe finds serious or worse about a part of a page."""
    part.page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = part.root.evaluate(
        """async root => (await axe.run(root, {resultTypes: ['violations']})).violations
        .filter(({impact}) => ['serious', 'critical'].includes(impact))
        .map(({id, help, nodes}) => ({id, help,
            nodes: nodes.map(({html, any}) => [html, any.map(({message}) => message)])}))"""
    )
    return found


def wear(page: Page, theme: str) -> None:
    """Change the theme."""
    page.evaluate(
        "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme
    )
    light = str(theme == THEMES[0]).lower()
    page.wait_for_selector(
        f"body[data-jp-theme-light={light}][data-jp-theme-name='{theme}']", state="attached"
    )


@ONLY_LAB
@pytest.mark.parametrize("cell", [WAITING, FAILED, DONE], ids=["running", "failed", "finished"])
def test_axe_finds_nothing_serious(desk: Desk, cell: str) -> None:
    card = desk.launch(cell).expect_state("running", "failed", "finished").expect_live()
    if cell != WAITING:
        card.expect_state("failed", "finished")
    else:
        expect(card.root).to_contain_text("an error")
    card.button("Search the log").click()
    for theme in reversed(THEMES):
        wear(card.page, theme)
        assert findings(card) == []


def test_a_card_is_used_by_keyboard_alone(desk: Desk, store: Store) -> None:
    card = desk.launch(COUNT).streaming()
    page = card.page
    card.root.evaluate("root => root.closest('.jp-Cell').querySelector('.cm-content').focus()")
    page.keyboard.press("Escape")
    stop = card.button("Stop")
    for _ in range(30):
        page.keyboard.press("Tab")
        if stop.evaluate("node => node === document.activeElement"):
            break
    expect(stop).to_be_focused()
    outline = "node => { const s = getComputedStyle(node); return s.outlineStyle + s.boxShadow; }"
    assert stop.evaluate(outline) != "nonenone"
    page.keyboard.press("Enter")
    card.expect_state("stopped")
    assert store.get(card.run_id).state is State.STOPPED
    inside = "root => root.contains(document.activeElement)"
    assert card.root.evaluate(inside), "the focus was lost with the button"
    reached = set()
    name = "() => { const at = document.activeElement; return at.ariaLabel ?? at.innerText; }"
    for _ in range(20):
        page.keyboard.press("Tab")
        if not card.root.evaluate(inside):
            break
        reached.add(page.evaluate(name))
    assert {"Log", "Search the log", "Copy the log", "Download the log"} <= reached


@ONLY_LAB
def test_changes_are_announced_politely(desk: Desk) -> None:
    card = desk.launch(COUNT).streaming()
    region = card.root.locator("[aria-live=polite]")
    expect(region).to_have_count(1)
    expect(card.log).to_have_attribute("aria-live", "off")
    expect(region).to_contain_text("line", timeout=20_000)
    expect(card.root.get_by_role("status").first).to_contain_text("running")
