"""The form as a person uses it: filled in, told what is wrong, launched, copied as a magic."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from jupyter_launch.queues import make_queue
from jupyter_launch.runs import Queue, QueueRecord
from jupyter_launch.stores.base import Store
from tests.browser.card import PATIENCE_MS, Card
from tests.browser.conftest import ONLY_LAB, Desk
from tests.browser.lab import open_notebook, output, run_cell, wait_executed
from tests.browser.test_accessibility import AXE, THEMES, wear

pytestmark = [pytest.mark.browser]

FORM = "%%launch_form -r local-process --set lr=0.1\nimport os\nprint(os.environ['WANDB_CONFIG'])\n"


class FilledForm:
    """A form in the output of a notebook's first cell."""

    def __init__(self, desk: Desk, cell: str = FORM) -> None:
        self.page = desk.open(cell)
        run_cell(self.page, 0)
        wait_executed(self.page, 0)
        self.output = output(self.page, 0)
        expect(self.button("Launch now")).to_be_visible(timeout=PATIENCE_MS)

    def card(self) -> Card:
        """Give the card below the form, in view: out of sight, an ended run is not even drawn."""
        self.output.locator(".jl-output").last.scroll_into_view_if_needed(timeout=PATIENCE_MS)
        card = Card(self.page, self.output)
        card.root.scroll_into_view_if_needed(timeout=PATIENCE_MS)
        return card

    def field(self, label: str) -> Locator:
        """Give an input by its label."""
        return self.output.get_by_label(label, exact=True)

    def button(self, name: str) -> Locator:
        """Give a button by what it says."""
        return self.output.get_by_role("button", name=name)

    def press(self, name: str) -> None:
        """Click a button once it can be clicked."""
        self.button(name).click(timeout=PATIENCE_MS)

    def expect_error(self, text: str) -> None:
        """Wait until an error is shown."""
        expect(self.output.get_by_role("alert").filter(has_text=text).first).to_be_visible(
            timeout=PATIENCE_MS
        )


def test_a_form_is_filled_checked_and_launched(desk: Desk, store: Store) -> None:
    form = FilledForm(desk)
    expect(form.field("resource")).to_have_value("local-process")
    expect(form.output).to_contain_text("from the magic's line")
    form.field("resource").fill("local-proces")
    form.expect_error("Did you mean 'local-process'?")
    form.field("resource").fill("local-process")
    expect(form.output.get_by_role("alert")).to_have_count(0, timeout=PATIENCE_MS)
    name = f"from {desk.notebook}"
    form.field("name").fill(name)
    form.press("Copy as magic")
    magic = form.field("magic")
    expect(magic).to_have_value(
        re.compile(rf"^%%launch --set lr=0\.1 -n '{name}' -r local-process\nimport os\n"),
        timeout=PATIENCE_MS,
    )
    form.press("Preview")
    expect(form.field("preview")).to_have_value(re.compile("argv:"), timeout=PATIENCE_MS)
    form.button("Launch now").dblclick()
    card = form.card().expect_state("finished").expect_live()
    assert '{"lr": 0.1}\n' in store.read_log(card.run_id).decode()
    assert [run.id for run in store.runs() if run.name == name] == [card.run_id]
    form.field("name").fill("once more")
    form.press("Launch now")
    expect(form.output.locator("[data-run]:not([hidden])")).to_have_count(2, timeout=PATIENCE_MS)
    expect(form.button("Launch now")).to_be_enabled(timeout=PATIENCE_MS)


@ONLY_LAB
def test_what_was_copied_launches_the_same(desk: Desk, store: Store) -> None:
    form = FilledForm(desk)
    form.press("Copy as magic")
    expect(form.field("magic")).to_have_value(re.compile("^%%launch "), timeout=PATIENCE_MS)
    text = form.field("magic").input_value()
    copied = desk.launch(text).expect_state("finished")
    form.press("Launch now")
    ours = form.card().expect_state("finished")
    specs = [store.get(card.run_id).spec.to_dict() for card in (copied, ours)]
    for spec in specs:
        spec.pop("run_id", None)
    notebooks = [spec.pop("origin")["notebook"] for spec in specs]
    assert notebooks[0] == str(desk.path) != notebooks[1]
    assert specs[0] == specs[1]


@ONLY_LAB
def test_a_run_is_queued_with_the_variables_of_its_queue(desk: Desk, store: Store) -> None:
    schema = {"type": "integer", "minimum": 0, "maximum": 9, "default": 3}
    owner = store_owner()
    config = {
        "resource_args": {"local-process": {"nice": "{{niceness}}"}},
        "template_variables": {"niceness": {"schema": schema}},
    }
    make_queue(store, QueueRecord(Queue(owner, "of the form"), "local-process", config))
    form = FilledForm(desk)
    option = "of the form: 0 waiting, no agent yet, local-process"
    form.field("queue").select_option(label=option, timeout=PATIENCE_MS)
    value = form.output.get_by_placeholder("a whole number from 0 to 9; default 3")
    value.fill("12")
    form.expect_error("12 is not a whole number from 0 to 9")
    value.fill("7")
    expect(form.output.get_by_role("alert")).to_have_count(0, timeout=PATIENCE_MS)
    form.press("Add to queue")
    card = form.card().expect_state("finished")
    run = store.get(card.run_id)
    assert run.queue == Queue(owner, "of the form")
    assert dict(run.spec.template_variables) == {"niceness": 7}


def store_owner() -> str:
    """Name whose queues a kernel uses."""
    from jupyter_launch.config import setting  # noqa: PLC0415

    return str(setting("entity").value)


@ONLY_LAB
def test_after_a_reload_the_form_still_launches(desk: Desk, store: Store) -> None:
    form = FilledForm(desk)
    page = form.page
    page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.context.save(); }")
    page.close()
    page = desk.page()
    open_notebook(page, desk.server, desk.notebook, kernel=False)
    form.page, form.output = page, output(page, 0)
    expect(form.button("Launch now")).to_be_visible(timeout=PATIENCE_MS)
    form.press("Launch now")
    card = Card(page, form.output).expect_state("finished")
    assert '{"lr": 0.1}\n' in store.read_log(card.run_id).decode()


@ONLY_LAB
def test_axe_finds_nothing_serious_in_a_form(desk: Desk) -> None:
    form = FilledForm(desk)
    form.field("resource").fill("nowhere")
    form.expect_error("There is no resource")
    form.press("Copy as magic")
    form.press("Add: config")
    for theme in reversed(THEMES):
        wear(form.page, theme)
        assert findings(form) == []


def findings(form: FilledForm) -> list[dict[str, Any]]:
    """Give what axe finds serious or worse about a form."""
    form.page.evaluate(AXE.read_text(encoding="utf-8"))
    root = form.output.locator(".jp-OutputArea-output").first
    found: list[dict[str, Any]] = root.evaluate(
        """async root => (await axe.run(root, {resultTypes: ['violations']})).violations
        .filter(({impact}) => ['serious', 'critical'].includes(impact))
        .map(({id, help, nodes}) => ({id, help, nodes: nodes.map(({html}) => html)}))"""
    )
    return found


@ONLY_LAB
def test_a_form_is_used_by_keyboard_alone(desk: Desk, store: Store) -> None:
    form = FilledForm(desk)
    order = tabbed(form.page, form.field("source"), 80)
    wanted = ["source", "cell", "command", "arguments", "resource", "queue", "Launch now"]
    places = [order.index(name) for name in wanted]
    assert places == sorted(places)
    form.button("Launch now").focus()
    form.page.keyboard.press("Enter")
    form.card().expect_state("finished")


def tabbed(page: Page, first: Locator, most: int) -> list[str]:
    """Press the Tab key again and again, and name what is reached."""
    first.focus()
    name = """() => { const at = document.activeElement;
        return at.labels?.[0]?.innerText?.trim() || at.innerText?.trim() || at.ariaLabel; }"""
    reached = []
    for _ in range(most):
        reached.append(page.evaluate(name))
        if reached[-1] == "Save for this project":
            break
        page.keyboard.press("Tab")
    return reached
