"""The form: fill it in, see what is wrong with it, launch it, and watch the card below."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..config import setting
from ..errors import LaunchError, SpecError
from ..handle import RunHandle
from ..placing import preview
from ..resolve import queue_of
from ..sources.base import InMemory
from ..spec import LaunchSpec
from ..stores.base import Store
from ..submit import Launcher, launcher
from . import form_start, live, text
from .copy_as import as_magic
from .form_advice import Advice
from .form_draft import Draft, Unfit
from .form_facts import LOOKED_AT, last_of
from .form_fields import Field
from .form_later import Later
from .form_start import Start
from .form_submit import Submissions
from .form_table import KIND, fields
from .form_view import View

CHECK_S = 0.25
"""How long after the last key the form is checked, in seconds."""

_LAST: dict[tuple[str, str], str] = {}
"""The last run that a form of this process launched, by notebook and cell."""


def launch_form(spec: Any = None) -> Form:
    """Make a form that launches; a notebook shows it where it is the last value of a cell.

    Parameters
    ----------
    spec : LaunchSpec, mapping, RunHandle or Job, optional
        What it is filled with. What a form of a run launches has that run as its parent.

    Raises
    ------
    SpecError
        When it is none of these.
    ConfigError
        When a file with saved defaults cannot be read.
    """
    shell = live.shell()
    form = Form({}, live.place(shell) if shell else {})
    form.begin(form_start.start_of(spec))
    return form


class Form:
    """A form that launches. `launch`, `add`, `preview` and `magic` do what its buttons do.

    Buttons and checks do their work in threads: a slow store never stops the kernel.

    Parameters
    ----------
    settings : mapping
        The traits of the magics.
    where : mapping
        ``notebook`` and ``cell``: where the form is.
    """

    def __init__(self, settings: Mapping[str, str | None], where: Mapping[str, str | None]) -> None:
        self._settings, self._where = settings, where
        self.fields: dict[str, Field] = fields()
        self.draft = Draft(self.fields, settings, where)
        self.view = View(self.fields, self._clicked)
        self.submissions = Submissions()
        self.advice = Advice(self.draft, self._store, lambda bad: self.view.say("", bad=bad))
        self._checks = Later(self.advice.check, CHECK_S)
        self._looks = Later(self._look, 0)
        self._idle = threading.Event()
        self._idle.set()
        self._clicks = threading.Lock()
        self._touched = False
        self._shown_in: tuple[contextvars.Context, str] | None = None

    # -- what it says ----------------------------------------------------------------------------

    @property
    def spec(self) -> LaunchSpec:
        """What would be launched, or queued if something is said about a queue.

        Raises
        ------
        SpecError
            Naming the field that is wrong.
        """
        return self.draft.spec(InMemory(), queued=self.draft.for_queue)

    def magic(self) -> str:
        """Give a cell that launches the same. Raises `SpecError`."""
        spec = self.spec
        return as_magic(spec, queue_of(spec) if self.draft.for_queue else None)

    def preview(self) -> str:
        """Give the spec and the exact program, as ``--dry-run`` does. Raises `LaunchError`."""
        keep = InMemory()
        self.advice.checked()
        spec = self.draft.spec(keep, queued=self.draft.for_queue)
        return text.dry_run(spec, preview(self._store(), spec, keep))

    def errors(self) -> dict[str, str]:
        """Give what is wrong, by field, once what was typed is checked."""
        self.wait()
        said = {path: field.said("error") for path, field in self.fields.items()}
        return {path: error for path, error in said.items() if error}

    # -- what it does ----------------------------------------------------------------------------

    def launch(self) -> RunHandle:
        """Start it now. Raises `LaunchError`."""
        return self._submit(queued=False)

    def add(self) -> RunHandle:
        """Put it on its queue. Raises `LaunchError`."""
        return self._submit(queued=True)

    def save(self, *, project: bool = False) -> Path:
        """Let forms of this notebook, or project, begin with this from now on.

        Only forms read what is saved; the magics have their settings.

        Returns
        -------
        Path
            The file that keeps it, in a folder ``.jupyter-launch`` beside the notebook or in the
            project's folder.

        Raises
        ------
        SpecError
            When nobody knows which notebook this is, or the form says something wrong.
        """
        path = form_start.of_project() if project else form_start.of_notebook(self._notebook)
        if path is None:
            raise SpecError("Nobody knows which notebook this is.", hint="Save for the project.")
        left_out = form_start.save(path, self.draft.to_save())
        but = f", without {', '.join(left_out)}" if left_out else ""
        self.view.say(f"Saved in {path}{but}. Forms begin with it from now on.")
        return path

    def wait(self, timeout: float = 30.0) -> None:
        """Wait until what was clicked and typed has been seen to. Raises `TimeoutError`."""
        waits = (self._idle.wait, self._looks.wait, self._checks.wait)
        if not all(wait(timeout) for wait in waits):
            raise TimeoutError(f"The form is still at work after {timeout} s.")

    def look(self) -> None:
        """Look at the store, in a thread, for the queues and jobs that there are now."""
        self._looks.ask()

    def _ipython_display_(self) -> None:
        from IPython.display import display  # noqa: PLC0415 - the kernel has it

        again = "A form that launches: run the cell in a live notebook to see it."
        bundle = self.view.root._repr_mimebundle_() or {}
        display({**bundle, "text/plain": again}, raw=True)
        # What a thread displays belongs to a cell by the context it is displayed from.
        self._shown_in = contextvars.copy_context(), _page()
        self.look()

    # -- filling it in ---------------------------------------------------------------------------

    def begin(self, start: Start) -> None:
        """Fill the form: from `start`, then from saved defaults. Raises `ConfigError`."""
        starts = (start, *form_start.saved(self._notebook))
        self.draft.begin(starts)
        for field in self.fields.values():
            field.on_change = self._changed
            self.advice.say_default(field)
        self.view.arrange(self.draft.kind)
        if start.values:
            self._touched = True
            self._checks.ask()

    def _changed(self, field: Field) -> None:
        self._touched = True
        self.draft.held.pop(field.path, None)
        if field.path == KIND:
            self.view.arrange(self.draft.kind)
        self.advice.say_default(field)
        field.say(held="")
        self._checks.ask()

    def _look(self) -> None:
        try:
            self.advice.look()
            last = None if self._touched else self._last()
        except LaunchError as error:
            self.view.say("", bad=str(error))
            return
        if last is not None and not self._touched:
            self.begin(form_start.start_of(last).of_cell())

    def _last(self) -> RunHandle | None:
        known = _LAST.get(self._cell)
        run = None if known is None else self._store().find(known)
        run = run or last_of(self._store().runs(limit=LOOKED_AT), self._where)
        return None if run is None else RunHandle(self._launcher(), run.id)

    # -- in threads ------------------------------------------------------------------------------

    def _clicked(self, name: str) -> None:
        work: Mapping[str, Callable[[], object]] = {
            "launch": self.launch,
            "add": self.add,
            "preview": lambda: self.view.show_text("preview", self.preview()),
            "copy": lambda: self.view.show_text("magic", self.magic()),
            "save_notebook": self.save,
            "save_project": lambda: self.save(project=True),
        }
        with self._clicks:
            if not self._idle.is_set():
                return  # a double click
            self._idle.clear()
        self.view.busy(busy=True)
        threading.Thread(target=self._work, args=(work[name],), daemon=True).start()

    def _work(self, work: Callable[[], object]) -> None:
        try:
            self.view.say("")
            work()
        except SpecError as error:
            self._refused(error)
        except (LaunchError, OSError) as error:
            self.view.say("", bad=str(error))
        except Exception as error:  # noqa: BLE001 - nobody else would ever see it
            self.view.say("", bad=f"This mistake is ours: {type(error).__name__}: {error}")
        finally:
            self.view.busy(busy=False)
            self._idle.set()

    def _refused(self, error: SpecError) -> None:
        path = self.draft.place(error)
        errors = error.errors if isinstance(error, Unfit) else {path: error} if path else {}
        self.advice.tell(errors)
        self.view.say("", bad=str(error))

    def _submit(self, *, queued: bool) -> RunHandle:
        made = self._launcher()
        spec = self.draft.spec(made.store, queued=queued)
        if queued:
            spec = spec.evolve(queue=spec.queue or self._settings.get("queue"))
        old = self.draft.start.parent
        parent = None if old is None else old.id
        run, new = self.submissions.submit(made, spec, parent, queued=queued)
        if new:
            _LAST[self._cell] = run.id
            self.view.say(f"Run {run.id} {'is on its queue' if queued else 'was launched'}.")
            self._show(run)
        else:
            self.view.say(f"Run {run.id} is there already.")
        return run

    def _show(self, run: RunHandle) -> None:
        """Show a run's card below the form, if the form is shown."""
        if self._shown_in is None:
            return
        context, page = self._shown_in
        if _page() in {page, ""}:
            context.copy().run(live.show, live.shell(), run, wait=False)
        else:  # opened anew, a page does not know what the cell displays
            from .card import Card  # noqa: PLC0415 - few need it

            self.view.show_card(Card(run))

    @property
    def _notebook(self) -> str | None:
        return self._where.get("notebook")

    @property
    def _cell(self) -> tuple[str, str]:
        return self._notebook or "", self._where.get("cell") or ""

    def _launcher(self) -> Launcher:
        return launcher(setting("store", given=self._settings.get("store")).value)

    def _store(self) -> Store:
        return self._launcher().store


def _page() -> str:
    """Name the page that spoke last to the kernel; empty where there is none."""
    kernel = getattr(live.shell(), "kernel", None)
    parent = kernel.get_parent() if kernel is not None else {}
    return str((parent or {}).get("header", {}).get("session", ""))
