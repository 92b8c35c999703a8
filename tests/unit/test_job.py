"""Jobs: their references, what they keep of a launch, and how a launch is laid over them."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_launch.errors import SpecError
from jupyter_launch.job import (
    Job,
    JobName,
    JobRef,
    check_alias,
    check_name,
    content_of,
    digest,
    job_name,
    launch_of,
    parse_ref,
    types_of,
)
from jupyter_launch.spec import LaunchSpec

NAME = st.text(
    st.characters(exclude_characters="/:\0\r\n\t", exclude_categories=["Cs"]), min_size=1
)
NAME = NAME.filter(lambda name: name == name.strip() and len(name) <= 128)
REFS = st.builds(JobRef, st.builds(JobName, NAME, NAME, NAME), NAME)
JSON = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
SOURCES: list[dict[str, Any]] = [
    {"docker": {"docker_image": "tiny"}},
    {"uri": "https://example.org/x.git", "git": {"version": "a" * 40, "ref": "main"}},
    {"source": {"kind": "cell", "body": "1"}, "requirements": ["numpy"]},
    {"source": {"kind": "path", "path": "x", "main": "main.py", "snapshot": "s"}},
]


@given(REFS)
def test_a_reference_is_read_as_it_is_written(ref: JobRef) -> None:
    assert parse_ref(str(ref), None, None) == ref


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("wandb/jobs/Hello World:latest", "wandb/jobs/Hello World:latest"),
        ("train", "me/vision/train:latest"),
        ("train:v3", "me/vision/train:v3"),
        ("speech/train", "me/speech/train:latest"),
        ("you/speech/train", "you/speech/train:latest"),
    ],
)
def test_what_is_left_out_is_filled_in(text: str, meant: str) -> None:
    assert str(parse_ref(text, "me", "vision")) == meant


@pytest.mark.parametrize("text", ["", "a/b/c/d", "a:b:c", "a:", ":v1", "a/b/ c", "a/b/c\n"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="names no job") as refused:
        parse_ref(text, "me", "vision")
    assert refused.value.field == "job"


def test_a_reference_without_a_project_says_so() -> None:
    with pytest.raises(SpecError, match="names no project") as refused:
        parse_ref("train", "me", None)
    assert refused.value.field == "project"


@pytest.mark.parametrize("name", ["", " a", "a/b", "a:b", "x" * 129])
def test_names_that_a_reference_could_not_hold_are_refused(name: str) -> None:
    with pytest.raises(SpecError, match="cannot be called"):
        check_name(name)


@pytest.mark.parametrize("alias", ["latest", "v0", "v12", "a:b", ""])
def test_aliases_that_are_given_by_themselves_are_refused(alias: str) -> None:
    with pytest.raises(SpecError, match="as an alias"):
        check_alias(alias)
    assert check_alias("v1.2") == "v1.2"


@given(st.sampled_from(SOURCES), st.dictionaries(st.text(), JSON, max_size=3))
def test_a_launch_of_the_job_of_a_launch_is_that_launch(
    source: dict[str, Any], config: dict[str, Any]
) -> None:
    overrides = {"entry_point": ["a", "b"], "args": ["c"], "run_config": config}
    own = {"name": "n", "entity": "me", "resource": "local-process", "env": {"A": "1"}}
    spec = LaunchSpec.from_dict({**source, **own, "overrides": overrides, "build": True})
    content = content_of(spec)
    assert not {"env", "name", "resource", "build"} & content["spec"].keys()
    assert content["spec"].get("overrides") == {"entry_point": ["a", "b"]}
    job = Job(JobName("me", "p", "j"), 3, (), 0.0, json.dumps(content))
    again = launch_of(job, spec)
    assert again.job == "me/p/j:v3"
    assert not source.keys() & again.to_dict().keys()
    assert job.launched(again) == spec.evolve(build=None)


def test_a_launch_may_say_otherwise_than_its_job() -> None:
    spec = LaunchSpec.from_dict({**SOURCES[2], "overrides": {"entry_point": ["a"]}})
    job = Job(JobName("me", "p", "j"), 0, (), 0.0, json.dumps(content_of(spec)))
    launch = LaunchSpec.from_dict({"job": "j", "overrides": {"entry_point": ["b", "c"]}})
    assert job.launched(launch).overrides.entry_point == ("b", "c")
    assert job.launched(launch).requirements == ("numpy",)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_the_types_of_a_config_allow_that_config(config: dict[str, Any]) -> None:
    jsonschema.validate(config, types_of(config))


def test_the_types_of_a_config_refuse_others() -> None:
    schema = types_of({"epochs": 3, "opt": {"lr": 0.1}, "amp": True})
    jsonschema.validate({"epochs": 5, "opt": {"lr": 1}, "more": "x"}, schema)
    for wrong in ({"epochs": "5"}, {"opt": {"lr": "x"}}, {"amp": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_the_description_makes_no_version() -> None:
    spec = LaunchSpec.from_dict(SOURCES[0])
    assert digest(content_of(spec)) == digest(content_of(spec, description="better"))
    other = LaunchSpec.from_dict({"docker": {"docker_image": "other"}})
    assert digest(content_of(spec)) != digest(content_of(other))


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (SOURCES[0], "job-tiny"),
        ({"docker": {"docker_image": "reg.io:5000/team/x:v1@sha256:ab"}}, "job-x"),
        (SOURCES[1], "job-x"),
        ({"uri": "git@host:team/repo#subdirectory=a"}, "job-repo"),
        ({"source": {"kind": "cell", "body": "1"},
          "origin": {"notebook": "a/My notes.ipynb", "cell": "b1"}},
         "job-My_notes.ipynb-b1"),
        ({"source": {"kind": "cell", "body": "1"}}, "job-cell"),
        ({"source": {"kind": "path", "path": "a/train.py", "main": "train.py"}}, "job-train.py"),
        ({"source": {"kind": "path", "path": "a/", "main": "main.py"}}, "job-a-main.py"),
        ({"source": {"kind": "path", "path": "/"}}, "job"),
    ],
)  # fmt: skip
def test_a_job_is_named_after_its_source(source: dict[str, Any], name: str) -> None:
    made = job_name(LaunchSpec.from_dict(source))
    assert re.sub("-+", "-", made) == name
    assert check_name(made) == made
