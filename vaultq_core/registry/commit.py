"""The commit: one transaction that applies units, appends their entries to the log and signs one checkpoint.

Whoever holds the head of the log holds up everybody else, so nothing under it may call a keystore or a network.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from sqlalchemy import Connection, Engine, insert

from vaultq_core.errors import ConfigInvalid, RegistryUnavailable
from vaultq_core.registry.border import registry_border
from vaultq_core.registry.draft import Draft
from vaultq_core.registry.engine import reading, writing
from vaultq_core.registry.log import Head, Log
from vaultq_core.registry.tables.log import checkpoints, log_entries, tree_nodes
from vaultq_core.wire.entries import LogEntry
from vaultq_core.wire.proof import Receipt

MOST_SECONDS_BEHIND = 300  # a clock further behind the log's would give hours of entries one and the same time

_INSERT_ENTRIES = insert(log_entries)
_INSERT_NODES = insert(tree_nodes)
_INSERT_CHECKPOINT = insert(checkpoints)

SignCheckpoint = Callable[[int, bytes, int], str]
"""Returns the signed note over a size, a root and a log time."""

Clock = Callable[[], float]
"""Returns POSIX seconds."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A unit's place in the log: `index` is what its first entry gets, `time` the log time of all (POSIX seconds)."""

    index: int
    time: int


class Unit(Protocol):
    """Changes that belong together, and what the log says of them."""

    @property
    def keeps_receipt(self) -> bool:
        """Whether the same receipt must be there for later asking: `Log.receipt`."""

    def apply(self, tx: Connection, turn: Turn) -> Sequence[LogEntry]:
        """Change rows through `tx` and return the entries; their `time` is filled in. An exception undoes it all.

        May be called again, in another transaction, when another unit of the first one failed.
        """


@dataclass(frozen=True, slots=True)
class Committed:
    """A unit that is durable: a receipt for each of its entries, all at the log time `time`."""

    receipts: tuple[Receipt, ...]
    time: int


class Ledger:
    """Commits units; several ledgers, in threads or processes, may share one database."""

    def __init__(
        self,
        engine: Engine,
        log: Log,
        sign_checkpoint: SignCheckpoint,
        clock: Clock,
        *,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._engine = engine
        self._log = log
        self._sign = sign_checkpoint
        self._clock = clock
        self._random_bytes = random_bytes

    def require_clock(self) -> None:
        """Refuse a wrong clock: raises ConfigInvalid when it is more than 5 minutes behind the log's newest entry."""
        with reading(self._engine) as tx:
            behind = self._log.head(tx).time - int(self._clock())
        if behind > MOST_SECONDS_BEHIND:
            raise ConfigInvalid(
                f"the clock is {behind} seconds behind the newest entry of the log",
                remedy="Set the clock of this machine (NTP), then start again.",
            )

    def commit(self, units: Iterable[Unit]) -> list[Committed | Exception]:
        """Commit `units` in one transaction; they are taken from the iterable while the head is locked.

        Returns, unit by unit, what was committed or the exception that undid this unit alone. Raises when
        nothing was committed; RegistryUnavailable also when that could not be found out.
        """
        coming, taken = iter(units), list[Unit]()
        try:
            return self._attempt(_noting(coming, taken), isolated=False)
        except _UnitFailedError:  # seldom: begin again, each unit in a savepoint of its own
            return self._attempt(chain(taken, coming), isolated=True)

    def _attempt(self, units: Iterable[Unit], *, isolated: bool) -> list[Committed | Exception]:
        batch: _Batch | None = None
        try:
            with writing(self._engine) as tx:
                batch = self._fill(tx, units, isolated=isolated)
        except RegistryUnavailable:
            if batch is None or not self._was_committed(batch.draft):
                raise
        return batch.outcomes()

    def _fill(self, tx: Connection, units: Iterable[Unit], *, isolated: bool) -> _Batch:
        head = self._log.lock_head(tx)
        batch = _Batch(Draft(head, int(self._clock()), self._random_bytes))
        for unit in units:
            if isolated:
                batch.apply_isolated(tx, unit)
            else:
                batch.apply(tx, unit)
        if batch.draft.entries:
            self._append(tx, head, batch)
        return batch

    def _append(self, tx: Connection, head: Head, batch: _Batch) -> None:
        draft = batch.draft
        root = draft.frontier.root()
        batch.note = self._sign(draft.size, root, draft.time)
        tx.execute(_INSERT_ENTRIES, draft.entry_rows())
        tx.execute(_INSERT_NODES, draft.node_rows())
        if batch.keeps_receipt:
            tx.execute(_INSERT_CHECKPOINT, {"size": draft.size, "note": batch.note})
        self._log.heads.change(
            tx,
            head,
            size=draft.size,
            root=root,
            frontier=draft.frontier.encode(),
            time=draft.time,
            note=batch.note,
        )

    def _was_committed(self, draft: Draft) -> bool:
        """Ask, after a COMMIT whose answer was lost; behind the lock, so that the answer cannot change any more."""
        if not draft.entries:
            return False
        with writing(self._engine) as tx:
            self._log.lock_head(tx)
            return self._log.leaf(tx, draft.start) == draft.new_nodes[0].hash


class _UnitFailedError(Exception):
    """A unit failed in a transaction that it shares with others."""


def _noting(units: Iterable[Unit], taken: list[Unit]) -> Iterator[Unit]:
    for unit in units:
        taken.append(unit)
        yield unit


class _Batch:
    """What one transaction holds so far: the draft of the log, and each unit's share of it or its exception."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.note = ""
        self.keeps_receipt = False
        self._shares: list[range | Exception] = []

    def apply(self, tx: Connection, unit: Unit) -> None:
        """Run a unit. Raises _UnitFailedError when it raises: the whole transaction is to be undone."""
        try:
            self._take(tx, unit)
        except Exception as error:
            raise _UnitFailedError from error

    def apply_isolated(self, tx: Connection, unit: Unit) -> None:
        """Run a unit in a savepoint of its own. A savepoint that cannot be undone spoils the whole transaction."""
        savepoint = tx.begin_nested()
        try:
            self._take(tx, unit)
        except Exception as error:  # noqa: BLE001 - whatever a unit raises is its submitter's, not the others'
            savepoint.rollback()
            self._shares.append(error)
        else:
            savepoint.commit()

    def outcomes(self) -> list[Committed | Exception]:
        """Return each unit's receipts or exception, once the transaction is known to be committed."""
        return [share if isinstance(share, Exception) else self._committed(share) for share in self._shares]

    def _take(self, tx: Connection, unit: Unit) -> None:
        start = self.draft.size
        with registry_border():
            entries = unit.apply(tx, Turn(start, self.draft.time))
        self.draft.add(entries)
        self.keeps_receipt = self.keeps_receipt or unit.keeps_receipt
        self._shares.append(range(start, self.draft.size))

    def _committed(self, share: range) -> Committed:
        return Committed(tuple(self.draft.receipt(index, self.note) for index in share), self.draft.time)
