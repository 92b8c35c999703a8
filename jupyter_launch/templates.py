"""Template variables: what a queue leaves open in its config, and the limits of the values.

A queue's config may say ``{{n}}`` wherever a text stands. The queue declares each such variable by
a schema, in W&B's form ``{"n": {"schema": {"type": "integer", "minimum": 1, "maximum": 8}}}``, and
whoever submits a run chooses the values. All here are functions of plain values.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from .errors import SpecError

FIELD = "template_variables"

_NAME = re.compile(r"[^\W\d]\w*")
_PLACEHOLDER = re.compile(r"\{\{\s*([^\W\d]\w*)\s*\}\}")

_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
}
_OF_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_OF_ALL = ("type", "enum", "default", "title", "description")


def check_templates(variables: Mapping[str, Any]) -> None:
    """Check what a queue declares as its template variables.

    Parameters
    ----------
    variables : mapping
        For each name ``{"schema": {...}, "description": "..."}``. The schema is a JSON Schema with
        a ``type`` (integer, number, string, boolean) and, as wanted, ``enum``, ``minimum``,
        ``maximum``, ``exclusiveMinimum``, ``exclusiveMaximum``, ``default``, ``title``,
        ``description``.

    Raises
    ------
    SpecError
        Naming the first that is wrong, such as ``template_variables.n.schema.minimum``.
    """
    for name, variable in _mapping(variables, FIELD).items():
        field = f"{FIELD}.{name}"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise SpecError(
                f"A template variable cannot be called {name!r}.",
                hint="Its name has letters, digits and '_', and does not begin with a digit.",
                field=FIELD,
            )
        _check_keys(_mapping(variable, field), ("schema", "description"), field)
        if not isinstance(variable.get("description", ""), str):
            raise SpecError(f"{field}.description: must be text.", field=f"{field}.description")
        _check_schema(variable.get("schema"), f"{field}.schema")


def template_values(variables: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Give every template variable of a queue its value: the one that was given, or its default.

    Parameters
    ----------
    variables : mapping
        As `check_templates` takes them; checked already.
    given : mapping
        The values of one launch. A whole number may be written ``4.0``, as in JSON Schema.

    Raises
    ------
    SpecError
        When a name is unknown, a value is missing, or one is not within its limits.
    """
    for name in given:
        if name not in variables:
            raise SpecError(
                f"The queue has no template variable {name!r}.",
                hint=_instead(name, variables) if variables else "It has none at all.",
                field=f"{FIELD}.{name}",
            )
    schemas = {name: variable["schema"] for name, variable in variables.items()}
    wanting = {n: s for n, s in schemas.items() if n not in given and "default" not in s}
    if wanting:
        needed = "; ".join(f"{name} ({limits(schema)})" for name, schema in wanting.items())
        raise SpecError(
            f"The queue needs a value for each of its template variables. Missing: {needed}.",
            hint=f"Give it: -v {next(iter(wanting))}=VALUE, or template_variables in Python.",
            field=f"{FIELD}.{next(iter(wanting))}",
        )
    chosen = {name: given.get(name, schema.get("default")) for name, schema in schemas.items()}
    return {name: _checked(name, value, schemas[name]) for name, value in chosen.items()}


def limits(schema: Mapping[str, Any]) -> str:
    """Say in words what a variable's schema allows, such as ``a whole number from 1 to 8``.

    Parameters
    ----------
    schema : mapping
        The ``schema`` of one variable.
    """
    said = _KINDS[schema["type"]]
    if {"minimum", "maximum"} <= schema.keys():
        said += f" from {schema['minimum']} to {schema['maximum']}"
    elif "minimum" in schema:
        said += f" of at least {schema['minimum']}"
    elif "maximum" in schema:
        said += f" of at most {schema['maximum']}"
    for keyword, word in (("exclusiveMinimum", "above"), ("exclusiveMaximum", "below")):
        if keyword in schema:
            said += f", {word} {schema[keyword]}"
    if "enum" in schema:
        said += ", one of " + ", ".join(map(_shown, schema["enum"]))
    return said


def placeholders(config: Any) -> set[str]:
    """Give the names of all variables that the texts of a nested config ask for."""
    if isinstance(config, str):
        return set(_PLACEHOLDER.findall(config))
    if isinstance(config, Mapping):
        config = config.values()
    elif not isinstance(config, (list, tuple)):
        return set()
    return set[str]().union(*map(placeholders, config))


def fill(config: Any, values: Mapping[str, Any]) -> Any:
    """Put values in for the placeholders in a nested config, which is not changed.

    Parameters
    ----------
    config : any
        Mappings, lists and scalars. Keys stay as they are.
    values : mapping
        What `template_values` gave. A placeholder that has no value stays.

    Returns
    -------
    any
        The config. A text that is nothing but a placeholder became the value itself, a number for
        example; within a longer text it is written as in JSON. What was put in is not looked at
        again.
    """
    if isinstance(config, Mapping):
        return {key: fill(item, values) for key, item in config.items()}
    if isinstance(config, (list, tuple)):
        return [fill(item, values) for item in config]
    if not isinstance(config, str):
        return config
    whole = _PLACEHOLDER.fullmatch(config)
    if whole and whole[1] in values:
        return values[whole[1]]
    return _PLACEHOLDER.sub(
        lambda found: _written(values[found[1]]) if found[1] in values else found[0], config
    )


def _check_schema(schema: Any, field: str) -> None:
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415  # slow to import

    kind = _mapping(schema, field).get("type")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise SpecError(
            f"{field}.type: must be one of {', '.join(_KINDS)}, and is {_shown(kind)}.",
            field=f"{field}.type",
        )
    numeric = kind in {"integer", "number"}
    _check_keys(schema, (*_OF_ALL, *_OF_NUMBERS) if numeric else _OF_ALL, field)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        at = ".".join([field, *map(str, error.absolute_path)])
        raise SpecError(f"{at}: {error.message}.", field=at) from error
    if not schema.get("enum", True):
        raise SpecError(f"{field}.enum: no value is allowed.", field=f"{field}.enum")
    if not schema.get("minimum", -math.inf) <= schema.get("maximum", math.inf):
        raise SpecError(
            f"{field}.minimum: {schema['minimum']} is above the maximum, {schema['maximum']}.",
            field=f"{field}.minimum",
        )
    candidates = {f"enum.{n}": value for n, value in enumerate(schema.get("enum", ()))}
    candidates |= {"default": schema["default"]} if "default" in schema else {}
    for where, value in candidates.items():
        if not _fits(value, schema):
            message = f"{field}.{where}: {_shown(value)} is not {limits(schema)}."
            raise SpecError(message, field=f"{field}.{where}")


def _checked(name: str, value: Any, schema: Mapping[str, Any]) -> Any:
    if not _fits(value, schema):
        field = f"{FIELD}.{name}"
        raise SpecError(f"{field}: {_shown(value)} is not {limits(schema)}.", field=field)
    return int(value) if schema["type"] == "integer" else value


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    from jsonschema import Draft202012Validator  # noqa: PLC0415  # slow to import

    if isinstance(value, float) and not math.isfinite(value):
        return False  # no comparison with a limit would ever fail for NaN
    return Draft202012Validator(schema).is_valid(value)


def _mapping(value: Any, field: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SpecError(
            f"{field}: must be a mapping, and is {_shown(value)}.",
            hint='A variable is declared like this: {"n": {"schema": {"type": "integer"}}}.',
            field=field,
        )
    return value


def _check_keys(given: Mapping[str, Any], known: Collection[str], field: str) -> None:
    for key in given:
        if key not in known:
            raise SpecError(
                f"{field} takes no {key!r}.",
                hint=_instead(key, known),
                field=f"{field}.{key}",
            )


def _instead(name: Any, known: Collection[str]) -> str:
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(sorted(known))}."


def _shown(value: Any) -> str:
    """Show a value as it stands in JSON, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
