"""Sealed requests: a TLS identity alone reads nothing, and what is asked twice tells nobody new anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import msgspec
import pytest

from tests.fixtures.exposed_vault import Answer, EnrolledDoctor, Vault
from tests.fixtures.forging import CONTENT, Forger, StolenCa
from vaultq_core.crypto import sealing, signatures
from vaultq_core.crypto.keys import generate_signing_keys
from vaultq_core.crypto.requests import open_answer, read_request_header
from vaultq_core.errors import NotVerified
from vaultq_core.wire import canonical
from vaultq_core.wire.frame import REQUEST_MAGIC, RequestHeader
from vaultq_core.wire.framing import encode_header
from vaultq_core.wire.limits import REQUEST_BYTES
from vaultq_core.wire.sealed_request import PatientList, Patients, RecordGet, RecordHead, RecordList, SignedRequest

EVERYONE = PatientList(after=None, limit=100)
Check = Callable[[Answer, int, str], str]


@pytest.fixture(scope="module")
def forger(vault: Vault, ada: EnrolledDoctor) -> Forger:
    return Forger(vault, ada)


@pytest.fixture(scope="module")
def record(ada: EnrolledDoctor) -> str:
    return ada.put(ada.new_patient("Geheime Patientin"), CONTENT, title="Geheimer Befund").record


@pytest.fixture
def refused(vault: Vault, record: str) -> Iterator[Check]:
    """Checks an answer's status and code; afterwards nothing was stored, changed or read."""
    assert record
    before, log = vault.holdings(), vault.log_size()

    def check(answer: Answer, status: int, code: str) -> str:
        assert (answer.status, answer.code) == (status, code), answer.problem.detail
        assert b"Geheim" not in answer.body
        return answer.problem.detail

    yield check
    assert vault.holdings() == before
    assert vault.log_size() == log, "a refused request was acted on"


def test_a_request_without_a_signature(forger: Forger, refused: Check) -> None:
    body, _ = forger.request(EVERYONE)

    resealed = _resealed(forger, body, lambda fields: {"request": fields["request"]})

    refused(forger.send(resealed), 422, "not-verified")


def test_a_request_with_a_signature_of_zeros(forger: Forger, refused: Check) -> None:
    body, _ = forger.request(EVERYONE)

    resealed = _resealed(forger, body, lambda fields: fields | {"mldsa65": "A" * 4412})

    assert "step 2" in refused(forger.send(resealed), 422, "not-verified")


def test_a_request_with_another_doctors_signature(forger: Forger, bob: EnrolledDoctor, refused: Check) -> None:
    body, _ = forger.request(EVERYONE, keys=bob.keys.signing)

    assert "step 2" in refused(forger.send(body), 422, "not-verified")


def test_a_request_signed_in_another_context(forger: Forger, ada: EnrolledDoctor, refused: Check) -> None:
    body, _ = forger.request(EVERYONE)
    signed = _open(forger, body)

    data = msgspec.structs.replace(signed, mldsa65=ada.keys.signing.mldsa65.sign(signed.request, signatures.RECORD))

    assert "step 2" in refused(forger.send(_seal(forger, canonical.encode(data))), 422, "not-verified")


def test_a_forged_tls_identity_reads_nothing(ada: EnrolledDoctor, forger: Forger, refused: Check) -> None:
    """Whoever breaks ECDSA has the TLS key at best: the request still needs the ML-DSA-65 key."""
    body, _ = forger.request(EVERYONE, keys=generate_signing_keys())

    refused(forger.send(body, ada.tls), 422, "not-verified")


def test_a_tls_certificate_that_a_stolen_ca_made_reads_nothing(
    vault: Vault, ada: EnrolledDoctor, forger: Forger, refused: Check
) -> None:
    with vault.desk() as desk:
        _, forged = StolenCa(desk).pair(ada.id, ada.keys.signing)
    body, _ = forger.request(EVERYONE)

    refused(forger.send(body, forged), 401, "not-authenticated")


def test_a_request_replayed_by_another_doctor(forger: Forger, bob: EnrolledDoctor, refused: Check) -> None:
    body, _ = forger.request(EVERYONE)

    refused(forger.send(body, bob.tls), 422, "not-verified")


def test_a_request_in_another_doctors_name(forger: Forger, bob: EnrolledDoctor, refused: Check) -> None:
    body, _ = forger.request(EVERYONE, doctor=bob.id)

    assert "step 3" in refused(forger.send(body), 422, "not-verified")


def test_a_request_under_another_signing_certificate(forger: Forger, bob: EnrolledDoctor, refused: Check) -> None:
    body, _ = forger.request(EVERYONE, signing_certificate=bob.client.identity.signing_certificate)

    assert "step 3" in refused(forger.send(body), 422, "not-verified")


def test_a_request_for_another_vault(forger: Forger, refused: Check) -> None:
    body, _ = forger.request(EVERYONE, vault="0" * 64)

    assert "step 3" in refused(forger.send(body), 422, "not-verified")


@pytest.mark.parametrize("seconds", [-301, 301, -86_400])
def test_a_request_of_another_time(forger: Forger, refused: Check, seconds: int) -> None:
    now = int(forger.doctor.client.session.now().timestamp())
    margin = 30 if seconds > 0 else -30
    body, _ = forger.request(EVERYONE, time=now + seconds + margin)

    assert "step 4" in refused(forger.send(body), 422, "not-verified")


def test_a_replay_is_answered_only_to_whoever_asked_first(forger: Forger) -> None:
    body, key = forger.request(EVERYONE)
    first, again = forger.send(body), forger.send(body)
    _, other_key = forger.request(EVERYONE)

    assert open_answer(key, [first.body], Patients)[0] == open_answer(key, [again.body], Patients)[0]
    with pytest.raises(NotVerified):
        open_answer(other_key, [first.body], Patients)


def test_an_answer_belongs_to_its_request(forger: Forger) -> None:
    """The same answer key in two requests: the hash of the request still keeps the answers apart."""
    body, key = forger.request(EVERYONE)
    other, _ = forger.request(EVERYONE, answer_key=key.key)

    answer = forger.send(other)

    assert answer.status == 200
    with pytest.raises(NotVerified):
        open_answer(key, [answer.body], Patients)
    assert forger.send(body).status == 200


def test_no_answer_names_a_patient_or_a_title_in_the_clear(forger: Forger, record: str, vault: Vault) -> None:
    patient = vault.value("SELECT patient FROM records WHERE id = ?", record)
    operations = (EVERYONE, RecordGet(record=record), RecordList(patient=patient, after=0, limit=10))

    bodies = [forger.send(forger.request(operation)[0]).body for operation in operations]

    for body in bodies:
        for secret in (b"Geheim", CONTENT, patient.encode(), record.encode()):
            assert secret not in body
    message, content = forger.ask(RecordGet(record=record), RecordHead)
    assert isinstance(message, RecordHead)
    assert b"".join(content) == CONTENT


@pytest.mark.parametrize("suite", ["VQ-87", "VQ-00"])
def test_an_unknown_suite(forger: Forger, refused: Check, suite: str) -> None:
    body, _ = forger.request(EVERYONE)

    changed = body.replace(b'"suite":"VQ-65"', f'"suite":"{suite}"'.encode(), 1)

    refused(forger.send(changed), 400, "unknown-suite")


def test_another_suite_inside_than_outside(forger: Forger, refused: Check) -> None:
    body, _ = forger.request(EVERYONE, suite="VQ-87")

    refused(forger.send(body), 422, "not-verified")


def test_an_unknown_operation(forger: Forger, refused: Check) -> None:
    _refuse_inner(forger, refused, lambda fields: fields | {"operation": {"operation": "record-delete"}})


def test_an_unknown_field(forger: Forger, refused: Check) -> None:
    _refuse_inner(forger, refused, lambda fields: fields | {"role": "own"})


def test_fields_in_another_order(forger: Forger, refused: Check) -> None:
    _refuse_inner(forger, refused, lambda fields: dict(reversed(fields.items())))


def test_a_page_that_is_too_large(forger: Forger, refused: Check) -> None:
    _refuse_inner(
        forger, refused,
        lambda fields: fields | {"operation": {"operation": "patient-list", "after": None, "limit": 501}},
    )  # fmt: skip


@pytest.mark.parametrize("prefix", ["../../etc", "", "vault/", "%2e%2e", "*"])
def test_a_listing_by_something_else_than_a_patients_id(forger: Forger, refused: Check, prefix: str) -> None:
    _refuse_inner(
        forger, refused,
        lambda fields: fields | {"operation": {"operation": "record-list", "patient": prefix, "after": 0, "limit": 9}},
    )  # fmt: skip


@pytest.mark.parametrize("at", [0, 30, 200, 400, 1300, 3000])
def test_a_request_that_was_changed_on_its_way(forger: Forger, refused: Check, at: int) -> None:
    body, _ = forger.request(EVERYONE)
    changed = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]

    answer = forger.send(changed)

    assert answer.status in {400, 413, 422}, answer.problem
    refused(answer, answer.status, answer.code)


@pytest.mark.parametrize("body", [b"", b"{}", b"\x00" * 500, REQUEST_MAGIC, REQUEST_MAGIC + b"\x00\x00\x00\x02{}"])
def test_a_body_that_is_no_request(forger: Forger, refused: Check, body: bytes) -> None:
    refused(forger.send(body), 400, "malformed")


def test_a_request_over_its_limit(forger: Forger, refused: Check) -> None:
    body, _ = forger.request(EVERYONE)

    refused(forger.send(body + bytes(REQUEST_BYTES)), 413, "limit-exceeded")


def _refuse_inner(forger: Forger, refused: Check, change: Callable[[dict[str, object]], dict[str, object]]) -> None:
    """Signs what the types would not allow, and expects it to be refused when it is decoded."""
    body, _ = forger.request(EVERYONE)
    data = json.dumps(change(json.loads(_open(forger, body).request)), separators=(",", ":")).encode()
    signature = forger.doctor.keys.signing.mldsa65.sign(data, signatures.REQUEST)
    sealed = _seal(forger, canonical.encode(SignedRequest(request=data, mldsa65=signature)))

    assert "step 3" in refused(forger.send(sealed), 422, "not-verified")


def _resealed(forger: Forger, body: bytes, change: Callable[[dict[str, object]], dict[str, object]]) -> bytes:
    fields = change(json.loads(canonical.encode(_open(forger, body))))
    return _seal(forger, json.dumps(fields, separators=(",", ":")).encode())


def _seal(forger: Forger, data: bytes) -> bytes:
    statement = forger.doctor.client.session.view.statement
    header = RequestHeader(suite="VQ-65", vault=statement.vault, recipient=statement.kem.id)
    info = sealing.request_info("VQ-65", statement.vault, statement.kem.public_key)
    return encode_header(REQUEST_MAGIC, header) + sealing.seal(statement.kem.public_key, data, info)


def _open(forger: Forger, body: bytes) -> SignedRequest:
    """Opened with the vault's own KEM key."""
    header, sealed = read_request_header(body)
    with forger.vault.desk() as desk:
        key = desk.kem_keys.get(header.recipient)
        data = key.open(sealed, sealing.request_info(header.suite, header.vault, key.public))
    return canonical.decode(data, SignedRequest, limit=REQUEST_BYTES)
