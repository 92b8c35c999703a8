"""Completion, help and settings in real kernels, as a front end asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_launch.config import setting
from jupyter_launch.frontends.manual_texts import TEXTS
from jupyter_launch.runs import Queue, QueueRecord
from jupyter_launch.stores.base import Store
from tests.kernels import Kernel, kernel

RUNS_HERE = [
    pytest.param(code, id=code.split("\n")[0])
    for verb in ("launch", "launch_config")
    for _, code in TEXTS[verb].examples
    if not any(flag in code for flag in ("local-container", "-d ", "-u ", "-j "))
]
"""The manual's examples that need no engine, network or job."""


@pytest.fixture
def loaded(store: Store) -> Iterator[Kernel]:
    """Give a kernel with the extension loaded, and a queue in its store."""
    store.create_queue(
        QueueRecord(Queue(setting("entity").value or "", "gpu-large"), "local-process")
    )
    with kernel() as made:
        made.run("%load_ext jupyter_launch\n%config LaunchMagics.resource = 'local-process'")
        yield made


def complete(made: Kernel, code: str) -> list[str]:
    """Give what a cell becomes by each completion at its end."""
    content = made.client.complete(code, len(code), reply=True, timeout=60)["content"]
    start = code[: content["cursor_start"]]
    return [start + match for match in content["matches"]]


def complete_until(made: Kernel, code: str, wanted: str) -> list[str]:
    """Press Tab until what is read in the background has come."""
    for _ in range(500):
        found = complete(made, code)
        if wanted in found:
            return found
    raise AssertionError(f"{wanted!r} was never offered, but {found}")


def test_flags_and_values_are_completed(loaded: Kernel) -> None:
    assert complete(loaded, "%launch --docker-i") == ["%launch --docker-image"]
    assert complete(loaded, "%%launch_add -P hi") == ["%%launch_add -P high"]
    assert complete(loaded, "x = 1\nrun = %launch -r local-p") == [
        "x = 1\nrun = %launch -r local-process"
    ]
    wanted = "%launch_add --queue gpu-large"
    assert complete_until(loaded, "%launch_add --queue gp", wanted) == [wanted]
    assert complete_until(loaded, "%launch_add --queue=gp", "%launch_add --queue=gpu-large")


def test_the_runs_of_this_kernel_can_be_launched_again(loaded: Kernel) -> None:
    loaded.run("%%launch --run-id mine-1\npass")
    assert complete_until(loaded, "%relaunch mi", "%relaunch mine-1") == ["%relaunch mine-1"]


@pytest.mark.docker
def test_images_of_the_engine_are_completed(loaded: Kernel) -> None:
    code = "%launch -d jupyter-launch-test/ti"
    assert complete_until(loaded, code, "%launch -d jupyter-launch-test/tiny")


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("import os\nos.path.isfi", "import os\nos.path.isfile"),
        ("%%launch -r local-process\nimport os\nos.path.isfi", None),
        ("%timei", "%timeit"),
        ("%launch_a", "%launch_add"),
        ("launching = 1\nlaunchi", "launching = 1\nlaunching"),
    ],
)
def test_other_completions_are_left_alone(loaded: Kernel, code: str, wanted: str | None) -> None:
    loaded.run("import os\nlaunching = 1")
    ours = complete(loaded, code)
    loaded.run("%unload_ext jupyter_launch")
    without = complete(loaded, code)
    if wanted is not None and not code.startswith("%launch"):
        assert wanted in without
    assert wanted is None or wanted in ours
    if not code.startswith("%launch"):
        assert ours == without


def test_unloading_takes_completion_away(loaded: Kernel) -> None:
    matchers = "print(len(get_ipython().Completer.custom_matchers))"
    before = loaded.value(matchers)
    loaded.run("%unload_ext jupyter_launch")
    assert loaded.value(matchers) == before - 1
    assert "%launch --docker-image" not in complete(loaded, "%launch --docker-i")
    loaded.run("%load_ext jupyter_launch")
    assert complete(loaded, "%launch --docker-i") == ["%launch --docker-image"]


def test_a_plain_ipython_completes_too(loaded: Kernel) -> None:
    code = "print(get_ipython().complete('--docker-i', '%launch --docker-i', 18))"
    assert loaded.value(code) == ("--docker-i", ["--docker-image"])


# -- help --------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["%launch", "%%launch", "%launch_config", "%relaunch"])
def test_a_question_mark_shows_the_manual_page(loaded: Kernel, typed: str) -> None:
    reply = loaded.client.inspect(typed, len(typed), reply=True, timeout=60)
    text = reply["content"]["data"]["text/plain"]
    assert f"%{typed.strip('%')} - " in text
    for head in ("SYNOPSIS", "EXAMPLES", "SEE ALSO"):
        assert head in text
    loaded.run(f"{typed}?")
    (page,) = loaded.reply["payload"]
    assert "SYNOPSIS" in page["data"]["text/plain"]


def test_help_shows_defaults_with_their_origin(loaded: Kernel) -> None:
    text = " ".join(loaded.text("%launch --help").split())
    assert "resource local-process %config LaunchMagics" in text
    assert "JUPYTER_LAUNCH_STORE" in text


@pytest.mark.parametrize("code", RUNS_HERE)
def test_the_manuals_examples_run(loaded: Kernel, code: str) -> None:
    Path("train.py").write_text("import sys\nprint('trained with', sys.argv[1:])\n")
    Path("data.csv").write_text("1,2\n")
    loaded.run("import os\nos.environ['HF_TOKEN'] = 'x'\nconfig = {'lr': 0.1}")
    assert loaded.error(code, timeout=120) == ""


# -- settings ----------------------------------------------------------------------------------


def test_settings_show_their_origin(loaded: Kernel) -> None:
    Path(".jupyter-launch.toml").write_text("project = 'weather'\n")
    loaded.run("%config LaunchMagics.build_inherit_pip_config = True")
    messages = loaded.run("%launch_config")
    data = messages[-1]["content"]["data"]
    text = " ".join(data["text/plain"].split())
    assert f"project weather {Path.cwd()}/.jupyter-launch.toml, line 1" in text
    assert "resource local-process %config LaunchMagics" in text
    assert "build.inherit_pip_config True %config LaunchMagics" in text
    assert "<table>" in data["text/html"]


def test_what_config_says_reaches_the_spec(loaded: Kernel, store: Store) -> None:
    Path(".jupyter-launch.toml").write_text("build.inherit_pip_config = true\n")
    loaded.run("%%launch --run-id with\npass")
    loaded.run("%config LaunchMagics.build_inherit_pip_config = False")
    loaded.run("%config LaunchMagics.project = 'weather'")
    loaded.run("%%launch --run-id without\npass")
    loaded.run("%%launch --run-id line -p climate\npass")
    assert store.get("with").spec.builder.inherit_pip_config is True
    assert store.get("without").spec.builder.inherit_pip_config is False
    assert [store.get(name).project for name in ("without", "line")] == ["weather", "climate"]
