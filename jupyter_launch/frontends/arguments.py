"""What the arguments of `launch` and `launch_add` are in a launch spec: the table for both ways."""

from __future__ import annotations

FIELDS = {
    "uri": "uri",
    "job": "job",
    "docker_image": "docker.docker_image",
    "version": "git.version",
    "entry_point": "overrides.entry_point",
    "resource": "resource",
    "resource_args": "resource_args",
    "queue_name": "queue",
    "priority": "priority",
    "template_variables": "template_variables",
    "name": "name",
    "entity": "entity",
    "project": "project",
    "run_id": "run_id",
    "build": "build",
    "repository": "registry.url",
    "sweep_id": "sweep_id",
    "author": "author",
}
"""The launch-spec field of every argument that is one, by dotted path."""

QUEUED = {"uri", "queue_name", "priority", "template_variables", "build", "sweep_id", "author"}
"""Those that `launch_add` has and `launch` has not."""
