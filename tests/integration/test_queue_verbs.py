"""The verbs of queues, from the command line: what they print, change and refuse."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from jupyter_launch.frontends import cli
from jupyter_launch.owner import new_owner
from jupyter_launch.runs import Agent, Queue, QueueRecord, Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores.base import Store

GPU, NIGHT = Queue("me", "gpu"), Queue("me", "night")
VARIABLES = {"n": {"schema": {"type": "integer", "maximum": 19}}}

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def no_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave what is queued where it is: nobody is started for it."""
    monkeypatch.setenv("JUPYTER_LAUNCH_ENTITY", "me")
    monkeypatch.setattr("jupyter_launch.submit.start_agent", lambda *_: None)


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """Give a function that runs a command in this process: its code, what it says and complains."""

    def run(*words: str) -> tuple[int, str, str]:
        try:
            code = cli.run(words)
        except SystemExit as end:
            code = int(end.code or 0)
        return (code, *capfd.readouterr())

    return run


@pytest.fixture
def told(command: Command) -> Callable[..., str]:
    """Give a function that runs a command, which must work, and gives what it says."""

    def run(*words: str) -> str:
        code, out, err = command(*words)
        assert (code, err) == (0, "")
        return out

    return run


def waiting(store: Store, queue: Queue = GPU, **fields: object) -> Run:
    """Put a run on a queue, which is made if need be."""
    store.create_queue(QueueRecord(queue, "local-process"))
    body = {"kind": "cell", "body": "print(1)", "main": "cell.py"}
    return store.submit(LaunchSpec.from_dict({"source": body, **fields}), queue=queue)


def order(store: Store, queue: Queue = GPU) -> list[str]:
    return [run.id for run in store.queue_items(queue)]


class TestQueues:
    def test_what_is_given_is_recorded(self, told: Callable[..., str], store: Store) -> None:
        config, variables = json.dumps({"niceness": "{{n}}"}), json.dumps(VARIABLES)
        told(
            "queue", "create", "gpu", "-r", "local-process", "-c", config,
            "--template-variables", variables, "--max-running", "2", "--priorities", "off",
            "--retries", "3", "--retry-on", "failed", "137",
        )  # fmt: skip
        record = store.queue(GPU)
        assert record.config == {
            "resource_args": {"local-process": {"niceness": "{{n}}"}},
            "template_variables": VARIABLES,
        }
        assert (record.resource, record.max_running, record.prioritize) == (
            "local-process",
            2,
            False,
        )
        assert record.retry == {"max_retries": 3, "on": ["failed", "137"]}

    def test_an_update_leaves_what_is_not_given(
        self, told: Callable[..., str], store: Store
    ) -> None:
        told("queue", "create", "gpu", "-r", "local-process", "--max-running", "2", "--retries=1")
        before = store.queue(GPU)
        told("queue", "update", "gpu", "--retry-on", "failed")
        after = store.queue(GPU)
        assert after.retry == {"max_retries": 1, "on": ["failed"]}
        assert (after.resource, after.max_running) == (before.resource, before.max_running)
        told("queue", "update", "gpu", "--max-running", "none", "--retries", "none")
        assert (store.queue(GPU).max_running, store.queue(GPU).retry) == (None, None)

    @pytest.mark.parametrize(
        ("verb", "state"), [("pause", "paused"), ("drain", "draining"), ("resume", "running")]
    )
    def test_a_queue_is_paused_drained_and_opened(
        self, verb: str, state: str, told: Callable[..., str], store: Store
    ) -> None:
        told("queue", "create", "gpu")
        assert told("queue", verb, "gpu") == f"me/gpu is {state}\n"
        assert store.queue(GPU).state == state
        said = json.loads(told("queue", verb, "gpu", "--json"))
        assert (said["name"], said["state"]) == ("gpu", state)

    def test_the_list_counts_items_and_agents(self, told: Callable[..., str], store: Store) -> None:
        waiting(store)
        waiting(store)
        store.put_agent(Agent("a1", new_owner(), (GPU,), 1, 0.0, 0.0, "running"))
        (queue,) = json.loads(told("queue", "list", "--json"))
        assert (queue["pending"], queue["running"], queue["agents"]) == (2, 0, 1)
        head, row = told("queue", "list").splitlines()
        assert dict(zip(head.split(), row.split(), strict=True)) == {
            "ENTITY": "me", "NAME": "gpu", "RESOURCE": "local-process", "STATE": "running",
            "WAITING": "2", "RUNNING": "0", "AGENTS": "1",
        }  # fmt: skip

    def test_items_are_shown_in_their_order_with_what_they_wait_for(
        self, told: Callable[..., str], store: Store
    ) -> None:
        last, first = waiting(store), waiting(store, priority=0)
        items = json.loads(told("queue", "show", "gpu", "--json"))["items"]
        assert [(item["id"], item["priority"]) for item in items] == [
            (first.id, "critical"),
            (last.id, "medium"),
        ]
        assert {item["waits_for"] for item in items} == {"no agent yet"}
        told("queue", "pause", "gpu")
        shown = told("queue", "show", "gpu").splitlines()
        assert [line.split()[:3] for line in shown[-2:]] == [
            ["0", first.id, "critical"],
            ["1", last.id, "medium"],
        ]
        assert all(line.endswith("the queue is paused") for line in shown[-2:])
        listed = told("list", "--state", "pending").splitlines()
        assert listed[1].endswith("1 ahead, the queue is paused") == (last.id in listed[1])

    def test_a_queue_with_items_is_deleted_by_force_alone(
        self, command: Command, store: Store
    ) -> None:
        runs = [waiting(store) for _ in range(3)]
        code, out, err = command("queue", "delete", "gpu")
        assert (code, out) == (1, "")
        assert err.startswith("3 items wait on the queue me/gpu.")
        code, out, err = command("queue", "delete", "gpu", "--force")
        assert (code, out) == (0, "deleted me/gpu, and stopped 3 that waited\n")
        assert store.queues() == []
        assert {store.get(run.id).state for run in runs} == {State.STOPPED}

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--max-running", "0"], "A queue cannot have at most 0 runs at work."),
            (["--max-running", "many"], "invalid number value: 'many'"),
            (["--retries", "-1"], "max_retries: "),
            (["--retry-on", "failed"], "The queue's retry policy does not say how often."),
            (["--retries", "1", "--retry-on", "tired"], "'tired' is no outcome"),
            (["-c", "{cpuss: 1}"], "local-container has no option 'cpuss'"),
            (["-c", '{cpus: "{{n}}"}'], "The queue's config has {{n}} in it"),
            (["-r", "moon"], "There is no resource 'moon'."),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, words: list[str], said: str, command: Command, store: Store
    ) -> None:
        for verb in ("create", "update"):
            if verb == "update":
                store.create_queue(QueueRecord(GPU, "local-container"))
            before = [store.queue(queue) for queue in store.queues()]
            code, out, err = command("queue", verb, "gpu", *words)
            assert (code, out) == (2, "")
            assert said in err
            assert [store.queue(queue) for queue in store.queues()] == before

    def test_the_nearest_queue_is_named(self, command: Command, store: Store) -> None:
        store.create_queue(QueueRecord(GPU))
        code, _, err = command("queue", "pause", "gppu")
        assert code == 2
        assert "Did you mean gpu?" in err


class TestItems:
    def test_one_that_cannot_be_moved_keeps_none_of_the_others(
        self, command: Command, store: Store
    ) -> None:
        store.create_queue(QueueRecord(NIGHT, "local-process"))
        first, second, third = (waiting(store) for _ in range(3))
        store.request_stop(second.id)
        code, out, err = command("queue", "move", first.id, second.id, third.id, "--to", "night")
        assert code == 1
        assert out == f"{first.id} waits on me/night\n{third.id} waits on me/night\n"
        assert err.startswith(f"Run {second.id} does not wait any more: it is stopped.")
        assert order(store, NIGHT) == [first.id, third.id]
        assert order(store) == []
        moved = store.get(first.id)
        assert (moved.spec.queue, moved.spec.queue_entity) == ("night", "me")

    def test_a_drained_queue_takes_nothing(self, command: Command, store: Store) -> None:
        store.create_queue(QueueRecord(NIGHT, "local-process", state="draining"))
        run = waiting(store)
        code, _, err = command("queue", "move", run.id, "--to", "night")
        assert (code, "it takes nothing more" in err) == (1, True)
        assert order(store) == [run.id]

    def test_variables_of_the_other_queue_must_have_values(
        self, command: Command, store: Store
    ) -> None:
        store.create_queue(QueueRecord(NIGHT, "local-process", {"template_variables": VARIABLES}))
        plain, chosen = waiting(store), waiting(store, template_variables={"n": 5, "x": 1})
        code, out, err = command("queue", "move", plain.id, chosen.id, "--to", "night")
        assert code == 1
        assert err.startswith("The queue needs a value for each of its template variables.")
        assert out == f"{chosen.id} waits on me/night\n"
        assert store.get(chosen.id).spec.template_variables == {"n": 5}

    def test_an_image_is_not_moved_where_none_can_run(self, command: Command, store: Store) -> None:
        store.create_queue(QueueRecord(NIGHT, "local-process"))
        store.create_queue(QueueRecord(GPU, "local-container"))
        spec = LaunchSpec.from_dict({"docker": {"docker_image": "busybox"}})
        run = store.submit(spec, queue=GPU)
        code, _, err = command("queue", "move", run.id, "--to", "night")
        assert code == 1
        assert "local-process" in err
        assert order(store) == [run.id]

    def test_a_priority_puts_a_run_before_the_others(
        self, told: Callable[..., str], store: Store
    ) -> None:
        first, second, third = (waiting(store) for _ in range(3))
        assert (
            told("queue", "prioritize", third.id, "-P", "high") == f"{third.id} has high priority, "
            "next\n"
        )
        assert order(store) == [third.id, first.id, second.id]
        assert store.get(third.id).spec.priority == 1

    def test_without_priorities_it_says_so(self, told: Callable[..., str], store: Store) -> None:
        store.create_queue(QueueRecord(GPU, "local-process", prioritize=False))
        first, second = waiting(store), waiting(store)
        said = told("queue", "prioritize", second.id, "-P", "high")
        assert "goes by the order of submission alone" in said
        assert order(store) == [first.id, second.id]


class TestStopping:
    def test_all_that_wait_on_a_queue(self, told: Callable[..., str], store: Store) -> None:
        mine = [waiting(store) for _ in range(3)]
        other = waiting(store, NIGHT)
        stopped = json.loads(told("stop", "--all", "--state", "pending", "-q", "gpu", "--json"))
        assert {one["id"] for one in stopped} == {run.id for run in mine}
        assert {store.get(run.id).state for run in mine} == {State.STOPPED}
        assert store.get(other.id).state is State.PENDING

    def test_all_means_those_of_the_user(self, told: Callable[..., str], store: Store) -> None:
        mine, theirs = waiting(store, entity="me"), waiting(store, entity="ann")
        assert told("stop", "--all") == f"{mine.id} stopped\n"
        assert store.get(theirs.id).state is State.PENDING

    def test_one_that_is_unknown_keeps_none_of_the_others(
        self, command: Command, store: Store
    ) -> None:
        run = waiting(store)
        code, out, err = command("stop", "unknown1", run.id)
        assert (code, out) == (1, f"{run.id} stopped\n")
        assert "There is no run 'unknown1'" in err
