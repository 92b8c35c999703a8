"""What a notebook file keeps of a run, and what is shown of it when it is opened again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from jupyter_launch.states import State
from jupyter_launch.stores.base import Store
from tests.browser.card import COUNT, LAUNCH, Card, counted, finished, tell
from tests.browser.conftest import Desk
from tests.browser.lab import (
    MIME,
    dirty,
    output,
    save,
    save_until,
    saved_output,
    wait_open,
    write_notebook,
)

pytestmark = [pytest.mark.browser, pytest.mark.docker]

WIDGET = "application/vnd.jupyter.widget-view+json"
LONG = f"{LAUNCH}\nfor n in range(1000):\n    print(f'line {{n}}')"


def without_kernels(page: Page) -> None:
    """Let the page wait for ever for the kernel that it asks for."""

    def answer(route: Any) -> None:
        if route.request.method != "POST":
            route.continue_()

    page.route(re.compile(r"/api/(sessions|kernels)\b"), answer)


def without_extension(page: Page) -> None:
    """Let the page reach nothing of our server extension."""
    page.route(re.compile("/jupyter-launch/"), lambda route: route.fulfill(status=404))
    page.route_web_socket(re.compile("/jupyter-launch/"), lambda socket: socket.close())


def test_a_saved_notebook_shows_its_run_without_a_kernel(desk: Desk, store: Store) -> None:
    card = desk.launch(LONG).expect_state("finished")
    run_id = card.run_id
    save(card.page)
    card.page.close()
    desk.server.end_kernels()

    page = desk.page()
    without_kernels(page)
    without_extension(page)
    page.goto(desk.server.url(desk.notebook), wait_until="commit")
    wait_open(page, kernel=False)
    again = Card(page, output(page, 0)).expect_state("finished").expect_live("saved")
    assert again.run_id == run_id
    again.expect_line("line 999")
    assert again.read_all() == [f"line {number}" for number in range(800, 1000)]
    assert saved_output(desk.path)[MIME]["spec"] == json.loads(store.get(run_id).spec_json)

    page = desk.page()  # the other one, when closed, would let go of what it asks for
    without_kernels(page)
    page.goto(desk.server.url(desk.notebook), wait_until="commit")
    again = Card(page, output(page, 0)).expect_total(1000)
    assert again.read_all() == counted(store, run_id)
    assert desk.server.ask("GET", "api/kernels") == []


def test_saving_writes_what_is_shown_and_a_card_changes_nothing_by_itself(
    desk: Desk, store: Store
) -> None:
    card = desk.launch(COUNT).streaming()
    run_id = card.run_id
    data = save_until(card.page, desk.path, lambda data: bool(data[MIME]["tail"]))
    record = data[MIME]
    assert (record["id"], record["state"]) == (run_id, "running")
    last = record["tail"].splitlines()[-1]
    assert last in "".join(data["text/plain"])
    assert last in "".join(data["text/html"])
    card.expect_total(card.total + 600)
    assert not dirty(card.page)
    finished(store, card)


def test_nbconvert_shows_the_end_of_the_log(desk: Desk, tmp_path: Path) -> None:
    card = desk.launch(LONG).expect_state("finished")
    save(card.page)
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", str(desk.path)]
    subprocess.run([*command, f"--output-dir={tmp_path}"], check=True, capture_output=True)
    page = desk.page()
    page.goto((tmp_path / f"{desk.path.stem}.html").as_uri(), wait_until="domcontentloaded")
    shown = page.locator(".jp-OutputArea-output")
    expect(shown.get_by_text("line 999")).to_be_visible()
    expect(shown).to_contain_text("finished")
    expect(shown).to_contain_text(card.run_id)


ATTACK = "<img src=x onerror='window.hacked = 1'><script>window.hacked = 1</script>"


def test_an_untrusted_notebook_runs_nothing(desk: Desk, context: BrowserContext) -> None:
    card = desk.launch(f"{LAUNCH}\nprint('all done')").expect_state("finished")
    save(card.page)
    card.page.close()
    data = saved_output(desk.path)
    texts = {key: ATTACK for key, value in data[MIME].items() if isinstance(value, str)}
    kept = {key: data[MIME][key] for key in ("store", "state", "color", "symbol")}
    record = {
        **data[MIME],
        **texts,
        **kept,
        "id": "not-there",
        "facts": [ATTACK],
        "notices": [ATTACK],
        "tail": f"{ATTACK}\n\x1b]8;;javascript:window.hacked=1\x07click\x1b]8;;\x07\n",
    }
    widget = {"model_id": "0" * 32, "version_major": 2, "version_minor": 0}
    display = {
        "output_type": "display_data",
        "metadata": {},
        "data": {MIME: record, WIDGET: widget, "text/html": ATTACK, "text/plain": ATTACK},
    }
    write_notebook(desk.path, ["'never run'"], [display])

    requests: list[str] = []
    page = desk.page()
    page.on("request", lambda request: requests.append(f"{request.method} {request.url}"))
    page.goto(desk.server.url(desk.notebook), wait_until="commit")
    wait_open(page)
    shown = Card(page, output(page, 0)).expect_live("saved")
    shown.expect_line(ATTACK)
    expect(shown.output.locator("img, script, a[href^='javascript']")).to_have_count(0)
    expect(shown.output.locator(".jupyter-widgets")).to_have_count(0)
    for name in ("Stop", "Kill", "Re-launch"):
        expect(shown.button(name)).to_have_count(0)
    assert page.evaluate("() => window.hacked === undefined")
    assert not [line for line in requests if "POST" in line and "/jupyter-launch/" in line]


def test_the_run_ends_while_no_page_is_open(desk: Desk, store: Store) -> None:
    card = desk.launch(COUNT).streaming()
    run_id = card.run_id
    save(card.page)
    card.page.close()
    tell(store, run_id, "end")
    assert store.wait(run_id, lambda run: run.state.terminal, 30)
    page = desk.again()
    again = Card(page, output(page, 0)).expect_state("finished").expect_live()
    assert again.read_all() == counted(store, run_id)
    assert not dirty(page)
    save(page)
    assert saved_output(desk.path)[MIME]["state"] == State.FINISHED
