"""What SQL stores need of a database, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias, TypeVar

Row: TypeAlias = Mapping[str, Any]
T = TypeVar("T")


class Database(Protocol):
    """Runs named statements. Safe to use from several threads; its errors are `StoreError`."""

    def rows(self, statement: str, /, **values: Any) -> list[Row]:
        """Run the statement of that name and give its rows."""

    def row(self, statement: str, /, **values: Any) -> Row | None:
        """Run the statement of that name and give its first row, if it has one."""

    def transaction(self) -> AbstractContextManager[None]:
        """Do several statements of this thread as one step. Nests."""

    def one_step(self, act: Callable[[], T], /) -> T:
        """Call something in one transaction, again from its beginning where that was in vain."""

    def close(self) -> None:
        """Let go of it; the next use opens it again."""
