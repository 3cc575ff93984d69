"""Listings, corrections and retries through the real client and server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from tests.fixtures.exposed_vault import EnrolledDoctor, Vault, until
from tests.fixtures.forging import CONTENT, Forger
from vaultq_client.manifests import RecordDetails
from vaultq_core.crypto.receipts import verify_record_receipt
from vaultq_core.errors import Conflict
from vaultq_core.wire.manifest import decode_manifest
from vaultq_core.wire.proof import decode_receipt
from vaultq_core.wire.sealed_request import PatientList, Patients, RecordList, RecordNumber, Records


@pytest.fixture(scope="module")
def forger(vault: Vault, ada: EnrolledDoctor) -> Forger:
    return Forger(vault, ada)


# --- listings -------------------------------------------------------------------------------------


def test_counters_have_no_gap_over_pages(ada: EnrolledDoctor, forger: Forger) -> None:
    patient = ada.new_patient()
    stored = [ada.put(patient, f"{index}".encode()).record for index in range(5)]

    pages, after = [], 0
    while True:
        page, _ = forger.ask(RecordList(patient=patient, after=after, limit=2), Records)
        pages.append([row.counter for row in page.records])
        assert page.total == 5
        if not page.records:
            break
        after = page.records[-1].counter

    assert pages == [[1, 2], [3, 4], [5], []]
    assert [each.record for each in ada.client.records(patient)] == stored


def test_patients_come_in_pages_without_a_double(ada: EnrolledDoctor, forger: Forger) -> None:
    made = {ada.new_patient() for _ in range(3)}

    seen: list[str] = []
    after = None
    while True:
        page, _ = forger.ask(PatientList(after=after, limit=2), Patients)
        seen += [row.patient for row in page.patients]
        if page.next is None:
            break
        after = page.next

    assert seen == sorted(set(seen))
    assert made <= set(seen)
    assert [each.patient for each in ada.client.patients()] == seen


def test_a_listing_while_records_arrive_is_whole(ada: EnrolledDoctor, forger: Forger) -> None:
    """Each listing is one that was true at a moment: its counters reach its total, and no further."""
    patient = ada.new_patient()
    frames = [forger.frame(forger.sign(forger.manifest(patient))) for _ in range(12)]

    with ThreadPoolExecutor(3) as pool:
        puts = [pool.submit(forger.upload, frame) for frame in frames]
        while not all(each.done() for each in puts):
            listed = [each.counter for each in ada.client.records(patient)]
            assert listed == list(range(1, len(listed) + 1))

    assert {each.result().status for each in puts} == {201}
    assert len(ada.client.records(patient)) == len(frames)


def test_an_empty_patient_lists_nothing(ada: EnrolledDoctor) -> None:
    assert ada.client.records(ada.new_patient()) == ()


def test_a_patient_is_found_by_record_number_however_it_is_typed(ada: EnrolledDoctor) -> None:
    patient = ada.new_patient("Jonas Müller", "ab-4711")

    for typed in ("ab-4711", "AB-4711", "  Ab-4711 "):
        (found,) = ada.client.find_patient(RecordNumber(authority="st. elsewhere", number=typed))
        assert (found.patient, found.demographics.name, found.role) == (patient, "Jonas Müller", "own")


def test_a_record_number_belongs_to_one_patient(vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor) -> None:
    ada.new_patient(number="taken")
    before = vault.holdings()

    for doctor in (ada, bob):
        with pytest.raises(Conflict):
            doctor.new_patient(number="TAKEN")

    assert vault.holdings() == before


# --- corrections ----------------------------------------------------------------------------------


def test_a_record_is_replaced_once(vault: Vault, ada: EnrolledDoctor) -> None:
    patient = ada.new_patient()
    first = ada.put(patient, b"left side")
    correction = ada.client.replacing(patient, first.record, "wrong side")
    second = ada.put(patient, b"right side", replaces=correction)
    before = vault.holdings()

    with pytest.raises(Conflict):
        ada.put(patient, b"third side", replaces=correction)

    assert vault.holdings() == before
    listed = [(each.record, each.replaces, each.replaced_by) for each in ada.client.records(patient)]
    assert listed == [(first.record, None, second.record), (second.record, first.record, None)]
    assert ada.get(first.record) == b"left side"


def test_two_corrections_at_once_leave_one(vault: Vault, ada: EnrolledDoctor, forger: Forger) -> None:
    patient = ada.new_patient()
    first = ada.put(patient, b"left side")
    correction = ada.client.replacing(patient, first.record, "wrong side")
    frames = [forger.frame(forger.sign(forger.manifest(patient, replaces=correction))) for _ in range(2)]
    before = vault.holdings()

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(forger.upload, frames))

    assert sorted(answer.status for answer in answers) == [201, 409]
    after = vault.holdings()
    assert (after.records, after.pending, len(after.objects)) == (before.records + 1, 0, len(before.objects) + 1)


def test_a_correction_that_names_another_manifest_is_refused(vault: Vault, ada: EnrolledDoctor) -> None:
    patient = ada.new_patient()
    first = ada.put(patient)
    correction = msgspec.structs.replace(ada.client.replacing(patient, first.record, "why"), manifest="0" * 64)
    before = vault.holdings()

    with pytest.raises(Conflict):
        ada.put(patient, replaces=correction)

    assert vault.holdings() == before


# --- retries --------------------------------------------------------------------------------------


def test_a_retry_gives_the_same_receipt_byte_for_byte(vault: Vault, ada: EnrolledDoctor, forger: Forger) -> None:
    patient = ada.new_patient()
    frame = forger.frame(forger.sign(forger.manifest(patient)))
    first = forger.upload(frame)
    ada.put(patient, b"the log goes on")
    before, log = vault.holdings(), vault.log_size()

    again = forger.upload(frame)

    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body
    assert vault.holdings() == before
    assert vault.log_size() == log


def test_retries_at_once_give_one_record_and_one_receipt(vault: Vault, ada: EnrolledDoctor, forger: Forger) -> None:
    patient = ada.new_patient()
    signed = forger.sign(forger.manifest(patient))
    frame, before = forger.frame(signed), vault.holdings()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(forger.upload, [frame] * 4))

    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    after = vault.holdings()
    assert (after.records, after.pending, len(after.objects)) == (before.records + 1, 0, len(before.objects) + 1)
    receipt, log = decode_receipt(answers[0].body.decode()), ada.client.session.view.statement.log
    verify_record_receipt(receipt, decode_manifest(signed.manifest), signed.manifest, log)


def test_another_manifest_under_a_taken_id_is_a_conflict(vault: Vault, ada: EnrolledDoctor, forger: Forger) -> None:
    stored = ada.put(ada.new_patient())
    before = vault.holdings()

    answer = forger.upload(forger.frame(forger.sign(forger.manifest(stored.patient, record=stored.record))))

    assert (answer.status, answer.code) == (409, "conflict")
    assert vault.holdings() == before


def test_what_was_interrupted_is_resumed_once(vault: Vault, ada: EnrolledDoctor) -> None:
    patient = ada.new_patient()
    stored = ada.put(patient, CONTENT)
    assert list(ada.client.resume()) == []

    def interrupt(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ada.client.put(ada.file(b"second", "second.txt"), RecordDetails(patient), sending=interrupt)
    (waiting,) = ada.client.outbox.records()
    (again,) = list(ada.client.resume())

    assert again.stored is not None
    assert (again.record, again.stored.counter) == (waiting, 2)
    assert ada.client.outbox.records() == ()
    assert [each.record for each in ada.client.records(patient)] == [stored.record, waiting]
    until(lambda: vault.holdings().pending == 0, "the first try is withdrawn")
