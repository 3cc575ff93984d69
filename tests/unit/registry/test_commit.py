"""The commit: durable before it is told, one log for all, and nobody's failure is another's."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import nullcontext

import pytest
from sqlalchemy import Connection, event, update
from sqlalchemy.exc import OperationalError

from tests.unit.registry.example import (
    ADA,
    ADMIN,
    BOB,
    LOG_SIGNER,
    VAULT,
    Calls,
    Provisioned,
    Stored,
    ledger_of,
)
from vaultq_core.crypto.receipts import verify_receipt
from vaultq_core.errors import ConfigInvalid, Conflict, Malformed, NotFound, RecordDamaged, RegistryUnavailable
from vaultq_core.registry import engine
from vaultq_core.registry.commit import Committed, Ledger, Turn, Unit
from vaultq_core.registry.registry import Registry
from vaultq_core.registry.tables.log import log_head
from vaultq_core.wire.entries import DoctorProvisioned, LogEntry
from vaultq_core.wire.proof import encode_receipt

NOW = 1_800_000_000


def committed(outcome: Committed | Exception) -> Committed:
    assert isinstance(outcome, Committed), outcome
    return outcome


def size_of(registry: Registry) -> int:
    with registry.reading() as tx:
        return registry.log.head(tx).size


def test_every_receipt_of_a_batch_verifies_against_its_one_checkpoint(registry: Registry, ledger: Ledger) -> None:
    for count in (1, 2, 5, 1, 8):
        outcomes = ledger.commit([Provisioned() for _ in range(count)])
        receipts = [receipt for outcome in outcomes for receipt in committed(outcome).receipts]
        positions = [verify_receipt(receipt, LOG_SIGNER.public()) for receipt in receipts]
        assert len({receipt.checkpoint for receipt in receipts}) == 1
        assert {position.checkpoint.size for position in positions} == {receipts[-1].index + 1}

    assert size_of(registry) == 17


def test_a_unit_knows_its_index_and_time_before_it_writes_its_rows(registry: Registry) -> None:
    turns: list[Turn] = []

    def two_entries(_tx: Connection, turn: Turn) -> Sequence[LogEntry]:
        turns.append(turn)
        return [DoctorProvisioned(vault=VAULT, administrator=ADMIN, doctor=each) for each in (ADA, BOB)]

    outcomes = ledger_of(registry, lambda: NOW).commit([Calls(two_entries), Calls(two_entries)])

    assert turns == [Turn(0, NOW), Turn(2, NOW)]
    assert [receipt.index for receipt in committed(outcomes[1]).receipts] == [2, 3]


def test_one_failing_unit_spoils_nothing_of_the_others(registry: Registry, ledger: Ledger) -> None:
    def fails_late(tx: Connection, _turn: Turn) -> Sequence[LogEntry]:
        registry.doctors.move(tx, BOB, "revoked")
        raise Conflict("too late")

    def breaks_a_constraint(tx: Connection, _turn: Turn) -> Sequence[LogEntry]:
        registry.doctors.add(tx, registry.doctors.get(tx, BOB))
        return []

    def has_a_bug(_tx: Connection, _turn: Turn) -> Sequence[LogEntry]:
        raise ZeroDivisionError

    def is_not_canonical(_tx: Connection, _turn: Turn) -> Sequence[LogEntry]:
        return [DoctorProvisioned(vault=VAULT, administrator=ADMIN, doctor=each) for each in (ADA, "e\u0301")]

    units: list[Unit] = [
        Provisioned(),
        *map(Calls, (fails_late, breaks_a_constraint, has_a_bug, is_not_canonical)),
        Provisioned(),
    ]
    outcomes = ledger.commit(units)

    assert [type(outcome) for outcome in outcomes[1:5]] == [Conflict, Conflict, ZeroDivisionError, Malformed]
    assert [committed(outcomes[place]).receipts[0].index for place in (0, 5)] == [0, 1]
    with registry.reading() as tx:
        assert registry.doctors.get(tx, BOB).status == "provisioned"


def test_a_unit_without_entries_changes_rows_and_no_checkpoint(registry: Registry, ledger: Ledger) -> None:
    ledger.commit([Provisioned()])
    with registry.reading() as tx:
        before = registry.log.head(tx)

    def moves(tx: Connection, _turn: Turn) -> Sequence[LogEntry]:
        registry.doctors.move(tx, BOB, "pending")
        return []

    (outcome,) = ledger.commit([Calls(moves)])

    assert committed(outcome).receipts == ()
    with registry.reading() as tx:
        assert registry.log.head(tx) == before
        assert registry.doctors.get(tx, BOB).status == "pending"


def test_log_time_never_falls_when_the_clock_does(registry: Registry) -> None:
    ledger_of(registry, lambda: NOW).commit([Provisioned()])

    (outcome,) = ledger_of(registry, lambda: NOW - 60).commit([Provisioned()])

    assert committed(outcome).time == NOW
    assert verify_receipt(committed(outcome).receipts[0], LOG_SIGNER.public()).time == NOW


def test_a_clock_more_than_five_minutes_behind_the_log_is_refused(registry: Registry) -> None:
    ledger_of(registry, lambda: NOW).commit([Provisioned()])

    ledger_of(registry, lambda: NOW - 300).require_clock()
    with pytest.raises(ConfigInvalid, match="301 seconds behind"):
        ledger_of(registry, lambda: NOW - 301).require_clock()


def test_a_signer_that_fails_leaves_nothing(registry: Registry) -> None:
    def fails(_size: int, _root: bytes, _time: int) -> str:
        raise RegistryUnavailable("no signature")

    unit = Stored(registry)
    unit.announce()

    with pytest.raises(RegistryUnavailable, match="no signature"):
        registry.ledger(fails, lambda: NOW).commit([unit])
    assert size_of(registry) == 0
    with registry.reading() as tx:
        assert registry.records.find(tx, unit.record) is None
        assert len(registry.pending_records.stale(tx, NOW, limit=2)) == 1


def lost_answer() -> OperationalError:
    return OperationalError("COMMIT", None, sqlite3.OperationalError("server closed the connection"))


def test_a_commit_whose_answer_is_lost_is_found_to_have_happened(registry: Registry, ledger: Ledger) -> None:
    def commits_then_fails(connection: Connection) -> None:
        event.remove(registry.engine, "commit", commits_then_fails)
        connection.exec_driver_sql("COMMIT")
        raise lost_answer()

    event.listen(registry.engine, "commit", commits_then_fails)
    (outcome,) = ledger.commit([Provisioned()])

    assert verify_receipt(committed(outcome).receipts[0], LOG_SIGNER.public()).index == 0
    assert size_of(registry) == 1


def test_a_commit_that_did_not_happen_is_reported_so(registry: Registry, ledger: Ledger) -> None:
    def fails(_connection: Connection) -> None:
        event.remove(registry.engine, "commit", fails)
        raise lost_answer()

    event.listen(registry.engine, "commit", fails)
    with pytest.raises(RegistryUnavailable):
        ledger.commit([Provisioned()])

    assert size_of(registry) == 0
    committed(ledger.commit([Provisioned()])[0])


def test_another_process_s_entry_is_not_taken_for_the_lost_one(
    registry: Registry, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On one machine writers take turns; a database that several share is written to by others in between.
    monkeypatch.setattr(engine, "_writers_turn", lambda _engine: nullcontext())

    def is_overtaken(connection: Connection) -> None:
        event.remove(registry.engine, "commit", is_overtaken)
        connection.exec_driver_sql("ROLLBACK")
        ledger_of(registry).commit([Provisioned(BOB)])
        raise lost_answer()

    event.listen(registry.engine, "commit", is_overtaken)
    with pytest.raises(RegistryUnavailable):
        ledger.commit([Provisioned(ADA)])

    assert size_of(registry) == 1


def test_the_same_receipt_is_given_byte_for_byte_when_others_followed(registry: Registry, ledger: Ledger) -> None:
    unit = Stored(registry)
    unit.announce()
    first = committed(ledger.commit([Provisioned(), unit, Provisioned()])[1]).receipts[0]
    ledger.commit([Provisioned() for _ in range(9)])

    with registry.reading() as tx:
        again = registry.log.receipt(tx, registry.records.get(tx, unit.record).log_index)

    assert encode_receipt(again) == encode_receipt(first)


def test_an_entry_that_needs_no_receipt_keeps_no_checkpoint(registry: Registry, ledger: Ledger) -> None:
    ledger.commit([Provisioned()])

    with registry.reading() as tx, pytest.raises(NotFound):
        registry.log.receipt(tx, 0)


def test_a_head_that_somebody_wrote_into_the_database_is_never_signed(registry: Registry, ledger: Ledger) -> None:
    ledger.commit([Provisioned()])
    with registry.writing() as tx:
        tx.execute(update(log_head).values(root=b"f" * 32))

    with pytest.raises(RecordDamaged, match="log_head"):
        ledger.commit([Provisioned()])
