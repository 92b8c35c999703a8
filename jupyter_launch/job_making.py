"""Making a job of a run that asks for one, once its program is known."""

from __future__ import annotations

from typing import Any

from .job import NO_PROJECT, JobName, content_of, job_name, launch_of
from .program import Program
from .runs import Run
from .spec import LaunchSpec, merge
from .stores.base import Store


def job_of(store: Store, run: Run, whole: LaunchSpec, program: Program) -> str | None:
    """Make the job that a launch asked for; for a build, give the launch of that job as JSON.

    Parameters
    ----------
    whole : LaunchSpec
        The run's spec with its job laid under it.
    program : Program
        What it became.
    """
    spec = run.spec
    asked = spec.build or spec.job_name
    if not asked and (spec.job or not program.built):
        return None
    name = JobName(run.entity or "", run.project or NO_PROJECT, spec.job_name or job_name(spec))
    job = store.put_job(name, content_of(_built(whole, program)), ())
    told = {"text": f"This is the job {job.ref}."}
    store.append_event(run.id, "notice" if asked else "progress", told)
    return launch_of(job, spec).to_json() if spec.build else None


def _built(spec: LaunchSpec, program: Program) -> LaunchSpec:
    """Let a spec say that its image is there, if everybody can pull it from a registry."""
    if spec.repository is None or not program.image:
        return spec
    left = {"requirements", "builder", "registry", "image_uri"}
    data = {name: value for name, value in spec.to_dict().items() if name not in left}
    data.get("overrides", {}).pop("dockerfile", None)
    whole: dict[str, Any] = {"docker": {"docker_image": program.image}}
    whole["builder"] = {"type": "noop"}
    if program.archive is None:  # the code is in the image
        data = {name: value for name, value in data.items() if name not in {"source", "uri", "git"}}
        whole["overrides"] = {"entry_point": list(program.command)}
    return LaunchSpec.from_dict(merge(data, whole))
