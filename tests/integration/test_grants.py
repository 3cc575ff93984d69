"""Grants: who may do what, through chains of colleagues, until their end (docs/spec/statements.md)."""

from __future__ import annotations

import pytest

from tests.fixtures.exposed_vault import EnrolledDoctor, Vault, until
from vaultq_core.errors import NotFound, NotPermitted, Usage

HOUR = 3600


@pytest.fixture(scope="module")
def carol(vault: Vault) -> EnrolledDoctor:
    return vault.enrol("Dr. Carol Shaw")


def now(doctor: EnrolledDoctor) -> int:
    return int(doctor.client.session.now().timestamp())


def test_a_reader_reads_and_does_not_put(ada: EnrolledDoctor, bob: EnrolledDoctor) -> None:
    patient = ada.new_patient("Erika Mustermann")
    stored = ada.put(patient)

    ada.grant(patient, bob, "read")

    assert bob.get(stored.record) == b"all is well"
    assert [each.author for each in bob.client.records(patient)] == [ada.id]
    assert [each.role for each in bob.client.patients() if each.patient == patient] == ["read"]
    with pytest.raises(NotPermitted):
        bob.put(patient)


def test_a_writer_puts_and_does_not_grant(ada: EnrolledDoctor, bob: EnrolledDoctor, carol: EnrolledDoctor) -> None:
    patient = ada.new_patient()

    ada.grant(patient, bob, "write")

    stored = bob.put(patient, b"by Bob")
    assert ada.get(stored.record) == b"by Bob"
    assert [each.author_name for each in ada.client.records(patient)] == [bob.name]
    with pytest.raises(NotPermitted):
        bob.grant(patient, carol, "read")


def test_an_owner_gives_on_what_they_hold(ada: EnrolledDoctor, bob: EnrolledDoctor, carol: EnrolledDoctor) -> None:
    patient = ada.new_patient()
    stored = ada.put(patient)

    ada.grant(patient, bob, "own")
    bob.grant(patient, carol, "write")

    assert carol.get(stored.record) == b"all is well"
    assert carol.put(patient).counter == 2
    shown = [(each.author, each.doctor, each.role) for each in carol.client.grants(patient)]
    assert shown == [(ada.id, ada.id, "own"), (ada.id, bob.id, "own"), (bob.id, carol.id, "write")]


def test_a_grant_ends_when_it_says_and_so_does_what_was_given_on_from_it(
    vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor, carol: EnrolledDoctor
) -> None:
    patient = ada.new_patient()
    end = now(ada) + 4
    ada.grant(patient, bob, "own", until=end)
    bob.grant(patient, carol, "read", until=end)
    assert bob.client.records(patient) == carol.client.records(patient) == ()

    def refused(doctor: EnrolledDoctor) -> bool:
        try:
            doctor.client.records(patient)
        except NotFound:
            return True
        return False

    until(lambda: refused(bob) and refused(carol), "the grants end")
    assert now(ada) >= end
    assert patient not in {each.patient for each in bob.client.patients()}
    assert [each.doctor for each in ada.client.grants(patient)] == [ada.id]
    assert vault.value("SELECT count(*) FROM grants WHERE patient = ?", patient) == 3


def test_the_client_gives_for_no_longer_than_its_own_grant(
    ada: EnrolledDoctor, bob: EnrolledDoctor, carol: EnrolledDoctor
) -> None:
    patient = ada.new_patient()
    ada.grant(patient, bob, "own", until=now(ada) + HOUR)

    for end in (None, now(ada) + 2 * HOUR):
        with pytest.raises(Usage):
            bob.grant(patient, carol, "read", until=end)

    bob.grant(patient, carol, "read", until=now(ada) + HOUR // 2)


def test_the_best_of_several_grants_counts(ada: EnrolledDoctor, bob: EnrolledDoctor) -> None:
    patient = ada.new_patient()
    for role in ("write", "read"):
        ada.grant(patient, bob, role)

    assert bob.put(patient).counter == 1


def test_a_revoked_colleague_gets_no_grant(vault: Vault, ada: EnrolledDoctor) -> None:
    dora = vault.enrol("Dr. Dora")
    patient = ada.new_patient()
    vault.admin.revoke(dora.id, "left the hospital")
    before = vault.holdings()

    with pytest.raises(NotFound):
        ada.grant(patient, dora, "read")

    assert vault.holdings() == before


def test_what_a_doctor_signed_stays_valid_after_their_revocation(vault: Vault, ada: EnrolledDoctor) -> None:
    eve = vault.enrol("Dr. Eve")
    patient = eve.new_patient()
    eve.grant(patient, ada, "own")
    stored = eve.put(patient, b"before she left")

    until(lambda: now(eve) > stored.time, "the second ends: in the very second of a revocation all is refused")
    vault.admin.revoke(eve.id, "left the hospital")

    assert ada.get(stored.record) == b"before she left"
    (listed,) = ada.client.records(patient)
    assert (listed.author, listed.doubtful) == (eve.id, False)
    assert ada.put(patient).counter == 2


def test_what_was_signed_after_a_compromise_is_doubtful(vault: Vault, ada: EnrolledDoctor) -> None:
    fay = vault.enrol("Dr. Fay")
    patient = fay.new_patient()
    fay.grant(patient, ada, "read")
    stored = fay.put(patient, b"signed by whom?")

    until(lambda: now(fay) > stored.time, "the second ends: in the very second of a revocation all is refused")
    vault.admin.revoke(fay.id, "laptop stolen", compromised_since=stored.time)

    with ada.reopened() as client:
        (listed,) = client.records(patient)
        fetched = client.get(stored.record, ada.destination)
    ada.destination.unlink()
    assert listed.doubtful
    assert fetched.doubtful
