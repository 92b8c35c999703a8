"""Agents run what their owners allow, and refuse the rest by the rule that does."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from jupyter_launch.agent import Serving
from jupyter_launch.policy import Allow
from jupyter_launch.runs import Queue, QueueRecord, Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import Store
from jupyter_launch.submit import Launcher
from tests.conftest import TINY

FIRST = Queue("me", "default")


def serve(store: Store, allow: Allow | None) -> None:
    with closing(open_store(store.url)) as own, closing(Launcher(own)) as its:
        its.allow = allow
        Serving(its, [FIRST], idle_s=0).run()


def put(store: Store, options: dict[str, Any] | None = None, **more: Any) -> str:
    data = {
        "docker": {"docker_image": TINY},
        "overrides": {"entry_point": ["true"]},
        "entity": "me",
        "resource_args": {"local-container": options or {}},
        **more,
    }
    return store.submit(LaunchSpec.from_dict(data), queue=FIRST).id


def shown(run: Run) -> tuple[State, str]:
    return run.state, run.reason.partition("\n")[0]


@pytest.mark.docker
class TestContainers:
    def test_what_is_not_allowed_fails_and_the_rest_runs(self, store: Store) -> None:
        bad, good = put(store, {"volume": "/etc:/x:ro"}), put(store)
        serve(store, Allow())
        reason = "This agent does not allow '/etc': its rule agent.allow.volumes is none."
        assert shown(store.get(bad)) == (State.FAILED, reason)
        assert store.get(bad).started is None
        assert store.get(good).state is State.FINISHED

    def test_an_agent_of_ones_own_refuses_nothing(self, store: Store) -> None:
        run = put(store, {"volume": "/etc:/x:ro"})
        serve(store, None)
        assert store.get(run).state is State.FINISHED

    def test_the_queues_own_config_is_trusted(self, store: Store) -> None:
        args = {"local-container": {"volume": ["/etc/{{part}}:/x:ro"], "cap-add": ["SYS_NICE"]}}
        variables = {"part": {"schema": {"type": "string"}}}
        config = {"resource_args": args, "template_variables": variables}
        store.create_queue(QueueRecord(FIRST, config=config))
        good = put(store, template_variables={"part": "ssl"})
        sly = put(store, template_variables={"part": "../root"})
        more = put(store, {"privileged": True}, template_variables={"part": "ssl"})
        serve(store, Allow())
        assert store.get(good).state is State.FINISHED
        assert store.get(sly).state is State.FAILED
        assert "agent.allow." in store.get(sly).reason
        reason = "This agent does not allow 'privileged': its rule agent.allow.privileged is false."
        assert shown(store.get(more)) == (State.FAILED, reason)

    def test_images_are_checked_before_anything_is_pulled(self, store: Store) -> None:
        run = put(store, docker={"docker_image": "evil.example/image:1"})
        serve(store, Allow(images=("jupyter-launch-test/*",)))
        assert "'evil.example/image:1': its rule agent.allow.images" in store.get(run).reason


def test_resources_are_refused(store: Store) -> None:
    source = {"kind": "cell", "body": "print(1)"}
    run = put(
        store, docker={}, source=source, resource="local-process", resource_args={}, overrides={}
    )
    serve(store, Allow(resources=("local-container",)))
    assert store.get(run).state is State.FAILED
    assert "does not allow 'local-process'" in store.get(run).reason


@pytest.mark.parametrize(
    "asked",
    [
        {"secrets": ["AGENTS_OWN"]},
        {"git": {"token": "AGENTS_OWN"}, "uri": "https://127.0.0.1:1/x", "docker": {}},
    ],
)
def test_secrets_are_refused_before_anything_is_fetched(
    store: Store, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    monkeypatch.setenv("AGENTS_OWN", "a very secret value")
    run = put(store, **asked)
    serve(store, Allow())
    reason = "This agent does not allow 'AGENTS_OWN': its rule agent.allow.secrets is none."
    assert shown(store.get(run)) == (State.FAILED, reason)


def test_an_agent_without_the_name_leaves_it_to_others(store: Store) -> None:
    run = put(store, secrets=["NOBODYS_OWN"])
    serve(store, Allow())
    assert store.get(run).state is State.PENDING
