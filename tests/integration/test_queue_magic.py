"""``%launch_queue``: the verbs of queues in a notebook."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.error import UsageError

from jupyter_launch.errors import RunNotFound, StoreError
from jupyter_launch.frontends.queue_magic import run
from jupyter_launch.frontends.table import Table
from jupyter_launch.runs import Queue, Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.stores.base import Store

GPU = Queue("me", "gpu")


@pytest.fixture(autouse=True)
def no_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyter_launch.submit.start_agent", lambda *_: None)


def told(store: Store, line: str, **names: Any) -> Table:
    """Run the magic, with the variables of a notebook."""
    shell = SimpleNamespace(user_ns=names)
    found = run(shell, {"store": store.url, "entity": "me"}, line)
    assert found is not None
    return found


def waiting(store: Store, name: str) -> Run:
    spec = {"name": name, "source": {"kind": "cell", "body": "1"}}
    return store.submit(LaunchSpec.from_dict(spec), queue=GPU)


def test_a_queue_is_made_changed_and_deleted(store: Store) -> None:
    options = {"local-process": {"nice": 5}}
    made = told(store, "create gpu -r local-process -c $options --max-running 2", options=options)
    assert repr(made) == "made me/gpu"
    assert store.queue(GPU).config == {"resource_args": options}
    told(store, "update gpu --max-running none")
    told(store, "pause gpu")
    assert (store.queue(GPU).max_running, store.queue(GPU).state) == (None, "paused")
    head, row = repr(told(store, "")).splitlines()
    assert head.split()[:4] == ["ENTITY", "NAME", "RESOURCE", "STATE"]
    assert row.split() == ["me", "gpu", "local-process", "paused", "0", "0", "0"]
    told(store, "delete gpu")
    assert repr(told(store, "list")) == "no queues"


def test_items_are_a_table_whose_texts_are_escaped(store: Store) -> None:
    told(store, "create gpu -r local-process")
    first, second = waiting(store, "<b>bold</b>"), waiting(store, "plain")
    told(store, "prioritize $run -P high", run=second)
    page = told(store, "show gpu")._repr_html_()
    assert page.index(second.id) < page.index(first.id)
    assert "<td>&lt;b&gt;bold&lt;/b&gt;</td>" in page
    assert "<b>" not in page
    assert "no agent yet" in page


def test_of_several_each_is_told(store: Store) -> None:
    told(store, "create gpu -r local-process")
    told(store, "create night -r local-process")
    item = waiting(store, "one")
    found = told(store, f"move {item.id} unknown1 --to night")
    assert found.lines == [f"{item.id} waits on me/night"]
    assert "There is no run 'unknown1'" in repr(found)
    assert store.get(item.id).queue == Queue("me", "night")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("create", "the following arguments are required: NAME"),
        ("creat x", "invalid choice: 'creat'"),
        ("create x --max-running 0", "A queue cannot have at most 0 runs at work."),
        ("create x --max 1", "there is no option '--max'"),
        ("pause nowhere", "There is no queue 'nowhere' of 'me'."),
        ("create $missing", "There is no variable 'missing'"),
        ("create 'x", "No closing quotation"),
    ],
)
def test_what_is_wrong_with_the_line_is_a_usage_error(line: str, said: str, store: Store) -> None:
    with pytest.raises(UsageError) as error:
        told(store, line)
    assert said in str(error.value)
    assert store.queues() == []


def test_other_errors_are_our_own(store: Store) -> None:
    told(store, "create gpu -r local-process")
    waiting(store, "one")
    with pytest.raises(StoreError, match="1 item waits on the queue me/gpu"):
        told(store, "delete gpu")
    with pytest.raises(RunNotFound):
        store.get("unknown1")


def test_help_is_the_manual_page_or_a_verb_s_options(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(SimpleNamespace(user_ns={}), {"store": store.url}, "--help") is None
    assert capsys.readouterr().out.startswith("%launch_queue - make, show and change queues")
    assert run(SimpleNamespace(user_ns={}), {"store": store.url}, "update --help") is None
    assert "--max-running N|none" in capsys.readouterr().out
