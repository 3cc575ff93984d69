"""Put, list and get through the real client and server: what goes in comes out, proven."""

from __future__ import annotations

import hashlib
import os
import unicodedata

import pytest

from tests.fixtures.exposed_vault import EnrolledDoctor, Vault
from tests.fixtures.hospital import seed
from vaultq_core.wire.limits import KIB, MIB

CHUNK = 16 * KIB  # Cobblestone's
LENGTHS = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * MIB)


@pytest.fixture(scope="module")
def patient(ada: EnrolledDoctor) -> str:
    return ada.new_patient()


def content_of(length: int) -> bytes:
    return hashlib.shake_128(seed("content", str(length))).digest(length)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_record_comes_back_byte_for_byte(ada: EnrolledDoctor, patient: str, length: int) -> None:
    content = content_of(length)

    stored = ada.put(patient, content)

    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    assert ada.get(stored.record) == content


@pytest.mark.parametrize("name", ["Befund Müller.pdf", "診断書.txt", "a" * 196 + ".txt", "x;rm -rf $HOME&.txt", "…"])
def test_a_file_keeps_its_name(ada: EnrolledDoctor, name: str) -> None:
    patient = ada.new_patient()

    stored = ada.put(patient, name=name)

    (listed,) = ada.client.records(patient)
    assert (listed.record, listed.name, listed.title) == (stored.record, name, name)


def test_names_and_titles_are_kept_in_nfc(ada: EnrolledDoctor) -> None:
    patient = ada.new_patient()

    ada.put(patient, name=unicodedata.normalize("NFD", "Müller.txt"), title=unicodedata.normalize("NFD", "Für Zoë"))

    (listed,) = ada.client.records(patient)
    assert (listed.name, listed.title) == ("Müller.txt", "Für Zoë")


def test_an_upload_leaves_one_object_no_pending_row_and_an_empty_outbox(vault: Vault, ada: EnrolledDoctor) -> None:
    patient, before = ada.new_patient(), vault.holdings()

    stored = ada.put(patient)

    after = vault.holdings()
    assert (after.records, after.pending) == (before.records + 1, 0)
    assert vault.object_of(stored.record).name in set(after.objects) - set(before.objects)
    assert len(after.objects) == len(before.objects) + 1
    assert ada.client.outbox.records() == ()


def test_the_log_says_who_stored_and_who_read_before_either_is_answered(vault: Vault, ada: EnrolledDoctor) -> None:
    patient = ada.new_patient()
    stored = ada.put(patient)
    ada.get(stored.record)

    stored_entry, read_entry = vault.log_entries(stored.index)[:2]

    said = {key: stored_entry[key] for key in ("kind", "author", "patient", "record", "counter", "time")}
    assert said == {
        "kind": "record-stored", "author": ada.id, "patient": patient, "record": stored.record, "counter": 1,
        "time": stored.time,
    }  # fmt: skip
    assert (read_entry["kind"], read_entry["doctor"], read_entry["record"]) == ("record-read", ada.id, stored.record)


def test_a_file_whose_name_is_no_utf_8_is_stored_under_a_readable_one(ada: EnrolledDoctor) -> None:
    patient = ada.new_patient()

    stored = ada.put(patient, b"scan", name=os.fsdecode(b"r\xf6ntgen.txt"))

    (listed,) = ada.client.records(patient)
    assert listed.name == "r?ntgen.txt"
    assert ada.get(stored.record) == b"scan"
