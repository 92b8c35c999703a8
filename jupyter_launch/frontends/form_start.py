"""What a form begins with: a spec, run or job, what was saved as a default, the settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..config import Setting, project_file, setting
from ..errors import ConfigError, SpecError
from ..handle import RunHandle
from ..job import Job
from ..option import options
from ..redact import redact_spec
from ..spec import LaunchSpec
from .form_table import ARGS, BODY, IMAGE, KIND, KINDS, OF_KIND, PATH, RECORDED
from .options import Request
from .spelling import take

FOLDER = ".jupyter-launch"
"""Where defaults of forms are saved, beside the notebook or in the project's folder."""

SETTINGS = {
    "entity": "entity",
    "project": "project",
    "queue": "queue",
    "resource": "resource",
    IMAGE: "image",
}
"""Fields whose default is a setting: what stands for them is left to the launch."""

_OPTIONS = [path for path, _, _ in options(LaunchSpec)]
_SOURCES = {KIND, *(path for paths in OF_KIND.values() for path in paths)}


@dataclass(frozen=True)
class Start:
    """Values for a form, and where they came from.

    `values` are by path; `rest` is what a form has no fields for, in the nested form; `shown` and
    `real` are the whole, without and with what looks like a secret; `parent` is the run it is of.
    """

    origin: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    rest: Mapping[str, Any] = field(default_factory=dict)
    shown: Mapping[str, Any] = field(default_factory=dict)
    real: Mapping[str, Any] = field(default_factory=dict)
    parent: RunHandle | None = None

    @property
    def source(self) -> dict[str, Any]:
        """The recorded source, if it is a cell, script or folder of one's own."""
        return dict(self.real.get("source") or {})

    def of_cell(self) -> Start:
        """Give it as the last launch of a cell, which is no parent of the next one."""
        return replace(self, origin=f"this cell's last launch, {self.origin}", parent=None)


def start_of(given: Any) -> Start:
    """Take a form's beginning from a spec (also as a mapping), a run, or a job.

    Raises
    ------
    SpecError
        When it is none of these, or no spec.
    """
    if given is None:
        return Start()
    if isinstance(given, RunHandle):
        run = given.run
        data = run.spec.to_dict()
        data.pop("run_id", None)
        if run.queue is not None and run.queue.name != setting("queue").value:
            data["queue"] = run.queue.name
        return _start(f"run {run.id}", data, parent=given)
    if isinstance(given, Job):
        return _start(f"job {given.ref}", {"job": str(given.ref)})
    if isinstance(given, LaunchSpec):
        return _start("the spec given", given.to_dict())
    if isinstance(given, Mapping):
        return _start("the spec given", LaunchSpec.from_dict(given).to_dict())
    raise SpecError(
        f"A form takes a launch spec, a run or a job, not a {type(given).__name__}.",
        field="spec",
    )


def start_of_request(asked: Request, cell: str | None) -> Start:
    """Take a form's beginning from what was typed after the magic."""
    made = _start("the magic's line", asked.spec)
    typed = {PATH: asked.path, BODY: cell, "include": list(asked.include) or None}
    values = {**made.values, **{name: value for name, value in typed.items() if value}}
    if cell or asked.path:
        values[KIND] = "cell" if cell else "path"
    return Start(made.origin, values, made.rest)


def saved(notebook: str | None) -> list[Start]:
    """Give what was saved as defaults, of the notebook first, then of the project.

    Raises
    ------
    ConfigError
        When such a file cannot be read.
    """
    found = []
    for what, path in (("notebook", of_notebook(notebook)), ("project", of_project())):
        if path is not None and path.is_file():
            start = _start(f"the default of this {what} ({path})", _loaded(path))
            found.append(Start(start.origin, start.values, start.rest))
    return found


def save(path: Path, spec: LaunchSpec) -> list[str]:
    """Save a spec as the default of a notebook or project; give the fields that were left out.

    Left out are the cell, script or folder, the run's id, and what looks like a secret.
    """
    data = spec.to_dict()
    shown = redact_spec(data)
    gone = [name for name in data if name in {"source", "run_id"} or shown[name] != data[name]]
    kept = {name: value for name, value in data.items() if name not in gone}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return gone


def of_notebook(notebook: str | None) -> Path | None:
    """Name the file with a notebook's defaults; ``None`` where nobody knows the notebook."""
    if not notebook:
        return None
    path = Path(notebook)
    return path.parent / FOLDER / f"{path.name}.json" if path.parent.is_dir() else None


def of_project() -> Path:
    """Name the file with a project's defaults: beside the project file, or else here."""
    found, _ = project_file()
    return (found.parent if found else Path.cwd()) / FOLDER / "project.json"


def setting_of(path: str, settings: Mapping[str, str | None]) -> Setting:
    """Give the setting that a field which says nothing stands for."""
    name = SETTINGS[path]
    given = {f"%config LaunchMagics.{name}": settings.get(name)}
    return setting(name, **given)


def _loaded(path: Path) -> dict[str, Any]:
    try:
        return LaunchSpec.from_json(path.read_text(encoding="utf-8")).to_dict()
    except (OSError, UnicodeDecodeError, SpecError) as error:
        raise ConfigError(
            f"The saved defaults {path} cannot be read: {error}.",
            hint="Correct or remove the file.",
        ) from error


def _start(origin: str, data: Mapping[str, Any], parent: RunHandle | None = None) -> Start:
    real: dict[str, Any] = json.loads(json.dumps(data))
    shown = redact_spec(real)
    rest: dict[str, Any] = json.loads(json.dumps(shown))
    source = rest.pop("source", None) or {}
    rest.pop("origin", None)  # a form launches from where it is itself
    values = {path: take(rest, path) for path in (*_OPTIONS, ARGS)}
    values |= {BODY: source.get("body"), PATH: source.get("path")}
    values["include"] = source.get("include")
    values[RECORDED] = (source.get("kind") == "path" and "snapshot" in source) or None
    values[KIND] = _kind(real)
    said = {path: value for path, value in values.items() if value is not None}
    return Start(origin, said, rest, shown, real, parent)


def _kind(data: Mapping[str, Any]) -> str | None:
    if "source" in data:
        kind = data["source"].get("kind")
        return kind if kind in KINDS else None
    if "job" in data:
        return "job"
    if "uri" in data:
        return "git"
    return "image" if (data.get("docker") or {}).get("docker_image") else None


def layered(starts: Sequence[Start]) -> dict[str, tuple[Any, str]]:
    """Give each field's value and origin from the first start that says something about it.

    What says where the code comes from is taken from one start as a whole.
    """
    found: dict[str, tuple[Any, str]] = {}
    for start in starts:
        others = _SOURCES if KIND in found else set[str]()
        for path, value in start.values.items():
            if path not in others:
                found.setdefault(path, (value, start.origin))
    return found
