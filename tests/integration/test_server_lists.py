"""Lists that a page shows and is told the changes of, by a real Jupyter server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from jupyter_launch.owner import new_owner
from jupyter_launch.runs import Agent, Queue, QueueRecord, Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores.base import Change, Store
from tests.jupyter_server import JupyterServer, Page, cell, recorded, serving

QUEUE = Queue("ann", "gpu")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    yield from serving(tmp_path_factory.mktemp("lists"))


@pytest.fixture
def store(server: JupyterServer) -> Iterator[Store]:
    made = server.store()
    yield made
    for run in made.runs(states=[state for state in State if not state.terminal]):
        made.request_stop(run.id)
        if run.owner:
            made.move(run.id, run.owner, State.STOPPED, Change())
    made.close()


class Shown:
    """A list as a page would show it."""

    def __init__(self, page: Page, **asked: Any) -> None:
        self.page, self.rows = page, dict[str, Any]()
        self.ids: list[str] = []
        page.say(t="list", v="a", on=True, **asked)
        self.next()

    def next(self) -> list[str]:
        """Take in the next message; give the ids of the rows it repaints."""
        message, _ = self.page.hear(v="a")
        assert message["t"] == "rows", message
        self.rows |= {row["id"]: row for row in message["changed"]}
        self.ids = message["ids"]
        self.more = message["more"]
        return [row["id"] for row in message["changed"]]

    def until(self, run_id: str, **like: Any) -> set[str]:
        """Take in messages until a row is as it should be; give the ids of what was repainted."""
        painted = set[str]()
        while not like.items() <= self.rows.get(run_id, {}).items():
            painted |= set(self.next())
        return painted


def pending(store: Store, **fields: Any) -> Run:
    store.ensure_queue(Queue("ann", "default"))
    store.create_queue(QueueRecord(QUEUE, "local-process"))
    return store.submit(LaunchSpec.from_dict(cell("print(1)", **fields)), queue=QUEUE)


def test_a_list_has_the_newest_first_and_says_if_there_are_more(
    server: JupyterServer, store: Store
) -> None:
    ids = [recorded(store, name=f"run {n}").id for n in range(3)]
    with server.stream() as page:
        shown = Shown(page, what="runs", limit=2)
        assert shown.ids == ids[:0:-1]
        assert shown.more
        assert shown.rows[ids[2]]["name"] == "run 2"
        assert shown.rows[ids[2]]["state"] == "finished"


def test_only_what_changed_is_told_without_being_asked_for(
    server: JupyterServer, store: Store
) -> None:
    owner = new_owner()
    old = recorded(store, name="old")
    with server.stream() as page:
        shown = Shown(page, what="runs")
        run = store.submit(LaunchSpec.from_dict(cell("print(1)")), owner=owner)
        assert shown.until(run.id, state="leased") == {run.id}
        assert shown.ids[:2] == [run.id, old.id]
        for state in (State.STARTING, State.RUNNING, State.FAILED):
            store.move(run.id, owner, state, Change(reason=f"now {state}"))
            assert shown.until(run.id, state=state, reason=f"now {state}") == {run.id}


def test_a_log_that_grows_repaints_nothing(server: JupyterServer, store: Store) -> None:
    owner = new_owner()
    run = store.submit(LaunchSpec.from_dict(cell("print(1)")), owner=owner)
    with server.stream() as page:
        shown = Shown(page, what="runs")
        for _ in range(20):
            store.append_log(run.id, owner, [(1, b"a line\n")])
        store.move(run.id, owner, State.STARTING, Change())
        assert shown.next() == [run.id]


def test_a_deleted_run_goes_and_the_places_of_others_move_up(
    server: JupyterServer, store: Store
) -> None:
    first, second, third = (pending(store) for _ in range(3))
    with server.stream() as page:
        shown = Shown(page, what="runs", queue=str(QUEUE), state=["pending"])
        assert [shown.rows[run.id]["ahead"] for run in (first, second, third)] == [0, 1, 2]
        assert store.delete(first.id)
        while first.id in shown.ids:
            shown.next()
        assert shown.ids == [third.id, second.id]
        assert [shown.rows[run.id]["ahead"] for run in (second, third)] == [0, 1]


@pytest.mark.parametrize("asked", [{"text": "A-NEEDLE"}, {"notebook": "work/a.ipynb"}])
def test_a_list_is_narrowed_down(
    server: JupyterServer, store: Store, asked: dict[str, str]
) -> None:
    origin = {"notebook": str(server.root / "work/a.ipynb"), "cell": "c1"}
    spec = LaunchSpec.from_dict({"uri": "https://git/a-needle", "origin": origin})
    found = store.submit(spec, owner=new_owner())
    recorded(store)
    with server.stream() as page:
        shown = Shown(page, what="runs", state=["leased"], **asked)
        assert shown.ids == [found.id]
        row = shown.rows[found.id]
        assert (row["notebook"], row["cell"]) == ("work/a.ipynb", "c1")


def test_queues_are_told_with_their_agents(server: JupyterServer, store: Store) -> None:
    run = pending(store)
    now = time.time()
    with server.stream() as page:
        shown = Shown(page, what="queues")
        before = shown.rows[str(QUEUE)]["pending"]
        store.put_agent(Agent("a1", new_owner(), (QUEUE,), 1, now, now, "running"))
        claimed = store.claim([QUEUE], owner := new_owner(), ())
        assert claimed is not None
        while shown.rows[str(QUEUE)]["pending"] == before:
            shown.next()
        queue = shown.rows[str(QUEUE)]
        assert queue["running"] == 1
        (agent,) = queue["serving"]
        assert (agent["id"], agent["runs"]) == ("a1", 0)
        assert abs(agent["heartbeat"] - now) < 60, "by the store's clock"
    store.drop_agent("a1")
    store.move(run.id, owner, State.FAILED, Change())


def test_items_are_told_in_their_order_and_a_move_repaints_one_alone(
    server: JupyterServer, store: Store
) -> None:
    runs = [pending(store, name=name) for name in ("a", "b", "c")]
    store.update_queue(QUEUE, state="paused")  # a move starts an agent, which would take them
    client = server.session()
    with server.stream() as page:
        shown = Shown(page, what="items", queue=str(QUEUE))
        assert shown.ids == [run.id for run in runs]
        assert {row["waits_for"] for row in shown.rows.values()} == {"the queue is paused"}
        last = runs[-1].id
        answer = client.patch(f"{server.api}runs/{last}", json={"priority": "high"}, timeout=30)
        assert answer.status_code == 200, answer.text
        assert shown.until(last, priority="high") == {last}
        assert shown.ids == [last, runs[0].id, runs[1].id]
        store.request_stop(runs[0].id)
        while len(shown.ids) == 3:
            assert shown.next() == []
        assert shown.ids == [last, runs[1].id]


def test_a_queue_is_changed_over_rest(server: JupyterServer, store: Store) -> None:
    client, queue = server.session(), f"{server.api}queues/a%2Fb%20c"
    whose = {"entity": "ann"}
    made = {"name": "a/b c", "resource": "local-process", "max_running": 3, **whose}
    assert client.post(f"{server.api}queues", json=made, timeout=30).status_code == 201
    name = Queue("ann", "a/b c")
    for verb, state in (("pause", "paused"), ("drain", "draining"), ("resume", "running")):
        answer = client.post(f"{queue}/{verb}", params=whose, timeout=30)
        assert answer.json()["state"] == store.queue(name).state == state
    change = {"max_running": None, "prioritize": False, "retry": {"max_retries": 2}}
    assert client.patch(queue, params=whose, json=change, timeout=30).status_code == 200
    record = store.queue(name)
    assert (record.max_running, record.prioritize, record.retry) == (
        None, False, {"max_retries": 2}
    )  # fmt: skip
    assert record.resource == "local-process"
    run = store.submit(LaunchSpec.from_dict(cell("print(1)")), queue=name)
    said = client.get(queue, params=whose, timeout=30).json()
    assert [item["id"] for item in said["items"]] == [run.id]
    other = {"queue": "gpu", **whose}
    store.create_queue(QueueRecord(QUEUE, "local-process"))
    assert client.patch(f"{server.api}runs/{run.id}", json=other, timeout=30).status_code == 200
    assert store.get(run.id).queue == QUEUE
    store.submit(LaunchSpec.from_dict(cell("print(2)")), queue=name)
    refused = client.delete(queue, params=whose, timeout=30)
    assert (refused.status_code, refused.json()["message"]) == (
        409, "1 item waits on the queue ann/a/b c."
    )  # fmt: skip
    gone = client.delete(queue, params={**whose, "force": "1"}, timeout=30)
    assert gone.json() == {"stopped": 1}
    assert client.get(queue, params=whose, timeout=30).status_code == 404


def test_a_run_at_work_is_not_moved(server: JupyterServer, store: Store) -> None:
    run = recorded(store)
    answer = server.session().patch(
        f"{server.api}runs/{run.id}", json={"priority": "high"}, timeout=30
    )
    assert (answer.status_code, answer.json()["error"]) == (409, "IllegalTransition")


def test_a_page_changes_what_it_lists_and_ends_it(server: JupyterServer, store: Store) -> None:
    run = recorded(store)
    with server.stream() as page:
        shown = Shown(page, what="runs", text=run.id)
        assert shown.ids == [run.id]
        page.say(t="list", v="a", on=True, what="runs", text="there is no such run")
        shown.next()
        assert shown.ids == []
        page.say(t="list", v="a", on=False)
        recorded(store, name="there is no such run")
        page.say(t="list", v="b", on=True, what="jobs")
        message, _ = page.hear(t="rows")
        assert message["v"] == "b"


@pytest.mark.parametrize(
    "asked",
    [
        {"what": "secrets"},
        {},
        {"what": "runs", "limit": 0},
        {"what": "runs", "limit": "9"},
        {"what": "runs", "state": ["unknown"]},
        {"what": "runs", "colour": "red"},
    ],
)
def test_what_cannot_be_listed_is_refused(server: JupyterServer, asked: dict[str, Any]) -> None:
    with server.stream() as page:
        page.say(t="list", v="a", on=True, **asked)
        message, _ = page.hear(v="a")
        assert (message["t"], message["ok"], message["error"]) == ("answer", False, "SpecError")


def test_a_file_of_the_server_is_launched_as_it_is(server: JupyterServer, store: Store) -> None:
    script = Path(server.root) / "work" / "task.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text("print('as it is')\n")
    client = server.session()
    body = {"path": "work/task.py", "spec": {"resource": "local-process", "name": "task"}}
    answer = client.post(f"{server.api}runs", json=body, timeout=30)
    assert answer.status_code == 201, answer.text
    run = store.wait(answer.json()["id"], lambda run: run.state.terminal, 60)
    assert run is not None
    assert run.state is State.FINISHED, run.reason
    assert store.read_log(run.id) == b"as it is\n"


def test_a_notebook_that_is_launched_as_a_whole_is_found_by_its_name(
    server: JupyterServer, store: Store
) -> None:
    path = Path(server.root) / "work" / "whole.ipynb"
    path.parent.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=[new_code_cell("1")]), path)
    body = {"path": "work/whole.ipynb", "spec": {"resource": "local-process"}}
    answer = server.session().post(f"{server.api}runs", json=body, timeout=30)
    assert answer.status_code == 201, answer.text
    assert store.wait(answer.json()["id"], lambda run: run.state.terminal, 60)
    with server.stream() as page:
        shown = Shown(page, what="runs", notebook="work/whole.ipynb")
        assert shown.ids == [answer.json()["id"]]
        row = shown.rows[shown.ids[0]]
        assert (row["notebook"], row["cell"]) == ("work/whole.ipynb", None)


@pytest.mark.parametrize(
    "path", ["../secret.py", "/etc/passwd", "work", "no.py", "a\0b", "a" * 4000]
)
def test_what_is_no_file_below_the_root_is_not_launched(server: JupyterServer, path: str) -> None:
    (Path(server.root) / "work").mkdir(exist_ok=True)
    (Path(server.root).parent / "secret.py").write_text("print(1)")
    answer = server.session().post(f"{server.api}runs", json={"path": path}, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"] == "SpecError"


def test_there_must_be_something_to_launch(server: JupyterServer) -> None:
    answer = server.session().post(f"{server.api}runs", json={"add": True}, timeout=30)
    assert answer.status_code == 400
    assert "neither a spec nor a path" in answer.json()["message"]
