from __future__ import annotations

import msgspec
import pytest

from tests.fixtures.hospital import Doctor, Hospital, VaultKeys, seal_frame, seed, uuid_of
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.frames import open_frame, read_frame_header
from vaultq_core.crypto.requests import (
    AnswerKey,
    open_answer,
    read_request_header,
    seal_answer,
    seal_request,
    verify_request,
)
from vaultq_core.crypto.x509_profile import certificate_hash
from vaultq_core.errors import LimitExceeded, Malformed, NotVerified, UnknownSuite
from vaultq_core.wire.framing import ByteStream
from vaultq_core.wire.limits import REQUEST_BYTES
from vaultq_core.wire.sealed_request import Done, RecordGet, Request

CONTENT = b"content of a record" * 1000


@pytest.fixture
def question(hospital: Hospital, ada: Doctor) -> Request:
    return Request(
        suite="VQ-65",
        vault=hospital.vault,
        doctor=ada.id,
        signing_certificate=certificate_hash(ada.signing),
        time=int(hospital.now.timestamp()),
        nonce=seed("nonce"),
        answer_key=seed("answer"),
        operation=RecordGet(record=uuid_of("record")),
    )


@pytest.fixture
def body(question: Request, ada: Doctor, vault_keys: VaultKeys) -> bytes:
    return seal_request(question, ada.keys.signing, vault_keys.statement)


def test_a_request_is_answered_to_whoever_asked(
    hospital: Hospital, ada: Doctor, vault_keys: VaultKeys, question: Request, body: bytes
) -> None:
    doctor = hospital.verified(ada)
    asked, key = verify_request(body, vault_keys.kem, doctor, hospital.vault, hospital.now, skew=300)
    assert asked == question
    answer = seal_answer(key, Done(receipt="receipt"), [CONTENT])
    mine = AnswerKey("VQ-65", sha256_hex(body), question.answer_key)
    message, content = open_answer(mine, answer, Done)
    assert (message.receipt, b"".join(content)) == ("receipt", CONTENT)


def test_the_answer_to_one_request_opens_for_no_other(body: bytes, question: Request) -> None:
    answer = b"".join(seal_answer(AnswerKey("VQ-65", sha256_hex(body), question.answer_key), Done(receipt="")))
    with pytest.raises(NotVerified, match="step 1"):
        open_answer(AnswerKey("VQ-65", sha256_hex(body + b" "), question.answer_key), [answer], Done)
    with pytest.raises(NotVerified, match="step 1"):
        open_answer(AnswerKey("VQ-65", sha256_hex(body), seed("another")), [answer], Done)


def test_flipped_bytes_of_a_request_are_refused(
    hospital: Hospital, ada: Doctor, vault_keys: VaultKeys, body: bytes
) -> None:
    doctor, recipient = hospital.verified(ada), body.index(b'"recipient"')
    for at in (*range(0, recipient, 7), *range(recipient + 30, len(body), 131), len(body) - 1):
        changed = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        with pytest.raises((NotVerified, LimitExceeded, UnknownSuite)):
            verify_request(changed, vault_keys.kem, doctor, hospital.vault, hospital.now, skew=300)


def test_flipped_bytes_of_an_answer_are_refused() -> None:
    key = AnswerKey("VQ-65", "00" * 32, seed("answer"))
    answer = b"".join(seal_answer(key, Done(receipt="x" * 20), [b"content"]))
    for at in range(4, len(answer)):
        changed = answer[:at] + bytes([answer[at] ^ 1]) + answer[at + 1 :]
        with pytest.raises(NotVerified):
            b"".join(open_answer(key, [changed], Done)[1])


def test_a_request_is_bounded_before_it_is_parsed() -> None:
    with pytest.raises(LimitExceeded):
        read_request_header(bytes(REQUEST_BYTES + 1))


def test_a_reserved_suite_is_neither_written_nor_read(
    ada: Doctor, vault_keys: VaultKeys, question: Request, body: bytes
) -> None:
    with pytest.raises(UnknownSuite):
        seal_request(question, ada.keys.signing, msgspec.structs.replace(vault_keys.statement, suite="VQ-87"))
    with pytest.raises(UnknownSuite):
        read_request_header(body.replace(b"VQ-65", b"VQ-87", 1))


def test_an_upload_is_no_request_and_a_request_no_upload(
    hospital: Hospital, ada: Doctor, vault_keys: VaultKeys, body: bytes
) -> None:
    frame = seal_frame(hospital.signed_manifest(ada, b""), vault_keys.statement, b"")
    with pytest.raises(Malformed):
        read_request_header(frame)
    stream = ByteStream([body])
    with pytest.raises(Malformed):
        open_frame(read_frame_header(stream), stream, vault_keys.kem, hospital.trust, hospital.now)


def test_answer_keys_are_not_printed() -> None:
    assert "answer" not in repr(AnswerKey("VQ-65", "00" * 32, b"the answer key"))
