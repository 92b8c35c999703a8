"""Which fields a form has: those of the option table, in groups, and what is no option."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..option import Option, options
from ..spec import LaunchSpec
from .form_fields import (
    BodyField,
    CheckField,
    ChoiceField,
    Field,
    SecretsField,
    TextField,
    priority_field,
)
from .form_rows import RowsField

KIND, BODY, PATH, INCLUDE, RECORDED = "kind", "cell", "path", "include", "recorded"
"""Fields that are no options, or those of the front ends only."""

ARGS = "overrides.args"
IMAGE = "docker.docker_image"
CONFIG, ARGUMENTS = "overrides.run_config", "resource_args"
VARIABLES = "template_variables"

KINDS = {
    "image": "an image",
    "job": "a job",
    "git": "a git repository",
    "path": "a script or folder",
    "cell": "this cell",
}

OF_KIND: Mapping[str, tuple[str, ...]] = {
    "image": (IMAGE,),
    "job": ("job", "git.version", "git.token", "overrides.working_dir"),
    "git": ("uri", "git.version", "git.token", IMAGE, "overrides.working_dir"),
    "path": (PATH, INCLUDE, RECORDED, IMAGE, "overrides.working_dir"),
    "cell": (BODY, INCLUDE, IMAGE, "overrides.working_dir"),
}
"""The fields that a kind of source has; others are neither shown nor sent."""

OF_QUEUES = ("queue", "priority", VARIABLES)
"""What only a run on a queue has."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "What to run": (KIND, *dict.fromkeys(path for paths in OF_KIND.values() for path in paths)),
    "How it is run": ("overrides.entry_point", ARGS, CONFIG),
    "Where": ("resource", ARGUMENTS, "entity", "project", "name"),
    "Queue": OF_QUEUES,
    "Environment": ("env", "secrets", "requirements"),
    "Build": (
        "build", "job_name", "builder.base_image", "overrides.dockerfile", "registry.url",
    ),
    "More": (),
}  # fmt: skip
"""The groups, in order. An option that is in none of them comes last."""

CLOSED = ("Build", "More")
"""Groups that are closed at first."""

_LABELS = {
    IMAGE: "image",
    "uri": "repository",
    "git.version": "version",
    "git.token": "token variable",
    "overrides.working_dir": "working folder",
    "overrides.entry_point": "command",
    CONFIG: "config",
    ARGUMENTS: "resource options",
    VARIABLES: "variable",
    "builder.base_image": "base image",
    "overrides.dockerfile": "Dockerfile",
    "registry.url": "push to",
    "job_name": "make a job",
    "build": "build an image",
    "run_id": "run id",
    "grace_s": "grace in s",
    "env": "variable",
}


def fields() -> dict[str, Field]:
    """Make all fields, by their paths, in the order of the groups."""
    made = dict(_made())
    order = [path for paths in groups(made).values() for path in paths]
    return {path: made[path] for path in order}


def groups(made: Mapping[str, Field]) -> dict[str, tuple[str, ...]]:
    """Give the groups with the paths of their fields, the last one with all that is left."""
    named = {path for paths in GROUPS.values() for path in paths}
    rest = tuple(path for path in made if path not in named)
    return {**GROUPS, "More": (*GROUPS["More"], *rest)}


def _made() -> Iterator[tuple[str, Field]]:
    for path, option, text in options(LaunchSpec):
        yield path, _field(path, option, text)
    choices = [(text, kind) for kind, text in KINDS.items()]
    yield KIND, ChoiceField(KIND, "where the code comes from", "source", choices)
    yield BODY, BodyField(BODY, "the program; a first line #! names its interpreter", "cell")
    yield PATH, _text(PATH, "script or folder to launch", "path")
    yield INCLUDE, _text(INCLUDE, "files and folders that come along", "include", "list")
    yield RECORDED, CheckField(RECORDED, "the files as they were recorded", "recorded files")
    yield ARGS, _text(ARGS, "arguments of the program", "arguments", "words")


def _field(path: str, option: Option, text: str) -> Field:
    label = _LABELS.get(path, path.rpartition(".")[2].replace("_", " "))
    if option.read in {"pairs", "strings"} or path == CONFIG:
        return RowsField(path, text, label, typed=option.read != "strings")
    if option.read == "flag":
        return CheckField(path, text, label)
    if option.read == "priority":
        return priority_field(path, text, label)
    if path == "queue":
        return ChoiceField(path, text, label, [("(the default)", None)])
    if path == "secrets":
        return SecretsField(path, text, option, label)
    return TextField(path, text, option, label)


def _text(path: str, text: str, label: str, how: str = "text") -> TextField:
    return TextField(path, text, Option((path,), read=how), label)


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Make the nested JSON form of values by dotted path."""
    data: dict[str, Any] = {}
    for path, value in values.items():
        *parents, last = path.split(".")
        holder = data
        for parent in parents:
            holder = holder.setdefault(parent, {})
        holder[last] = value
    return data
