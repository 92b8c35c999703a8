"""The form without a page: what it says is what the magic would say, and nothing else is sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings

from jupyter_launch.errors import ConfigError, SpecError
from jupyter_launch.frontends.form import Form, launch_form
from jupyter_launch.frontends.form_fields import ChoiceField, TextField
from jupyter_launch.frontends.form_later import Later
from jupyter_launch.frontends.form_rows import RowsField
from jupyter_launch.frontends.form_start import start_of
from jupyter_launch.frontends.form_table import (
    ARGS,
    BODY,
    CONFIG,
    GROUPS,
    IMAGE,
    KIND,
    KINDS,
    OF_KIND,
    VARIABLES,
    fields,
    groups,
)
from jupyter_launch.job import JobName
from jupyter_launch.option import options
from jupyter_launch.queues import make_queue
from jupyter_launch.resolve import queue_of
from jupyter_launch.runs import Queue, QueueRecord
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.stores.base import Store
from jupyter_launch.submit import Launcher
from tests.unit.test_copy_as import ANY, FILES, ME, by_magic, recorded, same

CELL = "print('hello')\n"
HERE = {"notebook": "/tests/notebook.ipynb", "cell": "a-cell"}


@pytest.fixture(autouse=True)
def surroundings(own_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Say whose the runs are, and make the scripts and folders that are launched."""
    monkeypatch.setenv("JUPYTER_LAUNCH_ENTITY", ME)
    for name in (*FILES[:2], "folder/main.py", "no main/a.py"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("1", encoding="utf-8")


def form_of(spec: Any = None, **settings: str) -> Form:
    form = Form(settings, {})
    form.begin(start_of(spec))
    return form


def typed(form: Form, **texts: str) -> Form:
    """Type into fields, by the last part of their names."""
    for name, text in texts.items():
        (field,) = [f for path, f in form.fields.items() if path.rpartition(".")[2] == name]
        assert isinstance(field, TextField | ChoiceField)
        field.input.value = text
    return form


def cell_form(body: str = CELL) -> Form:
    form = form_of()
    return typed(form, kind="cell", cell=body, resource="local-process")


def rows(form: Form, path: str) -> RowsField:
    field = form.fields[path]
    assert isinstance(field, RowsField)
    return field


# -- the table --------------------------------------------------------------------------------


def test_every_option_has_a_field_in_one_group() -> None:
    made = fields()
    placed = [path for paths in groups(made).values() for path in paths]
    assert {path for path, *_ in options(LaunchSpec)} <= made.keys()
    assert sorted(placed) == sorted(made)


def test_every_field_that_is_named_is_there() -> None:
    named = {path for paths in (*GROUPS.values(), *OF_KIND.values()) for path in paths}
    assert named <= fields().keys()


# -- the same as the magic --------------------------------------------------------------------


@settings(ANY, max_examples=50)
@given(recorded())
def test_a_form_says_what_it_was_filled_with_and_copies_as_magic(
    launched: tuple[LaunchSpec, Queue | None],
) -> None:
    spec, queue = launched
    data = spec.to_dict()
    for name in ("run_id", "origin"):
        data.pop(name, None)
    if queue is not None and queue.name != "default":
        data["queue"] = queue.name
    try:
        kind = LaunchSpec.from_dict(data).kind
    except SpecError:
        assume(False)
    hidden = {path for paths in OF_KIND.values() for path in paths} - set(OF_KIND[kind])
    wanted = LaunchSpec.from_dict(without(data, hidden))
    assume(wanted.kind == kind)
    form = form_of(wanted)
    try:
        made = form.spec
    except SpecError as error:  # then nothing is launched by it, and the magic refuses it too
        assume("cell" not in str(error) and "There is no" not in str(error))
        raise
    assert {"entity": ME, **wanted.to_dict()} == made.to_dict()
    text = form.magic()
    put_on = queue_of(made) if form.draft.for_queue else None
    same(by_magic(text), made, put_on, typed="--spec" not in text.partition("\n")[0])


def without(data: dict[str, Any], paths: set[str]) -> dict[str, Any]:
    """Leave fields out that a kind of source has not."""
    kept = {}
    for name, value in data.items():
        below = {p.removeprefix(f"{name}.") for p in paths if p.startswith(f"{name}.")}
        if name not in paths:
            kept[name] = without(value, below) if below else value
    return kept


def test_what_is_typed_reaches_the_spec() -> None:
    form = typed(
        form_of(), docker_image="busybox", entry_point="sh -c 'echo $HOME'", args="a 'b c'"
    )
    typed(form, name="a name", requirements="numpy\npandas>=2")
    rows(form, CONFIG).set("lr", "1e-4")
    rows(form, CONFIG).set("note", '"5"')
    rows(form, "env").set("A", "010")
    form.fields["priority"].put(0)
    said = form.spec.to_dict()
    assert said == {
        "docker": {"docker_image": "busybox"},
        "overrides": {
            "entry_point": ["sh", "-c", "echo $HOME"],
            "args": ["a", "b c"],
            "run_config": {"lr": 1e-4, "note": "5"},
        },
        "name": "a name",
        "requirements": ["numpy", "pandas>=2"],
        "env": {"A": "010"},
        "priority": 0,
        "entity": ME,
    }


def test_rows_are_added_and_removed() -> None:
    form = form_of()
    field = rows(form, "env")
    field.more.click()
    field.rows[0].name.value, field.rows[0].value.value = "A", "1"
    assert field.read() == {"A": "1"}
    field.rows[0].box.children[-1].click()
    assert field.read() is None


def test_fields_of_other_sources_are_neither_shown_nor_sent() -> None:
    form = typed(form_of(), docker_image="busybox", uri="https://example.org/a")
    assert form.spec.uri is None
    typed(form, kind="git")
    assert form.spec.uri == "https://example.org/a"
    shown = {id(widget) for widget in form.view.root.children[1].children}
    assert {id(form.fields[path].widgets[0]) for path in OF_KIND["git"]} <= shown
    assert id(form.fields[BODY].widgets[0]) not in shown


def test_a_form_is_made_of_widgets_that_every_front_end_brings() -> None:
    """VS Code and Colab draw those of ipywidgets itself, and fetch all others from the network."""

    def all_of(widget: Any) -> Iterator[Any]:
        yield widget
        for child in getattr(widget, "children", ()):
            yield from all_of(child)

    for kind in KINDS:
        form = typed(form_of(), kind=kind)
        rows(form, "env").more.click()
        form.view.show_text("Preview", "what would be launched")
        widgets = list(all_of(form.view.root))
        assert len(widgets) > 50
        assert {widget._model_module for widget in widgets} == {"@jupyter-widgets/controls"}
        assert {widget._view_module for widget in widgets} == {"@jupyter-widgets/controls"}


# -- defaults and where they came from ---------------------------------------------------------


def test_fields_say_where_their_defaults_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_LAUNCH_PROJECT", "vision")
    form = form_of({"docker": {"docker_image": "busybox"}}, queue="gpu")
    assert form.fields[IMAGE].said("origin") == "from the spec given"
    assert form.fields["project"].said("default") == "default: vision (from JUPYTER_LAUNCH_PROJECT)"
    queue = form.fields["queue"].said("default")
    assert queue == "default: gpu (from %config LaunchMagics.queue)"
    typed(form, project="other", docker_image="alpine")
    assert form.fields["project"].said("default") == ""
    assert form.fields[IMAGE].said("origin") == ""


def test_a_saved_default_is_what_the_next_form_begins_with(tmp_path: Path) -> None:
    where = {"notebook": str(tmp_path / "work/train.ipynb"), "cell": "1"}
    first = Form({}, where)
    first.begin(start_of(None))
    typed(first, docker_image="busybox", name="of the notebook")
    rows(first, "env").set("API_TOKEN", "hf_abcdefghijklmnopqrstuvwxyz123456")
    path = first.save()
    assert path == tmp_path / "work/.jupyter-launch/train.ipynb.json"
    assert "hf_" not in path.read_text()
    assert "without env" in first.view.status.value
    other = typed(form_of(), docker_image="alpine", name="of the project", project="p")
    assert other.save(project=True) == Path.cwd() / ".jupyter-launch/project.json"
    second = Form({}, where)
    second.begin(start_of({"name": "mine", "docker": {"docker_image": "debian"}}))
    assert second.spec.to_dict() == {
        "name": "mine", "docker": {"docker_image": "debian"}, "project": "p", "entity": ME,
        "origin": where,
    }  # fmt: skip
    third = Form({}, where)
    third.begin(start_of(None))
    assert third.spec.name == "of the notebook"
    assert "default of this notebook" in third.fields["name"].said("origin")
    assert "default of this project" in third.fields["project"].said("origin")


def test_a_broken_file_of_defaults_is_named() -> None:
    Path(".jupyter-launch").mkdir()
    Path(".jupyter-launch/project.json").write_text("{")
    with pytest.raises(ConfigError, match=r"project\.json"):
        form_of()


# -- filled from a run or a job ----------------------------------------------------------------


def test_a_form_of_a_run_launches_its_successor(launcher: Launcher) -> None:
    old = launcher.launch(
        LaunchSpec.from_dict(
            {
                "source": {"kind": "cell", "body": CELL},
                "origin": {"notebook": "a.ipynb", "cell": "1"},
                "resource": "local-process",
                "env": {"API_TOKEN": "hf_abcdefghijklmnopqrstuvwxyz123456", "A": "1"},
            }
        )
    )
    form = launch_form(old)
    assert "hf_" not in json.dumps(rows(form, "env").read())
    rows(form, "env").set("A", "2")
    new = form.launch()
    assert (new.run.parent, new.run.spec.source) == (old.id, old.run.spec.source)
    env = {"API_TOKEN": "hf_abcdefghijklmnopqrstuvwxyz123456", "A": "2"}
    assert dict(new.run.spec.env) == env
    assert old.wait() == new.wait() == "finished"


def test_what_cannot_be_shown_is_kept_until_something_is_typed() -> None:
    form = form_of({"docker": {"docker_image": "a\x1bb"}, "author": "me"})
    assert "cannot be shown" in form.fields[IMAGE].said("held")
    assert (form.spec.image, form.spec.author) == ("a\x1bb", "me")
    typed(form, docker_image="busybox")
    assert form.spec.image == "busybox"


def test_a_form_takes_nothing_else() -> None:
    with pytest.raises(SpecError, match="not a int"):
        launch_form(5)


# -- what is wrong is said next to the field ----------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "path", "message"),
    [
        ({"resource": "local-proces"}, "resource", "Did you mean 'local-process'?"),
        ({"resource_args": "a: 1\nb: ["}, "resource_args", "line 2"),
        ({"resource_args": "local-process:\n  nicee: 1"}, "resource_args", "Line 2: "),
        ({"grace_s": "soon"}, "grace_s", "takes a number"),
        ({"grace_s": "-1"}, "grace_s", "greater than or equal to 0"),
        ({"entry_point": "sh 'a"}, "overrides.entry_point", "Check the quotes"),
        ({"secrets": "NO_SUCH_SECRET"}, "secrets", "not in the environment"),
        ({"requirements": "numpy=>1"}, "requirements", "numpy=>1"),
        ({"cell": "x ="}, BODY, "Line 1 of the cell is not Python"),
        ({"cell": ""}, BODY, "empty"),
        ({"kind": "path", "path": "nowhere.py"}, "path", "no script or folder 'nowhere.py'"),
        ({"kind": "path", "path": "no main"}, "overrides.entry_point", "no main.py"),
        ({"kind": "git", "uri": "https://a:b@example.org/x"}, "uri", ""),
        ({"kind": "job", "job": "none"}, "job", "no job"),
        ({"kind": "image", "job_name": "a"}, IMAGE, "nothing to launch"),
        ({"run_id": "a b"}, "run_id", "letters, digits"),
    ],
)
def test_what_is_wrong_stands_next_to_its_field(
    texts: dict[str, str], path: str, message: str
) -> None:
    form = typed(cell_form(), **texts)
    errors = form.errors()
    assert list(errors) == [path]
    assert message in errors[path]
    with pytest.raises(SpecError):
        form.launch()
    assert form.submissions.runs == []
    assert form.advice.facts.queues == ()


def test_several_fields_are_told_at_once_and_cleared_when_right() -> None:
    form = typed(cell_form(), grace_s="soon", entry_point="'")
    assert form.errors().keys() == {"grace_s", "overrides.entry_point"}
    typed(form, grace_s="5", entry_point="")
    assert form.errors() == {}


def test_a_new_form_complains_about_nothing() -> None:
    form = form_of()
    form.look()
    assert form.errors() == {}


def test_text_is_shown_as_text() -> None:
    form = typed(cell_form(), resource="<img src=x onerror=alert(1)>")
    form.wait()
    note = form.fields["resource"].note.value
    assert "<img" not in note
    assert "&lt;img" in note


def test_secrets_are_only_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "very secret")
    form = typed(cell_form(), secrets="HF_TOKEN\nOTHER")
    form.wait()
    assert form.fields["secrets"].said("detail") == "HF_TOKEN: here, OTHER: not here"
    rows(form, "env").set("API_KEY", "sk-abcdefghijklmnop1234567890")
    typed(form, secrets="")
    form.wait()
    assert "looks like a secret" in form.fields["env"].said("warning")


# -- what the store offers ----------------------------------------------------------------------


@pytest.fixture
def offers(store: Store) -> Store:
    """Give a store with a queue that lets launches choose, and a job with typed inputs."""
    schema = {"type": "integer", "minimum": 0, "maximum": 9}
    config = {
        "resource_args": {"local-process": {"nice": "{{niceness}}"}},
        "template_variables": {"niceness": {"schema": schema}},
    }
    make_queue(store, QueueRecord(Queue(ME, "gpu"), "local-process", config))
    content = {
        "spec": {"docker": {"docker_image": "busybox"}},
        "inputs": {"properties": {"lr": {"type": "number"}, "tag": {"type": "string"}}},
    }
    store.put_job(JobName(ME, "vision", "train"), content, ["prod"])
    store.submit(
        LaunchSpec.from_dict({"docker": {"docker_image": "busybox"}}), queue=Queue(ME, "gpu")
    )
    return store


def test_queues_are_offered_with_their_depth_and_variables(offers: Store) -> None:
    form = cell_form()
    form.look()
    form.wait()
    queue = form.fields["queue"]
    assert isinstance(queue, ChoiceField)
    assert ("gpu: 1 waiting, no agent yet, local-process", "gpu") in queue.input.options
    queue.input.value = "gpu"
    form.wait()
    (row,) = rows(form, VARIABLES).rows
    assert row.name.value == "niceness"
    assert row.value.placeholder == "a whole number from 0 to 9"
    assert "niceness" in form.errors()[VARIABLES]
    row.value.value = "12"
    assert "12 is not a whole number from 0 to 9" in form.errors()[VARIABLES]
    row.value.value = "7"
    assert form.errors() == {}
    assert "%%launch_add" in form.magic()
    assert "-v niceness=7" in form.magic()


def test_a_job_gives_its_config_typed_rows(offers: Store) -> None:
    form = typed(form_of(), kind="job", job=f"{ME}/vision/train:prod")
    form.look()
    form.wait()
    field = form.fields["job"]
    assert isinstance(field, TextField)
    assert {f"{ME}/vision/train:{alias}" for alias in ("latest", "prod", "v0")} <= set(
        field.input.options
    )
    declared = rows(form, CONFIG)
    assert [row.name.value for row in declared.rows] == ["lr", "tag"]
    declared.set("tag", "5")
    assert form.errors() == {}
    assert form.spec.overrides.run_config == {"tag": "5"}
    declared.set("lr", "fast")
    assert "lr: 'fast' is not of type 'number'" in form.errors()[CONFIG]


def test_queue_fields_are_left_out_of_a_launch_now(offers: Store) -> None:
    form = cell_form()
    form.fields["queue"].put("gpu")
    form.fields["priority"].put(0)
    rows(form, VARIABLES).set("niceness", "1")
    run = form.launch()
    assert run.run.queue is None
    assert run.run.spec.to_dict().keys() & {"queue", "priority", "template_variables"} == set()
    assert run.wait() == "finished"


# -- submitting ---------------------------------------------------------------------------------


def test_a_double_click_makes_one_run(store: Store) -> None:
    form = cell_form()
    button = form.view.buttons["launch"]
    button.click()
    button.click()
    form.wait()
    button.click()
    form.wait()
    (run,) = form.submissions.runs
    assert [one.id for one in store.runs()] == [run.id]
    assert run.wait() == "finished"


def test_what_was_changed_is_another_run(store: Store) -> None:
    form = cell_form()
    runs = [form.launch(), typed(form, name="again").launch()]
    assert {one.id for one in store.runs()} == {run.id for run in runs}
    assert [run.wait() for run in runs] == ["finished"] * 2


def test_an_answer_that_got_lost_is_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    form = cell_form()
    launch = Launcher.launch

    def lost(*args: Any, **given: Any) -> Any:
        launch(*args, **given)
        raise OSError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(Launcher, "launch", lost)
        with pytest.raises(OSError, match="gone"):
            form.launch()
    run = form.launch()
    assert [one.id for one in store.runs()] == [run.id]
    assert run.wait() == "finished"


def test_buttons_show_texts_and_errors() -> None:
    form = cell_form()
    form.view.buttons["copy"].click()
    form.wait()
    assert form.view.text == f"%%launch -r local-process\n{CELL}"
    form.view.buttons["preview"].click()
    form.wait()
    assert "argv:" in form.view.text
    assert form.view.text == form.preview()
    typed(form, resource="nowhere")
    form.view.buttons["launch"].click()
    form.wait()
    assert "no resource &#x27;nowhere&#x27;" in form.view.status.value
    assert "There is no resource" in form.fields["resource"].said("error")


def test_arguments_after_the_dashes_are_a_field() -> None:
    form = typed(cell_form(), args="--epochs 3")
    assert form.fields[ARGS].read() == ["--epochs", "3"]
    assert "-- --epochs 3" in form.magic()


# -- work that is put off -----------------------------------------------------------------------


def test_later_does_the_newest_once() -> None:
    done: list[int] = []
    go = threading.Event()

    def work() -> None:
        go.wait()
        done.append(1)

    later = Later(work, 0)
    later.ask()
    later.ask()
    assert not later.wait(0)
    go.set()
    assert later.wait(10)
    assert 1 <= len(done) <= 2


def test_the_kind_is_chosen_by_the_spec() -> None:
    assert form_of({"uri": "https://example.org/x"}).fields[KIND].read() == "git"
    assert form_of({"job": "a/b/c"}).fields[KIND].read() == "job"
