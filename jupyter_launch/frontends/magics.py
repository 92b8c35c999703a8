"""The magics: ``%launch``, ``%%launch``, ``%launch_add``, ``%%launch_add``."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand
from traitlets import Unicode

# What the magics do is imported when one is first used: loading the extension must cost nothing.


@magics_class
class LaunchMagics(Magics):
    """Launch work from a notebook. ``%config LaunchMagics`` shows and sets the defaults."""

    entity = Unicode("", help="user or team the runs belong to").tag(config=True)
    project = Unicode("", help="project the runs belong to").tag(config=True)
    queue = Unicode("", help="queue that %launch_add uses").tag(config=True)
    resource = Unicode("", help="where a cell, script or folder runs").tag(config=True)
    image = Unicode("", help="image a cell, script or folder runs in").tag(config=True)
    store = Unicode("", help="URL of the store of runs").tag(config=True)

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

    def _run(self, verb: str, line: str, cell: str | None) -> Any:
        from .run_magic import run_magic  # noqa: PLC0415

        settings = {name: getattr(self, name) or None for name in self.trait_names(config=True)}
        return run_magic(self.shell, verb, settings, line, cell)


def _describe(verb: str) -> Any:
    def getdoc() -> str:
        from .run_magic import usage  # noqa: PLC0415

        return usage(verb)

    return getdoc


# IPython asks an object for `getdoc` before its docstring: `%launch?` shows every option.
LaunchMagics.launch.getdoc = _describe("launch")
LaunchMagics.launch_add.getdoc = _describe("launch_add")
