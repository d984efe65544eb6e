"""Whether a table that is there can take our rows: ahead of this version (it can), or behind or different (it cannot)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from backplane_runtime.backplanes.api import BackplaneHealth
from backplane_runtime.backplanes.rows import COLUMNS
from backplane_runtime.event_table import EventTable, column_name

APPLY = "run `backplane apply`"


class FoundColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column as the database describes it; `is_filled` if the database has a value where an INSERT names none."""

    name: str
    type: str
    is_nullable: bool
    is_filled: bool


class FoundTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table as the database describes it; `has_unique_id` if it keeps event ids apart, `denied` is what we may not do."""

    columns: tuple[FoundColumn, ...]
    has_unique_id: bool
    denied: tuple[str, ...] = ()


class TableCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be compared, and how: `takes(column, type)` says whether a column of that type takes what we write."""

    table: EventTable
    takes: Callable[[str, str], bool]
    fold: Callable[[str], str] = str  # how the database compares names

    def problems(self, found: FoundTable) -> list[str]:
        """Return why our rows cannot be stored, each with the column and an action; empty if they can."""
        written = self._written()
        by_name = {self.fold(column.name): column for column in found.columns}
        said = [f"may not {what}" for what in found.denied]
        for logical, name in written.items():
            said += self._of_ours(logical, name, by_name.get(self.fold(name)))
        ours = set(map(self.fold, written.values()))
        said += [
            f"column `{one.name}` is NOT NULL without a default, and this version does not fill it: "
            f"give it a default, or upgrade experiment-backplane"
            for one in found.columns
            if self.fold(one.name) not in ours and not (one.is_nullable or one.is_filled)
        ]
        if self._wants_unique_id() and not found.has_unique_id:
            name = written["EventId"]
            said.append(f"no unique index on `{name}` alone: {APPLY}, or set `enableIdempotency: false`")
        return said

    def unknown(self, found: FoundTable) -> list[str]:
        """Return the columns that this version does not know: the table is ahead of it."""
        known = {self.fold(column.name) for column in self.table.columns}
        return [column.name for column in found.columns if self.fold(column.name) not in known]

    def _written(self) -> dict[str, str]:
        return {logical: column_name(self.table.dialect, logical) for logical in COLUMNS}

    def _of_ours(self, logical: str, name: str, found: FoundColumn | None) -> Iterator[str]:
        expected = next(column for column in self.table.columns if column.name == name)
        if found is None:
            yield f"no column `{name}` ({expected.type}): {APPLY}"
        elif not self.takes(logical, found.type):
            yield f"column `{name}` is {found.type or 'untyped'} and not {expected.type}: change its type"
        elif expected.nullable and not found.is_nullable:
            yield f"column `{name}` is NOT NULL, and not every event has one: drop NOT NULL"

    def _wants_unique_id(self) -> bool:
        return any(constraint.kind == "unique" for constraint in self.table.constraints)


def table_problem(name: str, problems: Iterable[str]) -> str:
    """Return *problems* of the table *name* as one line."""
    return f"table {name}: {'; '.join(problems)}"


def table_health(name: str, unknown: Sequence[str], details: dict[str, Any] | None = None) -> BackplaneHealth:
    """Return the health of a table that takes our rows; that it is ahead is information, and no fault."""
    ahead = f" (ahead of this version: unknown columns {', '.join(unknown)})" if unknown else ""
    more = {"unknownColumns": list(unknown)} if unknown else {}
    return BackplaneHealth(healthy=True, message=f"table {name}{ahead}", details=(details or {}) | more)
