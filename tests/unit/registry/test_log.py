"""Reads of the log: pages by index, filters, proofs, and what an erasure takes away."""

from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import delete

from tests.unit.registry.example import ADA, ADMIN, BOB, PATIENT, Provisioned, Stored, ledger_of
from vaultq_core.crypto.merkle import EMPTY_ROOT, verify_consistency
from vaultq_core.errors import Conflict, Malformed, NotFound, RecordDamaged
from vaultq_core.registry.log import EntryFilter
from vaultq_core.registry.registry import Registry
from vaultq_core.registry.tables.log import tree_nodes


@pytest.fixture
def filled(registry: Registry) -> Registry:
    """Ten entries: even ones provision Ada, odd ones Bob, at times 100, 100, 110, 110, …; then one record at 200."""
    for time in range(100, 150, 10):
        ledger_of(registry, partial(float, time)).commit([Provisioned(ADA), Provisioned(BOB)])
    unit = Stored(registry)
    unit.announce()
    ledger_of(registry, lambda: 200).commit([unit])
    return registry


def indexes(registry: Registry, **arguments: object) -> list[int]:
    with registry.reading() as tx:
        return [row.log_index for row in registry.log.entries(tx, **({"limit": 99} | arguments))]  # type: ignore[arg-type]


def test_pages_follow_each_other_without_gap_or_overlap(filled: Registry) -> None:
    assert indexes(filled, limit=4) == [0, 1, 2, 3]
    assert indexes(filled, limit=4, after=3) == [4, 5, 6, 7]
    assert indexes(filled, limit=4, after=7) == [8, 9, 10]
    assert indexes(filled, limit=4, after=10) == []


def test_entries_are_found_by_what_they_say(filled: Registry) -> None:
    assert indexes(filled, where=EntryFilter(subject=BOB)) == [1, 3, 5, 7, 9]
    assert indexes(filled, where=EntryFilter(kind="record-stored")) == [10]
    assert indexes(filled, where=EntryFilter(actor=ADA, patient=PATIENT)) == [10]
    assert indexes(filled, where=EntryFilter(actor=ADMIN, subject=ADA), after=4) == [6, 8]


def test_entries_are_found_by_time_inclusive(filled: Registry) -> None:
    assert indexes(filled, where=EntryFilter(since=110, until=120)) == [2, 3, 4, 5]
    assert indexes(filled, where=EntryFilter(since=141)) == [10]
    assert indexes(filled, where=EntryFilter(since=201)) == []
    assert indexes(filled, where=EntryFilter(until=99)) == []
    assert indexes(filled, where=EntryFilter(since=0), after=8) == [9, 10]


def test_the_newest_entries_come_first_when_asked_so(filled: Registry) -> None:
    with filled.reading() as tx:
        first = filled.log.newest(tx, limit=2)
        second = filled.log.newest(tx, before=first[-1].log_index, limit=2, where=EntryFilter(subject=ADA))

    assert [row.log_index for row in first] == [10, 9]
    assert [row.log_index for row in second] == [8, 6]


def test_the_empty_log_has_a_head(registry: Registry) -> None:
    with registry.reading() as tx:
        head = registry.log.head(tx)

    assert (head.size, head.root, head.note) == (0, EMPTY_ROOT, "")


def test_a_second_log_cannot_be_started(registry: Registry) -> None:
    with pytest.raises(Conflict), registry.writing() as tx:
        registry.log.create(tx)


def test_proofs_outside_the_log_are_refused(filled: Registry) -> None:
    with filled.reading() as tx:
        for arguments in ((0, 12), (-1, 11), (11, 11)):
            with pytest.raises(Malformed):
                filled.log.inclusion_proof(tx, *arguments)
        for arguments in ((0, 12), (6, 5), (-1, 5)):
            with pytest.raises(Malformed):
                filled.log.consistency_proof(tx, *arguments)


def test_every_log_is_consistent_with_the_empty_one(filled: Registry) -> None:
    with filled.reading() as tx:
        head = filled.log.head(tx)
        proof = filled.log.consistency_proof(tx, 0, head.size)

    assert verify_consistency(0, EMPTY_ROOT, head.size, head.root, proof) == head.root


def test_a_hash_that_somebody_deleted_is_reported(filled: Registry) -> None:
    with filled.writing() as tx:
        tx.execute(delete(tree_nodes).where(tree_nodes.c.level == 0, tree_nodes.c.node_index == 1))

    with filled.reading() as tx, pytest.raises(RecordDamaged, match="node 1 at level 0"):
        filled.log.inclusion_proof(tx, 0, 11)


def test_an_erasure_takes_the_salts_and_leaves_the_tree(filled: Registry) -> None:
    with filled.writing() as tx:
        assert filled.log.erase_salts(tx, PATIENT) == 1

    with filled.reading() as tx:
        assert [row.salt for row in filled.log.entries(tx, limit=1, after=9)] == [None]
        assert len(filled.log.inclusion_proof(tx, 10, 11)) == 2
        with pytest.raises(NotFound):
            filled.log.receipt(tx, 10)
