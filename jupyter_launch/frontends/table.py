"""What a verb has to tell, for people as text or HTML and for programs as JSON."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import LaunchError
from ..terminal import visible
from . import report


@dataclass(frozen=True)
class Table:
    """An answer: some lines, then rows under their head.

    Parameters
    ----------
    plain : any
        The same for programs.
    lines : sequence of str
        What stands above the rows, or instead of them.
    head : sequence of str
        Names of the columns, in capitals.
    rows : sequence of sequence of str
        Cells.
    problems : sequence of str
        What was asked for and could not be done, and why.
    """

    plain: Any
    lines: Sequence[str] = ()
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    problems: Sequence[str] = ()

    @property
    def text(self) -> str:
        """The answer without the problems."""
        table = [report.columns([self.head, *self.rows])] if self.rows else []
        return "\n".join([*map(visible, self.lines), *table])

    def __repr__(self) -> str:
        return "\n".join(filter(None, [self.text, *map(visible, self.problems)]))

    def _repr_html_(self) -> str:
        told = (*self.lines, *self.problems)
        lines = "".join(f"<div>{html.escape(visible(line))}</div>" for line in told)
        if not self.rows:
            return lines
        head = "".join(f'<th scope="col">{cell.capitalize()}</th>' for cell in self.head)
        cells = ["".join(f"<td>{html.escape(visible(c))}</td>" for c in row) for row in self.rows]
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        return f"{lines}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def facts(known: Mapping[str, str]) -> list[str]:
    """Write names and texts as aligned lines; those without a text are left out."""
    rows = [(f"{name}:", text) for name, text in known.items() if text]
    return report.columns(rows).split("\n") if rows else []


def each(ids: Iterable[str], act: Callable[[str], str]) -> Table:
    """Do something to each of several runs, and tell of each what came of it.

    Parameters
    ----------
    ids : iterable of str
        Which; each once.
    act : callable
        Does it, and says what came of it. What it raises keeps none of the others from being done.
    """
    plain: list[dict[str, str]] = []
    lines: list[str] = []
    problems: list[str] = []
    for run_id in dict.fromkeys(ids):
        try:
            said = act(run_id)
        except LaunchError as error:  # noqa: PERF203 - each is told of
            problems += str(error).split("\n")
            plain.append({"id": run_id, "error": error.message, "hint": error.hint})
        else:
            lines.append(f"{run_id} {said}")
            plain.append({"id": run_id, "result": said})
    return Table(plain, lines, problems=problems)
