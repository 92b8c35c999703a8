"""Where programs come from: each kind of source becomes a `Program`, whoever executes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import SpecError
from ..job import JobRef, parse_ref
from . import code, image, notebook

if TYPE_CHECKING:
    from ..program import Program
    from ..report import Report
    from ..spec import LaunchSpec
    from ..stores.base import Store
    from .base import Snapshots


def check(spec: LaunchSpec) -> None:
    """Refuse what would have no effect, rather than pass it over.

    Parameters
    ----------
    spec : LaunchSpec
        With the job it names, if it does, laid under it (see `applied`).

    Raises
    ------
    SpecError
        Naming the field, or when the spec names no source, or two that exclude each other.
    """
    kind = spec.kind
    words = spec.overrides.entry_point
    if spec.source is not None and not words:
        code.command(spec.source)  # raises unless it is known what to run
        words = (spec.source.main or "",)
    if kind != "image" and words and notebook.is_notebook(words[0]):
        _check_no_arguments((*words[1:], *spec.overrides.args))
    if kind != "git" and (spec.git.version or spec.git.repo):
        raise SpecError(
            "A version is of a git repository, and none is launched.",
            hint="Name the repository: -u URI.",
            field="version",
        )
    if kind != "image":
        return
    useless = {
        "dockerfile": spec.overrides.dockerfile,
        "working_dir": spec.overrides.working_dir,
        "python_version": spec.python_version,
        **({} if spec.requirements else {"build": spec.build, "repository": spec.repository}),
    }
    for field, value in useless.items():
        if value:
            raise SpecError(
                f"{field} has no effect on an image that is launched as it is.",
                hint="Leave it out, or launch code: a cell, a script, a folder, a git repository.",
                field=field,
            )


def _check_no_arguments(args: tuple[str, ...]) -> None:
    if args:
        raise SpecError(
            f"A notebook takes no arguments, and {args[0]!r} was given.",
            hint="Values for it are run config: --set lr=0.1 sets the parameter lr.",
            field="overrides.args",
        )


def applied(spec: LaunchSpec, store: Store) -> LaunchSpec:
    """Lay a spec over the job it names; without one, give it as it is.

    Raises
    ------
    SpecError
        When the job is gone.
    """
    if spec.job is None:
        return spec
    ref: JobRef = parse_ref(spec.job, spec.entity, spec.project)
    job = store.find_job(ref)
    if job is None:
        raise SpecError(
            f"The job {ref} is not there any more.",
            hint="Make it again (jupyter launch job create), or launch its source.",
            field="job",
        )
    return job.launched(spec)


def program(spec: LaunchSpec, snapshots: Snapshots, report: Report) -> Program:
    """Make the program of a spec that names no job (see `applied`).

    Parameters
    ----------
    spec : LaunchSpec
        What is asked for.
    snapshots : Snapshots
        Where the submitter's files are.
    report : Report
        Told while code is fetched.

    Raises
    ------
    SpecError, StoreError, SourceUnavailable, Unsupported
        When its source cannot become one.
    """
    check(spec)
    if spec.kind == "image":
        return image.program(spec)
    if spec.kind == "git":
        from . import repository  # noqa: PLC0415 - few launches need it

        return repository.program(spec, snapshots, report)
    return code.program(spec, snapshots)
