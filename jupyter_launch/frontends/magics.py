"""The magics: ``%launch``, ``%launch_add``, and those around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.core.magic import (
    Magics,
    line_cell_magic,
    line_magic,
    magics_class,
    no_var_expand,
)
from traitlets import Bool, Unicode

# What the magics do is imported when one is first used: loading the extension must cost nothing.

_DOTTED = {"build_inherit_pip_config": "build.inherit_pip_config"}
"""The settings whose names no trait can have."""


@magics_class
class LaunchMagics(Magics):
    """Launch work from a notebook. ``%config LaunchMagics`` shows and sets the defaults."""

    entity = Unicode("", help="user or team the runs belong to").tag(config=True)
    project = Unicode("", help="project the runs belong to").tag(config=True)
    queue = Unicode("", help="queue that %launch_add uses").tag(config=True)
    resource = Unicode("", help="where a cell, script or folder runs").tag(config=True)
    image = Unicode("", help="image a cell, script or folder runs in").tag(config=True)
    store = Unicode("", help="URL of the store of runs").tag(config=True)
    build_inherit_pip_config = Bool(
        None, allow_none=True, help="whether builds get pip's settings, certificates and logins"
    ).tag(config=True)

    def __init__(self, shell: Any, **options: Any) -> None:
        super().__init__(shell, **options)
        self.of_files = self.settings()  # what %config changes later, files did not say

    @no_var_expand
    @line_cell_magic
    def launch(self, line: str, cell: str | None = None) -> Any:
        """Launch a cell, script, folder or image now. ``%launch --help`` shows the options."""
        return self._run("launch", line, cell)

    @no_var_expand
    @line_cell_magic
    def launch_add(self, line: str, cell: str | None = None) -> Any:
        """Put a cell, script, folder or image on a queue. ``%launch_add --help``: the options."""
        return self._run("launch_add", line, cell)

    @no_var_expand
    @line_cell_magic
    def launch_form(self, line: str, cell: str | None = None) -> Any:
        """Show a form that launches; it is filled with what the line and the cell say."""
        from .form_magic import run  # noqa: PLC0415

        given = () if cell is None else (cell,)
        return run(self.shell, self.settings(), line, *given)

    @no_var_expand
    @line_magic
    def relaunch(self, line: str) -> Any:
        """Launch a recorded run again: ``%relaunch [RUN] [--set KEY=VALUE ...]``."""
        from .relaunch_magic import run  # noqa: PLC0415

        return run(self.shell, self.settings(), line)

    @no_var_expand
    @line_magic
    def launch_config(self, line: str) -> Any:
        """Show every setting, and where its value comes from: ``%launch_config [NAME ...]``."""
        from .config_magic import run  # noqa: PLC0415

        return run(self.shell, self.settings(), line)

    @no_var_expand
    @line_magic
    def launch_queue(self, line: str) -> None:
        """Make, show, change queues, and move what waits on them: ``%launch_queue [VERB ...]``."""
        from IPython.display import display  # noqa: PLC0415

        from .queue_magic import run  # noqa: PLC0415

        if told := run(self.shell, self.settings(), line):
            display(told)  # wherever it stands in the cell

    def settings(self) -> dict[str, str | None]:
        """Give what ``%config`` and IPython's configuration say, by the names of settings."""
        said = {_DOTTED.get(name, name): getattr(self, name) for name in self.traits(config=True)}
        return {name: None if value in (None, "") else str(value) for name, value in said.items()}

    def _run(self, verb: str, line: str, cell: str | None) -> Any:
        from .run_magic import run_magic  # noqa: PLC0415

        return run_magic(self.shell, verb, self.settings(), line, cell)


NAMES = ("launch", "launch_add", "launch_form", "relaunch", "launch_config", "launch_queue")
"""The magics that loading the extension brings and unloading takes away."""


def _describe(verb: str) -> Callable[[], str]:
    def getdoc() -> str:
        from .line_parsers import parser  # noqa: PLC0415
        from .manual import page  # noqa: PLC0415

        shell = get_ipython()
        magics = shell and shell.magics_manager.registry.get(LaunchMagics.__name__)
        return page(verb, parser(verb), magics.settings() if magics else {})

    return getdoc


# IPython asks an object for `getdoc` before its docstring: `%launch?` shows the manual page.
for _name in NAMES:
    getattr(LaunchMagics, _name).getdoc = _describe(_name)
