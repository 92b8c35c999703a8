"""What the routes of the server extension take in their queries and bodies, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    ValidationError,
)

from ..errors import SpecError
from ..spec import ID_PATTERN
from ..states import State

LARGEST = 2**53 - 1
"""The largest whole number that every JSON reader takes."""

_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,16}", text):
        raise ValueError("write a whole number from 0 on")
    return int(text)


def _flag(text: str) -> bool:
    if text not in _FLAGS:
        raise ValueError(f"write one of {', '.join(_FLAGS)}")
    return _FLAGS[text]


Whole = Annotated[int, BeforeValidator(_whole)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Count = Annotated[Whole, Field(le=LARGEST)]
Priority = Literal["critical", "high", "medium", "low"]
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")
]


class Params(BaseModel):
    """Parameters of one route; names that it does not know are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RunsQuery(Params):
    """Which runs are listed."""

    state: tuple[State, ...] = ()
    queue: Name | None = None
    entity: Name | None = None
    limit: Annotated[Whole, Field(ge=1, le=1000)] = 50


class ListQuery(Params):
    """What is shown as a list, and told of whenever it changes."""

    what: Literal["runs", "queues", "items", "jobs"]
    state: tuple[State, ...] = ()
    queue: Annotated[str, Field(max_length=200)] | None = None
    notebook: Annotated[str, Field(max_length=4096)] | None = None
    text: Annotated[str, Field(max_length=1000)] | None = None
    limit: Annotated[int, Field(strict=True, ge=1, le=1000)] = 50


class NewRun(Params):
    """A launch, now or on a queue: of a spec, or of a file of the server with a spec around it."""

    spec: dict[str, Any] | None = None
    path: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    add: StrictBool = False


class Stop(Params):
    """How a run is stopped."""

    kill: StrictBool = False


class Relaunch(Params):
    """What is changed about a run that is launched again."""

    config: dict[str, Any] | None = None
    spec: dict[str, Any] | None = None


class MovedRun(Params):
    """Another queue, or another priority, of a run that waits."""

    queue: Name | None = None
    entity: Name | None = None
    priority: Priority | None = None


class EventsQuery(Params):
    """Which events are given: those with a larger number."""

    after: Count = 0


class SamplesQuery(Params):
    """Which samples are given: those taken after a Unix time."""

    after: Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False)] = 0.0


class LinesQuery(Params):
    """Which lines are given."""

    first: Count = 0
    count: Annotated[Whole, Field(ge=1, le=5000)] = 500


class FindQuery(Params):
    """What is looked for in a log, and from which line on."""

    text: Annotated[str, Field(min_length=1, max_length=1000)]
    case: Flag = False
    regex: Flag = False
    start: Count = 0
    limit: Annotated[Whole, Field(ge=1, le=10_000)] = 1000


class CopyQuery(Params):
    """As what a launch is copied."""

    form: Annotated[Literal["magic", "python", "cli"], Field(alias="as")]


class DiffQuery(Params):
    """With which other run, the older one, a run is compared."""

    other: Annotated[str, Field(alias="with", pattern=rf"^{ID_PATTERN.pattern}$")]


class LogQuery(Params):
    """How a log is sent."""

    download: Flag = False


class NoQuery(Params):
    """Nothing."""


class QueueConfig(Params):
    """What is laid under the items of a queue."""

    resource_args: dict[str, dict[str, Any]] = Field(default_factory=dict)
    template_variables: dict[str, dict[str, Any]] = Field(default_factory=dict)


class ChangedQueue(Params):
    """What is changed about a queue; what is not given stays."""

    resource: Name = "local-container"
    config: QueueConfig = QueueConfig()
    state: Literal["running", "paused", "draining"] = "running"
    prioritize: StrictBool = True
    max_running: Annotated[int, Field(strict=True, ge=1, le=LARGEST)] | None = None
    retry: dict[str, Any] | None = None

    @property
    def given(self) -> dict[str, Any]:
        """The fields of the queue's record that were given."""
        return self.model_dump(exclude_unset=True, exclude={"name", "entity"})


class NewQueue(ChangedQueue):
    """A queue to be made."""

    name: Name
    entity: Name | None = None


class QueueQuery(Params):
    """Whose queue it is."""

    entity: Name | None = None


class DeleteQueue(QueueQuery):
    """Whose queue is deleted, and whether also with items that wait on it."""

    force: Flag = False


P = TypeVar("P", bound=Params)


def from_query(model: type[P], query: Mapping[str, Sequence[str]]) -> P:
    """Read a query's values. Raises `SpecError`."""
    given: dict[str, Any] = {}
    for name, values in query.items():
        if name == "state":
            given[name] = values
        elif len(values) > 1:
            raise SpecError(f"{name} is given {len(values)} times.", field=name)
        else:
            given[name] = values[0]
    return _checked(model, given)


def from_body(model: type[P], body: Mapping[str, Any]) -> P:
    """Read a body. Raises `SpecError`."""
    return _checked(model, body)


def _checked(model: type[P], given: Mapping[str, Any]) -> P:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        known = ", ".join(info.alias or name for name, info in model.model_fields.items())
        if first["type"] == "extra_forbidden":
            hint = f"Known: {known}." if known else "It takes none."
            raise SpecError(f"There is no {field[:40]!r} here.", hint=hint, field=field) from None
        what = first["msg"].removeprefix("Value error, ")
        raise SpecError(f"{field}: {what}.", field=field) from None
