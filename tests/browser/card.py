"""The card of a run as a person uses it: what it shows, its buttons, its log from end to end."""

from __future__ import annotations

import re
from typing import Any

import docker
from playwright.sync_api import ElementHandle, Locator, Page, expect

from jupyter_launch.runs import Run
from jupyter_launch.stores.base import Store
from tests.conftest import PYTHON

PATIENCE_MS = 30_000
"""How long anything may take before a test gives it up; what is awaited takes far less."""

LAUNCH = f"%%launch -d {PYTHON}"
COUNT = f"""{LAUNCH}
import itertools, os, time
for n in itertools.count():
    print(f"line {{n}}", flush=True)
    if os.path.exists("/tmp/quiet"):
        print("quiet", flush=True)
        time.sleep(1000)
    if os.path.exists("/tmp/end"):
        break
    time.sleep(0.005)"""
"""A cell whose program prints numbered lines until it is told to be quiet, or to end."""

SAYS = """row => Array.from(row.childNodes)
    .filter(node => !node.classList?.contains('jl-sr')).map(node => node.textContent).join('')"""
"""What a row says to the eye."""

HAS_LINE = f"""([root, text]) => {{
    const [list, says] = [root.querySelector('[role=log]'), {SAYS}];
    const {{top, bottom}} = list.getBoundingClientRect();
    return Array.from(list.querySelectorAll('[data-line]:not(.jl-missing)')).some(row => {{
        const box = row.getBoundingClientRect();
        return box.bottom > top && box.top < bottom && says(row) === text; }});
}}"""

READ_ALL = """async root => {
    const list = root.querySelector('[role=log]');
    const frame = () => new Promise(done => requestAnimationFrame(done));
    const says = SAYS;
    const lines = [], changed = [];
    const take = () => {
        let [low, high] = [Infinity, -1];
        for (const row of list.querySelectorAll('[data-line]:not(.jl-missing)')) {
            const [number, shown] = [Number(row.dataset.line), says(row)];
            if (number in lines && lines[number] !== shown)
                changed.push([number, lines[number], shown]);
            lines[number] = shown;
            [low, high] = [Math.min(low, number), Math.max(high, number)];
        }
        return [low, high];
    };
    const until = performance.now() + 60000;
    let [height, since] = [0, performance.now()];
    for (; performance.now() < since + 350; await frame())
        if (list.scrollHeight !== height)
            [height, since] = [list.scrollHeight, performance.now()];
    const last = Number(root.dataset.total) - 1;
    let next = 0;
    list.scrollTop = 0;
    while (next <= last && performance.now() < until) {
        await frame();
        if (!root.isConnected) return null;
        const [low] = take();
        while (next in lines) next++;
        if (next > last) break;
        if (list.querySelector('.jl-missing')) continue;
        list.scrollTop += low > next ? -list.clientHeight / 2 : list.clientHeight / 2;
    }
    const where = [list.scrollTop, list.scrollHeight, list.clientHeight, ...take()];
    return {lines: Array.from(lines.slice(0, last + 1), line => line ?? null), changed, where};
}""".replace("SAYS", SAYS)
"""Scroll through a log once it is still, from end to end, and give what each row said."""


class Card:
    """One card.

    Parameters
    ----------
    page : Page
        Where it is.
    output : Locator
        The output area it is in.
    """

    def __init__(self, page: Page, output: Locator) -> None:
        self.page, self.output = page, output
        self.root = output.locator("[data-run]:not([hidden])")
        self.log = self.root.get_by_role("log")

    # -- what it shows -------------------------------------------------------------------------

    def expect_state(self, *states: str) -> Card:
        """Wait until the run is in one of these states."""
        pattern = re.compile(f"^({'|'.join(states)})$")
        expect(self.root).to_have_attribute("data-state", pattern, timeout=PATIENCE_MS)
        return self

    def expect_live(self, live: str = "live") -> Card:
        """Wait until the card is ``live``, ``reconnecting`` or ``saved``."""
        expect(self.root).to_have_attribute("data-live", live, timeout=PATIENCE_MS)
        return self

    def expect_line(self, text: str) -> Card:
        """Wait until a row of the log is in view that says exactly this."""
        self.page.wait_for_function(HAS_LINE, arg=[self.handle, text], timeout=PATIENCE_MS)
        return self

    def expect_total(self, least: int) -> Card:
        """Wait until the log has that many lines."""
        self.page.wait_for_function(
            "([root, least]) => Number(root.dataset.total) >= least",
            arg=[self.handle, least],
            timeout=PATIENCE_MS,
        )
        return self

    def expect_newer(self, least: int) -> Card:
        """Wait until a row of the log is drawn for that line or a later one."""
        self.page.wait_for_function(
            """([log, least]) => Array.from(log.querySelectorAll('[data-line]:not(.jl-missing)'))
                .some(row => Number(row.dataset.line) >= least)""",
            arg=[self.log.element_handle(), least],
            timeout=PATIENCE_MS,
        )
        return self

    def streaming(self) -> Card:
        """Wait until the run is live in its full course: with lines, and more of them."""
        self.expect_state("running").expect_live()
        return self.expect_total(self.total + 20)

    @property
    def handle(self) -> ElementHandle:
        """The card's element."""
        return self.root.element_handle(timeout=PATIENCE_MS)

    @property
    def run_id(self) -> str:
        """The id of the run shown."""
        expect(self.root).to_be_visible(timeout=PATIENCE_MS)
        return str(self.root.get_attribute("data-run"))

    @property
    def total(self) -> int:
        """How many lines the log has as far as the card knows."""
        return int(self.root.get_attribute("data-total", timeout=PATIENCE_MS) or 0)

    def read_all(self) -> list[str]:
        """Scroll through a log that does not grow, and give its lines: each must be there."""
        self.page.bring_to_front()  # only there things are drawn
        while not (seen := self.page.evaluate(READ_ALL, self.handle)):
            pass  # the front end has drawn the output anew, in another place
        assert not seen["changed"], seen["changed"][:10]
        missing = [number for number, line in enumerate(seen["lines"]) if line is None]
        told = f"{len(missing)} of {len(seen['lines'])} lines: {missing[:10]} at {seen['where']}"
        assert not missing, told
        lines: list[str] = seen["lines"]
        return lines

    # -- what one does with it -----------------------------------------------------------------

    def button(self, name: str | re.Pattern[str]) -> Locator:
        """Give a button by its name."""
        return self.root.get_by_role("button", name=name, exact=isinstance(name, str))

    def press(self, name: str | re.Pattern[str]) -> None:
        """Click a button."""
        self.button(name).click(timeout=PATIENCE_MS)

    def choose(self, item: str) -> None:
        """Choose from the card's menu."""
        self.press("More")
        self.root.get_by_role("menuitem", name=item).click(timeout=PATIENCE_MS)


def container(store: Store, run_id: str) -> Any:
    """Give the real container of a run."""
    return docker.from_env().containers.get(f"jupyter-launch-{store.get(run_id).unique_name}")


def tell(store: Store, run_id: str, word: str) -> None:
    """Tell a program that counts to be ``quiet``, or to ``end``."""
    code, said = container(store, run_id).exec_run(["touch", f"/tmp/{word}"])
    # None: the output has ended, and the engine has not noted the exit code yet.
    assert code in {0, None}, (code, said)


def finished(store: Store, card: Card) -> Run:
    """Tell the card's program to end, and wait until the card shows that it has."""
    tell(store, card.run_id, "end")
    card.expect_state("finished")
    return store.get(card.run_id)


def counted(store: Store, run_id: str) -> list[str]:
    """Give what the store has of a log that counts, having checked that it does."""
    size = store.log_position(run_id).size
    lines = store.read_log(run_id, 0, size).decode().splitlines()
    numbered = lines[:-1] if lines[-1] == "quiet" else lines
    assert numbered == [f"line {number}" for number in range(len(numbered))]
    return lines
