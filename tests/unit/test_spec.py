"""`LaunchSpec`: JSON in, JSON out, and an error that names the field."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jupyter_launch.errors import SpecError
from jupyter_launch.option import options
from jupyter_launch.spec import PRIORITIES, LaunchSpec
from jupyter_launch.spec_parts import Source

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = text.filter(lambda name: name and not {"=", "\0"} & set(name))
values = text.filter(lambda value: "\0" not in value)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
specs = st.fixed_dictionaries(
    {},
    optional={
        "docker": st.fixed_dictionaries({"docker_image": text}),
        "overrides": st.fixed_dictionaries(
            {},
            optional={
                "args": st.lists(values, max_size=3),
                "entry_point": st.lists(values, max_size=3),
                "run_config": st.dictionaries(text, plain, max_size=3),
            },
        ),
        "resource_args": st.dictionaries(text, st.dictionaries(text, plain), max_size=2),
        "env": st.dictionaries(names, values, max_size=3),
        "secrets": st.lists(names, max_size=3),
        "name": values,
        "priority": st.integers(0, 3),
        "origin": st.fixed_dictionaries({}, optional={"notebook": text, "cell": text}),
        "source": st.fixed_dictionaries({"kind": st.just("cell"), "body": text}),
        "grace_s": st.floats(0, 1e6),
    },
)

AWKWARD = 'it\'s "quoted";\n$(touch x) `id` \\ ${run_id} é 🚀 --flag %s {x} \x1b[31m'


def refused(data: Any) -> SpecError:
    with pytest.raises(SpecError) as failure:
        LaunchSpec.from_dict(data)
    return failure.value


# -- JSON --------------------------------------------------------------------------------------


@given(specs)
def test_every_spec_survives_json(data: dict[str, Any]) -> None:
    before = copy.deepcopy(data)
    spec = LaunchSpec.from_dict(data)
    assert data == before
    assert LaunchSpec.from_json(spec.to_json()) == spec
    assert LaunchSpec.from_dict(spec.to_dict()) == spec
    assert LaunchSpec.from_json(json.dumps(spec.to_dict())) == spec


@given(specs)
def test_what_was_given_is_in_the_json_form(data: dict[str, Any]) -> None:
    shown = LaunchSpec.from_dict(data).to_dict()
    for name, value in data.items():
        if name in {"env", "secrets", "resource_args", "name", "docker"}:
            assert shown.get(name, type(value)()) == value


def test_awkward_text_stays_as_it_is_in_every_field() -> None:
    fields = {"name", "entity", "project", "job", "uri", "queue", "author", "image_uri", "resource"}
    data: dict[str, Any] = dict.fromkeys(fields, AWKWARD)
    data["overrides"] = {"args": [AWKWARD], "entry_point": [AWKWARD], "run_config": {AWKWARD: 1}}
    data["env"] = {"A": AWKWARD}
    assert LaunchSpec.from_json(LaunchSpec.from_dict(data).to_json()).to_dict() == data


def test_defaults_are_left_out_of_the_json_form() -> None:
    assert LaunchSpec.from_dict({}).to_dict() == {}
    assert LaunchSpec.from_dict({"priority": 2, "env": {}, "docker": {}}).to_dict() == {}


def test_numbers_that_json_has_no_word_for_stay_numbers() -> None:
    config = {"high": float("inf"), "low": float("-inf")}
    spec = LaunchSpec.from_dict({"overrides": {"run_config": config}})
    assert LaunchSpec.from_json(spec.to_json()).overrides.run_config == config


def test_a_spec_cannot_be_changed() -> None:
    spec = LaunchSpec.from_dict({"name": "a"})
    with pytest.raises(ValidationError, match="frozen"):
        spec.name = "b"  # type: ignore[misc]


def test_evolve_changes_a_copy_and_checks_it() -> None:
    spec = LaunchSpec.from_dict({"name": "a", "docker": {"docker_image": "i"}, "run_id": "x"})
    changed = spec.evolve(name="b", run_id=None, source=Source(kind="cell", body="1"))
    assert changed.to_dict() == {
        "name": "b",
        "docker": {"docker_image": "i"},
        "source": {"kind": "cell", "body": "1"},
    }
    assert spec.name == "a"
    with pytest.raises(SpecError, match="priority"):
        spec.evolve(priority=9)
    with pytest.raises(TypeError, match="nmae"):
        spec.evolve(nmae="b")


# -- what is wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"docker": {"docker_imag": "x"}},
            "The launch spec has no field 'docker.docker_imag'.\nDid you mean 'docker_image'?",
        ),
        (
            {"git": {"zzz": "x"}},
            "The launch spec has no field 'git.zzz'.\nKnown: ref, repo, snapshot, token, version.",
        ),
        ({"env": {"A": 5}}, "env.A: must be text, and is of type int."),
        (
            {"overrides": {"args": "a b"}},
            "overrides.args: must be a list of words, and is of type str.",
        ),
        ({"priority": 9}, "priority: must be less than or equal to 3."),
        ({"priority": "high"}, "priority: must be a whole number, and is of type str."),
        ({"build": "yes"}, "build: must be true or false, and is of type str."),
        ({"grace_s": "9"}, "grace_s: must be a number, and is of type str."),
        ({"python_version": "3.11.7"}, "python_version: a version of Python is written 3.11."),
        (
            {"_wandb_api_key": "x"},
            (
                "The launch spec has an API key in it (_wandb_api_key), which would be stored.\n"
                "Leave it out: WANDB_API_KEY is handed over from the environment."
            ),
        ),
        ({"run_id": "../x"}, "run_id: a run id is 1 to 64 letters, digits, '-' or '_'."),
        ({"run_id": ""}, "run_id: a run id is 1 to 64 letters, digits, '-' or '_'."),
        ({"env": {"A=B": ""}}, "env: 'A=B' cannot be the name of an environment variable."),
        ({"env": {"": ""}}, "env: '' cannot be the name of an environment variable."),
        ({"env": {"A": "x\0y"}}, "env: the value of A has a NUL character."),
        ({"secrets": ["A=b"]}, "secrets: 'A=b' cannot be the name of an environment variable."),
        ({"grace_s": -1}, "grace_s: must be greater than or equal to 0."),
        ({"resource_args": {"local-container": 1}}, None),
        ({"source": {"kind": "job"}}, "source.kind: must be 'cell' or 'path'."),
        ([1], "spec: must be a mapping, and is of type list."),
    ],
)
def test_an_error_names_the_field(data: Any, message: str | None) -> None:
    error = refused(data)
    assert message is None or str(error) == message
    assert error.field
    assert error.field.partition(".")[0] in str(error)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_the_grace_is_finite(value: float) -> None:
    assert refused({"grace_s": value}).field == "grace_s"


def test_an_error_does_not_repeat_values() -> None:
    assert "hunter2" not in str(refused({"env": {"PASSWORD": ["hunter2"]}}))


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes"])
def test_a_value_that_is_no_json_is_refused(value: object) -> None:
    said = str(refused({"overrides": {"run_config": {"x": value}}}))
    assert said.startswith("The launch spec has a value that is no JSON: Object of type")


@pytest.mark.parametrize("bad", ["", "{", "[1", "nonsense"])
def test_what_is_no_json_is_refused(bad: str) -> None:
    with pytest.raises(SpecError, match="The launch spec is not JSON"):
        LaunchSpec.from_json(bad)


# -- the source --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"docker": {"docker_image": "x"}}, "image"),
        ({"image_uri": "x"}, "image"),
        ({"source": {"kind": "cell", "body": "1"}}, "cell"),
        ({"source": {"kind": "cell", "body": "1"}, "docker": {"docker_image": "x"}}, "cell"),
        ({"source": {"kind": "path"}}, "path"),
        ({"uri": "https://host/x.git"}, "git"),
        ({"job": "e/p/n:latest"}, "job"),
    ],
)
def test_the_kind_is_where_the_program_comes_from(data: dict[str, Any], kind: str) -> None:
    assert LaunchSpec.from_dict(data).kind == kind


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"job": "e/p/n:v1", "docker": {"docker_image": "x"}},
            (
                "Exactly one of job and docker_image can be launched, and both were given: "
                "job 'e/p/n:v1' and image 'x'.\nLeave one of them out; a job knows its own image."
            ),
        ),
        (
            {"job": "e/p/n:v1", "uri": "https://host/x.git"},
            (
                "Exactly one source can be launched, and git and job were given.\n"
                "Leave out all but one of them."
            ),
        ),
        (
            {"name": "nothing"},
            (
                "There is nothing to launch: exactly one of job and docker_image (or a cell, a "
                "script, a uri) must be given, and none was.\n"
                "Name an image with -d IMAGE, a script by its path, or launch a cell with %%launch."
            ),
        ),
    ],
)
def test_there_is_exactly_one_source(data: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as failure:
        _ = LaunchSpec.from_dict(data).kind
    assert str(failure.value) == message


# -- the option table --------------------------------------------------------------------------


def test_every_option_is_a_field_with_help() -> None:
    for path, option, text in options(LaunchSpec):
        assert text, path
        assert option.flags[-1].startswith("--")
        LaunchSpec.from_dict(_nested(path, _example(option.read)))


def test_no_flag_is_used_twice() -> None:
    flags = [flag for _, option, _ in options(LaunchSpec) for flag in option.flags]
    assert len(flags) == len(set(flags))


def test_options_are_spelt_as_wandb_launch_spells_them() -> None:
    flags = {flag for _, option, _ in options(LaunchSpec) for flag in option.flags}
    wandb = "-u --uri -j --job -d --docker-image -E --entry-point -e --entity -p --project "
    wandb += "-q --queue -P --priority -n --name -r --resource -R --resource-args -c --config "
    wandb += "-v --set-var -g --git-version"
    assert flags >= set(wandb.split())


def test_priorities_are_wandbs() -> None:
    assert PRIORITIES == {"critical": 0, "high": 1, "medium": 2, "low": 3}


def _example(read: str) -> Any:
    examples: dict[str, Any] = {"text": "x", "number": 1.0, "priority": 1, "flag": True}
    return examples.get(read, {} if read in {"mapping", "pairs", "strings"} else [])


def _nested(path: str, value: Any) -> dict[str, Any]:
    for part in reversed(path.split(".")):
        value = {part: value}
    nested: dict[str, Any] = value
    return nested


def test_fields_nobody_knows_are_kept_and_told() -> None:
    data = {"name": "a", "launch_kind": {"x": [1, None]}, "_resume_count": 1}
    spec = LaunchSpec.from_dict(data)
    assert spec.to_dict() == data
    assert spec.unknown == ("launch_kind", "_resume_count")
    assert spec.evolve(name="b").to_dict() == {**data, "name": "b"}


def test_a_null_is_what_was_not_given() -> None:
    data = {
        "resource": None,
        "docker": None,
        "git": {"version": None, "repo": None},
        "overrides": {"args": None, "run_config": {"stays": None}, "entry_point": None},
        "strange": None,
    }
    spec = LaunchSpec.from_dict(data)
    assert spec.to_dict() == {"overrides": {"run_config": {"stays": None}}, "strange": None}
