"""Queues in Python: W&B's `RunQueue` and `Api`, and what a queued run can do with its queue."""

from __future__ import annotations

import pytest

from jupyter_launch import Api, QueuedRun, launch_add
from jupyter_launch.errors import IllegalTransition, QueueNotFound, SpecError, StoreError
from jupyter_launch.runs import Queue
from jupyter_launch.states import State
from jupyter_launch.stores.base import Store

VARIABLES = {"n": {"schema": {"type": "integer", "maximum": 19, "default": 3}}}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, store: Store) -> Api:
    """Give an `Api`; nobody is started for what is queued."""
    monkeypatch.setenv("JUPYTER_LAUNCH_ENTITY", "me")
    monkeypatch.setattr("jupyter_launch.submit.start_agent", lambda *_: None)
    return Api(store.url)


def queued(queue: str, **given: int) -> QueuedRun:
    body = {"source": {"kind": "cell", "body": "print(1)"}}
    return launch_add(queue_name=queue, config=body, **given)  # type: ignore[arg-type]


def test_a_queue_has_the_properties_that_wandb_documents(api: Api) -> None:
    made = api.create_run_queue(
        "gpu", "local-process", None, "DISABLED", {"nice": "{{n}}"}, VARIABLES
    )
    queue = api.run_queue("me", "gpu")
    assert (queue.id, queue.name, queue.entity) == ("me/gpu", "gpu", "me")
    assert (queue.type, queue.prioritization_mode, queue.access) == (
        "local-process", "DISABLED", "PROJECT",
    )  # fmt: skip
    assert queue.default_resource_config == {"resource_args": {"local-process": {"nice": "{{n}}"}}}
    assert queue.template_variables == VARIABLES
    assert made.id == queue.id
    assert [one.name for one in api.run_queues("me")] == ["gpu"]


def test_its_items_stand_in_their_order(api: Api) -> None:
    queue = api.create_run_queue("gpu", "local-process")
    last, first = queued("gpu", priority=3), queued("gpu", priority=0)
    assert [item.id for item in queue.items] == [first.id, last.id]
    assert (queue.depth, queue.running, queue.agents) == (2, 0, [])
    assert (first.position, last.position) == (0, 1)
    last.prioritize("critical")
    assert [item.id for item in queue.items] == [last.id, first.id], "it was submitted first"
    first.prioritize(0)
    last.prioritize("low")
    assert first.waiting_for() == "next in queue me/gpu, no agent yet"


def test_it_is_paused_drained_and_changed(api: Api, store: Store) -> None:
    queue = api.create_run_queue("gpu", "local-process")
    queue.pause()
    assert queue.state == "paused"
    assert queued("gpu").waiting_for() == "next in queue me/gpu, the queue is paused"
    queue.drain()
    with pytest.raises(StoreError, match="takes nothing more"):
        queued("gpu")
    queue.resume()
    queue.update(max_running=2, retry={"max_retries": 1})
    assert (queue.state, queue.max_running) == ("running", 2)
    for wrong in ({"max_running": "2"}, {"max_runing": 2}, {"retry": {"on": ["tired"]}}):
        with pytest.raises(SpecError):
            queue.update(**wrong)
    assert store.queue(Queue("me", "gpu")).retry == {"max_retries": 1}


def test_it_is_made_anew_with_its_items(api: Api) -> None:
    first = api.upsert_run_queue("gpu", {"nice": 3}, "local-process")
    run = queued("gpu")
    again = api.upsert_run_queue("gpu", {"nice": 4}, "local-process", None, VARIABLES, "DISABLED")
    assert again.default_resource_config == {"resource_args": {"local-process": {"nice": 4}}}
    assert (again.template_variables, again.prioritization_mode) == (VARIABLES, "DISABLED")
    assert [item.id for item in first.items] == [run.id]
    with pytest.raises(SpecError, match="There is no prioritization mode 'V1'"):
        api.create_run_queue("x", prioritization_mode="V1")  # type: ignore[arg-type]


def test_it_is_deleted_with_its_items_by_force_alone(api: Api) -> None:
    queue = api.create_run_queue("gpu", "local-process")
    run = queued("gpu")
    with pytest.raises(StoreError, match="1 item waits on the queue me/gpu"):
        queue.delete()
    assert queue.delete(force=True) == 1
    assert run.state is State.STOPPED
    with pytest.raises(QueueNotFound):
        api.run_queue("me", "gpu")


def test_a_run_is_moved_while_it_waits(api: Api) -> None:
    gpu = api.create_run_queue("gpu", "local-process")
    night = api.create_run_queue("night", "local-process")
    run = queued("gpu")
    run.move("night")
    assert (run.queue_name, gpu.items) == ("night", [])
    assert [item.id for item in night.items] == [run.id]
    with pytest.raises(QueueNotFound):
        run.move("nowhere")
    with pytest.raises(SpecError):
        run.prioritize("urgent")
    run.stop()
    assert run.position is None
    with pytest.raises(IllegalTransition, match="does not wait any more"):
        run.move("gpu")
