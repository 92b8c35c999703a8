"""Completion: what is offered where, from memory, whatever the store does."""

from __future__ import annotations

import argparse
import shlex
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jupyter_launch import config
from jupyter_launch.errors import StoreUnavailable
from jupyter_launch.frontends.candidate_values import PATHS, VALUES, Source
from jupyter_launch.frontends.candidates import _quoted, candidates
from jupyter_launch.frontends.known import Known
from jupyter_launch.frontends.line_parsers import parser
from jupyter_launch.frontends.manual_texts import TEXTS
from jupyter_launch.frontends.typed_line import bare, split_typed
from jupyter_launch.frontends.values import expander
from jupyter_launch.job import JobName
from jupyter_launch.runs import Queue, QueueRecord
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.stores.base import Store

TEMPLATE = {
    "template_variables": {
        "niceness": {"schema": {"type": "integer", "default": 5}},
        "kind": {"schema": {"type": "string", "enum": ["a", "b c"]}},
    }
}
INPUTS = {"properties": {"lr": {"type": "number", "default": 0.1}, "fast": {"type": "boolean"}}}


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_LAUNCH_ENTITY", "me")
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)


def shell(**names: Any) -> Any:
    return SimpleNamespace(user_ns=names, user_ns_hidden={})


@pytest.fixture
def source(store: Store) -> Iterator[Source]:
    """Give a source on a store that has a bit of everything, all of which is known already."""
    for name in ("gpu", "gpu-large"):
        store.create_queue(QueueRecord(Queue("me", name), "local-process", TEMPLATE))
    store.create_queue(QueueRecord(Queue("team", "theirs"), "local-process"))
    image = {"docker": {"docker_image": "any"}}
    hello = JobName("me", "vision", "Hello World")
    store.put_job(hello, {"spec": image, "inputs": INPUTS}, ["prod"])
    store.put_job(JobName("team", "speech", "train"), {"spec": image}, [])
    for run_id, lr in (("first", 0.1), ("second", 0.5)):
        spec = {**image, "run_id": run_id, "entity": "me", "project": "weather"}
        given = {**spec, "overrides": {"run_config": {"lr": lr, "epochs": 3}}}
        store.submit(LaunchSpec.from_dict(given), owner="x")
    made = Source(dict, shell(config={"lr": 1}, name="n", _hidden=1, print_it=print))
    known(made.known, "queues", "jobs", "runs", "last_config")
    known(made.known, lambda: made.known.queue_config(Queue("me", "gpu")))
    yield made
    made.known.close()


def known(memory: Known, *questions: str | Callable[[], Any]) -> None:
    """Ask, and wait until the answers have come."""
    for question in questions:
        (getattr(memory, question) if isinstance(question, str) else question)()
    for answer in list(memory._answers.values()):
        assert answer.known.wait(30)


def offered(source: Source, text: str) -> list[str]:
    """Give the lines that a text may become, without the magic."""
    verb, _, line = text.partition(" ")
    typed, found = candidates(source, verb, line)
    assert line.endswith(typed)
    start = line[: len(line) - len(typed)]
    return [start + candidate.text for candidate in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("launch --que", ["--queue"]),
        ("launch --docker-i", ["--docker-image"]),
        ("launch --inc", ["--include"]),
        ("launch --no", ["--no-wait"]),
        ("launch --queue gpu --que", []),
        ("launch --set a=1 --se", ["--set a=1 --secret", "--set a=1 --set", "--set a=1 --set-var"]),
        ("launch_form --dry", ["--dry-run"]),
        ("launch -q gp", ["-q gpu", "-q gpu-large"]),
        ("launch -q ", ["-q gpu", "-q gpu-large", "-q default"]),
        ("launch -e team -q ", ["-e team -q theirs", "-e team -q default"]),
        ("launch --queue=gpu-", ["--queue=gpu-large"]),
        ("launch -q large", ["-q gpu-large"]),
        ("launch -p ", ["-p speech", "-p vision", "-p weather"]),
        ("launch -e t", ["-e team"]),
        ("launch -r local", ["-r local-container", "-r local-process"]),
        ("launch -r a", ["-r auto"]),
        ("launch -P ", ["-P critical", "-P high", "-P medium", "-P low"]),
        ("launch -j ", ["-j 'me/vision/Hello World'", "-j team/speech/train"]),
        ("launch -j vis", ["-j 'vision/Hello World'"]),
        ("launch -j train", ["-j team/speech/train"]),
        ('launch -j "me/vision/He', ["-j 'me/vision/Hello World'"]),
        (
            "launch -j team/speech/train:",
            ["-j team/speech/train:latest", "-j team/speech/train:v0"],
        ),
        ("launch -j 'vision/Hello World:p", ["-j 'vision/Hello World:prod'"]),
        ("launch -j 'vision/Hello World:prod' --set ", ["lr=", "fast="]),
        ("launch -j 'vision/Hello World:prod' --set fast=", ["fast=true", "fast=false"]),
        ("launch -j 'vision/Hello World:prod' --set lr=1 f", ["fast="]),
        ("launch --set ", ["--set lr=", "--set epochs="]),
        ("launch --set lr=", ["--set lr=0.5"]),
        ("launch_add -q gpu -v ", ["-q gpu -v niceness=", "-q gpu -v kind="]),
        ("launch_add -q gpu -v kind=", ["-q gpu -v kind=a", "-q gpu -v 'kind=b c'"]),
        ("launch_add -q gpu -v niceness=", ["-q gpu -v niceness=5"]),
        ("launch -c $", ["-c $config", "-c $name"]),
        ("launch -n $na", ["-n $name"]),
        ("launch -n ", []),
        ("relaunch s", ["second"]),
        ("launch_config bu", ["build.inherit_pip_config"]),
        ("launch_config queue st", ["store"]),
        ("launch_queue pa", ["pause"]),
        ("launch_queue pause gpu", ["gpu", "gpu-large"]),
        ("launch_queue move first s", ["second"]),
        ("launch_queue move first --to th", []),
        ("launch_queue move first --to gpu-", ["gpu-large"]),
        ("launch_queue prioritize first -P cr", ["critical"]),
        ("launch_queue update gpu --priorities of", ["off"]),
    ],
)
def test_what_fits_is_offered(source: Source, text: str, expected: list[str]) -> None:
    line = text.partition(" ")[2]
    start = line[: len(line) - len(split_typed(line)[1])]
    assert offered(source, text) == [one if "-" in one[:1] else start + one for one in expected]


def test_runs_are_offered_newest_first(source: Source) -> None:
    assert offered(source, "relaunch ")[:2] == ["second", "first"]


def test_paths_are_offered_as_a_shell_does(source: Source) -> None:
    for name in ("train.py", "tests.csv", ".hidden", "with space.py"):
        Path(name).touch()
    Path("tools").mkdir()
    Path("tools/a.py").touch()
    assert offered(source, "launch t") == ["tests.csv", "tools/", "train.py"]
    assert offered(source, "launch .h") == [".hidden"]
    assert offered(source, "launch w") == ["'with space.py'"]
    assert offered(source, "launch tools/") == ["tools/a.py"]
    assert offered(source, "launch train.py t") == []
    assert offered(source, "launch train.py -- te") == ["train.py -- tests.csv"]
    assert offered(source, "launch -c te") == ["-c tests.csv"]
    assert offered(source, "launch --include train.py to") == ["--include train.py tools/"]
    assert offered(source, "launch nowhere/") == []
    assert [line for line in offered(source, "launch ") if "-" not in line][:2] == [
        "tests.csv",
        "tools/",
    ]


def test_secrets_are_offered_by_name(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERY_OWN_TOKEN", "value")
    assert offered(source, "launch --secret VERY_OWN") == ["--secret VERY_OWN_TOKEN"]


def test_a_value_that_looks_like_a_secret_is_not_offered(store: Store) -> None:
    key = "sk-" + "a1" * 20
    given = {"docker": {"docker_image": "any"}, "overrides": {"run_config": {"api_key": key}}}
    store.submit(LaunchSpec.from_dict(given), owner="x")
    source = Source(dict, shell())
    known(source.known, "last_config")
    assert offered(source, "launch --set ") == ["--set api_key="]
    assert offered(source, "launch --set api_key=") == []
    source.known.close()


def test_keys_are_those_of_this_notebooks_launches(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for notebook, key in (("/a.ipynb", "mine"), ("/b.ipynb", "other")):
        given = {"origin": {"notebook": notebook}, "overrides": {"run_config": {key: 1}}}
        store.submit(LaunchSpec.from_dict(given), owner="x")
    monkeypatch.setenv("JPY_SESSION_NAME", "/a.ipynb")
    source = Source(dict, shell())
    known(source.known, "last_config")
    assert offered(source, "launch --set ") == ["--set mine="]
    source.known.close()


@pytest.mark.parametrize("verb", TEXTS)
def test_every_place_with_values_is_one_of_the_parsers(verb: str) -> None:
    """Every option that takes a file or something known by name is completed."""
    places = {action.dest for action in parser(verb)._actions}
    if verb == "launch":
        assert places >= (PATHS | VALUES.keys()) - {"run", "setting"}
    flags = [action for action in parser(verb)._actions if action.option_strings]
    assert all(isinstance(action, argparse.Action) for action in flags)


def test_another_store_is_looked_into_when_the_setting_changes(
    tmp_path: Path, source: Source
) -> None:
    said = {"store": f"sqlite:///{tmp_path}/other/launch.db"}
    other = Source(lambda: said, shell())
    known(other.known, "queues")
    assert offered(other, "launch -q ") == ["-q default"]
    said["store"] = config.setting("store").value or ""
    known(other.known, "queues")
    assert "-q gpu" in offered(other, "launch -q ")
    other.known.close()


def test_asking_makes_no_store(tmp_path: Path) -> None:
    source = Source(dict, shell())
    known(source.known, "queues", "runs", "jobs")
    assert offered(source, "launch -q ") == ["-q default"]
    assert not (tmp_path / "store").exists()


# -- never waiting -----------------------------------------------------------------------------


class Slow:
    """A store that answers when it is told to, and not before."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked = 0
        self.closed = False

    def queues(self) -> list[Queue]:
        self.asked += 1
        self.go.wait()
        return [Queue("me", "gpu")]

    def close(self) -> None:
        self.closed = True


def test_an_answer_never_waits_for_the_store() -> None:
    slow = Slow()
    memory = Known(lambda: slow)  # type: ignore[arg-type,return-value]
    assert [list(memory.queues()) for _ in range(3)] == [[], [], []]  # or this would hang
    slow.go.set()
    known(memory, "queues")
    assert memory.queues() == [Queue("me", "gpu")]
    assert slow.asked == 1
    memory.close()
    assert slow.closed


def test_what_is_known_is_given_while_it_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow()
    slow.go.set()
    memory = Known(lambda: slow)  # type: ignore[arg-type,return-value]
    known(memory, "queues")
    monkeypatch.setattr("jupyter_launch.frontends.known.FRESH_S", -1.0)
    slow.go.clear()
    assert memory.queues() == [Queue("me", "gpu")]
    slow.go.set()
    memory.close()


def test_a_store_that_is_away_has_nothing() -> None:
    def away() -> Store:
        raise StoreUnavailable

    memory = Known(away)
    known(memory, "queues", "jobs", "runs")
    assert (*memory.queues(), *memory.jobs(), *memory.runs()) == ()


def test_an_engine_that_is_away_has_no_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    memory = Known(lambda: None)
    known(memory, "images")
    assert memory.images() == ()


# -- text of every kind ------------------------------------------------------------------------

lines = st.text(st.sampled_from("ab -=:'\"\\$${}/qj\t") | st.characters(exclude_categories=["Cs"]))


@given(lines)
@example("-j 'a b' \"c")
@example("a\\")
def test_a_line_is_its_words_and_what_is_being_typed(text: str) -> None:
    words, typed = split_typed(text)
    assert text.endswith(typed)
    assert isinstance(bare(typed), str)
    try:
        whole = shlex.split(text)
    except ValueError:
        return
    if "\n" not in text and "#" not in text and text.isprintable():
        assert [*words, *([bare(typed)] if typed else [])] == whole


@given(lines.filter(lambda text: "\0" not in text))
def test_a_quoted_candidate_is_read_as_it_was(text: str) -> None:
    if not text.startswith("$"):
        assert [expander({})(word) for word in shlex.split(_quoted(text))] == (
            [text] if text else []
        )


@given(st.sampled_from(sorted(TEXTS)), lines)
def test_any_text_may_stand_there(verb: str, text: str) -> None:
    memory = SimpleNamespace(setting=lambda name: "", variables=list, known=Nothing())
    typed, found = candidates(memory, verb, text)  # type: ignore[arg-type]
    assert text.endswith(typed)
    assert all(candidate.text for candidate in found)


class Nothing:
    """Knows nothing."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *_: {} if "config" in name else []
