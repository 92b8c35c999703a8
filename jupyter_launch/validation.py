"""What pydantic finds wrong, in words for whoever wrote the spec."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from .errors import SpecError

_KINDS = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "a mapping",
    "string_type": "text",
    "tuple_type": "a list of words",
}


def spec_error(error: ValidationError, model: type[BaseModel]) -> SpecError:
    """Say in our words what is wrong with a spec, and name the field.

    Parameters
    ----------
    error : ValidationError
        Its first finding is told.
    model : type
        What was to be made, for the names that would have been right.
    """
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    field = ".".join(path) or "spec"
    if first["type"] == "extra_forbidden":
        known = _names_beside(path, model)
        close = difflib.get_close_matches(path[-1], known, n=1)
        advice = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(sorted(known))}."
        return SpecError(f"The launch spec has no field {field!r}.", hint=advice, field=field)
    if first["type"] == "json_invalid":
        return SpecError(f"The launch spec is not JSON: {first['msg']}.", field="spec")
    what = first["msg"].removeprefix("Value error, ").replace("Input should ", "must ")
    if wanted := _KINDS.get(first["type"]):
        what = f"must be {wanted}, and is of type {type(first['input']).__name__}"
    return SpecError(f"{field}: {what}.", field=field)


def without_nulls(text: str, model: type[BaseModel]) -> str:
    """Leave out the fields of a spec's JSON text that are null: they were not given."""
    try:
        data = json.loads(text)
    except ValueError:
        return text  # to be complained about by whoever reads it
    return json.dumps(_given(data, model), ensure_ascii=False)


def _given(data: Any, model: type[BaseModel]) -> Any:
    if not isinstance(data, dict):
        return data
    kept = {}
    for name, value in data.items():
        field = model.model_fields.get(name)
        if field is None or value is not None:
            kind = field.annotation if field else None
            part = isinstance(kind, type) and issubclass(kind, BaseModel)
            kept[name] = _given(value, kind) if part else value  # type: ignore[arg-type]
    return kept


def _names_beside(path: list[str], model: type[BaseModel]) -> list[str]:
    names = model.model_fields
    for part in path[:-1]:
        kind = names[part].annotation
        names = next(k.model_fields for k in (kind, *get_args(kind)) if hasattr(k, "model_fields"))
    return list(names)


def check_schema(value: Mapping[str, Any], schema: Mapping[str, Any], what: str) -> None:
    """Check a run config against a JSON schema.

    Parameters
    ----------
    value : mapping
        The run config.
    schema : mapping
        Empty if anything goes.
    what : str
        Whose schema it is, for the message.

    Raises
    ------
    SpecError
        Naming every value that does not fit.
    """
    if not schema:
        return
    import jsonschema  # noqa: PLC0415 - not light, and few launches need it

    made = jsonschema.validators.validator_for(schema)(schema)
    wrong = sorted(made.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
    if wrong:
        told = [f"{_path(error.absolute_path)}{error.message}" for error in wrong]
        raise SpecError(
            f"The run config does not fit {what}: {'; '.join(told)}.", field="overrides.run_config"
        )


def _path(parts: Iterable[str | int]) -> str:
    path = ".".join(map(str, parts))
    return f"{path}: " if path else ""
