"""Launch specs in W&B's JSON: those that W&B's own package builds are taken as they are."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wandb.sdk.launch.api import LaunchApi
from wandb.sdk.launch.utils import construct_launch_spec

from jupyter_launch.errors import SpecError
from jupyter_launch.spec import LaunchSpec

# What of its connection W&B's package asks for here.
API = cast(LaunchApi, SimpleNamespace(default_entity="me"))
ARGUMENTS = (
    "uri",
    "job",
    "name",
    "project",
    "entity",
    "docker_image",
    "resource",
    "entry_point",
    "version",
    "resource_args",
    "launch_config",
    "run_id",
    "repository",
    "author",
    "sweep_id",
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
words = texts.filter(lambda word: "\0" not in word)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(texts, plain, max_size=3)
maybe = st.none() | words
overrides = st.fixed_dictionaries(
    {},
    optional={
        "args": st.lists(words, max_size=3),
        "run_config": mappings,
        "entry_point": st.lists(words, max_size=3),
        "artifacts": mappings,
        "files": st.dictionaries(texts, mappings, max_size=2),
        "dockerfile": words,
    },
)
resource_args = st.dictionaries(texts, mappings, max_size=2)
# Keys of W&B's that mean nothing here, and such as nobody knows.
strange = st.dictionaries(
    st.sampled_from(["_resume_count", "additional_services", "launch_type", "größe", "x y"]), plain
)
configs = st.builds(
    lambda known, more: {**more, **known},
    st.fixed_dictionaries(
        {},
        optional={
            "overrides": overrides,
            "resource_args": resource_args,
            "template_variables": mappings,
            "queue_entity": words,
            "python_version": st.just("3.11"),
            "priority": st.integers(0, 3),
            "docker": st.fixed_dictionaries({}, optional={"user_id": st.integers(0, 2000)}),
        },
    ),
    strange,
)
calls = st.fixed_dictionaries(
    {"launch_config": st.none() | configs},
    optional={
        "uri": st.none() | st.just("https://example.org/a/code.git"),
        "job": st.none() | st.just("me/weather/Hello World:latest"),
        **dict.fromkeys(("name", "project", "entity", "docker_image", "resource"), maybe),
        **dict.fromkeys(("version", "repository", "author", "sweep_id"), maybe),
        "entry_point": st.none() | st.lists(words, max_size=3),
        "resource_args": st.none() | resource_args,
        "run_id": st.none() | st.from_regex(r"[a-z0-9]{8}", fullmatch=True),
    },
)


def built(**arguments: Any) -> dict[str, Any]:
    """Give the launch spec that W&B's functions make of their arguments."""
    given = {**dict.fromkeys(ARGUMENTS), **copy.deepcopy(arguments)}
    return construct_launch_spec(api=API, **given)


def told(data: Any) -> Any:
    """Leave out what says nothing: nulls, and what is empty once they are gone."""
    if not isinstance(data, dict):
        return data
    parts = {"docker": told, "git": told, "overrides": told, "registry": told}
    said = {name: parts.get(name, lambda value: value)(value) for name, value in data.items()}
    return {name: value for name, value in said.items() if value is not None and value != {}}


# -- what W&B builds ---------------------------------------------------------------------------


def test_the_spec_of_every_argument_is_understood() -> None:
    spec = LaunchSpec.from_dict(
        built(
            uri="https://example.org/code.git",
            name="n",
            project="p",
            entity="e",
            docker_image="busybox",
            resource="local-container",
            entry_point=["python", "a b.py"],
            version="main",
            resource_args={"local-container": {"memory": "2g"}},
            launch_config={"overrides": {"run_config": {"lr": 1}}, "queue_entity": "team"},
            run_id="abcd1234",
            repository="localhost:5000/me",
            author="me",
            sweep_id="s1",
        )
    )
    assert (spec.uri, spec.name, spec.project, spec.entity) == (
        "https://example.org/code.git",
        "n",
        "p",
        "e",
    )
    assert (spec.image, spec.resource, spec.git.version) == ("busybox", "local-container", "main")
    assert spec.overrides.entry_point == ("python", "a b.py")
    assert spec.overrides.run_config == {"lr": 1}
    assert spec.resource_args == {"local-container": {"memory": "2g"}}
    assert (spec.run_id, spec.author, spec.sweep_id) == ("abcd1234", "me", "s1")
    assert (spec.queue_entity, spec.repository) == ("team", "localhost:5000/me")
    assert spec.unknown == ()


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"job": "me/weather/Hello World:latest"}, "job"),
        ({"docker_image": "busybox"}, "image"),
        ({"uri": "https://example.org/code.git"}, "git"),
        ({"launch_config": {"image_uri": "busybox"}}, "image"),
    ],
)
def test_what_is_not_given_is_not_there(arguments: dict[str, Any], kind: str) -> None:
    data = built(**arguments)
    assert data["resource"] is None
    spec = LaunchSpec.from_dict(data)
    assert (spec.kind, spec.resource, spec.git.version) == (kind, None, None)
    assert spec == LaunchSpec.from_dict(told(data))


def test_what_wandb_leaves_after_a_build_is_understood() -> None:
    spec = LaunchSpec.from_dict({**built(docker_image="busybox"), "uri": None, "job": None})
    assert spec.kind == "image"


def test_the_scheduler_of_a_sweep_is_understood() -> None:
    data = built(
        uri="placeholder-uri-scheduler",
        resource="local-process",
        entry_point=["wandb", "scheduler", "WANDB_SWEEP_ID"],
        run_id="s1",
        launch_config={"overrides": {"args": ["--queue", "a b"]}, "priority": 2},
    )
    assert LaunchSpec.from_dict(data).overrides.args == ("--queue", "a b")


@given(calls)
def test_every_spec_that_wandb_builds_goes_through(arguments: dict[str, Any]) -> None:
    data = built(**arguments)
    before = copy.deepcopy(data)
    spec = LaunchSpec.from_dict(data)
    assert data == before
    assert LaunchSpec.from_json(json.dumps(data)) == spec
    assert LaunchSpec.from_json(spec.to_json()) == spec
    assert LaunchSpec.from_dict(spec.to_dict()) == spec


@given(calls)
def test_nothing_that_was_said_is_lost(arguments: dict[str, Any]) -> None:
    data = built(**arguments)
    spec = LaunchSpec.from_dict(data)
    assert set(spec.unknown) == data.keys() - LaunchSpec.model_fields.keys()
    shown = spec.to_dict()
    for name, value in data.items():
        if name in spec.unknown:
            assert shown[name] == value
        elif name != "overrides" and (name, value) != ("priority", 2):
            assert told(shown.get(name)) == told(value) or told(value) in (None, {})
    said = told(data["overrides"])
    assert told(shown.get("overrides", {})) == {n: v for n, v in said.items() if v != []}


# -- what is wrong in it -----------------------------------------------------------------------

WRONG = {
    "entity": "text",
    "project": "text",
    "job": "text",
    "uri": "text",
    "image_uri": "text",
    "name": "text",
    "author": "text",
    "sweep_id": "text",
    "queue_entity": "text",
    "resource": "text",
    "docker": "a mapping",
    "git": "a mapping",
    "overrides": "a mapping",
    "resource_args": "a mapping",
    "template_variables": "a mapping",
    "registry": "a mapping",
    "docker.docker_image": "text",
    "git.version": "text",
    "git.repo": "text",
    "overrides.args": "a list of words",
    "overrides.entry_point": "a list of words",
    "overrides.run_config": "a mapping",
    "overrides.artifacts": "a mapping",
    "overrides.files": "a mapping",
    "overrides.dockerfile": "text",
    "resource_args.local-container": "a mapping",
    "docker.user_id": "a whole number",
    "build": "true or false",
}


RIGHT = {"text": str, "a mapping": dict, "a list of words": list, "true or false": bool}
VALUES: list[Any] = [1.5, "text", ["a"], {"a": 1}, True]


@pytest.mark.parametrize(
    ("path", "wanted", "value"),
    [
        pytest.param(path, wanted, value, id=f"{path}-{type(value).__name__}")
        for path, wanted in WRONG.items()
        for value in VALUES
        if type(value) is not RIGHT.get(wanted)
    ],
)
def test_a_wrong_type_names_the_field_the_value_and_what_is_expected(
    path: str, wanted: str, value: Any
) -> None:
    data: Any = value
    for name in reversed(path.split(".")):
        data = {name: data}
    with pytest.raises(SpecError) as failure:
        LaunchSpec.from_dict(data)
    assert failure.value.field == path
    kind = type(value).__name__
    assert str(failure.value) == f"{path}: must be {wanted}, and is of type {kind}."
