"""The inputs of a launched program: read, limited to what it wants, checked, written to files."""

from __future__ import annotations

import doctest
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_validator

from jupyter_launch import inputs
from jupyter_launch.environment import chunked
from jupyter_launch.errors import LaunchError, SpecError
from jupyter_launch.inputs import load_config, manage_config, manage_config_file
from jupyter_launch.inputs.dotted import dotted, keys_of

MODEL = {"model": {"name": "resnet", "layers": 18}, "training": {"epochs": 10}}
SCHEMA = {
    "type": "object",
    "properties": {
        "model": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "enum": ["resnet", "vit"], "label": "Model"},
                "layers": {"type": "integer", "minimum": 1, "maximum": 200, "required": True},
            },
        },
    },
}
FILES = "WANDB_LAUNCH_FILE_OVERRIDES"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
# A function-scoped fixture that every example may share: they all start by setting what they need.
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


class Model(BaseModel):
    """What a program might want of its config, as a model."""

    name: str
    layers: int = Field(ge=1, le=200)

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        if value != value.lower():
            raise ValueError("must be in lower case")
        return value


class Config(BaseModel):
    model: Model


def launched(monkeypatch: pytest.MonkeyPatch, name: str, value: Any) -> None:
    """Set a variable as a launch does: whole or in pieces."""
    for known in [key for key in os.environ if key.startswith(name)]:
        monkeypatch.delenv(known)
    for variable, piece in chunked(name, json.dumps(value, ensure_ascii=False)).items():
        monkeypatch.setenv(variable, piece)


def failure(call: Any, *args: Any, **more: Any) -> LaunchError:
    with pytest.raises(LaunchError) as error:
        call(*args, **more)
    return error.value


def merged(under: Any, over: Any) -> Any:
    """Say what laying one config over another means."""
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return over
    return {**under, **{k: merged(under[k], v) if k in under else v for k, v in over.items()}}


@pytest.fixture
def file() -> Path:
    """Give a config file in the working directory."""
    path = Path("conf/model.yaml")
    path.parent.mkdir()
    path.write_text("# of the model\n" + yaml.safe_dump(MODEL), encoding="utf-8")
    return path


# -- the run config ----------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 10, 32_670, 100_000])
def test_the_run_config_is_read_whole_or_in_pieces(
    monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    config = {"text": "é" * length, "n": 1}
    launched(monkeypatch, "WANDB_CONFIG", config)
    assert ("WANDB_CONFIG" in os.environ) == (length < 32_670)
    assert load_config() == config == manage_config()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {},
            (
                "There is no run config: neither WANDB_CONFIG nor WANDB_CONFIG_0 is in the "
                "environment.\nA launched program has it. To run this one by itself, set "
                "WANDB_CONFIG='{}'."
            ),
        ),
        ({"": "{"}, "WANDB_CONFIG is not JSON: Expecting property name enclosed in"),
        ({"": ""}, "WANDB_CONFIG is not JSON: Expecting value"),
        ({"": "[1]"}, "WANDB_CONFIG must hold a JSON object, and holds [1]."),
        ({"_0": "{", "_2": "}"}, "WANDB_CONFIG is incomplete: WANDB_CONFIG_2 is there, and"),
        ({"_1": "{}"}, "WANDB_CONFIG is incomplete: WANDB_CONFIG_1 is there, and WANDB_CONFIG_0"),
    ],
)
def test_a_run_config_that_is_not_there_or_broken_is_told(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    for ending, text in variables.items():
        monkeypatch.setenv(f"WANDB_CONFIG{ending}", text)
    assert str(failure(load_config)).startswith(message)


def test_a_program_that_nobody_launched_has_an_empty_run_config() -> None:
    assert manage_config() == {}


def test_other_variables_of_wandbs_are_no_run_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_CONFIG_DIR", "/etc/wandb")
    assert manage_config() == {}


@pytest.mark.parametrize(
    ("include", "exclude"),
    [
        (None, None),
        (["model"], None),
        (["model.layers", r"a\.b"], None),
        (None, ["model.name", "training"]),
        (["model", r"a\.b"], ["model.name"]),
    ],
)
def test_a_launch_may_set_what_is_included(
    monkeypatch: pytest.MonkeyPatch, include: list[str] | None, exclude: list[str] | None
) -> None:
    launched(monkeypatch, "WANDB_CONFIG", {"model": {"layers": 50}})
    assert manage_config(include, exclude) == {"model": {"layers": 50}}


@pytest.mark.parametrize(
    ("include", "exclude", "message"),
    [
        (
            ["model"],
            None,
            "\n  a\\.b: 1\n  training.epochs: [3]\nIt lets a launch set model.",
        ),
        (
            [],
            None,
            (
                "\n  model.layers: 50\n  a\\.b: 1\n  training.epochs: [3]\n"
                "It lets a launch set nothing."
            ),
        ),
        (
            None,
            ["training.epochs.deep", r"a\.b"],
            (
                "\n  a\\.b: 1\n  training.epochs: [3]\n"
                "It lets a launch set everything, except training.epochs.deep, a\\.b."
            ),
        ),
        (
            ["model", "a", "training"],
            ["training"],
            (
                "\n  a\\.b: 1\n  training.epochs: [3]\n"
                "It lets a launch set model, a, training, except training."
            ),
        ),
    ],
)
def test_a_launch_may_set_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
    include: list[str] | None,
    exclude: list[str] | None,
    message: str,
) -> None:
    launched(
        monkeypatch,
        "WANDB_CONFIG",
        {"model": {"layers": 50}, "a.b": 1, "training": {"epochs": [3]}},
    )
    error = failure(manage_config, include, exclude)
    assert str(error) == (
        f"The launch sets values in the run config that the program does not let it set:{message}"
    )
    assert isinstance(error, SpecError)
    assert error.field == ("model.layers" if include == [] else r"a\.b")


@pytest.mark.parametrize("path", ["", ".", "a..b", "a.", ".a", "a\\", "a.\\"])
def test_what_is_no_dotted_path_is_refused(path: str) -> None:
    assert str(failure(manage_config, [path])) == (
        f"{path!r} is no dotted path of a value in a config.\n"
        r"Write it like model.layers; a dot within a name is written '\.'."
    )


@given(st.lists(texts.filter(lambda key: key and "\\" not in key), min_size=1))
def test_dotted_paths_can_be_split_again(keys: list[str]) -> None:
    assert keys_of(dotted(keys)) == tuple(keys)


def test_a_backslash_before_anything_but_a_dot_is_itself() -> None:
    assert keys_of(r"a\b.c\.d\\e") == (r"a\b", r"c.d\\e")


# -- schemas -----------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [SCHEMA, Config, Config(model=Model(name="x", layers=1))])
def test_a_config_as_the_schema_wants_it_is_given(
    monkeypatch: pytest.MonkeyPatch, schema: Any
) -> None:
    before = repr(schema)
    launched(monkeypatch, "WANDB_CONFIG", {"model": {"name": "vit", "layers": 2}})
    assert manage_config(schema=schema) == {"model": {"name": "vit", "layers": 2}}
    assert repr(schema) == before


@pytest.mark.parametrize(
    ("schema", "model", "told"),
    [
        (
            SCHEMA,
            {"name": "VGG", "layers": 999},
            (
                "\n  model.layers: 999 is greater than the maximum of 200"
                "\n  model.name: \"VGG\" is not one of ['resnet', 'vit']"
            ),
        ),
        (SCHEMA, {"name": "vit"}, "\n  model: 'layers' is a required property"),
        (
            {"additionalProperties": False},
            {},
            "\n  (all of it): Additional properties are not allowed ('model' was unexpected)",
        ),
        (
            {"properties": {"model": {"properties": {"day": {"format": "date"}}}}},
            {"day": "tomorrow"},
            "\n  model.day: \"tomorrow\" is not a 'date'",
        ),
        (
            {"properties": {"model": {"type": "string"}}},
            {"long": "x" * 10_000},
            '\n  model: {"long": "' + "x" * 67 + "... is not of type 'string'",
        ),
        (
            Config,
            {"name": "VGG", "layers": 999},
            (
                '\n  model.name: Value error, must be in lower case, and is "VGG"'
                "\n  model.layers: Input should be less than or equal to 200, and is 999"
            ),
        ),
        (
            Config,
            {"layers": "2"},
            (
                "\n  model.name: Field required"
                '\n  model.layers: Input should be a valid integer, and is "2"'
            ),
        ),
    ],
)
def test_every_violation_is_told_with_its_path_and_value(
    monkeypatch: pytest.MonkeyPatch, schema: Any, model: dict[str, Any], told: str
) -> None:
    launched(monkeypatch, "WANDB_CONFIG", {"model": model})
    error = failure(manage_config, schema=schema)
    assert str(error) == f"The run config is not what the program wants:{told}"
    assert isinstance(error, SpecError)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "intger"}, "The schema itself is wrong at type: 'intger' is not valid"),
        (
            {"$ref": "http://127.0.0.1:9/schema.json"},
            "The schema refers to what is not in it: 'http://127.0.0.1:9/schema.json'.",
        ),
        ("object", "A schema is a JSON Schema or a pydantic model, and this is a str."),
    ],
)
def test_a_broken_schema_is_told(
    monkeypatch: pytest.MonkeyPatch, schema: Any, message: str
) -> None:
    launched(monkeypatch, "WANDB_CONFIG", {"a": 1})
    assert str(failure(manage_config, schema=schema)).startswith(message)


# -- config files ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["conf/model.yaml", "./conf//model.yaml"])
def test_a_yaml_file_is_changed_as_the_launch_asks(
    monkeypatch: pytest.MonkeyPatch, file: Path, name: str
) -> None:
    file.chmod(0o640)
    launched(
        monkeypatch, FILES, {name: {"model": {"layers": 50}, "new": {"a": None}}, "other.json": {}}
    )
    after = {"model": {"name": "resnet", "layers": 50}, "training": {"epochs": 10}}
    after["new"] = {"a": None}
    assert manage_config_file("conf/model.yaml") == after
    assert yaml.safe_load(file.read_bytes()) == after
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [path.name for path in file.parent.iterdir()] == ["model.yaml"]


def test_a_json_file_is_changed_by_a_long_text_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("conf.json").write_text('{"a": {"b": 1}}', encoding="utf-8")
    launched(monkeypatch, FILES, {"conf.json": {"a": {"c": "é" * 50_000}}})
    assert f"{FILES}_1" in os.environ
    assert manage_config_file("conf.json") == {"a": {"b": 1, "c": "é" * 50_000}}
    assert json.loads(Path("conf.json").read_bytes()) == {"a": {"b": 1, "c": "é" * 50_000}}


@pytest.mark.parametrize("asked", [{}, {"conf/model.yaml": {"model": {"layers": 18}}}, None])
def test_a_file_for_which_nothing_new_is_asked_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch, file: Path, asked: Any
) -> None:
    before = file.read_bytes()
    if asked is not None:
        launched(monkeypatch, FILES, asked)
    assert manage_config_file("conf/model.yaml", schema=SCHEMA) == MODEL
    assert file.read_bytes() == before


def test_doing_it_twice_changes_nothing_more(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    launched(monkeypatch, FILES, {"conf/model.yaml": {"model": {"layers": 50}}})
    manage_config_file("conf/model.yaml")
    once = file.stat()
    manage_config_file("conf/model.yaml")
    assert file.stat() == once


def test_numbers_as_names_in_yaml_are_met(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("names.yml").write_text("names: {0: cat, 1: dog}\nday: 2026-01-31\n", encoding="utf-8")
    launched(monkeypatch, FILES, {"names.yml": {"names": {"1": "cow"}}})
    text = {"properties": {"day": {"type": "string", "format": "date"}}}
    assert manage_config_file("names.yml", schema=text)["names"] == {0: "cat", 1: "cow"}
    assert Path("names.yml").read_text() == "names:\n  0: cat\n  1: cow\nday: 2026-01-31\n"


def test_an_empty_yaml_file_can_be_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("empty.yaml").touch()
    launched(monkeypatch, FILES, {"empty.yaml": {"a": 1}})
    assert manage_config_file("empty.yaml") == {"a": 1}


@pytest.mark.parametrize(
    "limits",
    [
        {"include": ["training"]},
        {"exclude": ["model.layers"]},
        {"schema": SCHEMA},
        {"schema": Config},
    ],
)
def test_what_is_not_wanted_leaves_the_file_as_it_is(
    monkeypatch: pytest.MonkeyPatch, file: Path, limits: dict[str, Any]
) -> None:
    before = file.read_bytes()
    launched(monkeypatch, FILES, {"conf/model.yaml": {"model": {"layers": 999}}})
    error = failure(manage_config_file, "conf/model.yaml", **limits)
    assert isinstance(error, SpecError)
    assert error.field == "model.layers"
    assert "model.layers: " in str(error)
    assert "999" in str(error)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/etc/x.json", "The config file '/etc/x.json' is not in the working directory, "),
        ("../x.json", "The config file '../x.json' is not in the working directory, "),
        ("conf/../conf/model.yaml", "The config file 'conf/../conf/model.yaml' is not in the "),
        ("out.json", "The config file 'out.json' is not in the working directory, "),
        ("loop.json", "There is no config file 'loop.json' in the working directory, "),
        ("none.json", "There is no config file 'none.json' in the working directory, "),
        ("conf", "The config file 'conf' must end in one of .json, .yaml, .yml."),
        ("conf.json", "There is no config file 'conf.json' in the working directory, "),
        ("conf\\model.yaml", "The config file 'conf\\\\model.yaml' has a character that is not"),
        ("a\0.json", "The config file 'a\\x00.json' has a character that is not portable."),
        ("broken.json", "The config file 'broken.json' cannot be read: Expecting"),
        ("broken.yaml", "The config file 'broken.yaml' cannot be read: while parsing"),
        ("latin.yaml", "The config file 'latin.yaml' cannot be read: "),
        ("list.json", "The values of list.json cannot be set: its content is no mapping."),
        ("fine.json", "The values of fine.json cannot be set: what is asked for it is no mapping."),
    ],
)
def test_a_file_that_cannot_be_changed_is_told(
    monkeypatch: pytest.MonkeyPatch, file: Path, tmp_path: Path, path: str, message: str
) -> None:
    outside = tmp_path / "out.json"
    outside.write_text("{}", encoding="utf-8")
    Path("out.json").symlink_to(outside)
    Path("loop.json").symlink_to("loop.json")
    Path("conf.json").mkdir()
    Path("broken.json").write_text("{", encoding="utf-8")
    Path("broken.yaml").write_text("a: {", encoding="utf-8")
    Path("latin.yaml").write_bytes(b"a: \xe9")
    Path("list.json").write_text("[]", encoding="utf-8")
    Path("fine.json").write_text("{}", encoding="utf-8")
    launched(monkeypatch, FILES, {"list.json": {"a": 1}, "fine.json": [1], "out.json": {"a": 1}})
    assert str(failure(manage_config_file, path)).startswith(message)
    assert outside.read_text() == "{}"


def test_a_link_within_the_folder_stays_a_link(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    Path("here.yaml").symlink_to(file)
    launched(monkeypatch, FILES, {"here.yaml": {"model": {"layers": 50}}})
    manage_config_file("here.yaml")
    assert Path("here.yaml").is_symlink()
    assert yaml.safe_load(file.read_text())["model"]["layers"] == 50


@shared
@given(
    st.dictionaries(texts, values, max_size=3),
    st.dictionaries(texts, values, max_size=3),
    st.sampled_from(["c.json", "c.yaml"]),
)
def test_values_are_laid_over_those_in_the_file(
    monkeypatch: pytest.MonkeyPatch, under: dict[str, Any], over: dict[str, Any], name: str
) -> None:
    text = json.dumps(under) if name == "c.json" else yaml.safe_dump(under)
    Path(name).write_text(text, encoding="utf-8")
    launched(monkeypatch, FILES, {name: over})
    assert manage_config_file(name) == merged(under, over)
    written = Path(name).read_text(encoding="utf-8")
    found = json.loads(written) if name == "c.json" else yaml.safe_load(written)
    assert found == merged(under, over)


# -- the module itself -------------------------------------------------------------------------


@pytest.mark.parametrize("function", inputs.__all__)
def test_examples_are_true(monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    for name in ("WANDB_CONFIG", FILES):
        monkeypatch.setenv(name, "{}")  # so that what the examples set is undone
    (example,) = doctest.DocTestFinder(recurse=False).find(
        getattr(inputs, function), globs=vars(inputs).copy()
    )
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


def test_a_program_pays_for_nothing_it_does_not_use() -> None:
    code = "import sys, jupyter_launch.inputs\n"
    code += "print({'wandb', 'docker', 'pydantic', 'jsonschema', 'IPython'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
