from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.fixtures.hospital import Doctor, Hospital, TinyLog
from tests.fixtures.small_vault import SmallVault, problem
from tests.unit.client.conftest import CONTENT
from vaultq_client.client import Client
from vaultq_client.home import Home
from vaultq_client.identity import Identity
from vaultq_client.manifests import RecordDetails
from vaultq_client.seen import load_seen
from vaultq_core.errors import (
    Conflict,
    Malformed,
    NotPermitted,
    NotVerified,
    Unavailable,
)
from vaultq_core.wire.entries import RecordRead
from vaultq_core.wire.manifest import decode_manifest

PATIENT = "00000000-0000-4000-8000-000000000000"
Clock = Callable[[], dt.datetime]


# --- put ------------------------------------------------------------------------------------------


def test_a_record_comes_back_as_it_was_put(
    client: Client, vault: SmallVault, scan: Path, out: Path, details: RecordDetails
) -> None:
    stored = client.put(scan, details)
    found = client.get(stored.record, out)

    assert out.read_bytes() == CONTENT
    assert (found.title, found.author, found.index, found.doubtful) == (
        "CT abdomen", vault.doctor.id, stored.index, False,
    )  # fmt: skip
    assert client.outbox.records() == ()


def test_the_manifest_names_the_newest_checkpoint_seen(
    client: Client, vault: SmallVault, scan: Path, details: RecordDetails, home: Home, hospital: Hospital
) -> None:
    record = client.put(scan, details).record
    seen = decode_manifest(vault.records[record].signed.manifest).checkpoint

    assert seen is not None
    assert (seen.size, load_seen(home, hospital.vault).size) == (1, 2)


def test_the_outbox_holds_the_upload_until_the_receipt_is_proven(
    client: Client, vault: SmallVault, scan: Path, details: RecordDetails
) -> None:
    _ = client.session.view
    vault.refusals = [None, None, None]  # stored, but the answer is lost each time
    client.session.transport._wait = lambda _seconds: None  # noqa: SLF001 - nobody waits in a test

    with pytest.raises(Unavailable):
        client.put(scan, details)
    assert client.outbox.records() == tuple(vault.records)


def test_resume_gets_the_receipt_of_what_had_arrived(
    client: Client, vault: SmallVault, scan: Path, details: RecordDetails
) -> None:
    test_the_outbox_holds_the_upload_until_the_receipt_is_proven(client, vault, scan, details)
    [done] = client.resume()

    assert done.stored is not None
    assert (len(vault.records), client.outbox.records()) == (1, ())
    assert list(client.resume()) == []


def test_resume_does_without_the_file_when_the_record_had_arrived(
    client: Client, vault: SmallVault, scan: Path, details: RecordDetails
) -> None:
    test_the_outbox_holds_the_upload_until_the_receipt_is_proven(client, vault, scan, details)
    scan.unlink()
    [done] = client.resume()

    assert (done.stored is not None, client.outbox.records()) == (True, ())


def test_resume_works_in_a_new_process(
    client: Client, vault: SmallVault, scan: Path, details: RecordDetails, home: Home, identity: Identity, clock: Clock
) -> None:
    test_the_outbox_holds_the_upload_until_the_receipt_is_proven(client, vault, scan, details)
    with Client(home, identity, now=clock) as again:
        [done] = again.resume()

    assert done.stored is not None


def test_an_upload_can_be_given_up(client: Client, vault: SmallVault, scan: Path, details: RecordDetails) -> None:
    test_the_outbox_holds_the_upload_until_the_receipt_is_proven(client, vault, scan, details)
    [record] = client.outbox.records()

    assert client.discard(record) == record
    assert client.outbox.records() == ()


def test_a_refused_upload_does_not_wait(client: Client, vault: SmallVault, scan: Path, details: RecordDetails) -> None:
    _ = client.session.view
    vault.refusals = [problem(403, "not-permitted")]

    with pytest.raises(NotPermitted):
        client.put(scan, details)
    assert (client.outbox.records(), vault.records) == ((), {})


def test_a_file_that_changes_while_it_is_sent_is_not_stored(
    client: Client, vault: SmallVault, scan: Path, details: RecordDetails
) -> None:
    def change(done: int, total: int) -> None:
        if done == total:
            scan.write_bytes(CONTENT[::-1])

    with pytest.raises(Conflict, match="changed"):
        client.put(scan, details, hashing=change)
    assert (client.outbox.records(), vault.records) == ((), {})


def test_a_receipt_for_another_record_is_refused_and_the_upload_kept(
    client: Client, vault: SmallVault, scan: Path, details: RecordDetails, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.put(scan, details)
    monkeypatch.setattr(vault, "deposit", lambda _body: vault.receipt(1))

    with pytest.raises(NotVerified, match="step 4: the entry is about another record"):
        client.put(scan, details)
    assert len(client.outbox.records()) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        RecordDetails(PATIENT, title="two\nlines"),
        RecordDetails(PATIENT, kind="X Ray"),
        RecordDetails(PATIENT, media_type="pdf"),
        RecordDetails("x"),
    ],
)
def test_a_detail_that_the_format_does_not_allow_is_refused_before_anything_is_kept(
    client: Client, scan: Path, wrong: RecordDetails
) -> None:
    with pytest.raises(Malformed):
        client.put(scan, wrong)
    assert client.outbox.records() == ()


# --- the log --------------------------------------------------------------------------------------


def test_a_log_that_forks_between_two_sessions_raises_the_alarm(
    client: Client,
    vault: SmallVault,
    hospital: Hospital,
    scan: Path,
    details: RecordDetails,
    home: Home,
    identity: Identity,
    clock: Clock,
) -> None:
    client.put(scan, details)
    vault.log = vault.new_log()
    for _ in range(3):
        vault.log.add(another_entry(hospital, vault, details))

    with Client(home, identity, now=clock) as again, pytest.raises(NotVerified, match="ALARM"):
        again.records(details.patient)


def test_a_receipt_from_a_fork_is_not_reported_as_success(
    client: Client, vault: SmallVault, scan: Path, details: RecordDetails, hospital: Hospital
) -> None:
    assert client.session.view.checkpoint.size == 1
    vault.log = TinyLog(vault.keys.log)
    vault.log.add(another_entry(hospital, vault, details))

    with pytest.raises(NotVerified, match="ALARM"):
        client.put(scan, details)
    assert len(client.outbox.records()) == 1


def another_entry(hospital: Hospital, vault: SmallVault, details: RecordDetails) -> RecordRead:
    return RecordRead(
        vault=hospital.vault, time=vault.time, doctor=vault.doctor.id, patient=details.patient, record=details.patient
    )


def test_a_statement_older_than_one_seen_is_refused(
    client: Client, vault: SmallVault, hospital: Hospital, home: Home, identity: Identity, clock: Clock, patient: str
) -> None:
    vault.keys = hospital.vault_keys(version=5)
    client.records(patient)
    vault.keys = hospital.vault_keys(version=4)

    with Client(home, identity, now=clock) as again, pytest.raises(NotVerified, match="newer statement before"):
        again.records(patient)


# --- get ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spoil",
    [lambda c: c[:-1], lambda c: c + b"x", lambda c: c[:-1] + b"X", lambda _: b""],
    ids=["cut", "longer", "other", "empty"],
)
def test_content_that_is_not_what_was_signed_leaves_no_file(
    client: Client, vault: SmallVault, scan: Path, out: Path, details: RecordDetails, spoil: Callable[[bytes], bytes]
) -> None:
    record = client.put(scan, details).record
    vault.spoil = spoil
    bundle = out.with_suffix(".vaultq")

    with pytest.raises(NotVerified, match="step 3"):
        client.get(record, out, bundle=bundle)
    assert not out.exists()
    assert not bundle.exists()
    assert [each for each in out.parent.iterdir() if each.name.endswith(".part")] == []


def test_another_record_than_the_one_asked_for_is_refused(
    client: Client, vault: SmallVault, scan: Path, out: Path, details: RecordDetails
) -> None:
    one, two = (client.put(scan, details).record for _ in range(2))
    vault.records[one] = vault.records[two]

    with pytest.raises(NotVerified, match="another record"):
        client.get(one, out)
    assert not out.exists()


def test_a_strangers_signature_is_refused(
    client: Client, vault: SmallVault, hospital: Hospital, ada: Doctor, grace: Doctor, out: Path
) -> None:
    signed = hospital.signed_manifest(ada, CONTENT)
    forged = msgspec.structs.replace(signed, certificates=grace.pair)
    record = decode_manifest(signed.manifest).record
    vault.store(forged, CONTENT)

    with pytest.raises(NotVerified, match="step 2: the manifest"):
        client.get(record, out)
    assert not out.exists()


def test_what_is_there_is_not_overwritten_nor_asked_for(
    client: Client, vault: SmallVault, scan: Path, out: Path, details: RecordDetails
) -> None:
    record = client.put(scan, details).record
    out.write_bytes(b"mine")
    asked = len(vault.asked)

    with pytest.raises(Conflict):
        client.get(record, out)
    assert (out.read_bytes(), len(vault.asked)) == (b"mine", asked)
    client.get(record, out, replace=True)
    assert out.read_bytes() == CONTENT


def test_a_record_whose_key_was_in_other_hands_is_doubtful(
    client: Client, vault: SmallVault, hospital: Hospital, grace: Doctor, out: Path, patient: str
) -> None:
    signed = hospital.signed_manifest(grace, CONTENT)
    vault.store(signed, CONTENT)
    vault.revoked = ((grace, hospital.now + dt.timedelta(hours=1), hospital.now - dt.timedelta(hours=1)),)

    assert client.get(decode_manifest(signed.manifest).record, out).doubtful
    assert [each.doubtful for each in client.records(patient)] == [True]


def test_a_record_logged_after_its_authors_revocation_is_refused(
    client: Client, vault: SmallVault, hospital: Hospital, grace: Doctor, out: Path
) -> None:
    signed = hospital.signed_manifest(grace, CONTENT)
    vault.store(signed, CONTENT)
    vault.revoked = ((grace, hospital.now - dt.timedelta(hours=1), None),)

    with pytest.raises(NotVerified, match="revoked"):
        client.get(decode_manifest(signed.manifest).record, out)
