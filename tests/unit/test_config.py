"""Settings: which one wins, and where it is said to come from."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_launch.config import NAMES, PROJECT_FILE, Setting, setting
from jupyter_launch.errors import ConfigError


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
        "Known: entity, project, queue, resource, image, store, build.inherit_pip_config."
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
