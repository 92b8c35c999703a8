"""Arguments as people type them, and what the values in them become."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jupyter_launch.errors import SpecError
from jupyter_launch.frontends.options import Request, parse, parser
from jupyter_launch.frontends.values import expander, literal, split
from jupyter_launch.option import options
from jupyter_launch.spec import LaunchSpec

# A lone surrogate is no text: no keyboard, file or JSON brings one.
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
words = st.lists(text, max_size=5)
labels = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)


def asked(line: str, names: Mapping[str, Any] | None = None) -> Request:
    """Read a line as a magic does; without names nothing is expanded."""
    return parse(parser("%launch", "Launch."), split(line, "%launch"), names)


def config(line: str, names: Mapping[str, Any] | None = None) -> Any:
    return asked(line, names).spec["overrides"]["run_config"]


def complaint(line: str, names: Mapping[str, Any] | None = None) -> str:
    """Give the whole message a line is refused with."""
    with pytest.raises(SpecError) as failure:
        asked(line, names)
    return str(failure.value)


# -- words and quotes --------------------------------------------------------------------------


@given(words)
def test_arguments_of_the_program_survive_quoting(given_words: list[str]) -> None:
    line = shlex.join(["-d", "tiny", "--", *given_words])
    assert asked(line).spec["overrides"]["args"] == given_words


@given(words)
def test_an_entry_point_survives_quoting(given_words: list[str]) -> None:
    line = shlex.join([f"--entry-point={shlex.join(given_words)}"])
    assert asked(line).spec["overrides"]["entry_point"] == given_words


@given(st.dictionaries(labels, text, min_size=1, max_size=4))
def test_environment_values_stay_text(env: dict[str, str]) -> None:
    line = shlex.join(["--env", *(f"{name}={value}" for name, value in env.items())])
    assert asked(line).spec["env"] == env


@given(text)
@example("$(touch x)")
@example("`id`; rm -rf / | cat > /dev/null &")
@example("--name")
def test_text_is_never_interpreted(word: str) -> None:
    assert asked(shlex.join([f"--name={word}"])).spec["name"] == word
    assert asked(shlex.join([f"--name={literal(word)}"]), {}).spec["name"] == word


def test_only_the_first_double_dash_ends_the_options() -> None:
    request = asked("train.py --name a -- --name b -- -h")
    assert request.path == "train.py"
    assert request.spec == {
        "name": "a",
        "overrides": {"args": ["--name", "b", "--", "-h"]},
    }


def test_no_arguments_are_asked_for_as_such() -> None:
    assert asked("train.py --").spec == {"overrides": {"args": []}}
    assert asked("train.py").spec == {}


# -- the table ---------------------------------------------------------------------------------


def test_every_option_of_the_table_is_in_the_help() -> None:
    shown = " ".join(parser("%launch", "Launch.").format_help().split())
    for _, option, explained in options(LaunchSpec):
        assert option.flags[0] in shown
        value = "" if option.read == "flag" else f" {option.metavar}"
        assert f"{option.flags[-1]}{value}" in shown
        assert explained in shown
    own = ["--set KEY=VALUE", "--include PATH", "--spec", "--wait, --no-wait", "--out NAME"]
    assert all(flag in shown for flag in [*own, "--dry-run", "-h, --help"])


def test_every_option_of_the_table_reaches_its_field() -> None:
    given_for = {
        "text": ("x", "x"),
        "words": ("'a b'", ["a", "b"]),
        "mapping": ("'{k: {x: 1}}'", {"k": {"x": 1}}),
        "pairs": ("k=1", {"k": 1}),
        "strings": ("K=1", {"K": "1"}),
        "list": ("a b", ["a", "b"]),
        "number": ("2.5", 2.5),
        "priority": ("high", 1),
        "flag": ("", True),
    }
    special = {"retry.max_retries": ("2", 2), "retry.on": ("failed 3", ["failed", "3"])}
    for path, option, _ in options(LaunchSpec):
        typed, value = special.get(path) or given_for[option.read]
        for flag in option.flags:
            spec = asked(f"{flag} {typed}").spec
            LaunchSpec.from_dict(spec)
            for part in path.split("."):
                spec = spec[part]
            assert spec == value, flag


def test_what_belongs_to_the_front_end_stays_out_of_the_spec() -> None:
    line = "a.py --include b 'c d' --include e --no-wait -o run --dry-run -h --spec"
    assert asked(line) == Request(
        path="a.py",
        include=("b", "c d", "e"),
        wait=False,
        out="run",
        dry_run=True,
        help=True,
        spec_body=True,
    )
    assert asked("--wait").wait is True
    assert asked("").wait is None


def test_options_of_several_words_may_be_repeated() -> None:
    request = asked("--set lr=0.1 epochs=5 --env A=1 --set lr=0.2 --env B=2 --secret T --secret U")
    assert request.spec["overrides"]["run_config"] == {"lr": 0.2, "epochs": 5}
    assert request.spec["env"] == {"A": "1", "B": "2"}
    assert request.spec["secrets"] == ["T", "U"]


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "what", "hint"),
    [
        (
            "--naem x",
            "%launch: there is no option '--naem'.",
            "Did you mean --name? %launch --help shows every option.",
        ),
        (
            "--zzz=1",
            "%launch: there is no option '--zzz=1'.",
            "%launch --help shows every option.",
        ),
        (
            "a.py b.py",
            "%launch: one argument too many: 'b.py'.",
            "Arguments of the program go after --: %launch PATH -- b.py",
        ),
        (
            "--name",
            "%launch: argument -n/--name: expected one argument.",
            "%launch --help shows every option.",
        ),
        (
            "--set lr=1 train.py",
            "--set takes NAME=VALUE, not 'train.py'.",
            "If 'train.py' is the script to launch, put it before --set.",
        ),
        (
            "--env =x",
            "--env takes NAME=VALUE, not '=x'.",
            "If '=x' is the script to launch, put it before --env.",
        ),
        (
            "-P urgent",
            "--priority takes critical, high, medium, low (or 0 to 3), not 'urgent'.",
            "",
        ),
        ("--grace soon", "--grace takes a number, not 'soon'.", ""),
        (
            "--config nothing.yaml",
            "--config: the file 'nothing.yaml' cannot be read: No such file or directory.",
            "Give the path of a YAML or JSON file, inline JSON in quotes, or a $variable.",
        ),
        ("--name 'x", '%launch: No closing quotation in "--name \'x".', "Check the quotes."),
        (
            '-E "sh -c \'x"',
            '--entry-point: No closing quotation in "sh -c \'x".',
            "Check the quotes.",
        ),
    ],
)
def test_bad_input_says_what_and_what_to_do(line: str, what: str, hint: str) -> None:
    assert complaint(line) == f"{what}\n{hint}".rstrip()


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (b"- a\n- b\n", "must be a mapping of names to values, and is a list."),
        (b"", "must be a mapping of names to values, and is a NoneType."),
        (b"lr: [1, 2\n", "is no YAML or JSON: expected ',' or ']', but got '<stream end>'"),
        (b"lr: 'open\n", "is no YAML or JSON: found unexpected end of stream in line 2."),
    ],
)
def test_a_bad_config_file_says_what_is_wrong_with_it(written: bytes, message: str) -> None:
    Path("c.yaml").write_bytes(written)
    assert complaint("--config c.yaml").startswith("--config: the file c.yaml " + message)


def test_a_config_file_that_is_no_text_says_so() -> None:
    Path("c.yaml").write_bytes(b"\xff\xfe\x00")
    assert "--config: the file 'c.yaml' cannot be read: 'utf-8' codec" in complaint("-c c.yaml")
    Path("folder").mkdir()
    assert "the file 'folder' cannot be read: Is a directory." in complaint("-c folder")


@pytest.mark.parametrize("inline", ["'{1'", "'{a: b: c}'", "'{!!python/name:os.system x}'"])
def test_bad_inline_config_says_so(inline: str) -> None:
    assert complaint(f"--config {inline}").startswith("--config is no YAML or JSON: ")


# -- values of the run config ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("5", 5),
        ("-0.5", -0.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("2.5e+3", 2500.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("", None),
        ("[1, 2.5, a]", [1, 2.5, "a"]),
        ("{a: {b: 1e-3}}", {"a": {"b": 1e-3}}),
        ("'5'", "5"),
        ("adam", "adam"),
        # What YAML 1.1 makes something else of:
        ("on", "on"),
        ("no", "no"),
        ("1:30", "1:30"),
        ("010", "010"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("2024-99-99", "2024-99-99"),
        ("[2024-01-01]", ["2024-01-01"]),
        # What is no YAML stays text:
        ("[", "["),
        ("a: b: c", "a: b: c"),
        ("@x", "@x"),
        ("!!int x", "!!int x"),
        ("!!set {a}", "!!set {a}"),
        ("!!python/name:os.system", "!!python/name:os.system"),
        ("=a=b", "=a=b"),
    ],
)
def test_set_gives_values_the_type_people_mean(typed: str, value: Any) -> None:
    got = config(f"--set {shlex.quote(f'x={typed}')}")["x"]
    assert (got, type(got)) == (value, type(value))


@given(text)
@example("!!timestamp x")
@example("0x_")
@example("1" * 5000)
def test_set_takes_any_text(typed: str) -> None:
    # What YAML can say and JSON cannot is refused in words.
    with contextlib.suppress(SpecError):
        got = config(shlex.join(["--set", f"x={typed}"]))
        LaunchSpec.from_dict({"overrides": {"run_config": got}})


@given(st.dictionaries(text, st.none() | st.booleans() | st.integers() | text, max_size=4))
def test_inline_json_is_taken_as_it_is(values: dict[str, Any]) -> None:
    for written in (json.dumps(values), json.dumps(values, ensure_ascii=False, indent="\t")):
        assert config(f"--config {shlex.quote(written)}") == values


def test_config_comes_from_a_file_of_yaml_or_json() -> None:
    Path("c.yaml").write_text(
        "base: &base {lr: 1e-4, on: yes}\nrun: {<<: *base, day: 2024-01-01}\n", encoding="utf-8"
    )
    assert config("-c c.yaml") == {
        "base": {"lr": 1e-4, "on": "yes"},
        "run": {"lr": 1e-4, "on": "yes", "day": "2024-01-01"},
    }
    Path("c.json").write_text('{\n\t"lr": 1e-4,\n\t"names": ["é"]\n}', encoding="utf-8")
    assert config("-c c.json") == {"lr": 1e-4, "names": ["é"]}


def test_set_is_laid_over_config_and_leaves_the_variable_alone() -> None:
    mine = {"lr": 0.1, "layers": [1, 2]}
    assert config("--set lr=0.2 --config $mine", {"mine": mine}) == {"lr": 0.2, "layers": [1, 2]}
    assert mine == {"lr": 0.1, "layers": [1, 2]}


# -- variables ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "became"),
    [
        ("$x", 5),
        ("{x}", 5),
        ("{{x}}", "{x}"),
        ("{{{x}}}", "{{x}}"),
        ("a{{x}}$x", "a{x}5"),
        ("$${x}", "${x}"),
        ("{{x}", "{5"),
        ("{{ x }}", "{{ x }}"),
        ("a-$x", "a-5"),
        ("{x}{y}/$y", "5why/why"),
        ("$$x", "$x"),
        ("$$", "$"),
        ("$$$x", "$5"),
        ("${x}", "${x}"),
        ("${run_id}-$x", "${run_id}-5"),
        ("$(x)", "$(x)"),
        ("$1", "$1"),
        ("$", "$"),
        ("{}", "{}"),
        ("{x+1}", "{x+1}"),
        ("{x.real}", "{x.real}"),
        ("{x()}", "{x()}"),
        ('{"x": 1}', '{"x": 1}'),
    ],
)
def test_names_are_put_in_and_nothing_is_evaluated(typed: str, became: object) -> None:
    assert expander({"x": 5, "y": "why"})(typed) == became


@given(text, text)
@example("$y {y} $$", "$(x)")
def test_what_a_variable_holds_is_not_expanded_again(value: str, around: str) -> None:
    expand = expander({"x": value, "y": "no"})
    assert expand("$x") == value
    assert expand(f"{literal(around)}-$x.") == f"{around}-{value}."


@given(text | st.text("{}$xy", max_size=12))
def test_literal_text_stays_as_it_is(word: str) -> None:
    assert expander({})(literal(word)) == word


def test_an_unknown_name_is_an_error_that_names_the_nearest() -> None:
    assert complaint("--name $lerning_rate", {"learning_rate": 1}) == (
        "There is no variable 'lerning_rate' in this notebook.\n"
        "Did you mean 'learning_rate'? Literally, $ is written $$, and {name} is written {{name}}."
    )
    assert complaint("--set x={nothing}", {}).startswith("There is no variable 'nothing'")


def test_the_command_line_expands_nothing() -> None:
    assert asked("--name '$x {y} $$' -- '$z'").spec == {
        "name": "$x {y} $$",
        "overrides": {"args": ["$z"]},
    }


def test_variables_reach_every_kind_of_value() -> None:
    names = {
        "n": 3,
        "lr": 0.5,
        "code": "0123",
        "conf": {"a": [1]},
        "cmd": ["python", "a b.py", 7],
        "line": "python 'a b.py'",
        "file": "it's here.py",
        "level": "high",
    }
    assert config("--set n=$n lr={lr} c=$conf text=v$n code=$code list=[$n,$lr]", names) == {
        "n": 3,
        "lr": 0.5,
        "c": {"a": [1]},
        "text": "v3",
        "code": "0123",
        "list": [3, 0.5],
    }
    assert config("--config $conf", names) == {"a": [1]}
    assert asked("$file --include $file --env A=$n --grace $n -P $level", names) == Request(
        path="it's here.py",
        include=("it's here.py",),
        spec={"env": {"A": "3"}, "grace_s": 3.0, "priority": 1},
    )
    assert asked("-d img -- $n '$file'", names).spec["overrides"]["args"] == ["3", "it's here.py"]
    for typed, command in {
        "$cmd": ["python", "a b.py", "7"],
        "$line": ["python", "a b.py"],
        "'python $file --n=$n'": ["python", "it's here.py", "--n=3"],
    }.items():
        assert asked(f"-E {typed}", names).spec["overrides"]["entry_point"] == command


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--config $n", "--config takes a mapping, not a int."),
        ("--set x=$thing", "--set: a value cannot be written as JSON: Object of type object"),
        ("--config $odd", "--config: a value cannot be written as JSON: Object of type set"),
        ("--grace $conf", "--grace takes a number, not {}."),
        ("-P $n", "--priority takes critical, high, medium, low (or 0 to 3), not '7'."),
    ],
)
def test_a_variable_of_the_wrong_kind_says_so(line: str, message: str) -> None:
    names = {"n": 7, "thing": object(), "odd": {"a": {1}}, "conf": {}}
    assert complaint(line, names).startswith(message)
