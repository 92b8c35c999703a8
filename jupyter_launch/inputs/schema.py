"""Schemas of configs: JSON Schema, as W&B writes it too, and pydantic models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import LaunchError, SpecError
from .dotted import dotted, shown

if TYPE_CHECKING:
    from pydantic import BaseModel

    Schema = Mapping[str, Any] | BaseModel | type[BaseModel]


def check_schema(config: Any, schema: Schema | None, what: str) -> None:
    """Check a config against a schema, if there is one.

    Raises
    ------
    SpecError
        Listing every violation, with its path and value.
    LaunchError
        When the schema itself is broken.
    """
    if schema is None:
        return
    # What YAML alone can say, such as a date, is text to a schema; and so is every name.
    try:
        plain = json.dumps(config, default=str)
    except (TypeError, ValueError) as error:
        raise LaunchError(f"{what} has what no schema can describe: {error}.") from error
    if isinstance(schema, Mapping):
        found = _violations(json.loads(plain), schema)
    else:
        found = _model_violations(plain, schema)
    if found:
        told = "".join(f"\n  {dotted(keys) or '(all of it)'}: {text}" for keys, text in found)
        raise SpecError(f"{what} is not what the program wants:{told}", field=dotted(found[0][0]))


def _violations(config: Any, schema: Mapping[str, Any]) -> list[tuple[Sequence[Any], str]]:
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415  # slow to import
    from referencing import Registry  # noqa: PLC0415
    from referencing.exceptions import Unresolvable  # noqa: PLC0415

    standard = _standard(schema)
    formats = Draft202012Validator.FORMAT_CHECKER
    try:
        Draft202012Validator.check_schema(standard)
        # An empty registry: nothing is fetched from the addresses that a schema names.
        checker = Draft202012Validator(standard, format_checker=formats, registry=Registry())
        errors = sorted(checker.iter_errors(config), key=lambda error: str(error.json_path))
    except SchemaError as error:
        at = dotted(list(error.absolute_path))
        raise LaunchError(
            f"The schema itself is wrong at {at or 'its top'}: {error.message}."
        ) from error
    except Unresolvable as error:
        raise LaunchError(f"The schema refers to what is not in it: {error.ref!r}.") from error
    return [(list(error.absolute_path), _told(error.message, error.instance)) for error in errors]


def _standard(schema: Any) -> Any:
    """Write W&B's ``required: true`` of a property as JSON Schema does: in a list, a level up."""
    if isinstance(schema, (list, tuple)):
        return [_standard(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {
        key: value if key in {"enum", "const", "default"} else _standard(value)
        for key, value in schema.items()
        if not (key == "required" and isinstance(value, bool))
    }
    properties = schema.get("properties")
    each = properties.items() if isinstance(properties, Mapping) else ()
    if needed := [name for name, one in each if _marked(one)]:
        made["required"] = [*made.get("required", ()), *needed]
    return made


def _marked(property_: Any) -> bool:
    return isinstance(property_, Mapping) and property_.get("required") is True


def _model_violations(text: str, schema: Any) -> list[tuple[Sequence[Any], str]]:
    from pydantic import ValidationError  # noqa: PLC0415  # slow to import

    if not hasattr(schema, "model_validate_json"):
        kind = type(schema).__name__
        raise LaunchError(f"A schema is a JSON Schema or a pydantic model, and this is a {kind}.")
    try:
        # Strict, since the values that are given back are not changed into what the model says.
        schema.model_validate_json(text, strict=True)
    except ValidationError as error:
        return [(one["loc"], _found(one)) for one in error.errors(include_url=False)]
    return []


def _found(error: Mapping[str, Any]) -> str:
    missing = error["type"] == "missing"  # its input is what it is missing from
    return str(error["msg"]) + ("" if missing else f", and is {shown(error['input'])}")


def _told(message: str, value: Any) -> str:
    return message.replace(repr(value), shown(value))
