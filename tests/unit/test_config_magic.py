"""``%launch_config``: every setting with its value and its origin."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.error import UsageError

from jupyter_launch.config import NAMES, SECTION
from jupyter_launch.frontends.config_magic import HEAD, Effective, run


def shell(**of_files: str | None) -> Any:
    registry = {SECTION: SimpleNamespace(of_files=of_files)}
    return SimpleNamespace(magics_manager=SimpleNamespace(registry=registry))


def shown(line: str = "", of_files: dict[str, str | None] | None = None, **said: str) -> Effective:
    found = run(shell(**(of_files or {})), said, line)
    assert found is not None
    return found


def row(name: str, found: Effective) -> tuple[str, ...]:
    return next(row[1:] for row in found.rows if row[0] == name)


def test_every_setting_is_shown_as_text_and_as_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_LAUNCH_PROJECT", "<b>&")
    found = shown()
    assert [row[0] for row in found.rows] == list(NAMES)
    lines = repr(found).splitlines()
    assert lines[0].split() == " ".join(HEAD).split()
    assert [line.split()[0] for line in lines[1:]] == list(NAMES)
    page = found._repr_html_()
    assert page.count("<tr>") == len(NAMES) + 1
    assert "&lt;b&gt;&amp;" in page
    assert "<b>" not in page


def test_the_origin_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path.cwd() / "pyproject.toml"
    path.write_text(
        "[project]\nqueue = 'of another table'\n\n[tool.jupyter_launch]\n# why\nqueue = 'gpu'\n"
    )
    monkeypatch.setenv("JUPYTER_LAUNCH_RESOURCE", "local-process")
    monkeypatch.setenv("JUPYTER_LAUNCH_PROJECT", "weather")
    found = shown(project="climate", image="mine", of_files={"image": "mine"})
    assert row("queue", found)[:2] == ("gpu", f"{path}, line 6")
    assert row("resource", found) == ("local-process", "JUPYTER_LAUNCH_RESOURCE", "auto (default)")
    assert row("project", found)[:2] == ("climate", "%config LaunchMagics")
    assert row("project", found)[2].startswith("weather (JUPYTER_LAUNCH_PROJECT)")
    assert row("image", found)[:2] == ("mine", "IPython's configuration")
    assert found["queue"].value == "gpu"


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        (".jupyter-launch.yaml", "image: x\nbuild:\n  inherit_pip_config: yes\n", 3),
        (".jupyter-launch.yaml", "build.inherit_pip_config: yes\n", 1),
        (".jupyter-launch.toml", "image='x'\n[build]\ninherit_pip_config = true\n", 3),
    ],
)
def test_the_line_of_a_nested_setting_is_named(name: str, text: str, line: int) -> None:
    path = Path.cwd() / name
    path.write_text(text)
    found = shown("build.inherit_pip_config")
    assert row("build.inherit_pip_config", found)[1] == f"{path}, line {line}"


def test_the_line_in_jupyters_configuration_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    path = tmp_path / "jupyter_launch_config.py"
    path.write_text("c = get_config()\nc.LaunchMagics.queue = 'gpu'\n")
    assert row("queue", shown("queue"))[1] == f"{path}, line 2"


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_LAUNCH_STORE", "postgresql://me:hunter22@host/db")
    found = shown("store")
    assert "hunter22" not in repr(found) + found._repr_html_()


def test_some_settings_may_be_asked_for() -> None:
    assert [row[0] for row in shown("queue store").rows] == ["queue", "store"]


def test_a_variable_that_nobody_reads_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_LAUNCH_QEUE", "gpu")
    (notice,) = shown().notices
    assert notice == (
        "The environment has JUPYTER_LAUNCH_QEUE, which nobody reads. "
        "Did you mean JUPYTER_LAUNCH_QUEUE?"
    )


def test_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean queue"):
        shown("qeue")


def test_a_malformed_file_is_a_usage_error() -> None:
    Path(".jupyter-launch.yaml").write_text("queue: [")
    with pytest.raises(UsageError, match="cannot be read"):
        shown()


def test_help_is_the_manual_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shell(), {}, "--help") is None
    assert capsys.readouterr().out.startswith("%launch_config - show every setting")
