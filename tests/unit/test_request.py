"""From what was typed to the spec that is launched."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from jupyter_launch.errors import SpecError
from jupyter_launch.frontends.options import Request, parse, parser
from jupyter_launch.frontends.request import spec_of
from jupyter_launch.frontends.values import split
from jupyter_launch.sources.base import InMemory
from jupyter_launch.spec import LaunchSpec

NOWHERE: dict[str, str | None] = {}


def asked(line: str) -> Request:
    return parse(parser("%launch", "Launch."), split(line, "%launch"), {})


def spec(line: str, cell: str | None = None, **defaults: str | None) -> LaunchSpec:
    return spec_of(asked(line), cell, InMemory(), defaults, NOWHERE)


def complaint(line: str, cell: str | None = None) -> str:
    with pytest.raises(SpecError) as failure:
        spec(line, cell)
    return str(failure.value)


# -- what is launched --------------------------------------------------------------------------


def test_a_cell_is_launched_as_it_stands() -> None:
    keep = InMemory()
    body = "import os\nprint('it\\'s; $(here)', {os})\n"
    where: dict[str, str | None] = {"notebook": "a/b.ipynb", "cell": "c1"}
    made = spec_of(asked("--name x -- --epochs 5"), body, keep, NOWHERE, where)
    assert made.kind == "cell"
    assert made.source is not None
    assert made.source.body == body
    assert (made.origin.notebook, made.origin.cell) == ("a/b.ipynb", "c1")
    assert made.source.python == sys.executable
    assert made.source.python_version == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert made.name == "x"
    assert made.overrides.args == ("--epochs", "5")


def test_a_script_is_launched_with_its_content_as_it_is_now() -> None:
    Path("train.py").write_text("print(1)", encoding="utf-8")
    Path("data.csv").write_text("1,2", encoding="utf-8")
    keep = InMemory()
    made = spec_of(asked("train.py --include data.csv"), None, keep, NOWHERE, NOWHERE)
    Path("train.py").write_text("print(2)", encoding="utf-8")
    assert made.kind == "path"
    assert made.source is not None
    assert (made.source.path, made.source.main) == ("train.py", "train.py")
    assert made.source.include == ("data.csv",)
    assert made.source.snapshot is not None
    with tarfile.open(fileobj=io.BytesIO(keep.get_snapshot(made.source.snapshot))) as tar:
        kept = {member.name: tar.extractfile(member) for member in tar}
        assert {name: file.read() for name, file in kept.items() if file} == {
            "train.py": b"print(1)",
            "data.csv": b"1,2",
        }


def test_an_image_is_launched_without_code() -> None:
    made = spec("-d tiny -E 'sh -c \"echo $$HOME\"' -- a 'b c'")
    assert made.kind == "image"
    assert made.overrides.entry_point == ("sh", "-c", "echo $HOME")
    assert made.overrides.args == ("a", "b c")


def test_a_cell_may_be_a_launch_spec() -> None:
    body = """
        docker: {docker_image: tiny}
        name: from-the-cell
        overrides:
          args: [a, 5x]
          run_config: {lr: 1e-4, epochs: 3}
    """
    made = spec("--spec --name from-the-line --set epochs=5", body)
    assert made.kind == "image"
    assert made.name == "from-the-line"
    assert made.overrides.args == ("a", "5x")
    assert made.overrides.run_config == {"lr": 1e-4, "epochs": 5}


# -- bad input ---------------------------------------------------------------------------------


def test_a_cell_and_a_path_exclude_each_other() -> None:
    for line in ("train.py", "--spec train.py"):
        assert complaint(line, "print(1)") == (
            "A cell and a path ('train.py') cannot be launched together.\n"
            "To bring files along: --include train.py"
        )


def test_include_needs_code_that_it_goes_with() -> None:
    message = "--include goes with a cell, a script or a folder."
    assert complaint("-d tiny --include data.csv") == message
    assert complaint("--spec --include data.csv", "docker: {docker_image: tiny}") == message


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("- a", "The cell must be a mapping of names to values, and is a list."),
        ("a: [", "The cell is no YAML or JSON: "),
        ("git: {vesion: x}", "The launch spec has no field 'git.vesion'.\nDid you mean 'version'?"),
        ("priority: high", "priority: must be a whole number, and is of type str."),
        (None, "The cell must be a mapping of names to values, and is a NoneType."),
    ],
)
def test_a_bad_launch_spec_says_what_is_wrong(cell: str | None, message: str) -> None:
    assert complaint("--spec", cell).startswith(message)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("", "The cell is empty: there is nothing to launch."),
        ("  \n\n", "The cell is empty: there is nothing to launch."),
        ("x = 1\ny = (\n", "Line 2 of the cell is not Python: '(' was never closed: y = ("),
        ("%matplotlib inline\nx = 1", "Line 1 of the cell is not Python: invalid syntax: "),
        ("x = '\0'", "The cell is not Python: source code "),
        ("#!", "The first line '#!' names no interpreter."),
        ("#!/bin/sh -c 'x\necho", 'The line "#!/bin/sh -c \'x": No closing quotation.'),
    ],
)
def test_a_bad_cell_is_refused_before_anything_is_recorded(cell: str, message: str) -> None:
    assert complaint("", cell).startswith(message)


def test_a_cell_with_magics_says_what_to_do() -> None:
    assert complaint("", "!ls").endswith(
        "\nMagics and !commands do not work in a launched cell; "
        "a first line #!/bin/sh makes it a shell script."
    )


def test_a_missing_script_says_where_it_looked() -> None:
    assert complaint("tarin.py") == (
        f"There is no script or folder 'tarin.py' in {Path.cwd()}.\n"
        "Check the path, or name an image with -d IMAGE."
    )


def test_an_address_without_its_option_says_which_one_it_is() -> None:
    for typed in ("https://git.example/a.git", "git@git.example:a.git"):
        assert f"\nA git repository is named with -u {typed}, or" in complaint(typed)
    assert "s3cret" not in complaint("https://me:s3cret@git.example/a.git")


# -- defaults ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "cell", "resource", "image"),
    [
        ("", "print(1)", "auto", "of-settings"),
        ("main.sh", None, "auto", "of-settings"),
        ("-r local-process -d mine", "print(1)", "local-process", "mine"),
        ("-d tiny", None, None, "tiny"),  # somebody else's code never runs outside a container
        ("--spec", "docker: {docker_image: tiny}", None, "tiny"),
    ],
)
def test_resource_and_image_have_defaults_for_ones_own_code_only(
    line: str,
    cell: str | None,
    resource: str | None,
    image: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JUPYTER_LAUNCH_IMAGE", "of-settings")
    Path("main.sh").write_text("true", encoding="utf-8")
    made = spec(line, cell)
    assert (made.resource, made.image) == (resource, image)


def test_the_line_wins_over_the_front_end_and_that_over_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ENTITY", "PROJECT", "RESOURCE"):
        monkeypatch.setenv(f"JUPYTER_LAUNCH_{name}", "environment")
    made = spec("-e line", "print(1)", entity="magics", project="magics", resource=None)
    assert (made.entity, made.project, made.resource) == ("line", "magics", "environment")


def test_without_any_default_the_fields_stay_open() -> None:
    made = spec("", "print(1)")
    assert (made.project, made.image, made.queue) == (None, None, None)


def test_what_was_typed_is_not_changed() -> None:
    request = asked("-d tiny --set a=1")
    before: dict[str, Any] = {**request.spec}
    spec_of(request, "print(1)", InMemory(), {"entity": "x"}, NOWHERE)
    spec_of(Request(spec=request.spec, spec_body=True), "name: x", InMemory(), {}, NOWHERE)
    assert request.spec == before == asked("-d tiny --set a=1").spec
