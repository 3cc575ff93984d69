"""Who can write to the database alone makes nobody active, no grant wider and no record another patient's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.fixtures.exposed_vault import EnrolledDoctor, Vault
from tests.fixtures.forging import Forger
from vaultq_core.errors import NotFound, NotPermitted, RecordDamaged, VaultQError
from vaultq_core.wire import paths
from vaultq_core.wire.sealed_request import RecordGet

ROW_DAMAGED = "is not what VaultQ wrote"
NEXT_EPOCH = "UPDATE epoch SET value = value + 1"  # so that no worker goes by what it read before


@contextmanager
def tampered(vault: Vault, table: str, key: str, **values: Any) -> Iterator[None]:
    """Change columns of one row, and put them back as they were in the end."""
    names = ", ".join(values)
    key_column = "sha256" if table == "certificates" else "id"
    (before,) = vault.rows(f"SELECT {names} FROM {table} WHERE {key_column} = ?", key)  # noqa: S608 - the test's names
    update = f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in values)} WHERE {key_column} = ?"  # noqa: S608
    assert before != tuple(values.values())
    vault.change(update, *values.values(), key)
    vault.change(NEXT_EPOCH)
    try:
        yield
    finally:
        vault.change(update, *before, key)
        vault.change(NEXT_EPOCH)


def test_a_revoked_certificate_made_active_again_opens_nothing(vault: Vault) -> None:
    carol = vault.enrol("Dr. Carol")
    with vault.desk() as desk, desk.registry.writing() as tx:
        desk.registry.certificates.revoke(
            tx, carol.client.identity.tls_certificate, now=desk.seconds(), reason="lost", log_index=0
        )
    vault.change(NEXT_EPOCH)
    assert vault.call("records", carol.tls, "GET", paths.VAULT).code == "not-authenticated"

    tls = carol.client.identity.tls_certificate
    with tampered(vault, "certificates", tls, status="active", revoked_at=None, reason=None, log_index=None):
        answer = vault.call("records", carol.tls, "GET", paths.VAULT)

    assert (answer.status, answer.code) == (500, "record-damaged")


def test_a_longer_life_for_a_certificate_opens_nothing(vault: Vault, ada: EnrolledDoctor) -> None:
    with tampered(vault, "certificates", ada.client.identity.tls_certificate, not_after=2**40):
        answer = vault.call("records", ada.tls, "GET", paths.VAULT)

    assert (answer.status, answer.code) == (500, "record-damaged")


def test_a_certificate_of_another_owner_opens_nothing(vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor) -> None:
    with tampered(vault, "certificates", bob.client.identity.tls_certificate, owner=ada.id):
        answer = vault.call("records", bob.tls, "GET", paths.VAULT)

    assert (answer.status, answer.code) == (500, "record-damaged")


def test_a_doctors_keys_exchanged_for_anothers_open_nothing(
    vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor
) -> None:
    """enrolled_keys has no mac: the certificates prove each other, and their rows their owner."""
    mine, theirs = (each.client.identity.signing_certificate for each in (ada, bob))
    update = "UPDATE enrolled_keys SET signing_certificate = ? WHERE tls_certificate = ?"
    vault.change("DELETE FROM enrolled_keys WHERE signing_certificate = ?", mine)
    try:
        vault.change(update, mine, bob.client.identity.tls_certificate)
        vault.change(NEXT_EPOCH)
        answer = vault.call("records", bob.tls, "GET", paths.VAULT)
    finally:
        vault.change(update, theirs, bob.client.identity.tls_certificate)
        vault.change(
            "INSERT INTO enrolled_keys VALUES (?, ?, ?, ?, 0)", ada.client.session.key, ada.id, mine,
            ada.client.identity.tls_certificate,
        )  # fmt: skip
        vault.change(NEXT_EPOCH)

    assert (answer.status, answer.code) == (401, "not-authenticated")


def test_an_administrator_made_by_the_database_alone_is_none(vault: Vault) -> None:
    (row,) = vault.rows("SELECT id, name, status, created, mac FROM administrators")
    vault.change("UPDATE administrators SET created = created + 1")
    try:
        answer = vault.call("admin", vault.administrator, "GET", paths.DOCTORS)
    finally:
        vault.change("UPDATE administrators SET created = ?", row[3])

    assert (answer.status, answer.code) == (500, "record-damaged")


def test_a_record_moved_to_another_patient_is_not_read(vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor) -> None:
    """Bob owns a patient; the database moves Ada's record to that one."""
    stored, mine = ada.put(ada.new_patient()), bob.new_patient()
    forger = Forger(vault, bob)
    with tampered(vault, "records", stored.record, patient=mine):
        answer = forger.send(forger.request(RecordGet(record=stored.record))[0])
        with pytest.raises(VaultQError) as listed:
            bob.client.records(mine)

    assert (answer.status, answer.code) == (500, "record-damaged")
    assert isinstance(listed.value, RecordDamaged)
    assert ada.get(stored.record) == b"all is well"


@pytest.mark.parametrize(
    ("column", "value"),
    [("record_hash", "0" * 64), ("manifest_hash", "0" * 64), ("author", None), ("counter", 99), ("damaged_at", 1)],
)
def test_a_changed_record_row_is_refused(
    vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor, column: str, value: Any
) -> None:
    stored = ada.put(ada.new_patient())

    with tampered(vault, "records", stored.record, **{column: bob.id if value is None else value}):
        with pytest.raises(RecordDamaged, match=ROW_DAMAGED):
            ada.client.get(stored.record, ada.destination)
        with pytest.raises(RecordDamaged, match=ROW_DAMAGED):
            ada.client.records(stored.patient)

    assert not ada.destination.exists()


def test_a_raised_role_is_refused(vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor) -> None:
    patient = ada.new_patient()
    grant, before = ada.grant(patient, bob, "read"), vault.holdings()

    with tampered(vault, "grants", grant, role="own"), pytest.raises(RecordDamaged, match=ROW_DAMAGED):
        bob.put(patient)

    assert vault.holdings() == before
    with pytest.raises(NotPermitted):
        bob.put(patient)


@pytest.mark.parametrize("column", ["until", "patient", "statement"])
def test_a_grant_that_was_changed_is_refused(
    vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor, column: str
) -> None:
    patient, other = ada.new_patient(), ada.new_patient()
    grant = ada.grant(patient, bob, "read", until=int(ada.client.session.now().timestamp()) + 3600)
    value = {"until": None, "patient": other, "statement": b"{}"}[column]

    with tampered(vault, "grants", grant, **{column: value}), pytest.raises(RecordDamaged, match=ROW_DAMAGED):
        bob.client.records(other if column == "patient" else patient)


def test_a_grant_for_another_doctor_is_refused(vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor) -> None:
    """The founder's grant, made out to Bob by the database."""
    patient = ada.new_patient()
    founding = vault.value("SELECT id FROM grants WHERE patient = ?", patient)

    with tampered(vault, "grants", founding, doctor=bob.id), pytest.raises(RecordDamaged, match=ROW_DAMAGED):
        bob.client.records(patient)

    with pytest.raises(NotFound):
        bob.client.records(patient)


def test_a_grant_copied_with_its_mac_is_refused(vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor) -> None:
    patient, mine = ada.new_patient(), bob.new_patient()
    values = vault.rows("SELECT mac, statement, role FROM grants WHERE patient = ? AND doctor = ?", mine, bob.id)[0]
    grant = ada.grant(patient, bob, "read")

    with (
        tampered(vault, "grants", grant, mac=values[0], statement=values[1], role=values[2]),
        pytest.raises(RecordDamaged, match=ROW_DAMAGED),
    ):
        bob.client.records(patient)


def test_a_patient_whose_key_was_exchanged_is_refused(vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor) -> None:
    patient, mine = ada.new_patient(), bob.new_patient()
    other = vault.value("SELECT wrapped_key FROM patients WHERE id = ?", mine)

    with tampered(vault, "patients", patient, wrapped_key=other), pytest.raises(RecordDamaged, match=ROW_DAMAGED):
        ada.client.records(patient)


def test_a_record_that_the_counter_hides_is_missed(vault: Vault, ada: EnrolledDoctor) -> None:
    """The counter's row is authenticated, so leaving a record out cannot be covered up by counting less."""
    patient = ada.new_patient()
    ada.put(patient)
    ada.put(patient)

    with tampered(vault, "patients", patient, record_counter=1), pytest.raises(RecordDamaged, match=ROW_DAMAGED):
        ada.client.records(patient)


def test_a_doctor_set_active_by_the_database_alone_is_refused(vault: Vault) -> None:
    carol = vault.enrol("Dr. Carol")
    vault.change("UPDATE doctors SET status = 'revoked' WHERE id = ?", carol.id)
    vault.change(NEXT_EPOCH)

    answer = vault.call("records", carol.tls, "GET", paths.VAULT)

    assert (answer.status, answer.code) == (500, "record-damaged")


def test_a_log_head_that_was_changed_takes_no_more_entries(vault: Vault, ada: EnrolledDoctor) -> None:
    patient, before = ada.new_patient(), vault.holdings()
    (head,) = vault.rows("SELECT size, root FROM log_head")
    vault.change("UPDATE log_head SET size = size - 1")
    try:
        with pytest.raises(VaultQError):
            ada.put(patient)
    finally:
        vault.change("UPDATE log_head SET size = ?", head[0])

    assert vault.holdings().records == before.records
    assert vault.rows("SELECT size, root FROM log_head") == [head]
    assert ada.put(patient).counter == 1
