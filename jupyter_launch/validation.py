"""What pydantic finds wrong, in words for whoever wrote the spec."""

from __future__ import annotations

import difflib
from typing import get_args

from pydantic import BaseModel, ValidationError

from .errors import SpecError

_KINDS = {
    "dict_type": "a mapping",
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
    what = first["msg"].removeprefix("Value error, ")
    if wanted := _KINDS.get(first["type"]):
        what = f"must be {wanted}, and is of type {type(first['input']).__name__}"
    return SpecError(f"{field}: {what}.", field=field)


def _names_beside(path: list[str], model: type[BaseModel]) -> list[str]:
    names = model.model_fields
    for part in path[:-1]:
        kind = names[part].annotation
        names = next(k.model_fields for k in (kind, *get_args(kind)) if hasattr(k, "model_fields"))
    return list(names)
