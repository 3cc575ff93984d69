"""Rows as frozen dataclasses: the few statements that every repository is made of.

A dataclass has the columns of its table as its fields; an authenticated table has a column `mac` besides, which is
checked whenever a row is read and set whenever one is written. Statements are built once: SQLAlchemy takes longer to
build one than SQLite to run it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    Update,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from vaultq_core.errors import Conflict, NotFound
from vaultq_core.registry.row_auth import RowAuth, Value

T = TypeVar("T")
Where = ColumnElement[bool]

_WAS = "was_"  # begins the parameters of an update that hold what was read


class Rows(Generic[T]):
    """The rows of one table with a key of one column, as values of one dataclass; `noun` names one in messages."""

    def __init__(self, table: Table, kind: type[T], noun: str) -> None:
        self.table = table
        self._kind = kind
        self._noun = noun
        self._names = [column.name for column in table.columns if column.name != "mac"]
        (self._key,) = table.primary_key
        self._insert = insert(table)
        self._by_key = select(table).where(self._key == bindparam("key"))
        self._delete_by_key = delete(table).where(self._key == bindparam("key"))
        self._by_key_locked = self._by_key.with_for_update()
        self._updates: dict[tuple[str, ...], Update] = {}

    def insert(self, tx: Connection, row: T) -> None:
        """Insert `row`. Raises Conflict when its key is taken."""
        tx.execute(self._insert, self._stored(row))

    def get(self, tx: Connection, key: str | int) -> T:
        """Return the row of that key. Raises NotFound."""
        return self._required(self.find(tx, key))

    def find(self, tx: Connection, key: str | int) -> T | None:
        """Return the row of that key, or None."""
        found = tx.execute(self._by_key, {"key": key}).one_or_none()
        return None if found is None else self._loaded(found)

    def lock(self, tx: Connection, key: str | int) -> T:
        """Return the row of that key, locked until the transaction ends. Raises NotFound."""
        found = tx.execute(self._by_key_locked, {"key": key}).one_or_none()
        return self._required(None if found is None else self._loaded(found))

    def only(self, tx: Connection, *where: Where) -> T:
        """Return the one row that `where` names. Raises NotFound."""
        found = tx.execute(select(self.table).where(*where)).one_or_none()
        return self._required(None if found is None else self._loaded(found))

    def first(self, tx: Connection, *where: Where, order: Any) -> T | None:
        """Return the first row in `order`, or None."""
        page = self.page(tx, *where, order=order, limit=1)
        return page[0] if page else None

    def page(self, tx: Connection, *where: Where, order: Any, limit: int) -> tuple[T, ...]:
        """Return at most `limit` rows in `order`."""
        found = tx.execute(select(self.table).where(*where).order_by(order).limit(limit))
        return tuple(self._loaded(row) for row in found)

    def every(self, tx: Connection, *where: Where, order: Any) -> tuple[T, ...]:
        """Return all rows in `order`: for what stays few."""
        return tuple(self._loaded(row) for row in tx.execute(select(self.table).where(*where).order_by(order)))

    def chosen(self, tx: Connection, statement: Select[Any], **named: Value) -> tuple[T, ...]:
        """Return the rows of a statement over this table that was built once: for what every request asks."""
        return tuple(self._loaded(row) for row in tx.execute(statement, named))

    def change(self, tx: Connection, row: T, **changes: Value) -> T:
        """Return `row` with `changes`, written if it is still what was read. Raises Conflict if it is not."""
        changed, written, was = self._changed(row, changes)
        if tx.execute(self._update_of(tuple(written)), written | was).rowcount != 1:
            raise Conflict(f"the {self._noun} was changed by somebody else")
        return changed

    def change_all(self, tx: Connection, changes: Sequence[tuple[T, Mapping[str, Value]]]) -> int:
        """Change many rows, the same columns of each, and return how many; one that is not what was read stays."""
        steps = [self._changed(row, change) for row, change in changes]
        if not steps:
            return 0
        update = self._update_of(tuple(steps[0][1]))
        return tx.execute(update, [written | was for _, written, was in steps]).rowcount

    def remove(self, tx: Connection, *where: Where) -> int:
        """Delete rows and return how many."""
        return tx.execute(delete(self.table).where(*where)).rowcount

    def remove_one(self, tx: Connection, key: str | int) -> bool:
        """Delete the row of that key and say whether there was one."""
        return tx.execute(self._delete_by_key, {"key": key}).rowcount == 1

    def _changed(self, row: T, changes: Mapping[str, Value]) -> tuple[T, dict[str, Value], dict[str, Value]]:
        """Return the changed row, the values to write, and those by which it is known as what was read."""
        changed: T = dataclasses.replace(row, **changes)  # type: ignore[type-var]  # every T is a dataclass
        stored = self._stored(changed)
        written = {name: stored[name] for name in (*sorted(changes), *(("mac",) if "mac" in stored else ()))}
        was = {_WAS + name: value for name, value in self._stored(row).items() if name in self._compared()}
        return changed, written, was

    def _required(self, row: T | None) -> T:
        if row is None:
            raise NotFound(f"there is no such {self._noun}")
        return row

    def _update_of(self, names: tuple[str, ...]) -> Update:
        """Return the statement that sets these columns where the row is what was read."""
        found = self._updates.get(names)
        if found is None:
            where = [self.table.c[name].is_not_distinct_from(bindparam(_WAS + name)) for name in self._compared()]
            found = update(self.table).where(*where).values({name: bindparam(name) for name in names})
            self._updates[names] = found
        return found

    def _compared(self) -> list[str]:
        """Return the columns that show whether a row is still what was read."""
        return self._names

    def _values(self, row: T) -> dict[str, Value]:
        return {name: getattr(row, name) for name in self._names}

    def _stored(self, row: T) -> dict[str, Value]:
        return self._values(row)

    def _loaded(self, found: Row[Any]) -> T:
        return self._kind(**self._loaded_values(found))

    def _loaded_values(self, found: Row[Any]) -> dict[str, Value]:
        mapping: Mapping[str, Value] = found._mapping  # type: ignore[assignment]  # noqa: SLF001 - its public name
        return {name: mapping[name] for name in self._names}


class AuthenticatedRows(Rows[T]):
    """Rows whose `mac` is checked on every read. Reads raise RecordDamaged for a row that VaultQ did not write."""

    def __init__(self, table: Table, kind: type[T], noun: str, auth: RowAuth) -> None:
        super().__init__(table, kind, noun)
        self._auth = auth
        self._mac: Column[bytes] = table.c.mac

    def _compared(self) -> list[str]:
        return [self._key.name, "mac"]

    def _stored(self, row: T) -> dict[str, Value]:
        values = self._values(row)
        return values | {"mac": self._auth.mac(self.table.name, values)}

    def _loaded(self, found: Row[Any]) -> T:
        values = self._loaded_values(found)
        mac: bytes = found._mapping[self._mac]  # noqa: SLF001 - its public name
        self._auth.verify_row(self.table.name, str(values[self._key.name]), values, mac)
        return self._kind(**values)
