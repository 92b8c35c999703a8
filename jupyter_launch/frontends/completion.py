"""Completion of what is typed behind the magics, for IPython and every front end of a kernel.

This module is imported when the extension is loaded, so it imports nothing itself; what it needs to
answer is imported when Tab is first pressed behind one of the magics.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher

if TYPE_CHECKING:
    from .candidate_values import Source

_LINE = re.compile(
    r"(?:^|=)\s*(?P<marks>%%?)"
    r"(?P<verb>launch_(?:add|config|form|queue)|launch|relaunch)[ \t]+(?P<line>.*)$"
)


class Completion:
    """The matcher of one IPython, and what it knows.

    Parameters
    ----------
    shell : InteractiveShell
        Whose completer is extended.
    magics : LaunchMagics
        Whose settings count.
    """

    def __init__(self, shell: Any, magics: Any) -> None:
        self._shell = shell
        self._magics = magics
        self._source: Source | None = None

        def complete(context: CompletionContext) -> dict[str, Any]:
            return self._complete(context)

        # IPython marks what it is given with attributes, which a bound method does not take.
        self.matcher: Any = context_matcher(identifier="jupyter_launch")(complete)
        shell.Completer.custom_matchers.append(self.matcher)

    def close(self) -> None:
        """Take the matcher away again."""
        if self.matcher in self._shell.Completer.custom_matchers:
            self._shell.Completer.custom_matchers.remove(self.matcher)
        if self._source is not None:
            self._source.known.close()
            self._source = None

    def _complete(self, context: CompletionContext) -> dict[str, Any]:
        found = _LINE.search(context.text_until_cursor)
        first = not "".join(context.full_text.split("\n")[: context.cursor_line]).strip()
        if found is None or (found["marks"] == "%%" and not first):
            return {"completions": []}
        from .candidate_values import Candidate, Source  # noqa: PLC0415
        from .candidates import candidates  # noqa: PLC0415

        if self._source is None:
            self._source = Source(self._magics.settings, self._shell)
        typed, values = candidates(self._source, found["verb"], found["line"])
        if not values:  # what is typed may stay; names of Python, which take long, do not belong
            values = [Candidate(typed, "text")]
        return {
            "completions": [SimpleCompletion(value.text, type=value.kind) for value in values],
            "matched_fragment": typed,
            "suppress": True,
            "ordered": True,
        }
