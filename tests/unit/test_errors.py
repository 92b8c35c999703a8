"""Errors as people meet them: what happened, why, what to do."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

import jupyter_launch
from jupyter_launch import errors
from jupyter_launch.errors import ExecutionError, LaunchError, SpecError, StoreUnavailable

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


def test_the_module_shows_the_whole_tree() -> None:
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    assert sorted([*drawn, "LaunchError"]) == sorted(kind.__name__ for kind in ALL)


@pytest.mark.parametrize("kind", ALL)
def test_every_error_is_a_launch_error(kind: type[Exception]) -> None:
    assert issubclass(kind, LaunchError)


@pytest.mark.parametrize("kind", ALL)
def test_without_a_message_the_docstring_speaks(kind: type[LaunchError]) -> None:
    said = str(kind())
    assert said == (kind.__doc__ or "").partition("\n")[0]
    assert said.endswith(".")


def test_the_hint_stands_on_a_line_of_its_own() -> None:
    error = StoreUnavailable("The disk is full.", hint="Free some space.")
    assert str(error) == "The disk is full.\nFree some space."
    assert (error.message, error.hint) == ("The disk is full.", "Free some space.")
    assert error.args == ("The disk is full.",)


def test_a_hint_may_be_added_later() -> None:
    error = LaunchError("No.")
    error.hint += "Try again."
    assert str(error) == "No.\nTry again."


def test_a_failed_run_shows_its_last_lines_before_the_hint() -> None:
    error = ExecutionError("Run x failed.", hint="Look.", exit_code=3, log_tail="one\ntwo\n")
    assert str(error) == "Run x failed.\n  | one\n  | two\nLook."
    assert error.exit_code == 3


def test_a_notebook_shows_the_message_alone() -> None:
    shown = SpecError("There is no option '--naem'.", hint="Did you mean --name?")
    assert shown._render_traceback_() == [
        "\x1b[31mSpecError\x1b[0m: There is no option '--naem'.",
        "Did you mean --name?",
    ]


def test_errors_survive_the_way_between_processes() -> None:
    error = ExecutionError("Run x failed.", hint="Look.", exit_code=3, log_tail="one")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.exit_code) == (str(error), 3)


@pytest.mark.parametrize("name", ["LaunchError", "ExecutionError", "RunStopped", "SpecError"])
def test_the_ones_to_catch_are_public(name: str) -> None:
    assert getattr(jupyter_launch, name) is getattr(errors, name)


def test_every_public_name_is_there() -> None:
    for name in jupyter_launch.__all__:
        assert getattr(jupyter_launch, name)
    with pytest.raises(AttributeError, match="no attribute 'launhc'"):
        jupyter_launch.launhc  # noqa: B018
