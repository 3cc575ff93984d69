"""Rows as frozen dataclasses: the few statements that every repository is made of.

A dataclass has the columns of its table as its fields; an authenticated table has a column `mac` besides, which is
checked whenever a row is read and set whenever one is written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, delete, insert, select, update

from vaultq_core.errors import Conflict, NotFound
from vaultq_core.registry.row_auth import RowAuth, Value

T = TypeVar("T")
Where = ColumnElement[bool]


class Rows(Generic[T]):
    """The rows of one table, as values of one dataclass; `noun` names one of them in messages."""

    def __init__(self, table: Table, kind: type[T], noun: str) -> None:
        self.table = table
        self._kind = kind
        self._noun = noun
        self._names = [column.name for column in table.columns if column.name != "mac"]

    def insert(self, tx: Connection, row: T) -> None:
        """Insert `row`. Raises Conflict when its key is taken."""
        tx.execute(insert(self.table).values(self._stored(row)))

    def get(self, tx: Connection, *where: Where) -> T:
        """Return the one row. Raises NotFound."""
        row = self.find(tx, *where)
        if row is None:
            raise NotFound(f"there is no such {self._noun}")
        return row

    def find(self, tx: Connection, *where: Where) -> T | None:
        """Return the one row, or None."""
        found = tx.execute(select(self.table).where(*where)).one_or_none()
        return None if found is None else self._loaded(found)

    def first(self, tx: Connection, *where: Where, order: Any) -> T | None:
        """Return the first row in `order`, or None."""
        page = self.page(tx, *where, order=order, limit=1)
        return page[0] if page else None

    def page(self, tx: Connection, *where: Where, order: Any, limit: int) -> tuple[T, ...]:
        """Return at most `limit` rows in `order`."""
        found = tx.execute(select(self.table).where(*where).order_by(order).limit(limit))
        return tuple(self._loaded(row) for row in found)

    def every(self, tx: Connection, *where: Where, order: Any) -> tuple[T, ...]:
        """Return all rows in `order`: for tables that stay small."""
        return tuple(self._loaded(row) for row in tx.execute(select(self.table).where(*where).order_by(order)))

    def change(self, tx: Connection, row: T, **changes: Value) -> T:
        """Return `row` with `changes`, written if it is still what was read. Raises Conflict if it is not."""
        changed: T = dataclasses.replace(row, **changes)  # type: ignore[type-var]  # every T is a dataclass
        done = tx.execute(update(self.table).where(self._unchanged(row)).values(self._stored(changed)))
        if done.rowcount != 1:
            raise Conflict(f"the {self._noun} was changed by somebody else")
        return changed

    def remove(self, tx: Connection, *where: Where) -> int:
        """Delete rows and return how many."""
        return tx.execute(delete(self.table).where(*where)).rowcount

    def _values(self, row: T) -> dict[str, Value]:
        return {name: getattr(row, name) for name in self._names}

    def _stored(self, row: T) -> Mapping[str, Value]:
        return self._values(row)

    def _loaded(self, found: Row[Any]) -> T:
        return self._kind(**{name: found._mapping[name] for name in self._names})  # noqa: SLF001 - its public name

    def _unchanged(self, row: T) -> Where:
        values = self._values(row)
        return and_(*(column == values[column.name] for column in self.table.columns if column.name in values))


class AuthenticatedRows(Rows[T]):
    """Rows whose `mac` is checked on every read. Reads raise RecordDamaged for a row that VaultQ did not write."""

    def __init__(self, table: Table, kind: type[T], noun: str, auth: RowAuth) -> None:
        super().__init__(table, kind, noun)
        self._auth = auth

    def _stored(self, row: T) -> Mapping[str, Value]:
        values = self._values(row)
        return values | {"mac": self._auth.mac(self.table.name, values)}

    def _loaded(self, found: Row[Any]) -> T:
        values = {name: found._mapping[name] for name in self._names}  # noqa: SLF001 - its public name
        key = "/".join(str(values[column.name]) for column in self.table.primary_key)
        self._auth.verify_row(self.table.name, key, values, found._mapping["mac"])  # noqa: SLF001
        return self._kind(**values)

    def _unchanged(self, row: T) -> Where:
        keys = [column == getattr(row, column.name) for column in self.table.primary_key]
        return and_(self.table.c.mac == self._stored(row)["mac"], *keys)
