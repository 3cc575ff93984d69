"""The transparency log as it stands in the registry: head, entries, proofs, and receipts given again."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, func, select, update

from vaultq_core.crypto.merkle import EMPTY_ROOT, Frontier, consistency_proof, inclusion_path
from vaultq_core.errors import Malformed, NotFound, RecordDamaged
from vaultq_core.registry.row_auth import RowAuth
from vaultq_core.registry.rows import AuthenticatedRows, Rows
from vaultq_core.registry.tables.log import checkpoints, log_entries, log_head, tree_nodes
from vaultq_core.wire.proof import LoggedEntry, Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest state of the log: its size in entries, root, newest log time, and its checkpoint as a signed note.

    An empty log has the note "".
    """

    size: int
    root: bytes
    frontier: bytes = field(repr=False)
    time: int
    note: str = field(repr=False)
    id: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRow:
    """An entry: its exact bytes and, until an erasure, its salt; who did it, to whom, and about what.

    `checkpoint_size` is the size of the log after the commit that appended it.
    """

    log_index: int
    time: int
    kind: str
    actor: str | None
    subject: str | None
    patient: str | None
    record: str | None
    entry: bytes
    salt: bytes | None = field(repr=False)
    checkpoint_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """Which entries to list: all that have each of the given values; times are inclusive POSIX seconds."""

    kind: str | None = None
    actor: str | None = None
    subject: str | None = None
    patient: str | None = None
    record: str | None = None
    since: int | None = None
    until: int | None = None

    def where(self) -> list[ColumnElement[bool]]:
        """Return the conditions on the columns of the same name, without the times."""
        names = ("kind", "actor", "subject", "patient", "record")
        return [log_entries.c[name] == getattr(self, name) for name in names if getattr(self, name) is not None]


class Log:
    """Reads of the log; a commit appends. Raises RecordDamaged for a head that VaultQ did not write."""

    def __init__(self, auth: RowAuth) -> None:
        self.heads = AuthenticatedRows(log_head, Head, "log", auth)
        self._entries = Rows(log_entries, EntryRow, "log entry")

    def create(self, tx: Connection) -> None:
        """Start an empty log. Raises Conflict when there is a log already."""
        self.heads.insert(tx, Head(size=0, root=EMPTY_ROOT, frontier=Frontier().encode(), time=0, note=""))

    def head(self, tx: Connection) -> Head:
        """Return the head. Raises NotFound before `init`."""
        return self.heads.get(tx, 1)

    def lock_head(self, tx: Connection) -> Head:
        """Return the head, locked against every other commit until this transaction ends."""
        return self.heads.lock(tx, 1)

    def entries(
        self, tx: Connection, *, after: int = -1, limit: int, where: EntryFilter | None = None
    ) -> tuple[EntryRow, ...]:
        """Return at most `limit` entries that `where` names, oldest first, from the one after index `after`."""
        chosen = where or EntryFilter()
        if chosen.since is not None:
            after = max(after, self._first_since(tx, chosen.since) - 1)
        conditions = [log_entries.c.log_index > after, *chosen.where()]
        if chosen.until is not None:
            conditions.append(log_entries.c.log_index < self._first_since(tx, chosen.until + 1))
        return self._entries.page(tx, *conditions, order=log_entries.c.log_index, limit=limit)

    def newest(
        self, tx: Connection, *, before: int | None = None, limit: int, where: EntryFilter | None = None
    ) -> tuple[EntryRow, ...]:
        """Return at most `limit` entries that `where` names (its times aside), newest first, below index `before`."""
        conditions = (where or EntryFilter()).where()
        if before is not None:
            conditions.append(log_entries.c.log_index < before)
        return self._entries.page(tx, *conditions, order=log_entries.c.log_index.desc(), limit=limit)

    def inclusion_proof(self, tx: Connection, index: int, size: int) -> tuple[bytes, ...]:
        """Return the path from entry `index` to the root over `size` entries. Raises Malformed outside the log."""
        self._require_size(tx, size)
        return inclusion_path(index, size, lambda level, place: self._node(tx, level, place))

    def consistency_proof(self, tx: Connection, first: int, second: int) -> tuple[bytes, ...]:
        """Return the proof that `second` entries begin with `first`. Raises Malformed outside the log."""
        self._require_size(tx, second)
        return consistency_proof(first, second, lambda level, place: self._node(tx, level, place))

    def receipt(self, tx: Connection, index: int) -> Receipt:
        """Return the receipt of an entry, the same whenever it is asked for.

        Raises NotFound when its commit kept no checkpoint, or its patient was erased.
        """
        row = self._entries.get(tx, index)
        kept = select(checkpoints.c.note).where(checkpoints.c.size == row.checkpoint_size)
        note: str | None = tx.execute(kept).scalar_one_or_none()
        if note is None or row.salt is None:
            raise NotFound(f"there is no receipt for entry {index}")
        path = self.inclusion_proof(tx, index, row.checkpoint_size)
        return Receipt(LoggedEntry(entry=row.entry, salt=row.salt), index, path, note)

    def erase_salts(self, tx: Connection, patient: str) -> int:
        """Delete the salts of a patient's entries, so that no leaf can be tied to him; return how many."""
        return tx.execute(update(log_entries).where(log_entries.c.patient == patient).values(salt=None)).rowcount

    def leaf(self, tx: Connection, index: int) -> bytes | None:
        """Return the leaf hash of entry `index`, or None when there is none."""
        found = select(tree_nodes.c.hash).where(tree_nodes.c.level == 0, tree_nodes.c.node_index == index)
        leaf: bytes | None = tx.execute(found).scalar_one_or_none()
        return leaf

    def _node(self, tx: Connection, level: int, index: int) -> bytes:
        found = select(tree_nodes.c.hash).where(tree_nodes.c.level == level, tree_nodes.c.node_index == index)
        node: bytes | None = tx.execute(found).scalar_one_or_none()
        if node is None:
            raise RecordDamaged(f"the log lacks the hash of node {index} at level {level}")
        return node

    def _require_size(self, tx: Connection, size: int) -> None:
        if not 0 <= size <= (present := self.head(tx).size):
            raise Malformed(f"the log has {present} entries")

    def _first_since(self, tx: Connection, time: int) -> int:
        """Return the index of the first entry at or after `time`; log time never falls, so it parts the log in two."""
        first = select(func.min(log_entries.c.log_index)).where(log_entries.c.time >= time)
        found: int | None = tx.execute(first).scalar_one()
        return self.head(tx).size if found is None else found
