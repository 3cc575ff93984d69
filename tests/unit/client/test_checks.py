from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.fixtures.hospital import Doctor, Hospital
from tests.fixtures.small_vault import SmallVault
from vaultq_client.bundles import make_bundle, read_bundle
from vaultq_client.checks import Verdict, load_roots, verify_bundle
from vaultq_client.vault_view import verify_vault
from vaultq_core.crypto import second_opinion
from vaultq_core.errors import CannotVerify, Malformed, NotVerified
from vaultq_core.wire import canonical
from vaultq_core.wire.bundle import Bundle, decode_bundle
from vaultq_core.wire.manifest import decode_manifest

CONTENT = b"Entlassungsbrief"


def bundle_of(hospital: Hospital, author: Doctor, *, revoked: tuple[object, ...] = (), record: str = "one") -> Bundle:
    vault = SmallVault(hospital, author, hospital.vault_keys(), revoked=revoked)
    signed = hospital.signed_manifest(author, CONTENT, record=record)
    receipt = vault.store(signed, CONTENT)
    view = verify_vault(vault.info(), hospital.trust.anchors, at=hospital.now, lowest_version=0)
    return decode_bundle(make_bundle(signed, receipt, view))


@pytest.fixture(scope="module")
def bundle(hospital: Hospital, ada: Doctor) -> Bundle:
    return bundle_of(hospital, ada)


@pytest.fixture(scope="module")
def foreign(other_hospital: Hospital, stranger: Doctor) -> Bundle:
    return bundle_of(other_hospital, stranger)


def check(bundle: Bundle, hospital: Hospital, content: bytes = CONTENT) -> Verdict:
    return verify_bundle(bundle, [content], hospital.trust.anchors, lambda *_: None)


def test_a_record_verifies_without_a_server(bundle: Bundle, hospital: Hospital, ada: Doctor) -> None:
    told: list[int] = []
    verdict = verify_bundle(bundle, [CONTENT], hospital.trust.anchors, lambda number, _: told.append(number))

    assert told == [1, 2, 3, 4, 5, 6, 7]
    assert (verdict.result, verdict.author, verdict.index) == ("verified", ada.id, 1)
    assert verdict.time == int(hospital.now.timestamp())
    assert verdict.second_verifier_signatures == 7


def test_it_still_verifies_when_statement_and_lists_have_ended(hospital: Hospital, ada: Doctor) -> None:
    old = bundle_of(hospital, ada)
    verdict = check(old, hospital)

    assert verdict.revocations_known_until < hospital.now.timestamp() + dt.timedelta(days=7).total_seconds()


def test_a_key_that_was_in_other_hands_makes_it_doubtful(hospital: Hospital, grace: Doctor) -> None:
    hour = dt.timedelta(hours=1)
    revoked = ((grace, hospital.now + hour, hospital.now - hour),)

    assert check(bundle_of(hospital, grace, revoked=revoked), hospital).result == "doubtful"


def test_a_revocation_after_the_record_changes_nothing(hospital: Hospital, grace: Doctor) -> None:
    revoked = ((grace, hospital.now + dt.timedelta(hours=1), None),)

    assert check(bundle_of(hospital, grace, revoked=revoked), hospital).result == "verified"


def test_a_record_logged_after_the_revocation_is_refused_at_step_5(hospital: Hospital, grace: Doctor) -> None:
    revoked = ((grace, hospital.now - dt.timedelta(hours=1), None),)

    with pytest.raises(NotVerified, match=r"step 5.*revoked"):
        check(bundle_of(hospital, grace, revoked=revoked), hospital)


def test_other_roots_are_refused_at_step_1(foreign: Bundle, hospital: Hospital) -> None:
    with pytest.raises(NotVerified, match="step 1"):
        check(foreign, hospital)


@pytest.mark.parametrize(
    ("part", "number"), [("issuing", 1), ("crls", 2), ("statement", 3), ("receipt", 4), ("signed", 4)]
)
def test_a_part_of_another_hospital_is_refused_at_its_step(
    bundle: Bundle, foreign: Bundle, hospital: Hospital, part: str, number: int
) -> None:
    mixed = msgspec.structs.replace(bundle, **{part: getattr(foreign, part)})

    with pytest.raises(NotVerified, match=f"step {number}"):
        check(mixed, hospital)


def test_the_receipt_of_another_record_is_refused_at_step_4(bundle: Bundle, hospital: Hospital, ada: Doctor) -> None:
    other = bundle_of(hospital, ada, record="two")

    with pytest.raises(NotVerified, match=r"step 4: .*another record"):
        check(msgspec.structs.replace(bundle, receipt=other.receipt), hospital)


def test_signatures_of_another_doctor_are_refused_at_step_5(bundle: Bundle, hospital: Hospital, grace: Doctor) -> None:
    graces = hospital.signed_manifest(grace, CONTENT).signatures
    signed = msgspec.structs.replace(bundle.signed, signatures=graces)

    with pytest.raises(NotVerified, match="step 5"):
        check(msgspec.structs.replace(bundle, signed=signed), hospital)


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b" ", CONTENT.upper()])
def test_other_content_is_refused_at_step_6(bundle: Bundle, hospital: Hospital, content: bytes) -> None:
    with pytest.raises(NotVerified, match="step 6"):
        check(bundle, hospital, content)


def test_a_signature_that_the_second_verifier_refuses_is_refused_at_step_7(
    bundle: Bundle, hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Strict:
        def verify(self, *_: bytes) -> bool:
            return False

    monkeypatch.setattr(second_opinion, "ML_DSA_44", Strict())

    with pytest.raises(NotVerified, match="step 7: the second verifier"):
        check(bundle, hospital)


def test_a_bundle_without_revocation_lists_cannot_be_verified(bundle: Bundle, hospital: Hospital) -> None:
    with pytest.raises(CannotVerify, match="step 2"):
        check(msgspec.structs.replace(bundle, crls=()), hospital)


def test_a_bundle_is_read_from_a_file_in_its_one_encoding(bundle: Bundle, tmp_path: Path) -> None:
    file = tmp_path / "record.vaultq"
    file.write_bytes(canonical.encode(bundle))
    assert read_bundle(file) == bundle

    file.write_bytes(canonical.encode(bundle) + b"\n")
    with pytest.raises(Malformed):
        read_bundle(file)


def test_the_roots_come_from_two_pem_files(hospital: Hospital, tmp_path: Path) -> None:
    anchors = hospital.trust.anchors
    with pytest.raises(CannotVerify) as caught:
        load_roots(tmp_path)
    assert "--roots" in caught.value.remedy

    (tmp_path / "hospital_root_ca.pem").write_bytes(anchors.hospital.public_bytes(Encoding.PEM))
    (tmp_path / "hospital_pq_root.pem").write_bytes(anchors.pq.public_bytes(Encoding.PEM))
    assert load_roots(tmp_path) == anchors

    (tmp_path / "hospital_pq_root.pem").write_bytes(b"no certificate")
    with pytest.raises(Malformed):
        load_roots(tmp_path)


def test_a_bundle_holds_no_content(bundle: Bundle) -> None:
    assert CONTENT not in canonical.encode(bundle)
    assert decode_manifest(bundle.signed.manifest).content.length == len(CONTENT)
