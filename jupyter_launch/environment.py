"""What a program finds in its environment: W&B's variables, the user's own, and secrets by name."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import SpecError
from .runs import Run
from .spec import LaunchSpec

CHUNK = 32670
"""Characters of JSON in one variable; a longer text becomes ``NAME_0``, ``NAME_1``..."""

PASSED_ON = ("WANDB_API_KEY", "WANDB_BASE_URL")
"""What a W&B program needs to reach its server, handed over if the owner has it."""

_OF_THE_KERNEL = re.compile(
    r"JPY_|IPY|PYDEVD|JUPYTER_LAUNCH_|WANDB_(SERVICE|DIR|MODE|RUN_ID|NOTEBOOK)"
    # Those of a run, which a launched program that launches another one has.
    r"|WANDB_(LAUNCH|SWEEP_ID|ARTIFACTS$|CONFIG(_\d+)?$)"
)
_MACRO = re.compile(r"\$\{(\w+)\}")


def variables(run: Run, image: str | None) -> dict[str, str]:
    """Give the variables W&B's launch documents, for this run, and the spec's own `env`.

    Source: W&B's launch agent sets these for every job it starts.
    """
    spec = run.spec
    found = {
        "PYTHONUNBUFFERED": "1",
        "JUPYTER_LAUNCH_ATTEMPT": str(run.attempt),
        "WANDB_LAUNCH": "True",
        "WANDB_RUN_ID": run.id,
        "WANDB_PROJECT": run.project,
        "WANDB_ENTITY": run.entity,
        "WANDB_NAME": run.name,
        "WANDB_USERNAME": spec.author,
        "WANDB_SWEEP_ID": spec.sweep_id,
        "WANDB_DOCKER": image if spec.kind == "image" else None,
        "WANDB_ARTIFACTS": _json(_artifacts(spec.job, spec.overrides.artifacts)),
    }
    if run.queue is not None:
        found |= {
            "WANDB_LAUNCH_QUEUE_NAME": run.queue.name,
            "WANDB_LAUNCH_QUEUE_ENTITY": run.queue.entity,
            "WANDB_LAUNCH_TRACE_ID": run.id,
        }
    given = {name: value for name, value in found.items() if value}
    given |= chunked("WANDB_CONFIG", _json(spec.overrides.run_config))
    if spec.overrides.files:
        given |= chunked("WANDB_LAUNCH_FILE_OVERRIDES", _json(spec.overrides.files))
    return {**given, **spec.env}


def chunked(name: str, text: str) -> dict[str, str]:
    """Put a text into one variable, or into numbered ones when it is too long for one."""
    if len(text) <= CHUNK:
        return {name: text}
    pieces = (text[at : at + CHUNK] for at in range(0, len(text), CHUNK))
    return {f"{name}_{number}": piece for number, piece in enumerate(pieces)}


def with_secrets(spec: LaunchSpec, environ: Mapping[str, str]) -> dict[str, str]:
    """Look up a spec's secrets in the owner's environment, at the moment they are needed.

    Raises
    ------
    SpecError
        Naming the first that is not there.
    """
    for name in spec.secrets:
        if name not in environ:
            raise SpecError(
                f"The secret {name} is not in the environment of the process that starts the run.",
                hint=f"Set it there first, such as os.environ[{name!r}] = getpass.getpass().",
                field="secrets",
            )
    passed = [name for name in PASSED_ON if name in environ and name not in spec.env]
    return {name: environ[name] for name in (*passed, *spec.secrets)}


def of_this_host(environ: Mapping[str, str], python: str) -> dict[str, str]:
    """Give this process's environment for a program on the same host.

    What belongs to the kernel stays behind (a plotting backend that draws into cells, its session,
    the run config it was itself launched with), and the interpreter's folder comes first in PATH,
    so that ``python`` is the kernel's own.
    """
    kept = {name: value for name, value in environ.items() if not _OF_THE_KERNEL.match(name)}
    if kept.get("MPLBACKEND", "").startswith("module://"):
        del kept["MPLBACKEND"]
    kept["PATH"] = os.pathsep.join([str(Path(python).parent), kept.get("PATH", os.defpath)])
    return kept


def substitute(value: Any, run: Run, image: str | None) -> Any:
    """Replace W&B's macros, such as ``${run_id}``, in all texts of a nested value.

    Names that are no macros stay as they are.
    """
    names = {
        "run_id": run.id,
        "run_name": run.name,
        "project_name": run.project,
        "entity_name": run.entity,
        "image_uri": image,
        "author": run.spec.author,
    }
    if isinstance(value, str):
        return _MACRO.sub(
            lambda found: (names[found[1]] or "") if found[1] in names else found[0], value
        )
    if isinstance(value, Mapping):
        return {key: substitute(item, run, image) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [substitute(item, run, image) for item in value]
    return value


def _artifacts(job: str | None, artifacts: Mapping[str, Any]) -> dict[str, Any]:
    return {**({"_wandb_job": job} if job else {}), **artifacts}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
