"""What was launched can be copied as text, and the text launches the same."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager

from jupyter_launch import launch, launch_add
from jupyter_launch.frontends import options, request
from jupyter_launch.frontends.arguments import FIELDS, QUEUED
from jupyter_launch.frontends.copy_as import FORMS, as_cli, as_magic, as_python
from jupyter_launch.frontends.values import split
from jupyter_launch.option import options as option_table
from jupyter_launch.redact import redact_spec
from jupyter_launch.runs import Queue, Run
from jupyter_launch.sources.base import InMemory
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.terminal import visible

ME = "me"
FILES = ("train.py", "it's a $x {y}.sh", "folder", "no main")
PYTHON = {"python": sys.executable, "python_version": "{}.{}".format(*sys.version_info)}


@pytest.fixture(autouse=True)
def surroundings(own_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the scripts and folders that are launched, and say whose they are."""
    monkeypatch.setenv("JUPYTER_LAUNCH_ENTITY", ME)
    monkeypatch.setattr("jupyter_launch.frontends.launches.Api", Submits)
    for name in ("train.py", "it's a $x {y}.sh", "folder/main.py", "no main/a.py", "data.csv"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("1", encoding="utf-8")


# -- specs ------------------------------------------------------------------------------------

CHARS = st.sampled_from("'\"$ {}\\-=!#%`?;~&|<>*[]:,x_1é→\t\n\r\x1b\x85\u202e\u2028\U0001f600")
TEXT = st.text(
    CHARS | st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9
)
SOME = TEXT.filter(bool)
NAMES = TEXT.filter(lambda name: name and "=" not in name)
NUMBERS = st.integers() | st.floats(allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT | st.sampled_from(["5", "1e-4", "null", "on", "~"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
PAIRS = st.dictionaries(TEXT | st.sampled_from(["lr", "epochs"]), JSON, min_size=1, max_size=3)
WORDS = st.lists(TEXT, min_size=1, max_size=3)
VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "text": SOME,
    "words": WORDS,
    "mapping": PAIRS,
    "pairs": PAIRS,
    "strings": st.dictionaries(NAMES, TEXT, min_size=1, max_size=3),
    "list": st.lists(NAMES, min_size=1, max_size=3),
    "number": st.floats(1e-3, 1e300) | st.integers(1, 99).map(float),
    "priority": st.integers(0, 3),
    "flag": st.just(True),
}
OWN = {
    "overrides.args": WORDS,
    "resource_args": st.dictionaries(SOME, PAIRS, min_size=1, max_size=2),
    "run_id": st.from_regex(r"[a-z0-9]{8}", fullmatch=True),
    "resource": st.sampled_from(["auto", "local-container", "local-process"]),
    "author": TEXT,
    "sweep_id": TEXT,
    "image_uri": SOME,
    "queue_entity": SOME,
    "overrides.files": PAIRS,
    "docker.user_id": st.integers(0, 9),
    "origin.notebook": SOME,
    "origin.cell": SOME,
    "python_version": st.just("3.11"),
    "builder.inherit_pip_config": st.just(True),
    "retry.max_retries": st.integers(0, 100),
    "retry.on": st.lists(st.sampled_from(["crashed", "failed", "137"]), min_size=1),
    "retry.backoff_s": st.floats(0, 1e7),
    "launch_kind": JSON.filter(lambda value: value is not None),
}
PLACES = {**{path: VALUES[option.read] for path, option, _ in option_table(LaunchSpec)}, **OWN}
BODIES = (
    TEXT.map(lambda text: f"import os\nprint({text!r})\n")
    | TEXT.map(lambda text: f"#!/bin/sh\n{text}\nEOF\nEOFF")
    | st.lists(
        st.sampled_from(
            ["%%time", ">>> 1", "...", "In [1]: x", "  x = 1", "", 'y = """', '"""', "# \\"]
        ),
        min_size=1,
    ).map("\n".join)
    | TEXT
)
CELLS = st.fixed_dictionaries(
    {"kind": st.just("cell"), "body": BODIES},
    optional={"python": TEXT, "snapshot": TEXT},
)
PATHS = st.sampled_from(FILES).map(
    lambda path: {"kind": "path", "path": path, "snapshot": "kept", **_main(path), **PYTHON}
)


def _main(path: str) -> dict[str, str]:
    return {} if path == "no main" else {"main": "main.py" if path == "folder" else path}


@st.composite
def recorded(draw: st.DrawFn) -> tuple[LaunchSpec, Queue | None]:
    """Make a spec, and the queue it was put on."""
    paths = draw(st.lists(st.sampled_from(sorted(PLACES)), unique=True, max_size=5))
    data: dict[str, Any] = {}
    for path in paths:
        *parents, last = path.split(".")
        holder = data
        for parent in parents:
            holder = holder.setdefault(parent, {})
        holder[last] = draw(PLACES[path])
    source = draw(st.none() | CELLS | PATHS)
    spec = LaunchSpec.from_dict({**data, **({"source": source} if source else {})})
    assume(redact_spec(spec.to_dict()) == spec.to_dict())
    name = spec.queue or draw(st.sampled_from([None, "default", "gpu $x {y}"]))
    return spec, Queue(ME, name) if name else None


# -- what text launches -----------------------------------------------------------------------


class Everything(Mapping[str, Any]):
    """A notebook in which every name is a variable."""

    def __getitem__(self, name: str) -> Any:
        return "a variable"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class Launched(NamedTuple):
    """What some text launched: by which verb, with which spec."""

    verb: str
    spec: LaunchSpec


def by_magic(text: str) -> Launched:
    """Do what IPython and the magics do with a cell."""
    call = ast.parse(TransformerManager().transform_cell(text)).body[0]
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    verb, line, *body = (ast.literal_eval(argument) for argument in call.value.args)
    asked = options.parse(options.parser(f"%{verb}", ""), split(line, verb), Everything())
    return Launched(verb, request.spec_of(asked, body[0] if body else None, InMemory(), {}, {}))


def by_shell(text: str) -> Launched:
    """Do what a shell and the command line do with a command."""
    stub = 'jupyter() { printf \'%s\\0\' "$@"; [ "$3" = - ] && cat; true; }'
    done = subprocess.run(
        ["/bin/sh", "-c", f"{stub}\n{text}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    *words, body = done.stdout.decode().split("\0")
    assert words[0] == "launch"
    asked = options.parse(options.parser("jupyter launch", ""), words[2:])
    if asked.path == "-":
        asked = options.Request(**{**vars(asked), "path": None})
    else:
        assert body == ""
    verb = {"run": "launch", "add": "launch_add"}[words[1]]
    cell = body if words[2:3] == ["-"] else None
    return Launched(verb, request.spec_of(asked, cell, InMemory(), {}, {}))


class Submitted(Exception):
    """Raised where something would be submitted."""


class Submits:
    """Stands where the store is."""

    default_entity: str | None = ME
    default_project: str | None = None

    @property
    def launcher(self) -> Submits:
        return self

    def launch(self, spec: LaunchSpec) -> None:
        raise Submitted(Launched("launch", spec))

    def add(self, spec: LaunchSpec) -> None:
        raise Submitted(Launched("launch_add", spec))


def by_python(text: str) -> Launched:
    """Run the text with `launch` and `launch_add` as they are, up to the store."""
    assert TransformerManager().transform_cell(text) == text
    try:
        exec(compile(text, "<copied>", "exec"), {})
    except Submitted as submitted:
        made: Launched = submitted.args[0]
        return made
    raise AssertionError("nothing was launched")


def compared(spec: LaunchSpec, queue: Queue | None, *, typed: bool) -> Launched:
    """Give what must be launched again, without what is of one launch only."""
    data = spec.to_dict()
    for name in ("run_id", "origin"):
        data.pop(name, None)
    if data.get("entity") is None:
        data["entity"] = ME
    source = data.get("source", {})
    for name in ("python", "python_version", *(["snapshot"] if typed else [])):
        source.pop(name, None)
    if source.get("body") and typed:
        source["body"] = source["body"].removesuffix("\n") + "\n"
    if queue is not None and queue.name != "default":
        data.setdefault("queue", queue.name)
    if source and typed and "queue" not in data and queue is None:
        data.setdefault("resource", "local-container")
    verb = "launch_add" if queue or "queue" in data else "launch"
    return Launched(verb, LaunchSpec.from_dict(data))


def same(made: Launched, spec: LaunchSpec, queue: Queue | None, *, typed: bool) -> None:
    asked = compared(spec, queue, typed=typed)
    assert compared(made.spec, None, typed=typed).spec.to_dict() == asked.spec.to_dict()
    assert made.verb == asked.verb


ANY = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@ANY
@given(recorded())
def test_a_magic_launches_the_same(launched: tuple[LaunchSpec, Queue | None]) -> None:
    spec, queue = launched
    text = as_magic(spec, queue)
    same(by_magic(text), spec, queue, typed="--spec" not in text.partition("\n")[0])


@ANY
@given(recorded())
def test_a_command_launches_the_same(launched: tuple[LaunchSpec, Queue | None]) -> None:
    spec, queue = launched
    text = as_cli(spec, queue)
    same(by_shell(text), spec, queue, typed="--spec <<" not in text)


@ANY
@given(recorded())
def test_a_call_launches_the_same(launched: tuple[LaunchSpec, Queue | None]) -> None:
    spec, queue = launched
    same(by_python(as_python(spec, queue)), spec, queue, typed=False)


def test_the_table_has_the_arguments_of_the_functions() -> None:
    others = {"config", "parameters", "project_queue", "api", "synchronous"}
    now = set(inspect.signature(launch).parameters) - others
    later = set(inspect.signature(launch_add).parameters) - others
    assert (now, later) == (set(FIELDS) - QUEUED, set(FIELDS))


# -- how it reads -----------------------------------------------------------------------------

TRAIN = {
    "docker": {"docker_image": "busybox"},
    "entity": ME,
    "overrides": {
        "entry_point": ["sh", "-c", "echo $HOME {x}"],
        "args": ["a b", "--x"],
        "run_config": {"lr": 0.1, "opt": {"name": "adam"}, "code": "010", "version": "5"},
    },
    "env": {"A": "it's"},
    "secrets": ["HF_TOKEN"],
    "grace_s": 5.0,
    "run_id": "taken",
}
CELL = {
    "source": {
        "kind": "cell",
        "body": 'import os\nprint("""a\\n""")\n',
        **PYTHON,
    },
    "origin": {"notebook": "a.ipynb", "cell": "c1"},
    "resource": "auto",
    "docker": {"docker_image": "pytorch"},
}
SCRIPT = {
    "source": {
        "kind": "path",
        "path": "train.py",
        "main": "train.py",
        "snapshot": "ab12",
        **PYTHON,
    },
    "resource": "auto",
    "overrides": {"args": ["--epochs", "3"]},
    "priority": 0,
}
READS: list[tuple[dict[str, Any], Queue | None, str, str, str]] = [
    (
        TRAIN,
        None,
        """
%launch -d busybox --set lr=0.1 'opt={"name": "adam"}' code=010 'version="5"' \
-E "sh -c 'echo $$HOME {{x}}'" --env "A=it's" --secret HF_TOKEN --grace 5 -- 'a b' --x
""",
        """
jupyter launch run -d busybox --set lr=0.1 'opt={"name": "adam"}' code=010 'version="5"' \
-E 'sh -c '"'"'echo $HOME {x}'"'"'' --env "A=it's" --secret HF_TOKEN --grace 5 -- 'a b' --x
""",
        """
from jupyter_launch import launch

launch(
    None,
    docker_image="busybox",
    entry_point=["sh", "-c", "echo $HOME {x}"],
    parameters={"lr": 0.1, "opt": {"name": "adam"}, "code": "010", "version": "5"},
    config={
        "overrides": {"args": ["a b", "--x"]},
        "env": {"A": "it's"},
        "secrets": ["HF_TOKEN"],
        "grace_s": 5.0,
    },
)
""",
    ),
    (
        CELL,
        Queue(ME, "gpu"),
        '''
%%launch_add -d pytorch -q gpu
import os
print("""a\\n""")
''',
        '''
jupyter launch add - -d pytorch -q gpu <<'EOF'
import os
print("""a\\n""")
EOF
''',
        '''
from jupyter_launch import launch_add

cell = """\\
import os
print(\\"\\"\\"a\\\\n\\"\\"\\")
"""
launch_add(
    docker_image="pytorch",
    resource="auto",
    queue_name="gpu",
    config={"source": {"kind": "cell", "body": cell}},
)
''',
    ),
    (
        SCRIPT,
        Queue(ME, "default"),
        """
%launch_add train.py -P critical -- --epochs 3
""",
        """
jupyter launch add train.py -P critical -- --epochs 3
""",
        """
from jupyter_launch import launch_add

launch_add(
    resource="auto",
    priority=0,
    config={
        "source": {"kind": "path", "main": "train.py", "path": "train.py", "snapshot": "ab12"},
        "overrides": {"args": ["--epochs", "3"]},
    },
)
""",
    ),
    (
        {"docker": {"docker_image": "x"}, "name": "a\nb\x7f", "author": "me"},
        None,
        """
%%launch --spec
{
  "docker": {
    "docker_image": "x"
  },
  "name": "a\\nb\\u007f",
  "author": "me"
}
""",
        """
jupyter launch run - --spec <<'EOF'
{
  "docker": {
    "docker_image": "x"
  },
  "name": "a\\nb\\u007f",
  "author": "me"
}
EOF
""",
        """
from jupyter_launch import launch

launch(None, docker_image="x", name="a\\nb\\u007f", config={"author": "me"})
""",
    ),
]


@pytest.mark.parametrize(
    ("spec", "queue", "magic", "cli", "python"), READS, ids=["image", "cell", "script", "whole"]
)
def test_copies_read_as_people_write(
    spec: dict[str, Any], queue: Queue | None, magic: str, cli: str, python: str
) -> None:
    text = LaunchSpec.from_dict(spec).to_json()
    run = Run(id="k3j9x2ab", spec_json=text, state=State.FINISHED, created=0.0, queue=queue)
    for name, asked in {"magic": magic, "cli": cli, "python": python}.items():
        # Long lines are broken above, to be read.
        lines = asked.replace("\\\n-E", "-E")
        assert FORMS[name](run) == lines.removeprefix("\n"), name


def test_what_the_settings_say_is_not_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = LaunchSpec.from_dict({**CELL, "project": "weather"})
    assert as_magic(spec).startswith("%%launch -d pytorch -p weather\n")
    monkeypatch.setenv("JUPYTER_LAUNCH_PROJECT", "weather")
    monkeypatch.setenv("JUPYTER_LAUNCH_IMAGE", "pytorch")
    assert as_magic(spec).startswith("%%launch\n")
    monkeypatch.setenv("JUPYTER_LAUNCH_RESOURCE", "local-process")
    assert as_magic(spec).startswith("%%launch -r auto\n")


def test_what_the_settings_would_fill_in_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_LAUNCH_IMAGE", "pytorch")
    spec = LaunchSpec.from_dict({"source": CELL["source"]})
    for made in (by_magic(as_magic(spec, Queue(ME, "default"))), by_shell(as_cli(spec))):
        assert (made.spec.image, made.spec.resource) == (None, None)


@pytest.mark.parametrize(
    ("body", "begins"),
    [
        ("print(1)", "%%launch\n# ‹redacted›: "),
        ("#!/bin/sh\nls\n", "%%launch\n#!/bin/sh\n# ‹redacted›: "),
    ],
)
def test_what_was_left_out_is_said(body: str, begins: str) -> None:
    key = "hf" + "_" + "Ab3dEf6hIj9lMn2pQr5t" * 2
    cell = {"kind": "cell", "body": f"{body}\n# {key}\n", **PYTHON}
    spec = LaunchSpec.from_dict({"source": cell, "resource": "auto"})
    image = LaunchSpec.from_dict(
        {"docker": {"docker_image": "x"}, "env": {"A": key}, "name": "a\nb"}
    )
    assert as_magic(spec).startswith(begins)
    for form in (as_magic, as_cli, as_python):
        for copied in (spec, image):
            text = form(copied)
            assert key not in text
            assert "# ‹redacted›: what looked like a secret. Hand it over by its name: " in text
    assert by_python(as_python(image)).spec.env == {"A": "‹redacted›"}
    assert by_magic(as_magic(image)).spec.env == {"A": "‹redacted›"}
    assert by_shell(as_cli(image)).spec.env == {"A": "‹redacted›"}


@given(TEXT, TEXT)
@ANY
def test_nothing_hidden_is_copied(name: str, body: str) -> None:
    source = (
        {"source": {"kind": "cell", "body": body}} if body else {"docker": {"docker_image": "x"}}
    )
    spec = LaunchSpec.from_dict({**source, "name": name, "env": {"A": name}})
    for form in (as_magic, as_cli, as_python):
        assert all(visible(line) == line for line in form(spec).split("\n"))
