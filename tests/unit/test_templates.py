"""Template variables: what a queue may declare, which values are within it, where they are put."""

from __future__ import annotations

import contextlib
import copy
import json
import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jupyter_launch.errors import SpecError
from jupyter_launch.templates import (
    check_templates,
    fill,
    limits,
    placeholders,
    template_values,
)

CARDS = {"schema": {"type": "integer", "minimum": 1, "maximum": 8, "default": 2}}
SIZE = {"schema": {"type": "string", "enum": ["small", "large"]}, "description": "of the machine"}
SHARE = {"schema": {"type": "number", "exclusiveMinimum": 0, "maximum": 1}}
SPOT = {"schema": {"type": "boolean", "title": "Spot"}}
ALL = {"n": CARDS, "size": SIZE, "share": SHARE, "spot": SPOT}

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
configs = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


def refused(call: Any, *args: Any) -> SpecError:
    with pytest.raises(SpecError) as failure:
        call(*args)
    return failure.value


# -- what a queue declares ---------------------------------------------------------------------


def test_every_kind_of_variable_can_be_declared() -> None:
    before = copy.deepcopy(ALL)
    check_templates(ALL)
    check_templates({})
    assert before == ALL


@pytest.mark.parametrize(
    ("variables", "field", "message"),
    [
        (
            {"my-n": CARDS},
            "template_variables",
            (
                "A template variable cannot be called 'my-n'.\n"
                "Its name has letters, digits and '_', and does not begin with a digit."
            ),
        ),
        (
            {"n": {"type": "integer"}},
            "template_variables.n.type",
            "template_variables.n takes no 'type'.\nKnown: description, schema.",
        ),
        (
            {"n": 3},
            "template_variables.n",
            (
                "template_variables.n: must be a mapping, and is 3.\n"
                'A variable is declared like this: {"n": {"schema": {"type": "integer"}}}.'
            ),
        ),
        (
            {"n": {"schema": {}}},
            "template_variables.n.schema.type",
            (
                "template_variables.n.schema.type: must be one of integer, number, string, "
                "boolean, and is null."
            ),
        ),
        (
            {"n": {"schema": {"type": ["integer"]}}},
            "template_variables.n.schema.type",
            (
                "template_variables.n.schema.type: must be one of integer, number, string, "
                'boolean, and is ["integer"].'
            ),
        ),
        (
            {"n": {"schema": {"type": "integer", "minumum": 1}}},
            "template_variables.n.schema.minumum",
            "template_variables.n.schema takes no 'minumum'.\nDid you mean 'minimum'?",
        ),
        (
            {"n": {"schema": {"type": "string", "maximum": 1}}},
            "template_variables.n.schema.maximum",
            (
                "template_variables.n.schema takes no 'maximum'.\n"
                "Known: default, description, enum, title, type."
            ),
        ),
        (
            {"n": {"schema": {"type": "integer", "minimum": "1"}}},
            "template_variables.n.schema.minimum",
            "template_variables.n.schema.minimum: '1' is not of type 'number'.",
        ),
        (
            {"n": {"schema": {"type": "integer", "minimum": 3, "maximum": 2}}},
            "template_variables.n.schema.minimum",
            "template_variables.n.schema.minimum: 3 is above the maximum, 2.",
        ),
        (
            {"n": {"schema": {"type": "string", "enum": []}}},
            "template_variables.n.schema.enum",
            "template_variables.n.schema.enum: no value is allowed.",
        ),
        (
            {"n": {"schema": {"type": "integer", "enum": [1, "2"]}}},
            "template_variables.n.schema.enum.1",
            'template_variables.n.schema.enum.1: "2" is not a whole number, one of 1, "2".',
        ),
        (
            {"n": {"schema": {"type": "integer", "maximum": 8, "default": 9}}},
            "template_variables.n.schema.default",
            "template_variables.n.schema.default: 9 is not a whole number of at most 8.",
        ),
        (
            {"n": {**CARDS, "description": 1}},
            "template_variables.n.description",
            "template_variables.n.description: must be text.",
        ),
    ],
)
def test_what_is_wrong_with_a_declaration_is_named(
    variables: dict[str, Any], field: str, message: str
) -> None:
    error = refused(check_templates, variables)
    assert (error.field, str(error)) == (field, message)


@given(st.dictionaries(names | texts, configs, max_size=3))
def test_no_declaration_breaks_the_check(variables: dict[str, Any]) -> None:
    with contextlib.suppress(SpecError):
        check_templates(variables)


# -- the values of one launch ------------------------------------------------------------------


def test_defaults_are_filled_in_under_what_was_given() -> None:
    chosen = {"size": "large", "share": 0.5, "spot": False}
    assert template_values(ALL, chosen) == {"n": 2, **chosen}
    assert template_values(ALL, {"n": 8, **chosen}) == {"n": 8, **chosen}
    assert template_values({}, {}) == {}


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("n", 0, "a whole number from 1 to 8"),
        ("n", 9, "a whole number from 1 to 8"),
        ("n", 2.5, "a whole number from 1 to 8"),
        ("n", "2", "a whole number from 1 to 8"),
        ("n", True, "a whole number from 1 to 8"),
        ("n", None, "a whole number from 1 to 8"),
        ("n", [2], "a whole number from 1 to 8"),
        ("size", "medium", 'text, one of "small", "large"'),
        ("size", 1, 'text, one of "small", "large"'),
        ("share", 0, "a number of at most 1, above 0"),
        ("share", math.nan, "a number of at most 1, above 0"),
        ("share", False, "a number of at most 1, above 0"),
        ("spot", 1, "true or false"),
        ("spot", "true", "true or false"),
    ],
)
def test_a_value_outside_its_limits_is_refused(name: str, value: Any, allowed: str) -> None:
    error = refused(template_values, ALL, {"size": "small", "share": 1, "spot": True, name: value})
    assert error.field == f"template_variables.{name}"
    assert str(error) == f"template_variables.{name}: {json.dumps(value)} is not {allowed}."


def test_a_long_value_is_cut() -> None:
    error = refused(template_values, {"size": SIZE}, {"size": "x" * 1000})
    assert len(str(error)) < 200


def test_a_whole_number_may_be_written_with_a_point() -> None:
    (value,) = template_values({"n": CARDS}, {"n": 4.0}).values()
    assert (value, type(value)) == (4, int)


@pytest.mark.parametrize(
    ("variables", "hint"),
    [
        ({"size": SIZE}, "Did you mean 'size'?"),
        ({"n": CARDS, "spot": SPOT}, "Known: n, spot."),
        ({}, "It has none at all."),
    ],
)
def test_an_unknown_name_is_refused(variables: dict[str, Any], hint: str) -> None:
    error = refused(template_values, variables, {"sizes": 1})
    assert str(error) == f"The queue has no template variable 'sizes'.\n{hint}"
    assert error.field == "template_variables.sizes"


def test_all_missing_values_are_told_with_their_limits() -> None:
    error = refused(template_values, ALL, {"spot": True})
    assert str(error) == (
        "The queue needs a value for each of its template variables. Missing: "
        'size (text, one of "small", "large"); share (a number of at most 1, above 0).\n'
        "Give it: -v size=VALUE, or template_variables in Python."
    )
    assert error.field == "template_variables.size"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer"}, "a whole number"),
        ({"type": "integer", "minimum": 1}, "a whole number of at least 1"),
        (
            {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            "a number, above 0, below 1",
        ),
        ({"type": "integer", "enum": [1, 2]}, "a whole number, one of 1, 2"),
    ],
)
def test_limits_are_said_in_words(schema: dict[str, Any], words: str) -> None:
    assert limits(schema) == words


@given(st.integers(), st.integers(), st.integers() | st.floats() | texts | st.booleans())
def test_what_is_accepted_is_within_the_limits(low: int, high: int, value: Any) -> None:
    assume(low <= high)
    variables = {"n": {"schema": {"type": "integer", "minimum": low, "maximum": high}}}
    check_templates(variables)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    right = number and math.isfinite(value) and value == int(value) and low <= value <= high
    try:
        (chosen,) = template_values(variables, {"n": value}).values()
    except SpecError:
        assert not right
    else:
        assert right
        assert (type(chosen), chosen) == (int, value)


# -- placeholders ------------------------------------------------------------------------------


def test_values_are_put_in_wherever_a_text_stands() -> None:
    config = {
        "resource_args": {
            "local-container": {
                "cpus": "{{ n }}",
                "env": ["N={{n}}", "A={{n}}{{size}}", "{{absent}} {{n }}"],
                "{{n}}": "a key stays",
                "memory": "{{memory}}",
            }
        },
        "same": (1, None, "{n}", "{{ 9 }}", "{{.Values.n}}", " {{n}}"),
    }
    before = copy.deepcopy(config)
    assert fill(config, {"n": 4, "size": "large", "memory": "{{n}}g"}) == {
        "resource_args": {
            "local-container": {
                "cpus": 4,
                "env": ["N=4", "A=4large", "{{absent}} 4"],
                "{{n}}": "a key stays",
                "memory": "{{n}}g",
            }
        },
        "same": [1, None, "{n}", "{{ 9 }}", "{{.Values.n}}", " 4"],
    }
    assert config == before
    assert placeholders(config) == {"n", "size", "absent", "memory"}


@pytest.mark.parametrize("value", [4, 0.1, True, "text", "", "\\1 \\g<0> $1"])
def test_a_value_alone_keeps_its_type(value: Any) -> None:
    assert fill("{{x}}", {"x": value}) is value
    assert fill("<{{x}}>", {"x": value}) == f"<{value if value is not True else 'true'}>"


@given(configs)
def test_a_config_without_placeholders_stays_the_same(config: Any) -> None:
    assume(not placeholders(config))
    assert fill(config, {"n": 1}) == config


@given(configs, names, scalars)
def test_what_has_a_value_is_replaced_at_any_depth(config: Any, name: str, value: Any) -> None:
    assume(not placeholders(config))
    asked = f"{{{{{name}}}}}"
    assert placeholders([{"x": [config, asked]}]) == {name}
    assert fill([{"x": [config, asked]}], {name: value}) == [{"x": [config, value]}]


@given(st.dictionaries(names, texts, max_size=4), texts)
def test_nothing_is_put_into_what_was_put_in(values: dict[str, str], text: str) -> None:
    one = {name: f"{{{{{name}}}}}{text}" for name in values}
    assert fill({name: f"{{{{{name}}}}}" for name in values}, one) == one
