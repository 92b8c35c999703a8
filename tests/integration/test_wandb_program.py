"""Programs that use W&B's own package, offline: they see what the launch gave, unchanged."""

from __future__ import annotations

import json
import sysconfig
from typing import Any

import pytest

from jupyter_launch import launch
from jupyter_launch.environment import CHUNK
from tests.conftest import PYTHON
from tests.proofs import proves

PROGRAM = """
import json
from pathlib import Path

import wandb
from wandb.sdk import launch

Path("conf").mkdir()
Path("conf/model.yaml").write_text("layers: 18\\nname: resnet\\n")
Path("data.json").write_text('{"path": "a"}')
launch.manage_config_file("conf/model.yaml")
launch.manage_config_file("data.json")
launch.manage_wandb_config(include=["lr"])
loaded = launch.load_wandb_config()
with wandb.init(config={"lr": 1, "own": 2}) as run:
    said = {
        "config": dict(wandb.config),
        "loaded": dict(loaded),
        "model": Path("conf/model.yaml").read_text(),
        "data": json.loads(Path("data.json").read_text()),
        "run": [run.entity, run.project, run.id, run.name, run.sweep_id, run.offline],
    }
print(json.dumps(said))
"""
OURS = """
import json
from pathlib import Path

import wandb
from jupyter_launch.inputs import load_config, manage_config, manage_config_file
from wandb.sdk import launch

Path("a.yaml").write_text("layers: 18\\n")
Path("b.yaml").write_text("layers: 18\\n")
manage_config_file("a.yaml")
launch.manage_config_file("b.yaml")
assert Path("a.yaml").read_text() == Path("b.yaml").read_text() == "layers: 50\\n"
before = manage_config()
with wandb.init(config={"lr": 1, "own": 2}):
    schema = {"required": ["lr", "own"], "properties": {"lr": {"maximum": 0.5}}}
    within = manage_config(include=["lr", "deep"], schema=schema)
    print(json.dumps([load_config(), before, within, dict(wandb.config)]))
"""
OFFLINE = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_CONSOLE": "off"}


def place(kind: str) -> dict[str, Any]:
    """Give the arguments that run a cell in a place that has W&B's package."""
    if kind == "local-process":
        return {"resource": kind}
    packages = sysconfig.get_path("purelib")
    options = {"volume": [f"{packages}:/packages:ro"], "env": {"PYTHONPATH": "/packages"}}
    return {"docker_image": PYTHON, "resource": kind, "resource_args": {kind: options}}


def told(run: Any) -> Any:
    return json.loads(run.logs().splitlines()[-1])


@proves("launch.parameters")
@pytest.mark.parametrize(
    "kind", ["local-process", pytest.param("local-container", marks=pytest.mark.docker)]
)
@pytest.mark.parametrize("length", [0, 2 * CHUNK], ids=["short", "in-pieces"])
def test_run_config_and_files_reach_a_wandb_program(kind: str, length: int) -> None:
    files = {"conf/model.yaml": {"layers": 50}, "data.json": {"more": "🚀" * length}}
    parameters = {"lr": 0.5, "deep": {"a": [1, None]}, "text": "🚀" * length}
    run = launch(
        None,
        **place(kind),
        entity="them",
        project="weather",
        name="my run",
        config={
            "source": {"kind": "cell", "body": PROGRAM},
            "env": OFFLINE,
            "sweep_id": "sw1",
            "overrides": {"files": files, "artifacts": {"data": "them/weather/data:v1"}},
        },
        parameters=parameters,
    )
    assert told(run) == {
        "config": {**parameters, "own": 2},
        "loaded": parameters,
        "model": "layers: 50\nname: resnet\n",
        "data": {"path": "a", "more": "🚀" * length},
        "run": ["them", "weather", run.id, "my run", "sw1", True],
    }


def test_our_inputs_agree_with_wandbs() -> None:
    parameters = {"lr": 0.5, "deep": {"a": 1}}
    run = launch(
        None,
        resource="local-process",
        config={
            "source": {"kind": "cell", "body": OURS},
            "env": OFFLINE,
            "overrides": {"files": {"a.yaml": {"layers": 50}, "b.yaml": {"layers": 50}}},
        },
        parameters=parameters,
    )
    loaded, before, within, wandbs = told(run)
    assert loaded == before == parameters
    assert within == wandbs == {**parameters, "own": 2}


def test_a_launched_program_that_launches_another_one_hands_its_config_to_nobody() -> None:
    inner = "import os; print(sorted(n for n in os.environ if n.startswith('WANDB_CONFIG')))"
    outer = (
        "from jupyter_launch import launch\n"
        f"cell = {{'kind': 'cell', 'body': {inner!r}}}\n"
        f"launch(None, resource='local-process', config={{'source': cell}}, "
        f"parameters={{'text': 'x' * {CHUNK}}})"
    )
    run = launch(
        None,
        resource="local-process",
        config={"source": {"kind": "cell", "body": outer}},
        parameters={"of": "the outer one"},
    )
    assert "['WANDB_CONFIG_0', 'WANDB_CONFIG_1']" in run.logs().splitlines()
