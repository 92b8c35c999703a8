"""What the store knows that a form offers: queues with their depth and agents, jobs, last runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import SpecError
from ..job import NO_PROJECT, Job, parse_ref
from ..runs import Queue, Run
from ..states import State
from ..stores.base import Store

DEPTH = 1000
"""How many waiting runs are counted at most."""

LOOKED_AT = 200
"""How many of the newest runs are looked at for the last one of a cell."""


@dataclass(frozen=True)
class QueueFacts:
    """A queue as it is now: runs that wait, agents that are alive, what launches may choose."""

    queue: Queue
    resource: str
    depth: int
    agents: int
    variables: Mapping[str, Any]

    @property
    def text(self) -> str:
        """How it stands, in words."""
        waiting = f"{self.depth}{'+' if self.depth >= DEPTH else ''} waiting"
        agents = f"{self.agents} agent{'' if self.agents == 1 else 's'}"
        return f"{waiting}, {agents if self.agents else 'no agent yet'}, {self.resource}"


@dataclass(frozen=True)
class Facts:
    """What a store has to offer."""

    queues: tuple[QueueFacts, ...] = ()
    jobs: tuple[Job, ...] = ()

    def job(self, text: str, entity: str | None, project: str | None) -> Job | None:
        """Give the version of a job that a reference means, if there is one."""
        try:
            ref = parse_ref(text, entity, project or NO_PROJECT)
        except SpecError:
            return None
        named = (job for job in self.jobs if job.name == ref.job)
        return next((j for j in named if ref.alias in {*j.aliases, f"v{j.version}"}), None)

    @property
    def job_names(self) -> list[str]:
        """How the versions of all jobs are named: by their aliases, and by their numbers."""
        return [
            f"{job.name}:{alias}"
            for job in self.jobs
            for alias in dict.fromkeys((*job.aliases, f"v{job.version}"))
        ]


def look(store: Store) -> Facts:
    """Look at what a store has to offer. Raises `StoreError`."""
    agents = store.agents()
    waiting = Counter(run.queue for run in store.runs(states=[State.PENDING], limit=DEPTH))
    queues = []
    for queue in store.queues():
        record = store.queue(queue)
        alive = sum(queue in agent.queues for agent in agents)
        variables = record.config.get("template_variables") or {}
        queues.append(QueueFacts(queue, record.resource, waiting[queue], alive, variables))
    return Facts(tuple(queues), tuple(store.jobs()))


def last_of(runs: Iterable[Run], place: Mapping[str, str | None]) -> Run | None:
    """Give the first of some runs that was launched from a cell, or ``None``."""
    for run in runs if place.get("notebook") and place.get("cell") else ():
        if str(place["cell"]) not in run.spec_json:  # spares most specs from being read
            continue
        origin = run.spec.origin
        if (origin.notebook, origin.cell) == (place["notebook"], place["cell"]):
            return run
    return None
