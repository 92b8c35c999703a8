"""Settings: which one wins, and where it is said to come from."""

from __future__ import annotations

import getpass
import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_launch.config import (
    NAMES,
    PROJECT_FILE,
    PROJECT_FILES,
    WANDB,
    Setting,
    project_file,
    sayings,
    setting,
    variable,
)
from jupyter_launch.errors import ConfigError


@pytest.fixture(autouse=True)
def jupyter_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give Jupyter's configuration folder of this test, and take away that of the machine."""
    folder = tmp_path / "jupyter"
    folder.mkdir()
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(folder))
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    return folder


def write(text: str, folder: Path | None = None) -> Path:
    path = (folder or Path.cwd()) / PROJECT_FILE
    path.write_text(text, encoding="utf-8")
    return path


def complaint() -> str:
    with pytest.raises(ConfigError) as failure:
        setting("queue")
    return str(failure.value)


def test_built_in_defaults_come_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUPYTER_LAUNCH_STORE")
    store = f"sqlite:///{tmp_path}/data/jupyter_launch/launch.db"
    assert {name: setting(name).value for name in NAMES} == {
        "entity": getpass.getuser(),
        "project": None,
        "queue": "default",
        "resource": "auto",
        "image": None,
        "store": store,
        "build.inherit_pip_config": None,
        "artifacts.limit": None,
    }
    assert setting("queue").origin == "default"


def test_the_nearest_word_wins_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert setting("entity").origin == "default"
    monkeypatch.setenv("WANDB_ENTITY", "of-wandb")
    assert setting("entity") == Setting("of-wandb", "WANDB_ENTITY")
    path = write("entity: of-project\n")
    assert setting("entity") == Setting("of-project", str(path))
    monkeypatch.setenv("JUPYTER_LAUNCH_ENTITY", "of-environment")
    assert setting("entity") == Setting("of-environment", "JUPYTER_LAUNCH_ENTITY")
    assert setting("entity", magics="of-magics") == Setting("of-magics", "magics")
    both = setting("entity", line="of-line", magics="of-magics")
    assert both == Setting("of-line", "line")


def test_what_is_empty_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_LAUNCH_QUEUE", "")
    write("queue: ''\nimage:\n")
    assert setting("queue", line=None, magics="") == Setting("default", "default")
    assert setting("image").value is None


@pytest.mark.parametrize("name", ["entity", "project"])
def test_wandbs_variables_count(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"WANDB_{name.upper()}", "theirs")
    assert setting(name).value == "theirs"


def test_the_project_file_is_found_from_below(monkeypatch: pytest.MonkeyPatch) -> None:
    top = write("queue: top\nproject: 17\n")
    inner = Path("a/b")
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert setting("queue") == Setting("top", str(top))
    assert setting("project").value == "17"
    write("queue: inner\n")
    assert setting("queue").value == "inner"
    assert setting("project").value is None


def test_an_empty_project_file_says_nothing() -> None:
    write("# nothing yet\n")
    assert setting("queue").value == "default"


def test_an_unknown_setting_is_an_error_that_names_the_known_ones() -> None:
    path = write("qeue: x\nimage: y\n1: z\n")
    assert complaint() == (
        f"The project file {path} has a setting nobody knows: 1, qeue.\n"
        "Did you mean queue? Known: entity, project, queue, resource, image, store, "
        "build.inherit_pip_config, artifacts.limit."
    )


@pytest.mark.parametrize("text", ["- queue\n", "queue\n", "17\n"])
def test_a_project_file_must_hold_names_and_values(text: str) -> None:
    path = write(text)
    assert complaint() == f"The project file {path} must hold names and values."


@pytest.mark.parametrize("data", [b"queue: [\n", b"queue: \xff\n", b"queue: 2024-99-99\n"])
def test_a_malformed_project_file_says_so(data: bytes) -> None:
    path = write("")
    path.write_bytes(data)
    assert complaint().startswith(f"The project file {path} cannot be read: ")


@given(st.binary(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_project_file_is_read_or_refused(data: bytes) -> None:
    write("").write_bytes(data)
    try:
        assert setting("queue").value
    except ConfigError as error:
        said = str(error)
    else:
        return
    assert PROJECT_FILE in said


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert str(setting("entity").value).startswith("uid")


@pytest.mark.parametrize(
    "text", ["build.inherit_pip_config: true", "build: {inherit_pip_config: true}"]
)
def test_a_setting_with_a_dot_may_be_written_as_one_in_another(text: str) -> None:
    write(text)
    assert setting("build.inherit_pip_config").value == "True"


# -- the order, as a table ---------------------------------------------------------------------

Place = Callable[[str, str, pytest.MonkeyPatch], tuple[str, dict[str, str]]]
"""Says a setting in one place; gives the origin that is to be shown, and what a caller passes."""


def of_line(name: str, value: str, patch: pytest.MonkeyPatch) -> tuple[str, dict[str, str]]:
    return "line", {"line": value}


def of_config(name: str, value: str, patch: pytest.MonkeyPatch) -> tuple[str, dict[str, str]]:
    return "%config", {"%config": value}


def of_environment(name: str, value: str, patch: pytest.MonkeyPatch) -> tuple[str, dict[str, str]]:
    patch.setenv(variable(name), value)
    return variable(name), {}


def of_notebook(name: str, value: str, patch: pytest.MonkeyPatch) -> tuple[str, dict[str, str]]:
    patch.setenv("JPY_SESSION_NAME", str(Path.cwd() / "deep" / "a.ipynb"))
    path = Path.cwd() / PROJECT_FILE
    said = yaml.safe_load(path.read_text()) if path.exists() else {}
    path.write_text(yaml.safe_dump({**said, "notebooks": {"deep/a.ipynb": {name: value}}}))
    return f"{path}, deep/a.ipynb", {}


def of_project(name: str, value: str, patch: pytest.MonkeyPatch) -> tuple[str, dict[str, str]]:
    path = Path.cwd() / PROJECT_FILE
    said = yaml.safe_load(path.read_text()) if path.exists() else {}
    path.write_text(yaml.safe_dump({**said, name: value}))
    return str(path), {}


def of_jupyter(name: str, value: str, patch: pytest.MonkeyPatch) -> tuple[str, dict[str, str]]:
    path = Path(os.environ["JUPYTER_CONFIG_DIR"]) / "jupyter_launch_config.py"
    path.write_text(f"c.LaunchMagics.{name.replace('.', '_')} = {value!r}\n")
    return str(path), {}


def of_wandb(name: str, value: str, patch: pytest.MonkeyPatch) -> tuple[str, dict[str, str]]:
    patch.setenv(WANDB[name], value)
    return WANDB[name], {}


ORDER: list[Place] = [
    of_line,
    of_config,
    of_environment,
    of_notebook,
    of_project,
    of_jupyter,
    of_wandb,
]
"""Strongest first."""


def pairs() -> list[object]:
    return [
        pytest.param(name, strong, weak, id=f"{name}-{strong.__name__}-{weak.__name__}")
        for strong, weak in itertools.combinations(ORDER, 2)
        for name in NAMES
        if weak is not of_wandb or name in WANDB
    ]


@pytest.mark.parametrize(("name", "strong", "weak"), pairs())
def test_the_stronger_place_wins_and_is_named(
    name: str, strong: Place, weak: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JUPYTER_LAUNCH_STORE")
    low, given_low = weak(name, "of-weak", monkeypatch)
    assert setting(name, **given_low) == Setting("of-weak", low)
    high, given_high = strong(name, "of-strong", monkeypatch)
    given = {**given_high, **given_low}
    assert setting(name, **given) == Setting("of-strong", high)
    said = list(sayings(name, **given))
    assert said[:2] == [Setting("of-strong", high), Setting("of-weak", low)]
    assert said[-1].origin == "default"


# -- project files of every kind ---------------------------------------------------------------

KINDS = {
    ".jupyter-launch.toml": "project = 'weather'\nbuild.inherit_pip_config = true\n",
    PROJECT_FILE: "project: weather\nbuild: {inherit_pip_config: true}\n",
    "pyproject.toml": "[project]\nname = 'x'\n[tool.jupyter_launch]\nproject = 'weather'\n"
    "[tool.jupyter_launch.build]\ninherit_pip_config = true\n",
}


@pytest.mark.parametrize("kind", PROJECT_FILES)
def test_a_project_file_may_be_of_any_kind(kind: str) -> None:
    path = Path.cwd() / kind
    path.write_text(KINDS[kind], encoding="utf-8")
    assert setting("project") == Setting("weather", str(path))
    assert setting("build.inherit_pip_config") == Setting("True", str(path))
    assert project_file()[0] == path


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(PROJECT_FILES, 2)))
def test_of_two_in_one_folder_the_first_is_read(first: str, second: str) -> None:
    for kind in (first, second):
        Path(kind).write_text(KINDS[kind].replace("weather", kind.strip(".")), encoding="utf-8")
    assert setting("project") == Setting(first.strip("."), str(Path.cwd() / first))


@pytest.mark.parametrize(
    "text", ["[project]\nname = 'x'\n", "[tool.other]\nqueue = 'x'\n", "not toml at all"]
)
def test_a_pyproject_that_says_nothing_of_us_is_passed_over(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    above = write("queue: above\n")
    Path("inner").mkdir()
    monkeypatch.chdir("inner")
    Path("pyproject.toml").write_text(text, encoding="utf-8")
    assert setting("queue") == Setting("above", str(above))


def test_a_misspelt_table_of_pyproject_is_named() -> None:
    Path("pyproject.toml").write_text("[tool.jupyter-launch]\nqueue = 'x'\n", encoding="utf-8")
    assert "[tool.jupyter-launch]; it is called jupyter_launch" in complaint()


@pytest.mark.parametrize("kind", PROJECT_FILES)
def test_a_change_of_a_file_is_seen(kind: str) -> None:
    Path(kind).write_text(KINDS[kind], encoding="utf-8")
    assert setting("project").value == "weather"
    Path(kind).write_text(KINDS[kind].replace("weather", "climate!"), encoding="utf-8")
    assert setting("project").value == "climate!"
    Path(kind).unlink()
    assert setting("project").value is None


def test_a_setting_is_a_single_value() -> None:
    path = write("queue: [a, b]\n")
    assert complaint() == (f"The project file {path}: queue must be a single value, and is a list.")


def test_settings_of_another_notebook_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("queue: all\nnotebooks: {b.ipynb: {queue: of-b}}\n")
    assert setting("queue") == Setting("all", str(path))
    monkeypatch.setenv("JPY_SESSION_NAME", str(Path.cwd() / "a.ipynb"))
    assert setting("queue").value == "all"
    monkeypatch.setenv("JPY_SESSION_NAME", str(Path.cwd() / "b.ipynb"))
    assert setting("queue").value == "of-b"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("notebooks: [a]", "notebooks must hold paths, and settings for each."),
        ("notebooks: {a.ipynb: gpu}", "notebooks must hold paths, and settings for each."),
        ("notebooks: {a.ipynb: {qeue: gpu}}", ", a.ipynb, has a setting nobody knows: qeue."),
    ],
)
def test_a_malformed_section_of_notebooks_is_named(text: str, said: str) -> None:
    write(text)
    assert said in complaint()


# -- Jupyter's configuration -------------------------------------------------------------------


def test_jupyters_configuration_may_be_python_or_json(jupyter_folder: Path) -> None:
    python = jupyter_folder / "jupyter_launch_config.py"
    python.write_text(
        "c = get_config()\nc.LaunchMagics.queue = 'gpu'\nc.LaunchMagics.project = 'p'\n"
        "c.LaunchMagics.build_inherit_pip_config = True\nc.Other.thing = 1\n"
    )
    assert setting("queue") == Setting("gpu", str(python))
    assert setting("build.inherit_pip_config").value == "True"
    written = jupyter_folder / "jupyter_launch_config.json"
    written.write_text(json.dumps({"LaunchMagics": {"queue": "cpu"}}))
    assert setting("queue") == Setting("cpu", str(written))
    assert setting("project") == Setting("p", str(python))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("py", "c.LaunchMagics.qeue = 'x'", "a setting nobody knows: qeue.\nDid you mean queue?"),
        ("py", "c.LaunchMagics.queue = = 1", "cannot be read: invalid syntax"),
        ("py", "import no_such_module_at_all", "cannot be read: No module named"),
        ("py", "c.LaunchMagics.queue = ['x']", "queue must be a single value, and is a list."),
        ("json", "{", "cannot be read: "),
    ],
)
def test_malformed_configuration_says_so(
    name: str, text: str, said: str, jupyter_folder: Path
) -> None:
    path = jupyter_folder / f"jupyter_launch_config.{name}"
    path.write_text(text)
    assert complaint().startswith(f"Jupyter's configuration {path}")
    assert said in complaint()
