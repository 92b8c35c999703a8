"""The README is true: its code runs, its tables say what the code says. Docstrings are whole."""

from __future__ import annotations

import builtins
import inspect
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from argparse import Action
from collections.abc import Callable
from importlib.metadata import requires
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import jupyter_launch
from jupyter_launch import (
    Api,
    LaunchSpec,
    Unsupported,
    config,
    environment,
    errors,
    launch,
    launch_add,
)
from jupyter_launch.artifact import OUTPUT_DIR
from jupyter_launch.backends import AUTO, names
from jupyter_launch.frontends import cli, options
from jupyter_launch.runs import Agent, Queue, Run, new_id
from jupyter_launch.states import State
from jupyter_launch.stores.base import Store, log_of
from jupyter_launch.stores.queue_verbs import FIRST_QUEUE
from tests.conftest import TINY
from tests.kernels import Kernel, kernel

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
TRAIN = """
import json, os, sys
print(sys.argv[1:], json.loads(os.environ["WANDB_CONFIG"]))
"""
NOTEBOOK = """
{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
    {"cell_type": "code", "id": "a", "metadata": {"tags": ["parameters"]}, "source": "lr = 1.0",
     "outputs": [], "execution_count": null}
]}
"""


# -- the README's code ------------------------------------------------------------------------


class Block(NamedTuple):
    """A fenced block: its language, its text, and whether a comment before it names the engine."""

    language: str
    text: str
    docker: bool


def blocks() -> list[Block]:
    found = re.finditer(r"^(<!-- needs docker -->\n)?```(\w+)\n(.*?)^```$", README, re.M | re.S)
    return [Block(match[2], match[3], bool(match[1])) for match in found]


def block_of(beginning: str) -> str:
    return next(block.text for block in blocks() if block.text.startswith(beginning))


class Reader:
    """Somebody who types all of the README, block by block, into a notebook and a terminal."""

    def __init__(self, notebook: Kernel) -> None:
        self.notebook = notebook
        self.printed: list[str] = []

    def type(self, block: Block) -> None:
        if block.language == "python" and not block.text.startswith("# launch_nohup.py"):
            self.printed.append(self.notebook.text(block.text, timeout=90))
            assert self.notebook.reply["status"] == "ok", (block.text, self.notebook.reply)
        elif block.language == "sh":
            for line in block.text.splitlines():
                self.command(line)

    def command(self, line: str) -> None:
        words = shlex.split(line, comments=True)
        assert words[0] == "make" or words[:2] == ["jupyter", "launch"], line
        if words[0] == "make" or "nohup" in words:  # Makefile's own matter; a test of its own
            return
        if words[2] == "agent":
            interrupted(words)
            return
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (line, done.stdout, done.stderr)


def interrupted(words: list[str]) -> None:
    """Run a command that would run for ever until it says something, then press Ctrl-C."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        assert "serves" in agent.stdout.readline()
        agent.send_signal(signal.SIGINT)
        assert agent.wait(timeout=30) == 0


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make what the README takes for granted: Jupyter on the PATH, a script, a secret."""
    folder = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", os.pathsep.join([folder, os.environ["PATH"]]))
    monkeypatch.setenv("HF_TOKEN", "a secret for the README")
    Path("train.py").write_text(TRAIN, encoding="utf-8")
    Path("data.csv").write_text("1,2\n", encoding="utf-8")
    Path("train.ipynb").write_text(NOTEBOOK, encoding="utf-8")
    Path("my-project").mkdir()
    Path("my-project/main.py").write_text(TRAIN, encoding="utf-8")
    git = ["git", "-C", "my-project", "-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"], ["tag", "v1.0"]):
        subprocess.run([*git, *words], check=True)


def test_code_runs_without_an_engine(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with kernel() as notebook:
        reader = Reader(notebook)
        for block in blocks():
            if not block.docker:
                reader.type(block)
    assert_shown(block_of("run "), reader.printed[1])
    assert all(run.state.terminal for run in store.runs())
    logs = tmp_path / "store/launch.db.d/logs"
    assert "`launch.db.d/logs/ID.log`" in README
    assert (logs / "first.log").read_text(encoding="utf-8") == "['--epochs', '3'] {}\n"
    assert store.get("first").spec.overrides.args == ("--epochs", "3")
    assert [run.reason for run in store.runs(states=[State.FAILED])] == [
        "the program ended with exit code 1"
    ]


def assert_shown(promised: str, printed: str) -> None:
    """Each promised line is printed, in order; ids and times may be others."""

    def lines(text: str) -> list[str]:
        text = re.sub(r"(run |· )[a-z0-9]{8}\b", r"\1ID", text)
        return re.sub(r"\d+\.\d s", "TIME", text).splitlines()

    left = iter(lines(printed))
    missing = [line for line in lines(promised) if line not in left]
    assert not missing, printed


@pytest.mark.docker
def test_code_that_needs_an_engine_runs(store: Store) -> None:
    with kernel() as notebook:
        reader = Reader(notebook)
        notebook.run("%load_ext jupyter_launch")
        for block in blocks():
            if block.docker:
                reader.type(block._replace(text=block.text.replace("busybox", TINY)))
    assert [(run.state, run.resource) for run in store.runs()] == [
        (State.FINISHED, "local-container")
    ] * 2


# -- the example backend ----------------------------------------------------------------------


@pytest.fixture
def nohup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Install the README's backend, as pip would leave it, and give `jupyter launch`."""
    site = tmp_path / "site"
    info = site / "launch_nohup-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "launch_nohup.py").write_text(block_of("# launch_nohup.py"), encoding="utf-8")
    entry = re.fullmatch(
        r'\[project\.entry-points\."(.+)"\]\n(\w+) = "(.+)"\n', block_of("[project.entry-points")
    )
    assert entry is not None
    points = f"[{entry[1]}]\n{entry[2]} = {entry[3]}\n"
    (info / "entry_points.txt").write_text(points, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: launch-nohup\nVersion: 1.0\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def command(*words: str) -> tuple[int, str]:
        line = ["jupyter", "launch", *words]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    return command


def test_the_example_backend_runs_programs(
    nohup: Callable[..., tuple[int, str]], store: Store
) -> None:
    line = shlex.split(block_of("jupyter launch run train.py --resource nohup"))
    code, said = nohup(*line[2:], "--run-id", "good", "--set", "lr=0.1", "--", "a b")
    assert code == 0, said
    assert store.read_log("good") == b"['a b'] {'lr': 0.1}\n"
    Path("bad.py").write_text("print('no'); raise SystemExit(3)", encoding="utf-8")
    code, said = nohup("run", "bad.py", "-r", "nohup", "--run-id", "bad")
    assert code == 1
    assert "exit code 3" in said
    assert store.get("bad").exit_code == 3


@pytest.mark.parametrize("stubborn", [False, True])
def test_the_example_backend_stops_and_adopts(
    nohup: Callable[..., tuple[int, str]], store: Store, *, stubborn: bool
) -> None:
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)" if stubborn else ""
    Path("long.py").write_text(
        f"import signal, time\n{ignore}\nprint('up')\ntime.sleep(60)", encoding="utf-8"
    )
    line = ("run", "long.py", "-r", "nohup", "--no-wait", "--grace", "0.5", "--run-id", "long")
    assert nohup(*line)[0] == 0
    with store.listen("long", log_of("long")) as listener:
        while store.read_log("long") != b"up\n":
            assert listener.wait(20)
    assert nohup("stop", "long") == (0, "long stopped\n")
    assert store.get("long").exit_code == (137 if stubborn else 143)
    assert store.read_log("long").startswith(b"up\n")


# -- the README's tables ----------------------------------------------------------------------


def table(heading: str) -> list[list[str]]:
    """Give the cells of the table whose first column has that heading."""
    text = README.partition(f"\n| {heading} |")[2].partition("\n\n")[0]
    rows = [line for line in text.splitlines()[2:] if line.startswith("|")]
    return [
        [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        for row in rows
    ]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def option_row(action: Action) -> list[str]:
    """Give the README's row of an option, or of `path`, as the parser has it."""
    flags = list(action.option_strings)
    if action.nargs != 0 and action.metavar and flags:
        many = " ..." if action.nargs == "+" else ""
        flags[-1] += f" {action.metavar}{many}"
    text = str(action.help)
    return [", ".join(f"`{flag}`" for flag in flags or [action.dest.upper()]), text]


def test_options_are_those_of_the_parser() -> None:
    parser = options.parser("%launch", "")
    assert table("option") == [option_row(action) for action in parser._actions]


def test_resources_are_those_there_are() -> None:
    assert {quoted(row[0])[0] for row in table("resource")} == {AUTO, *names()}


def test_verbs_are_those_of_the_command_line() -> None:
    verbs = re.search(r"`jupyter launch ([\w|]+)`", README)
    assert verbs is not None
    assert set(verbs[1].split("|")) == {
        *cli._SUBMITS,
        *cli._VERBS,
        "agent",
        "queue",
        "job",
        "store",
    }


def test_settings_are_those_that_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUPYTER_LAUNCH_STORE")
    rows = table("setting")
    assert [quoted(row[0])[0] for row in rows] == list(config.NAMES)
    for name_cell, variable_cell, wandb_cell, _ in rows:
        name, variable = quoted(name_cell)[0], quoted(variable_cell)[0]
        for wandb in quoted(wandb_cell):
            monkeypatch.setenv(wandb, "weak")
            assert config.setting(name) == config.Setting("weak", wandb)
        Path(config.PROJECT_FILE).write_text(f"{name}: middling", encoding="utf-8")
        assert config.setting(name).value == "middling"
        monkeypatch.setenv(variable, "strong")
        assert config.setting(name) == config.Setting("strong", variable)


def test_project_file_is_read() -> None:
    Path(config.PROJECT_FILE).write_text(block_of("project: weather"), encoding="utf-8")
    assert config.setting("project").value == "weather"
    assert config.setting("queue").value == "gpu"


def test_program_finds_the_variables_of_the_table() -> None:
    long = {"text": "x" * environment.CHUNK}
    full = {
        "docker": {"docker_image": "any"},
        "overrides": {"run_config": {"lr": 1}, "artifacts": {"a": 1}, "files": {"a.yaml": {}}},
        "author": "a",
        "sweep_id": "s",
    }
    spec = LaunchSpec.from_dict(full)
    run = Run(new_id(), spec.to_json(), State.LEASED, 0.0, "me", "weather", "n", Queue("me", "gpu"))
    given = {*environment.variables(run, "any")}
    with_server = environment.with_secrets(spec, dict.fromkeys(environment.PASSED_ON, "x"))
    told = {name for row in table("variable") for name in quoted(row[0])}
    assert told == given | with_server.keys() | {OUTPUT_DIR}
    assert set(environment.chunked("WANDB_CONFIG", str(long))) == {
        "WANDB_CONFIG_0",
        "WANDB_CONFIG_1",
    }
    assert f"{environment.CHUNK:,}" in README


def test_dependencies_are_those_of_the_package() -> None:
    needed = [line for line in requires("jupyter_launch") or [] if "extra ==" not in line]
    assert {quoted(row[0])[0].replace("_", "-") for row in table("package")} == {
        re.split(r"[^\w-]", line)[0].replace("_", "-") for line in needed
    }


# -- W&B's arguments --------------------------------------------------------------------------

SAMPLES: dict[str, Any] = {
    "docker_image": "other",
    "entry_point": ["true", "x"],
    "config": {"overrides": {"args": ["x"]}},
    "parameters": {"lr": 0.1},
    "name": "baseline",
    "entity": "team",
    "project": "weather",
    "resource": "local-process",
    "resource_args": {"local-process": {"nice": 1}},
    "run_id": "chosen",
    "queue_name": "default",
    "priority": 0,
    "author": "me",
    "sweep_id": "s1",
}
PLAIN: dict[str, Any] = {
    "docker_image": "any",
    "entry_point": ["true"],
    "resource": "local-process",
}


def arguments() -> list[Any]:
    """Give every function with each of its arguments that can be tried without more."""
    return [
        pytest.param(function, name, id=f"{function.__name__}-{name}")
        for function in (launch, launch_add)
        for name in inspect.signature(function).parameters
        if name in SAMPLES
    ]


def call(function: Callable[..., Any], given: dict[str, Any]) -> Any:
    return function(Api(), **given) if function is launch else function(**given)


@pytest.fixture
def served(store: Store) -> None:
    """Pretend that the queue has an agent, so that none is started and its runs stay there."""
    now = time.time()
    queues = tuple(Queue(owner, FIRST_QUEUE) for owner in (Api().default_entity or "", "team"))
    store.put_agent(Agent(new_id(), "elsewhere:-:1:1:x", queues, 1, now, now, "running"))


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(("function", "name"), arguments())
def test_other_arguments_have_an_effect(function: Callable[..., Any], name: str) -> None:
    without = {key: value for key, value in PLAIN.items() if key != name}
    found = call(function, {**PLAIN, name: SAMPLES[name]}).run.spec.to_json()
    for text in re.findall(r"[\w.-]+", json.dumps({**without, name: SAMPLES[name]})):
        assert text in found or text in {*PLAIN, name, "parameters"}


def test_only_wandbs_own_project_of_queues_is_accepted() -> None:
    with pytest.raises(Unsupported, match="'project_queue'"):
        launch_add(**PLAIN, project_queue="other")


# -- docstrings -------------------------------------------------------------------------------

PUBLIC = [name for name in jupyter_launch.__all__ if not name.startswith("__")]


def sections(text: str) -> dict[str, str]:
    """Split a NumPy-style docstring: its purpose under '', then its sections."""
    parts = re.split(r"^([A-Z]\w+)\n-+$", inspect.cleandoc(text), flags=re.M)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def documented(parts: dict[str, str]) -> set[str]:
    """Give the names that a docstring's parameters section explains."""
    heads = re.findall(r"^(\S.*?)(?: : .*)?$", parts.get("Parameters", ""), flags=re.M)
    return {name.strip(" *") for head in heads for name in head.split(",")}


def parameters(public: Any) -> set[str]:
    """Give the names of what a caller passes; a class without an `__init__` of its own has none."""
    if inspect.isclass(public) and "__init__" not in vars(public):
        return set()
    return set(inspect.signature(public).parameters)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_documented(name: str) -> None:
    public = getattr(jupyter_launch, name)
    parts = sections(public.__doc__ or "")
    assert parts[""].strip()
    assert documented(parts) == parameters(public)
    for line in re.findall(r"^(\S.*)$", parts.get("Raises", ""), flags=re.M):
        for error in line.split(", "):
            found = getattr(errors, error, None) or getattr(builtins, error)
            assert issubclass(found, Exception)
