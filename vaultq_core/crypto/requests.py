"""Sealed requests and answers of the records listener (docs/spec/sealed-request.md).

A request is HPKE-sealed to the vault, carries a fresh answer key, and is signed by the doctor's
ML-DSA-65 key, so that a forged TLS identity alone reads nothing. Its answer is Cobblestone-256 under
that key, bound to the hash of the whole request body: only the vault can have made it, and for this
request only.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from vaultq_core.crypto import payload, sealing, signatures
from vaultq_core.crypto.chains import VerifiedDoctor
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.keys import SigningKeys
from vaultq_core.crypto.steps import step
from vaultq_core.errors import LimitExceeded, NotVerified
from vaultq_core.wire import canonical
from vaultq_core.wire.frame import REQUEST_MAGIC, RequestHeader
from vaultq_core.wire.framing import ByteStream, block, encode_header, read_header
from vaultq_core.wire.limits import ANSWER_MESSAGE_BYTES, REQUEST_BYTES
from vaultq_core.wire.sealed_request import Request, SignedRequest
from vaultq_core.wire.statements import VaultStatement
from vaultq_core.wire.suite import require_readable, require_writable

T = TypeVar("T", bound=msgspec.Struct)

_SEALED_MESSAGE_LIMIT = payload.encrypted_length(ANSWER_MESSAGE_BYTES)


def seal_request(request: Request, keys: SigningKeys, statement: VaultStatement) -> bytes:
    """Return a request's body, signed and sealed to the vault's KEM key of the month."""
    suite, recipient = require_writable(statement.suite), statement.kem.public_key
    data = canonical.encode(request)
    signed = SignedRequest(request=data, mldsa65=keys.mldsa65.sign(data, signatures.REQUEST))
    header = RequestHeader(suite=suite, vault=statement.vault, recipient=statement.kem.id)
    info = sealing.request_info(suite, statement.vault, recipient)
    return encode_header(REQUEST_MAGIC, header) + sealing.seal(recipient, canonical.encode(signed), info)


def read_request_header(body: bytes) -> tuple[RequestHeader, bytes]:
    """Return a request's header and its ciphertext.

    Raises Malformed, UnknownSuite, or LimitExceeded for a body above REQUEST_BYTES, before anything is parsed.
    """
    if len(body) > REQUEST_BYTES:
        raise LimitExceeded(f"a sealed request has {len(body)} bytes; the limit is {REQUEST_BYTES}")
    stream = ByteStream((body,))
    header, _ = read_header(stream, REQUEST_MAGIC, RequestHeader)
    require_readable(header.suite)
    return header, b"".join(stream.rest())


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """What encrypts the answer to one request: its key, suite, and the hash of the request's body."""

    suite: str
    request_hash: str
    key: bytes = field(repr=False)


def verify_request(
    body: bytes, key: sealing.KemPrivateKey, doctor: VerifiedDoctor, vault: str, at: dt.datetime, *, skew: int
) -> tuple[Request, AnswerKey]:
    """Open a request's body; `doctor` is whom the TLS connection and the registry name.

    1. It is sealed to this vault's key.
    2. The doctor's ML-DSA-65 key signed its exact bytes.
    3. It is canonical, of the header's suite, for this vault, and by this doctor under this signing certificate.
    4. Its time is at most `skew` seconds from `at`.

    Returns the request and what its answer is encrypted with. Raises NotVerified, naming the step.
    """
    with step(1):
        header, sealed = read_request_header(body)
        info = sealing.request_info(header.suite, header.vault, key.public)
        signed = canonical.decode(key.open(sealed, info), SignedRequest, limit=REQUEST_BYTES)
    with step(2):
        signatures.verify_mldsa65(doctor.keys.mldsa65, signed.mldsa65, signed.request, signatures.REQUEST)
    with step(3):
        request = canonical.decode(signed.request, Request, limit=REQUEST_BYTES)
        said = (request.suite, header.vault, request.vault, request.doctor, request.signing_certificate)
        if said != (header.suite, vault, vault, doctor.id, doctor.signing_certificate):
            raise NotVerified("the request names another suite, vault, doctor or certificate")
    if abs(at.timestamp() - request.time) > skew:
        raise NotVerified("the request's time is too far from the vault's clock", step=4)
    return request, AnswerKey(header.suite, sha256_hex(body), request.answer_key)


def seal_answer(answer: AnswerKey, message: msgspec.Struct, content: Iterable[bytes] = ()) -> Iterator[bytes]:
    """Yield an answer: u32 length ‖ Cobblestone of the message ‖ Cobblestone of the content (empty if none)."""
    yield block(payload.encrypt(answer.key, _context(answer, "message"), canonical.encode(message)))
    yield from payload.encrypt_chunks(answer.key, _context(answer, "content"), content)


def open_answer(answer: AnswerKey, chunks: Iterable[bytes], kind: type[T]) -> tuple[T, Iterator[bytes]]:
    """Return an answer's message and its content, which is proven only when its iteration ends.

    1. The message authenticates under the answer key for this request, and is a canonical `kind`.
    2. The content authenticates chunk by chunk to its end.

    Raises NotVerified, naming the step; LimitExceeded for a message above ANSWER_MESSAGE_BYTES.
    """
    stream = ByteStream(chunks)
    with step(1):
        sealed = stream.read_block(limit=_SEALED_MESSAGE_LIMIT, what="the answer's message")
        data = payload.decrypt(answer.key, _context(answer, "message"), sealed)
        message: T = canonical.decode(data, kind, limit=ANSWER_MESSAGE_BYTES)
    return message, _answer_content(answer, stream)


def _answer_content(answer: AnswerKey, stream: ByteStream) -> Iterator[bytes]:
    with step(2):
        yield from payload.decrypt_chunks(answer.key, _context(answer, "content"), stream.rest())


def _context(answer: AnswerKey, part: payload.Part) -> bytes:
    return payload.payload_context("answer", part, answer.suite, answer.request_hash)
