"""Patients, grants, records and pending rows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection

from tests.unit.registry.example import ADA, BOB, CREATED, PATIENT, a_patient, a_record
from vaultq_core.errors import Conflict, NotFound, RecordDamaged
from vaultq_core.registry.citations import cited_keys, patients_before
from vaultq_core.registry.grants import Grant
from vaultq_core.registry.keys import SealedKey
from vaultq_core.registry.patients import MasterKeyRotated
from vaultq_core.registry.pending_records import PendingRecord
from vaultq_core.registry.registry import Registry
from vaultq_core.spi.keystore import AES_256, AES_256_GCM, MASTER, KeyId, WrappedKey

OTHER_PATIENT = "44444444-4444-4444-8444-444444444444"
SECOND = WrappedKey(KeyId(MASTER, AES_256, 2), AES_256_GCM, b"under version 2")


def a_grant(number: int, **changes: object) -> Grant:
    fields: dict[str, object] = {
        "id": f"00000000-0000-4000-8000-{number:012}",
        "patient": PATIENT,
        "doctor": ADA,
        "role": "own",
        "until": None,
        "statement": b"signed grant",
        "parent": None,
        "log_index": number,
    }
    return Grant(**(fields | changes))  # type: ignore[arg-type]


# --- patients -------------------------------------------------------------------------------------


def test_a_record_number_finds_one_patient(registry: Registry) -> None:
    with registry.writing() as tx:
        registry.patients.add(tx, a_patient(OTHER_PATIENT))
        registry.patients.add_number(tx, PATIENT, "ab" * 32)
        found = registry.patients.by_number(tx, "ab" * 32)
        assert found is not None
        assert found.id == PATIENT
        assert registry.patients.by_number(tx, "cd" * 32) is None

    with pytest.raises(Conflict), registry.writing() as tx:
        registry.patients.add_number(tx, OTHER_PATIENT, "ab" * 32)


def test_records_are_numbered_from_one(registry: Registry, tx: Connection) -> None:
    assert [registry.patients.next_record(tx, PATIENT) for _ in range(3)] == [1, 2, 3]


def test_rotation_finds_every_patient_under_an_older_key_once(registry: Registry, tx: Connection) -> None:
    registry.patients.add(tx, a_patient(OTHER_PATIENT))
    assert patients_before(tx, 2) == 2

    while page := registry.patients.wrapped_before(tx, 2, limit=1):
        assert registry.patients.rewrap_all(tx, [(patient, SECOND) for patient in page]) == 1

    for each in (PATIENT, OTHER_PATIENT):
        assert registry.patients.get(tx, each).wrapped_key == bytes(SECOND)
    assert cited_keys(tx) == {SECOND.key_id: 2}
    assert patients_before(tx, 2) == 0


def test_a_patient_who_changed_meanwhile_is_not_rewrapped_and_found_again(registry: Registry, tx: Connection) -> None:
    registry.patients.add(tx, a_patient(OTHER_PATIENT))
    read = registry.patients.wrapped_before(tx, 2, limit=9)
    registry.patients.next_record(tx, PATIENT)

    assert registry.patients.rewrap_all(tx, [(patient, SECOND) for patient in read]) == 1

    (left,) = registry.patients.wrapped_before(tx, 2, limit=9)
    assert (left.id, left.record_counter) == (PATIENT, 1)
    assert registry.patients.rewrap_all(tx, []) == 0


def test_a_new_patients_key_from_before_a_rotation_is_refused_once_the_rotation_has_begun(
    registry: Registry, tx: Connection
) -> None:
    sealed = SealedKey(name="row-key", wrapped=bytes(SECOND), key_id=str(SECOND.key_id))
    registry.sealed_keys.put(tx, sealed)

    with pytest.raises(MasterKeyRotated):
        registry.patients.add(tx, a_patient(OTHER_PATIENT))

    registry.patients.add(tx, replace(a_patient(OTHER_PATIENT), wrapped_key=bytes(SECOND), key_version=2))


def test_an_erased_patient_has_no_key_no_number_and_takes_no_record(registry: Registry, tx: Connection) -> None:
    registry.patients.add_number(tx, PATIENT, "ab" * 32)
    registry.records.add(tx, a_record(1))

    erased = registry.patients.erase(tx, PATIENT, 77)
    assert registry.records.erase(tx, PATIENT) == 1

    assert (erased.wrapped_key, erased.recovery_key, erased.demographics, erased.erased_at) == (None, None, None, 77)
    assert registry.patients.by_number(tx, "ab" * 32) is None
    assert registry.records.get(tx, a_record(1).id).wrapped_dek is None
    assert registry.patients.wrapped_before(tx, 9, limit=9) == ()
    assert (patients_before(tx, 9), cited_keys(tx)) == (0, {})
    for refused in (
        lambda: registry.patients.next_record(tx, PATIENT),
        lambda: registry.patients.describe(tx, PATIENT, b"new"),
        lambda: registry.patients.erase(tx, PATIENT, 78),
    ):
        with pytest.raises(NotFound, match="any more"):
            refused()


# --- grants ---------------------------------------------------------------------------------------


def test_a_grant_holds_until_its_last_second_or_its_end(registry: Registry, tx: Connection) -> None:
    registry.grants.add(tx, a_grant(1))
    registry.grants.add(tx, a_grant(2, role="read", until=100))
    registry.grants.add(tx, a_grant(3, doctor=BOB))

    def held(now: int) -> list[int]:
        return [grant.log_index for grant in registry.grants.in_force(tx, PATIENT, ADA, now)]

    assert (held(100), held(101)) == ([1, 2], [1])
    registry.grants.end(tx, a_grant(1).id, by=BOB, now=50)
    assert held(100) == [2]
    with pytest.raises(Conflict, match="ended before"):
        registry.grants.end(tx, a_grant(1).id, by=ADA, now=51)


def test_a_chain_leads_from_the_founder(registry: Registry, tx: Connection) -> None:
    registry.grants.add(tx, a_grant(1))
    registry.grants.add(tx, a_grant(2, doctor=BOB, parent=a_grant(1).id))

    assert [grant.log_index for grant in registry.grants.chain(tx, registry.grants.get(tx, a_grant(2).id))] == [1, 2]


def test_a_chain_of_more_than_sixteen_is_not_followed(registry: Registry, tx: Connection) -> None:
    registry.grants.add(tx, a_grant(1))
    for number in range(2, 18):
        registry.grants.add(tx, a_grant(number, parent=a_grant(number - 1).id))

    assert len(registry.grants.chain(tx, registry.grants.get(tx, a_grant(16).id))) == 16
    with pytest.raises(RecordDamaged, match="more than 16"):
        registry.grants.chain(tx, registry.grants.get(tx, a_grant(17).id))


def test_a_grant_under_an_unknown_parent_is_refused(registry: Registry) -> None:
    with pytest.raises(Conflict), registry.writing() as tx:
        registry.grants.add(tx, a_grant(2, parent=a_grant(1).id))


def test_grants_are_listed_by_patient_and_by_doctor(registry: Registry, tx: Connection) -> None:
    registry.patients.add(tx, a_patient(OTHER_PATIENT))
    registry.grants.add(tx, a_grant(3))
    registry.grants.add(tx, a_grant(4, patient=OTHER_PATIENT))
    registry.grants.add(tx, a_grant(5, doctor=BOB))
    registry.grants.end(tx, a_grant(5).id, by=ADA, now=9)

    assert [grant.log_index for grant in registry.grants.of_patient(tx, PATIENT, limit=9)] == [3, 5]
    assert [grant.log_index for grant in registry.grants.of_patient(tx, PATIENT, after=3, limit=9)] == [5]
    assert [grant.log_index for grant in registry.grants.of_doctor(tx, ADA, 10, limit=1)] == [3]
    assert [grant.log_index for grant in registry.grants.of_doctor(tx, ADA, 10, after=a_grant(3).id, limit=9)] == [4]
    assert registry.grants.of_doctor(tx, BOB, 10, limit=9) == ()


# --- records --------------------------------------------------------------------------------------


def test_records_are_listed_by_counter_page_by_page(registry: Registry, tx: Connection) -> None:
    for number in range(1, 6):
        registry.records.add(tx, a_record(number, author=ADA if number % 2 else BOB))

    assert [each.counter for each in registry.records.of_patient(tx, PATIENT, limit=3)] == [1, 2, 3]
    assert [each.counter for each in registry.records.of_patient(tx, PATIENT, after=3, limit=3)] == [4, 5]
    assert [each.log_index for each in registry.records.of_author(tx, BOB, after=2, limit=9)] == [4]
    assert [each.log_index for each in registry.records.page(tx, after=3, limit=9)] == [4, 5]
    assert registry.records.count(tx) == 5


def test_a_record_is_replaced_once(registry: Registry) -> None:
    with registry.writing() as tx:
        registry.records.add(tx, a_record(1))
        registry.records.add(tx, a_record(2, replaces=a_record(1).id))
        assert registry.records.get(tx, a_record(1).id).replaced_by == a_record(2).id

    with pytest.raises(Conflict), registry.writing() as tx:
        registry.records.add(tx, a_record(3, replaces=a_record(1).id))


def test_another_patient_s_record_is_not_replaced(registry: Registry) -> None:
    with registry.writing() as tx:
        registry.patients.add(tx, a_patient(OTHER_PATIENT))
        registry.records.add(tx, a_record(1))

    with pytest.raises(Conflict, match="another patient"), registry.writing() as tx:
        registry.records.add(tx, a_record(2, patient=OTHER_PATIENT, replaces=a_record(1).id))


@pytest.mark.parametrize("same", ["id", "object_name", "counter", "log_index"])
def test_no_two_records_share_what_names_them(registry: Registry, same: str) -> None:
    first = a_record(1)
    with registry.writing() as tx:
        registry.records.add(tx, first)

    with pytest.raises(Conflict), registry.writing() as tx:
        registry.records.add(tx, a_record(2, **{same: getattr(first, same)}))


def test_damage_keeps_its_first_time(registry: Registry, tx: Connection) -> None:
    registry.records.add(tx, a_record(1))

    registry.records.mark_damaged(tx, a_record(1).id, 5)
    registry.records.mark_damaged(tx, a_record(1).id, 9)

    assert registry.records.get(tx, a_record(1).id).damaged_at == 5


def test_a_dek_is_wrapped_anew(registry: Registry, tx: Connection) -> None:
    registry.records.add(tx, a_record(1))

    registry.records.rewrap(tx, registry.records.get(tx, a_record(1).id), b"under another key")

    assert registry.records.get(tx, a_record(1).id).wrapped_dek == b"under another key"


def test_a_pending_row_is_taken_by_one_alone(registry: Registry, tx: Connection) -> None:
    for number in (3, 1, 2):
        row = PendingRecord(object_name=str(number), record="r", patient=PATIENT, created=CREATED + number)
        registry.pending_records.add(tx, row)

    stale = registry.pending_records.stale(tx, CREATED + 3, limit=9)
    assert [row.object_name for row in stale] == ["1", "2"]
    registry.pending_records.take(tx, "1")
    with pytest.raises(Conflict, match="cleaned away"):
        registry.pending_records.take(tx, "1")
