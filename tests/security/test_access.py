"""Without a grant there is no patient; with a lesser one, less; and the log has every attempt."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import msgspec
import pytest

from tests.fixtures.exposed_vault import EnrolledDoctor, Vault
from tests.fixtures.forging import Forger
from vaultq_client.manifests import RecordDetails
from vaultq_core.errors import Conflict, NotFound, NotPermitted
from vaultq_core.wire.manifest import Replaces
from vaultq_core.wire.sealed_request import (
    Demographics,
    GrantGive,
    GrantList,
    Operation,
    PatientAdd,
    PatientFind,
    RecordGet,
    RecordList,
    RecordNumber,
)

HOUR = 3600


@pytest.fixture(scope="module")
def patient(ada: EnrolledDoctor) -> str:
    return ada.new_patient("Erika Mustermann", "4711")


@pytest.fixture(scope="module")
def record(ada: EnrolledDoctor, patient: str) -> str:
    return ada.put(patient).record


def _listing(patient: str, _record: str) -> Operation:
    return RecordList(patient=patient, after=0, limit=10)


def _get(_patient: str, record: str) -> Operation:
    return RecordGet(record=record)


def _grants(patient: str, _record: str) -> Operation:
    return GrantList(patient=patient)


@pytest.mark.parametrize(("asked", "operation"), [("ls", _listing), ("get", _get), ("grants", _grants)])
def test_a_patient_without_a_grant_is_not_there_and_the_log_says_who_tried(
    vault: Vault, bob: EnrolledDoctor, patient: str, record: str, asked: str,
    operation: Callable[[str, str], Operation],
) -> None:  # fmt: skip
    before, log = vault.holdings(), vault.log_size()
    forger = Forger(vault, bob)

    answer = forger.send(forger.request(operation(patient, record))[0])

    assert (answer.status, answer.code) == (404, "not-found")
    (entry,) = vault.log_entries(log)
    assert (entry["kind"], entry["doctor"], entry["patient"], entry["operation"]) == (
        "access-refused", bob.id, patient, asked,
    )  # fmt: skip
    assert vault.holdings() == before


def test_a_patient_without_a_grant_answers_as_one_that_does_not_exist(
    vault: Vault, bob: EnrolledDoctor, patient: str, record: str
) -> None:
    forger, nobody = Forger(vault, bob), str(uuid.uuid4())
    pairs = [
        (_listing(patient, record), _listing(nobody, record)),
        (_grants(patient, record), _grants(nobody, record)),
    ]

    for real, unreal in pairs:
        shown = [forger.send(forger.request(operation)[0]).problem for operation in (real, unreal)]
        assert _public(shown[0]) == _public(shown[1])


def test_a_record_without_a_grant_answers_as_one_that_does_not_exist(
    vault: Vault, bob: EnrolledDoctor, record: str
) -> None:
    forger = Forger(vault, bob)

    shown = [forger.send(forger.request(RecordGet(record=each))[0]).problem for each in (record, str(uuid.uuid4()))]

    assert _public(shown[0]) == _public(shown[1])


def test_putting_without_a_grant_leaves_nothing_but_an_entry_in_the_log(
    vault: Vault, bob: EnrolledDoctor, patient: str, record: str
) -> None:
    assert record
    before, log = vault.holdings(), vault.log_size()

    with pytest.raises(NotFound):
        bob.put(patient)

    (entry,) = vault.log_entries(log)
    assert (entry["kind"], entry["doctor"], entry["operation"]) == ("access-refused", bob.id, "put")
    assert vault.holdings() == before
    assert bob.client.outbox.records() == ()


def test_a_record_number_without_a_grant_answers_as_one_that_nobody_has(
    vault: Vault, bob: EnrolledDoctor, patient: str
) -> None:
    assert patient
    forger, log = Forger(vault, bob), vault.log_size()
    numbers = (RecordNumber(authority="St. Elsewhere", number=each) for each in ("4711", "no such number"))

    shown = [forger.send(forger.request(PatientFind(record_number=each))[0]).problem for each in numbers]

    assert _public(shown[0]) == _public(shown[1])
    assert [(entry["kind"], entry["doctor"]) for entry in vault.log_entries(log)] == [("search-refused", bob.id)] * 2


def test_a_reader_cannot_put_nor_grant(vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor) -> None:
    patient = ada.new_patient()
    ada.grant(patient, bob, "read")
    before, log = vault.holdings(), vault.log_size()

    with pytest.raises(NotPermitted):
        bob.put(patient)
    with pytest.raises(NotPermitted):
        bob.grant(patient, ada, "read")

    refusals = [each for each in vault.log_entries(log) if each["kind"] == "access-refused"]
    assert {(each["doctor"], each["operation"]) for each in refusals} >= {(bob.id, "put")}
    assert vault.holdings() == before


def test_a_writer_cannot_grant_whatever_their_client_says(
    vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor
) -> None:
    patient, carol = ada.new_patient(), ada
    mine = ada.grant(patient, bob, "write")
    forger, before = Forger(vault, bob), vault.holdings()
    grant = forger.grant(patient, carol, parent=mine, role="read")

    answer = forger.send(forger.request(GrantGive(grant=grant))[0])

    assert (answer.status, answer.code) == (403, "not-permitted")
    assert vault.holdings() == before


def test_nobody_gives_for_longer_than_they_hold(vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor) -> None:
    patient, now = ada.new_patient(), int(ada.client.session.now().timestamp())
    mine = ada.grant(patient, bob, "own", until=now + HOUR)
    forger, before = Forger(vault, bob), vault.holdings()

    for end in (None, now + 2 * HOUR):
        grant = forger.grant(patient, ada, parent=mine, role="read", until=end)
        answer = forger.send(forger.request(GrantGive(grant=grant))[0])
        assert (answer.status, answer.code) == (422, "not-verified")

    assert vault.holdings() == before


def test_a_grant_signed_by_somebody_else_is_refused(vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor) -> None:
    patient, before = ada.new_patient(), vault.holdings()
    mallory = Forger(vault, bob)
    grant = mallory.grant(patient, bob, author=ada.id, role="own")

    answer = mallory.send(mallory.request(GrantGive(grant=grant))[0])

    assert (answer.status, answer.code) == (422, "not-verified")
    assert (vault.holdings().grants, vault.holdings().patients) == (before.grants, before.patients)


def test_anothers_grant_is_refused_from_whoever_did_not_sign_it(
    vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor
) -> None:
    patient = ada.new_patient()
    stolen, before, thief = Forger(vault, ada).grant(patient, bob, role="own"), vault.holdings(), Forger(vault, bob)

    answer = thief.send(thief.request(GrantGive(grant=stolen))[0])

    assert (answer.status, answer.code) == (422, "not-verified")
    assert vault.holdings() == before


def test_a_founding_grant_takes_over_no_patient(vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor) -> None:
    patient, thief = ada.new_patient(), Forger(vault, bob)
    before = vault.holdings()
    founding = thief.grant(patient, bob, parent=None, role="own")
    nobody = Demographics(name="Nobody", birth_date=None, record_number=None)

    given = thief.send(thief.request(GrantGive(grant=founding))[0])
    added = thief.send(thief.request(PatientAdd(patient=patient, demographics=nobody, founding=founding))[0])

    assert (given.status, added.status) == (404, 409)
    assert vault.holdings() == before
    with pytest.raises(NotFound):
        bob.client.records(patient)


def test_a_grant_of_another_patient_opens_nothing(vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor) -> None:
    """Bob owns one patient, and names that grant as the parent of one on another patient."""
    own, other = bob.new_patient(), ada.new_patient()
    parent = vault.value("SELECT id FROM grants WHERE patient = ?", own)
    forger, before = Forger(vault, bob), vault.holdings()
    grant = forger.grant(other, bob, parent=parent, role="own")

    answer = forger.send(forger.request(GrantGive(grant=grant))[0])

    assert answer.status == 404
    assert vault.holdings() == before


def test_a_grant_that_names_another_key_is_refused(vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor) -> None:
    patient, forger = ada.new_patient(), Forger(vault, ada)
    before = vault.holdings()
    grant = forger.grant(patient, bob, key="0" * 64)

    answer = forger.send(forger.request(GrantGive(grant=grant))[0])

    assert (answer.status, answer.code) == (409, "conflict")
    assert vault.holdings() == before


def test_a_founding_grant_for_somebody_else_is_refused(vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor) -> None:
    mallory, patient, before = Forger(vault, bob), str(uuid.uuid4()), vault.holdings()
    founding = mallory.grant(patient, ada, parent=None, role="own")
    nobody = Demographics(name="Nobody", birth_date=None, record_number=None)

    answer = mallory.send(mallory.request(PatientAdd(patient=patient, demographics=nobody, founding=founding))[0])

    assert (answer.status, answer.code) == (422, "not-verified")
    assert vault.holdings() == before


def test_a_replaced_record_of_a_stranger_is_not_told(vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor) -> None:
    """Replacing by an id that is another patient's says the same as by one that nobody has."""
    foreign = ada.put(ada.new_patient())
    patient = bob.new_patient()
    (listed,) = ada.client.records(foreign.patient)
    before = vault.holdings()

    for record in (foreign.record, str(uuid.uuid4())):
        wanted = Replaces(record=record, manifest=listed.manifest, reason="wrong side")
        with pytest.raises(Conflict, match="not this patient's"):
            bob.client.put(bob.file(b"new"), RecordDetails(patient=patient, replaces=wanted))

    assert vault.holdings() == before


def test_a_record_id_that_is_taken_is_told_only_to_who_may_see_its_patient(
    vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor, patient: str, record: str
) -> None:
    """Bob, in a patient of his own, uses the id of a record that he may not see."""
    mine = bob.new_patient()
    forger, before = Forger(vault, bob), vault.holdings()

    answer = forger.upload(forger.frame(forger.sign(forger.manifest(mine, record=record))))

    assert answer.status in {404, 409}
    assert patient not in answer.body.decode()
    assert ada.id not in answer.body.decode()
    assert vault.holdings() == before


def _public(problem: msgspec.Struct) -> dict[str, object]:
    return {key: value for key, value in msgspec.structs.asdict(problem).items() if key != "request_id"}
