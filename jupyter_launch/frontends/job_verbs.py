"""``jupyter launch job``: making, listing, describing and deleting jobs."""

from __future__ import annotations

import argparse
import json
import shlex
import time
from collections.abc import Callable
from typing import Any

from ..config import setting
from ..job import Job
from ..redact import redact_spec
from ..resolve import find_job
from ..stores.base import Store
from ..submit import launcher
from . import report
from .jobs import KINDS, create_job
from .record import program_text, safe
from .values import load_mapping

Add = Callable[..., argparse.ArgumentParser]
OK = 0


def add_to(subs: Any, add: Add) -> None:
    """Add the verbs to a command line's parsers, each by `add`."""
    create = add(
        subs, "create", _create, "make a job of a repository, code or an image", reads=True
    )
    create.add_argument("kind", choices=KINDS)
    create.add_argument("path", help="URI of the repository, script or folder, or image")
    create.add_argument("-p", "--project", metavar="NAME")
    create.add_argument("-n", "--name", metavar="NAME", help="default: after the source")
    create.add_argument("-d", "--description", metavar="TEXT")
    create.add_argument("-a", "--alias", action="append", dest="aliases", metavar="ALIAS")
    create.add_argument("-E", "--entry-point", metavar="COMMAND", help="what is run; main.py")
    create.add_argument("-g", "--git-hash", metavar="REF", help="commit, tag or branch")
    create.add_argument("-r", "--runtime", metavar="3.N", help="version of Python")
    create.add_argument("-B", "--base-image", metavar="IMAGE", help="image to run or build on")
    create.add_argument("-D", "--dockerfile", metavar="PATH", help="a file of the source")
    create.add_argument("-s", "--schema", metavar="FILE|JSON", help="JSON schema of the run config")
    create.add_argument("--git-token", metavar="NAME", help="variable with a repository's token")
    listed = add(subs, "list", _list, "jobs and their versions", reads=True)
    listed.add_argument("-p", "--project", metavar="NAME")
    for name, verb, about in (
        ("describe", _describe, "what a version of a job runs"),
        ("delete", _delete, "delete a version of a job"),
    ):
        made = add(subs, name, verb, about, reads=name == "describe")
        made.add_argument("job", help="entity/project/name:alias, or a part of it")
        made.add_argument("-p", "--project", metavar="NAME")


def _create(arguments: argparse.Namespace) -> int:
    spec = {
        "overrides": {
            "entry_point": shlex.split(arguments.entry_point or ""),
            "dockerfile": arguments.dockerfile,
        },
        "git": {"version": arguments.git_hash, "token": arguments.git_token},
        "python_version": arguments.runtime,
        "builder": {"base_image": arguments.base_image},
    }
    schema = arguments.schema and load_mapping(arguments.schema, "--schema")
    job = {**vars(arguments), "inputs": schema or None}
    made = create_job(_store(arguments), arguments.kind, arguments.path, spec, job)
    print(report.as_json(_plain(made)) if arguments.json else f"made {made.ref}")
    return OK


def _list(arguments: argparse.Namespace) -> int:
    jobs = _store(arguments).jobs(arguments.entity, arguments.project)
    if arguments.json:
        print(report.as_json([_plain(job) for job in jobs]))
        return OK
    head = ("JOB", "VERSION", "ALIASES", "MADE", "WHAT")
    rows = [
        (str(job.name), f"v{job.version}", ", ".join(job.aliases), _when(job), _what(job))
        for job in jobs
    ]
    print(report.columns([head, *rows]) if rows else "no jobs")
    return OK


def _describe(arguments: argparse.Namespace) -> int:
    job = _find(arguments)
    if arguments.json:
        print(report.as_json(_plain(job)))
        return OK
    facts = {
        "job": str(job.ref),
        "aliases": ", ".join(job.aliases),
        "made": _when(job),
        "description": job.content.get("description", ""),
        "runs": _what(job),
        "python": job.spec.python_version or "",
        "inputs": json.dumps(job.inputs, ensure_ascii=False) if job.inputs else "",
    }
    print(report.columns([(f"{name}:", text) for name, text in facts.items() if text]))
    print(f"spec:\n{report.as_json(_plain(job)['spec'])}")
    return OK


def _delete(arguments: argparse.Namespace) -> int:
    job = _find(arguments)
    _store(arguments).delete_job(job)
    print(f"deleted {job.ref}")
    return OK


def _plain(job: Job) -> dict[str, Any]:
    return {
        "job": str(job.name),
        "version": f"v{job.version}",
        "aliases": list(job.aliases),
        "created": job.created,
        **redact_spec(dict(job.content)),
    }


def _what(job: Job) -> str:
    return safe(program_text(job.spec))


def _when(job: Job) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.created))


def _find(arguments: argparse.Namespace) -> Job:
    owner = [setting(name, given=getattr(arguments, name)).value for name in ("entity", "project")]
    return find_job(_store(arguments), arguments.job, *owner)


def _store(arguments: argparse.Namespace) -> Store:
    return launcher(setting("store", given=arguments.store).value).store
