"""What a program finds in its environment."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_launch.environment import (
    CHUNK,
    chunked,
    of_this_host,
    substitute,
    variables,
    with_secrets,
)
from jupyter_launch.errors import SpecError
from jupyter_launch.runs import Queue, Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State

IMAGE: dict[str, Any] = {"docker": {"docker_image": "tiny"}}
CELL: dict[str, Any] = {"source": {"kind": "cell", "body": "1"}}


def run_of(spec: dict[str, Any], **fields: Any) -> Run:
    text = LaunchSpec.from_dict(spec).to_json()
    return Run(id="abcd1234", spec_json=text, state=State.LEASED, created=0.0, **fields)


def joined(env: dict[str, str], name: str) -> str:
    """Read a variable as W&B does: whole, or in numbered pieces."""
    if name in env:
        return env[name]
    count = sum(key.startswith(f"{name}_") for key in env)
    return "".join(env[f"{name}_{number}"] for number in range(count))


# -- W&B's variables ---------------------------------------------------------------------------


def test_a_run_with_everything_has_every_variable() -> None:
    spec = {
        **IMAGE,
        "author": "bob",
        "sweep_id": "s1",
        "overrides": {
            "run_config": {"lr": 0.1, "name": "größe"},
            "artifacts": {"data": "e/p/data:v1"},
            "files": {"conf.yaml": {"a": 1}},
        },
    }
    run = run_of(spec, entity="ann", project="cars", name="first", queue=Queue("team", "gpu"))
    assert variables(run, "tiny") == {
        "PYTHONUNBUFFERED": "1",
        "JUPYTER_LAUNCH_ATTEMPT": "0",
        "WANDB_LAUNCH": "True",
        "WANDB_RUN_ID": "abcd1234",
        "WANDB_PROJECT": "cars",
        "WANDB_ENTITY": "ann",
        "WANDB_NAME": "first",
        "WANDB_USERNAME": "bob",
        "WANDB_SWEEP_ID": "s1",
        "WANDB_DOCKER": "tiny",
        "WANDB_LAUNCH_QUEUE_NAME": "gpu",
        "WANDB_LAUNCH_QUEUE_ENTITY": "team",
        "WANDB_LAUNCH_TRACE_ID": "abcd1234",
        "WANDB_CONFIG": '{"lr": 0.1, "name": "größe"}',
        "WANDB_ARTIFACTS": '{"data": "e/p/data:v1"}',
        "WANDB_LAUNCH_FILE_OVERRIDES": '{"conf.yaml": {"a": 1}}',
    }


def test_a_run_with_nothing_has_no_empty_ones() -> None:
    assert variables(run_of(CELL), "python:3.11-slim") == {
        "PYTHONUNBUFFERED": "1",
        "JUPYTER_LAUNCH_ATTEMPT": "0",
        "WANDB_LAUNCH": "True",
        "WANDB_RUN_ID": "abcd1234",
        "WANDB_CONFIG": "{}",
        "WANDB_ARTIFACTS": "{}",
    }


def test_the_specs_own_values_win() -> None:
    spec = {**CELL, "env": {"PYTHONUNBUFFERED": "", "WANDB_NAME": "mine", "X": "${run_id}"}}
    env = variables(run_of(spec, name="other"), None)
    assert (env["PYTHONUNBUFFERED"], env["WANDB_NAME"], env["X"]) == ("", "mine", "${run_id}")


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 3))
def test_a_long_config_comes_in_pieces(text: str, pieces: int) -> None:
    config = {"text": text, "long": "é" * CHUNK * pieces}
    env = variables(run_of({**CELL, "overrides": {"run_config": config}}), None)
    assert json.loads(joined(env, "WANDB_CONFIG")) == config
    assert all(len(value) <= CHUNK for value in env.values())
    assert ("WANDB_CONFIG" in env) == (len(json.dumps(config, ensure_ascii=False)) <= CHUNK)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1])
def test_pieces_are_numbered_from_zero(size: int) -> None:
    text = "x" * size
    pieces = chunked("NAME", text)
    assert joined(pieces, "NAME") == text
    if size <= CHUNK:
        assert list(pieces) == ["NAME"]
    else:
        assert list(pieces) == [f"NAME_{number}" for number in range(-(-size // CHUNK))]


# -- secrets -----------------------------------------------------------------------------------


def test_secrets_are_taken_from_the_owner_by_name() -> None:
    spec = LaunchSpec.from_dict({**CELL, "secrets": ["TOKEN", "EMPTY"]})
    owner = {"TOKEN": "s3cret", "EMPTY": "", "OTHER": "x"}
    assert with_secrets(spec, owner) == {"TOKEN": "s3cret", "EMPTY": ""}
    assert "s3cret" not in spec.to_json()


def test_a_missing_secret_says_how_to_give_it() -> None:
    spec = LaunchSpec.from_dict({**CELL, "secrets": ["TOKEN", "KEY"]})
    with pytest.raises(SpecError) as failure:
        with_secrets(spec, {"TOKEN": "s3cret"})
    assert str(failure.value) == (
        "The secret KEY is not in the environment of the process that starts the run.\n"
        "Set it there first, such as os.environ['KEY'] = getpass.getpass()."
    )
    assert failure.value.field == "secrets"


def test_wandbs_own_key_and_server_are_handed_on() -> None:
    owner = {"WANDB_API_KEY": "k", "WANDB_BASE_URL": "https://here", "WANDB_ENTITY": "x"}
    plain = LaunchSpec.from_dict(CELL)
    assert with_secrets(plain, owner) == {"WANDB_API_KEY": "k", "WANDB_BASE_URL": "https://here"}
    assert with_secrets(plain, {}) == {}
    given_by_spec = plain.evolve(env={"WANDB_API_KEY": "another"})
    assert with_secrets(given_by_spec, owner) == {"WANDB_BASE_URL": "https://here"}


# -- a program on this host --------------------------------------------------------------------


def test_what_is_the_kernels_stays_behind() -> None:
    kernels = {
        "JPY_SESSION_NAME": "x.ipynb",
        "JPY_PARENT_PID": "1",
        "IPYTHONDIR": "/x",
        "PYDEVD_USE_FRAME_EVAL": "NO",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "WANDB_SERVICE": "2-x",
        "WANDB_DIR": "/x",
        "WANDB_MODE": "offline",
        "WANDB_RUN_ID": "of-the-kernel",
        "WANDB_NOTEBOOK_NAME": "x",
        "WANDB_CONFIG": '{"of": "the kernel"}',
        "WANDB_CONFIG_0": '{"of": "the kernel"}',
        "WANDB_ARTIFACTS": "{}",
        "WANDB_SWEEP_ID": "x",
        "WANDB_LAUNCH": "True",
        "WANDB_LAUNCH_FILE_OVERRIDES_0": "{}",
        "WANDB_LAUNCH_QUEUE_NAME": "x",
        "JUPYTER_LAUNCH_STORE": "sqlite:///x",
    }
    users = {"HOME": "/home/ann", "CUDA_VISIBLE_DEVICES": "0", "WANDB_ENTITY": "ann", "EMPTY": ""}
    users |= {"WANDB_CONFIG_DIR": "/etc/wandb", "WANDB_ARTIFACTS_DIR": "/a"}
    kept = of_this_host({**kernels, **users, "PATH": "/usr/bin"}, "/venv/bin/python")
    assert kept == {**users, "PATH": f"/venv/bin{os.pathsep}/usr/bin"}


def test_a_plotting_backend_of_the_users_own_stays() -> None:
    assert of_this_host({"MPLBACKEND": "Agg"}, "/venv/bin/python")["MPLBACKEND"] == "Agg"


def test_without_a_path_the_systems_own_is_added() -> None:
    assert of_this_host({}, "/venv/bin/python") == {"PATH": f"/venv/bin{os.pathsep}{os.defpath}"}


def test_the_owners_environment_is_not_changed() -> None:
    environ = {"PATH": "/bin", "MPLBACKEND": "module://x", "JPY_X": "1"}
    of_this_host(environ, "/venv/bin/python")
    assert environ == {"PATH": "/bin", "MPLBACKEND": "module://x", "JPY_X": "1"}


# -- macros ------------------------------------------------------------------------------------


def test_macros_are_put_in_wherever_text_stands() -> None:
    run = run_of({**IMAGE, "author": "bob"}, entity="ann", project="cars", name="first")
    options = {
        "labels": ["${run_id}", "${author}-${run_name}"],
        "deep": {"env": {"A": "${project_name}/${entity_name}", "${run_id}": "a key stays"}},
        "image": "${image_uri}",
        "cpus": 2,
        "none": None,
        "pair": ("${run_id}", 1),
    }
    before = json.dumps(options)
    assert substitute(options, run, "tiny") == {
        "labels": ["abcd1234", "bob-first"],
        "deep": {"env": {"A": "cars/ann", "${run_id}": "a key stays"}},
        "image": "tiny",
        "cpus": 2,
        "none": None,
        "pair": ["abcd1234", 1],
    }
    assert json.dumps(options) == before


def test_a_macro_without_a_value_is_empty() -> None:
    assert substitute("<${run_name}${image_uri}>", run_of(CELL), None) == "<>"


@pytest.mark.parametrize("text", ["${HOME}", "$run_id", "${}", "${run_id", "$${x}", "{run_id}"])
def test_what_is_no_macro_stays(text: str) -> None:
    assert substitute(text, run_of(CELL), None) == text


def test_what_is_put_in_is_not_looked_at_again() -> None:
    run = run_of(IMAGE, name="${run_id}")
    assert substitute("${run_name}", run, None) == "${run_id}"
