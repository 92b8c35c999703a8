"""What a form says about its fields: what there is to choose from, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import backends
from ..errors import LaunchError, SpecError
from ..job import Job
from ..redact import findings
from ..resolve import queue_of
from ..runs import Queue
from ..spec import LaunchSpec
from ..stores.base import Store
from ..templates import limits
from . import form_start
from .form_draft import Draft, Unfit
from .form_facts import Facts, QueueFacts, look
from .form_fields import ChoiceField, Field, TextField
from .form_rows import RowsField
from .form_start import SETTINGS
from .form_table import CONFIG, VARIABLES

_WARNING = "looks like a secret, and will stand in the store of runs; hand it over by its name"


class Advice:
    """Looks things up for a form, and checks what it says.

    Parameters
    ----------
    draft : Draft
        What the form says.
    open_store : callable
        Gives the store; may take long.
    say : callable
        Shows what is about no field; an empty text if there is nothing.
    """

    def __init__(
        self, draft: Draft, open_store: Callable[[], Store], say: Callable[[str], None]
    ) -> None:
        self._draft, self._store, self._say = draft, open_store, say
        self._fields = draft.fields
        self.facts = Facts()
        self._about = ""

    def look(self) -> None:
        """Find out what there is to choose from, and offer it. Raises `StoreError`."""
        self.facts = look(self._store())
        for path, values in (
            ("resource", [backends.AUTO, *backends.names()]),
            ("job", self.facts.job_names),
            ("entity", sorted({facts.queue.entity for facts in self.facts.queues})),
        ):
            field = self._fields[path]
            if isinstance(field, TextField):
                field.offer(values)
        self.show()

    def show(self) -> None:
        """Show what belongs to the entity, queue and job that are chosen."""
        queue, facts = self._fields["queue"], self._queue_facts()
        if isinstance(queue, ChoiceField):
            queue.offer([("(the default)", None), *self._queues()])
        queue.say(detail=facts.text if facts else "")
        variables = facts.variables if facts else {}
        self._declare(VARIABLES, {name: _declared(given) for name, given in variables.items()})
        job = self._job()
        self._declare(CONFIG, (job.inputs.get("properties") or {}) if job else {})

    def check(self) -> None:
        """Check the form, and say next to each field what is wrong with it."""
        errors: dict[str, SpecError] = {}
        spec, about = None, ""
        try:
            self.show()
            spec = self.checked()
        except Unfit as unfit:
            errors = unfit.errors
        except SpecError as error:
            path = self._draft.place(error)
            about = "" if path else str(error)
            errors = {path: error} if path else {}
        except LaunchError as error:
            about = str(error)
        if about != self._about:  # what a button said stays
            self._about = about
            self._say(about)
        self.tell(errors, findings(spec.to_dict()) if spec else ())

    def checked(self) -> LaunchSpec:
        """Check all that can be checked without the network. Raises `LaunchError`."""
        queued = self._draft.for_queue
        facts = self._queue_facts() if queued else None
        return self._draft.check(self._store(), facts, queued=queued)

    def tell(self, errors: Mapping[str, SpecError], secrets: Any = ()) -> None:
        """Say next to the fields what is wrong, and at the others nothing."""
        for path, field in self._fields.items():
            error = errors.get(path)
            said = f"{field.where(error)}{error}" if error else ""
            secret = any(
                name == path or name.startswith((f"{path}.", f"{path}[")) for name in secrets
            )
            wanted = {"error": said, "warning": _WARNING if secret else ""}
            if any(field.said(part) != now for part, now in wanted.items()):
                field.say(**wanted)

    def say_default(self, field: Field) -> None:
        """Say what a field stands for that says nothing, and where that comes from."""
        if field.path in SETTINGS:
            found = form_start.setting_of(field.path, self._draft.settings)
            empty = found.value and self._draft.said(field.path) is None
            empty = empty and not self._draft.left_open(field.path)
            field.say(default=f"default: {found.value} (from {found.origin})" if empty else "")

    def _queues(self) -> list[tuple[str, str]]:
        owner = self._queue().entity
        ours = [facts for facts in self.facts.queues if facts.queue.entity == owner]
        return [(f"{facts.queue.name}: {facts.text}", facts.queue.name) for facts in ours]

    def _queue(self) -> Queue:
        data = {name: self._said(name) for name in ("entity", "queue")}
        owner = self._draft.rest.get("queue_entity")
        return queue_of(LaunchSpec.from_dict({**data, "queue_entity": owner}))

    def _queue_facts(self) -> QueueFacts | None:
        wanted = self._queue()
        return next((facts for facts in self.facts.queues if facts.queue == wanted), None)

    def _job(self) -> Job | None:
        name = self._said("job") if self._draft.kind == "job" else None
        return self.facts.job(name, self._said("entity"), self._said("project")) if name else None

    def _said(self, path: str) -> Any:
        """Give what a field says, or the setting that stands for it."""
        said = self._draft.said(path)
        if said is None and path in SETTINGS:
            return form_start.setting_of(path, self._draft.settings).value
        return said

    def _declare(self, path: str, schemas: Mapping[str, Any]) -> None:
        field = self._fields[path]
        if isinstance(field, RowsField):
            field.declare(schemas)


def _declared(variable: Mapping[str, Any]) -> dict[str, Any]:
    """Give a template variable's schema with its limits in words."""
    schema = variable["schema"]
    about = variable.get("description") or schema.get("description") or ""
    default = f"; default {schema['default']}" if "default" in schema else ""
    said = f"{limits(schema)}{default}"
    return {**schema, "said": f"{said}: {about}" if about else said}
