"""What is sealed: upload frames, stored objects, requests and answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from tests.fixtures.hospital import Doctor, VaultKeys, seal_frame, seed, uuid_of
from tests.vectors.cast import POSIX, Cast
from tests.vectors.certificate_cases import refused
from tests.vectors.files import Case, b64
from tests.vectors.signed_cases import CONTENT, outcome
from vaultq_core.crypto import payload, sealing, signatures
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.objects import ObjectWriter
from vaultq_core.crypto.records import record_hash
from vaultq_core.crypto.requests import AnswerKey, seal_answer
from vaultq_core.crypto.x509_profile import certificate_hash
from vaultq_core.wire import canonical
from vaultq_core.wire.frame import FRAME_MAGIC, OBJECT_MAGIC, REQUEST_MAGIC, FrameHeader, ObjectHeader, RequestHeader
from vaultq_core.wire.framing import block, encode_header
from vaultq_core.wire.limits import HEADER_BYTES
from vaultq_core.wire.manifest import SignedManifest
from vaultq_core.wire.sealed_request import Done, Operation, RecordGet, Request, SignedRequest

SUITE = "VQ-65"
CHUNK = 16 * 1024 + 16
LONG = bytes(range(256)) * 160  # 40 KiB: two whole chunks and a part
DEK = seed("dek")
LENGTH_AT = len(FRAME_MAGIC)


def parts_of(frame: bytes, magic: bytes = FRAME_MAGIC) -> tuple[int, int, int]:
    """Where a frame's or object's header, sealed manifest and content begin (behind the lengths)."""
    header = len(magic) + 4
    manifest = header + int.from_bytes(frame[len(magic) : header], "big") + 4
    return header, manifest, manifest + int.from_bytes(frame[manifest - 4 : manifest], "big")


# --- frames ---------------------------------------------------------------------------------------


def frame_cases(cast: Cast) -> Iterator[Case]:
    signed = cast.hospital.signed_manifest(cast.ada, CONTENT)
    frame = seal_frame(signed, cast.keys.statement, CONTENT, DEK)
    yield whole("good", frame) | {"expect": "ok", "content_sha256": sha256_hex(CONTENT)}
    yield from _broken_headers(frame)
    yield from _broken_envelopes(frame)
    yield from _sealed_elsewhere(cast, signed)
    yield from _forged_manifests(cast, signed)
    yield from _broken_content(cast)


def _broken_headers(frame: bytes) -> Iterator[Case]:
    header, manifest, content = parts_of(frame)
    body = frame[header : manifest - 4]

    def altered(name: str, new: bytes, code: str = "malformed") -> Case:
        patch = [["splice", LENGTH_AT, 4 + len(body), (len(new).to_bytes(4, "big") + new).hex()]]
        return patched(name, "good", *patch) | refused(None, code)

    yield patched("magic-flipped", "good", ["xor", 0, "01"]) | refused(None, "malformed")
    yield patched("magic-of-an-object", "good", ["splice", 0, LENGTH_AT, OBJECT_MAGIC.hex()]) | refused(
        None, "malformed"
    )
    yield altered("unknown-suite", body.replace(b"VQ-65", b"VQ-66"), "unknown-suite")
    yield altered("reserved-suite", body.replace(b"VQ-65", b"VQ-87"), "unknown-suite")
    yield altered("header-with-unknown-field", body[:-1] + b',"x":1}')
    yield altered("header-with-duplicate-key", body[:-1] + b',"suite":"VQ-65"}')
    yield altered("header-with-space", body.replace(b":", b": ", 1))
    yield altered("header-with-escape", body.replace(b"VQ", b"\\u0056Q", 1))
    yield altered("header-in-another-order", b"{" + body[15:-1].split(b",", 1)[1] + b"," + body[1:15] + b"}")
    yield altered("header-with-short-dek", body.replace(body[-1500:-2], b"AAAA"))
    yield altered("header-too-long", b" " * (HEADER_BYTES + 1), "limit-exceeded")
    yield patched("header-of-4-gib", "good", ["xor", LENGTH_AT, "ffffffff"]) | refused(None, "limit-exceeded")
    for name, length in (("empty", 0), ("only-magic", LENGTH_AT), ("cut-in-header", header + 9)):
        yield patched(name, "good", ["keep", length]) | refused(None, "malformed")
    yield patched("cut-in-manifest", "good", ["keep", content - 1]) | refused(None, "malformed")


def _broken_envelopes(frame: bytes) -> Iterator[Case]:
    _, manifest, content = parts_of(frame)
    length = manifest - 4
    dek = frame.index(b'"sealed_dek":"') + 14
    too_long = (payload.encrypted_length(96 * 1024) + 1).to_bytes(4, "big").hex()
    # "A" ^ "B" = 3: one bit in base64 is another letter
    yield patched("sealed-dek-other", "good", ["splice", dek, 1, _other_letter(frame[dek])]) | refused(1)
    yield patched("manifest-length-4-gib", "good", ["splice", length, 4, "ffffffff"]) | refused(None, "limit-exceeded")
    yield patched("manifest-length-too-long", "good", ["splice", length, 4, too_long]) | refused(None, "limit-exceeded")
    shorter = (content - manifest - 1).to_bytes(4, "big").hex()
    yield patched("manifest-length-one-less", "good", ["splice", length, 4, shorter]) | refused(2)
    yield patched("manifest-length-zero", "good", ["splice", length, 4, "00000000"]) | refused(2)
    for name, offset in (("salt", 0), ("commitment", 24), ("text", 80), ("tag", content - manifest - 1)):
        yield patched(f"manifest-{name}-flipped", "good", ["xor", manifest + offset, "01"]) | refused(2)


def _sealed_elsewhere(cast: Cast, signed: SignedManifest) -> Iterator[Case]:
    digest, statement = sha256_hex(signed.manifest), cast.keys.statement
    info = sealing.upload_info(SUITE, statement.vault, statement.kem.public_key, digest)
    yield whole("for-another-vault", seal_frame(signed, cast.other_keys.statement, CONTENT, DEK)) | refused(1)
    mixed = msgspec.structs.replace(statement, kem=cast.other_keys.statement.kem)
    yield whole("to-another-recipient", seal_frame(signed, mixed, CONTENT, DEK)) | refused(1)
    as_request = sealing.request_info(SUITE, statement.vault, statement.kem.public_key)
    yield built(cast, "dek-sealed-as-a-request", signed, info=as_request) | refused(1)
    other_vault = sealing.upload_info(SUITE, cast.other.vault, statement.kem.public_key, digest)
    yield built(cast, "dek-sealed-for-another-vault", signed, info=other_vault) | refused(1)
    other_manifest = sealing.upload_info(SUITE, statement.vault, statement.kem.public_key, sha256_hex(b""))
    yield built(cast, "dek-sealed-for-another-manifest", signed, info=other_manifest) | refused(1)
    yield built(cast, "dek-sealed-for-this-manifest", signed, info=info) | _ok(CONTENT)
    for direction, part in (("store", "manifest"), ("upload", "content"), ("answer", "message")):
        context = payload.payload_context(direction, part, SUITE, digest)  # type: ignore[arg-type]
        yield built(cast, f"manifest-sealed-as-{direction}-{part}", signed, manifest_context=context) | refused(2)
    yield built(cast, "header-names-another-manifest", signed, digest=sha256_hex(b"")) | refused(3)


def _forged_manifests(cast: Cast, signed: SignedManifest) -> Iterator[Case]:
    hospital, ada, grace = cast.hospital, cast.ada, cast.grace
    unknown = canonical.encode(signed)[:-1] + b',"x":1}'
    yield built(cast, "signed-manifest-with-unknown-field", signed, envelope=unknown) | refused(2)
    spaced = msgspec.structs.replace(signed, manifest=signed.manifest + b" ")
    yield built(cast, "manifest-not-canonical", spaced) | refused(3)
    yield built(cast, "manifest-of-another-suite", hospital.signed_manifest(ada, CONTENT, suite="VQ-87")) | refused(3)
    elsewhere = hospital.signed_manifest(ada, CONTENT, vault=cast.other.vault)
    yield built(cast, "manifest-of-another-vault", elsewhere) | refused(4)
    by_grace = hospital.signed_manifest(grace, CONTENT).signatures
    for part in ("mldsa65", "ecdsa_p256"):
        mixed = msgspec.structs.replace(signed.signatures, **{part: getattr(by_grace, part)})
        forged = msgspec.structs.replace(signed, signatures=mixed)
        yield built(cast, f"{part}-by-another-doctor", forged) | refused(4)


def _broken_content(cast: Cast) -> Iterator[Case]:
    signed = cast.hospital.signed_manifest(cast.ada, LONG)
    frame = seal_frame(signed, cast.keys.statement, LONG, DEK)
    begin = parts_of(frame)[2]
    chunks, end = begin + payload.HEAD_BYTES, len(frame)
    yield whole("good-long", frame) | _ok(LONG)
    for name, offset in (("salt", begin), ("commitment", begin + 24), ("first-chunk", chunks), ("tag", end - 1)):
        yield patched(f"content-{name}-flipped", "good-long", ["xor", offset, "01"]) | refused(5)
    for name, operation in (
        ("chunks-swapped", ["swap", chunks, chunks + CHUNK, CHUNK]),
        ("chunk-removed", ["splice", chunks, CHUNK, ""]),
        ("chunk-repeated", ["repeat", chunks, CHUNK]),
        ("last-chunk-cut", ["keep", chunks + 2 * CHUNK]),
        ("one-byte-cut", ["keep", end - 1]),
        ("head-cut", ["keep", begin + 55]),
        ("content-missing", ["keep", begin]),
        ("one-byte-more", ["append", "00"]),
        ("a-tag-more", ["append", "00" * 16]),
        ("last-chunk-twice", ["repeat", chunks + 2 * CHUNK, end - chunks - 2 * CHUNK]),
    ):
        yield patched(name, "good-long", operation) | refused(5)
    yield from _wrong_content(cast)


def _wrong_content(cast: Cast) -> Iterator[Case]:
    signed = cast.hospital.signed_manifest(cast.ada, CONTENT)
    for name, content in (
        ("content-longer", CONTENT + b"!"),
        ("content-shorter", CONTENT[:-1]),
        ("content-empty", b""),
        ("content-of-the-same-length", CONTENT[::-1]),
    ):
        yield built(cast, name, signed, content=content) | refused(5)
    context = payload.payload_context("store", "content", SUITE, sha256_hex(signed.manifest))
    yield built(cast, "content-sealed-as-stored", signed, content_context=context) | refused(5)
    yield built(cast, "content-under-another-dek", signed, content_dek=seed("another dek")) | refused(5)
    empty = cast.hospital.signed_manifest(cast.ada, b"")
    yield built(cast, "good-empty", empty, content=b"") | _ok(b"")


def built(  # noqa: PLR0913 - the parts of a frame, each of which a case may replace
    cast: Cast,
    name: str,
    signed: SignedManifest,
    *,
    digest: str | None = None,
    info: bytes | None = None,
    envelope: bytes | None = None,
    manifest_context: bytes | None = None,
    content: bytes = CONTENT,
    content_context: bytes | None = None,
    content_dek: bytes = DEK,
) -> Case:
    """A frame of which exactly the given parts are other than they should be."""
    recipient, vault = cast.keys.statement.kem, cast.hospital.vault
    digest = digest or sha256_hex(signed.manifest)
    info = info or sealing.upload_info(SUITE, vault, recipient.public_key, digest)
    header = FrameHeader(
        suite=SUITE,
        vault=vault,
        recipient=recipient.id,
        manifest=digest,
        sealed_dek=sealing.seal(recipient.public_key, DEK, info),
    )
    context = manifest_context or payload.payload_context("upload", "manifest", SUITE, digest)
    sealed = payload.encrypt(DEK, context, envelope or canonical.encode(signed))
    context = content_context or payload.payload_context("upload", "content", SUITE, digest)
    body = payload.encrypt(content_dek, context, content)
    return whole(name, encode_header(FRAME_MAGIC, header) + block(sealed) + body)


# --- stored objects -------------------------------------------------------------------------------


def object_cases(cast: Cast) -> tuple[Case, list[Case]]:
    """What the registry expects, and the cases."""
    signed, header = cast.hospital.signed_manifest(cast.ada, LONG), object_header(cast, LONG)
    writer = ObjectWriter(header, signed, DEK)
    data = b"".join(writer.chunks([LONG]))
    expected = {
        "header": msgspec.to_builtins(header),
        "record_hash": writer.record_hash,
        "dek": b64(DEK),
    }
    return expected, [whole("good", data) | _ok(LONG), *_broken_objects(data), *_other_objects(cast)]


def _broken_objects(data: bytes) -> Iterator[Case]:
    header, manifest, content = parts_of(data, OBJECT_MAGIC)
    chunks, end = content + payload.HEAD_BYTES, len(data)
    record = data.index(b'"record":"') + 10
    for name, step, operation in (
        ("magic-flipped", 1, ["xor", 0, "01"]),
        ("header-length-4-gib", 0, ["splice", header - 4, 4, "ffffffff"]),
        ("header-of-another-record", 1, ["splice", record, 1, _other_letter(data[record])]),
        ("header-cut", 1, ["keep", header + 5]),
        ("manifest-length-4-gib", 0, ["splice", manifest - 4, 4, "ffffffff"]),
        ("manifest-flipped", 2, ["xor", manifest + 99, "01"]),
        ("manifest-cut", 2, ["keep", manifest + 99]),
        ("content-salt-flipped", 2, ["xor", content, "01"]),
        ("content-commitment-flipped", 2, ["xor", content + 55, "01"]),
        ("content-head-cut", 2, ["keep", content + 55]),
        ("first-chunk-flipped", 4, ["xor", chunks, "01"]),
        ("chunks-swapped", 4, ["swap", chunks, chunks + CHUNK, CHUNK]),
        ("last-chunk-cut", 4, ["keep", chunks + 2 * CHUNK]),
        ("last-byte-cut", 4, ["keep", end - 1]),
        ("one-byte-more", 4, ["append", "00"]),
    ):
        yield patched(name, "good", operation) | (refused(step) if step else refused(None, "limit-exceeded"))
    yield patched("under-another-dek", "good") | {"dek": b64(seed("another dek"))} | refused(3)


def _other_objects(cast: Cast) -> Iterator[Case]:
    """Objects that a vault would have to have written wrongly: their record hash is right."""
    signed = cast.hospital.signed_manifest(cast.ada, CONTENT)
    header = object_header(cast, CONTENT)
    start = encode_header(OBJECT_MAGIC, header)
    for name, direction, step, content in (
        ("good-small", "store", 0, CONTENT),
        ("sealed-as-an-upload", "upload", 3, CONTENT),
        ("content-shorter", "store", 4, CONTENT[:-1]),
        ("content-longer", "store", 4, CONTENT + b"!"),
        ("content-of-the-same-length", "store", 4, CONTENT[::-1]),
    ):
        context = payload.payload_context(direction, "manifest", SUITE, header.manifest)  # type: ignore[arg-type]
        sealed = payload.encrypt(DEK, context, canonical.encode(signed))
        body = payload.encrypt(DEK, payload.payload_context("store", "content", SUITE, header.manifest), content)
        told = {"header": msgspec.to_builtins(header), "record_hash": record_hash(start, sealed, body[:56])}
        yield whole(name, start + block(sealed) + body) | told | (refused(step) if step else _ok(CONTENT))


def object_header(cast: Cast, content: bytes) -> ObjectHeader:
    manifest = cast.hospital.manifest(cast.ada, content)
    return ObjectHeader(
        suite=SUITE,
        vault=manifest.vault,
        patient=manifest.patient,
        record=manifest.record,
        manifest=sha256_hex(canonical.encode(manifest)),
    )


# --- requests and answers -------------------------------------------------------------------------


def request_cases(cast: Cast) -> Iterator[Case]:
    ada, vault = cast.ada, cast.hospital.vault
    good = ask(cast, "good", request(cast))
    yield good | {"expect": "ok"}
    yield ask(cast, "for-another-vaults-key", request(cast), to=cast.other_keys) | refused(1)
    recipient = cast.keys.statement.kem.public_key
    upload = sealing.upload_info(SUITE, vault, recipient, sha256_hex(b""))
    yield ask(cast, "sealed-as-an-upload", request(cast), info=upload) | refused(1)
    elsewhere = sealing.request_info(SUITE, cast.other.vault, recipient)
    yield ask(cast, "sealed-for-another-vault", request(cast), info=elsewhere) | refused(1)
    yield ask(cast, "unknown-field-in-signed-request", request(cast), more=b',"x":1}') | refused(1)
    yield ask(cast, "signed-by-another-doctor", request(cast), by=cast.grace) | refused(2)
    yield ask(cast, "signed-as-a-record", request(cast), context=signatures.RECORD) | refused(2)
    yield ask(cast, "not-canonical", canonical.encode(request(cast)) + b" ") | refused(3)
    unknown = canonical.encode(request(cast)).replace(b"record-get", b"record-delete")
    yield ask(cast, "unknown-operation", unknown) | refused(3)
    for name, changes in (
        ("names-another-vault", {"vault": cast.other.vault}),
        ("names-another-doctor", {"doctor": cast.grace.id}),
        ("names-another-certificate", {"signing_certificate": certificate_hash(ada.tls)}),
        ("names-another-suite", {"suite": "VQ-87"}),
    ):
        yield ask(cast, name, msgspec.structs.replace(request(cast), **changes)) | refused(3)
    for name, time, step in (("early", -300, 0), ("late", 300, 0), ("too-early", -301, 4), ("too-late", 301, 4)):
        yield ask(cast, name, msgspec.structs.replace(request(cast), time=POSIX + time)) | outcome(step or None)
    yield from _broken_requests()


def _broken_requests() -> Iterator[Case]:
    yield patched("ciphertext-flipped", "good", ["xor", 2000, "01"]) | refused(1)
    yield patched("ciphertext-cut", "good", ["keep", 2000]) | refused(1)
    yield patched("one-byte-more", "good", ["append", "00"]) | refused(1)
    yield patched("magic-flipped", "good", ["xor", 0, "01"]) | refused(1)
    yield patched("header-only", "good", ["keep", 150]) | refused(1)
    yield patched("too-long", "good", ["zeros", 64 * 1024]) | refused(None, "limit-exceeded")
    yield patched("header-of-4-gib", "good", ["splice", len(REQUEST_MAGIC), 4, "ffffffff"]) | refused(
        None, "limit-exceeded"
    )


def answer_cases() -> Iterator[Case]:
    """Answers to the good request; `answer_key` is its key, `request_hash` the hash of its body."""
    digest = sha256_hex(b"the body of a request")
    key = AnswerKey(SUITE, digest, seed("answer"))
    message = Done(receipt="c2sp.org/tlog-proof@v1\n")
    data = b"".join(seal_answer(key, message, [CONTENT]))
    begin = 4 + int.from_bytes(data[:4], "big")
    base = {"answer_key": b64(key.key), "request_hash": digest}
    yield base | whole("good", data) | {"expect": "ok", "content_sha256": sha256_hex(CONTENT)}
    yield base | patched("to-another-request", "good") | {"request_hash": sha256_hex(b"another body")} | refused(1)
    yield base | patched("under-another-key", "good") | {"answer_key": b64(DEK)} | refused(1)
    for name, step, operation in (
        ("message-flipped", 1, ["xor", 70, "01"]),
        ("message-cut", 1, ["keep", 70]),
        ("content-flipped", 2, ["xor", begin + 60, "01"]),
        ("content-missing", 2, ["keep", begin]),
        ("content-cut", 2, ["keep", len(data) - 1]),
        ("one-byte-more", 2, ["append", "00"]),
    ):
        yield base | patched(name, "good", operation) | refused(step)
    huge = patched("message-of-4-gib", "good", ["splice", 0, 4, "ffffffff"])
    yield base | huge | refused(None, "limit-exceeded")
    other = b"".join(seal_answer(key, RecordGet(record=uuid_of("r")), [CONTENT]))
    yield base | whole("message-of-another-kind", other) | refused(1)
    exchanged = payload.encrypt(key.key, payload.payload_context("answer", "content", SUITE, digest), b'{"receipt":""}')
    yield base | whole("content-as-message", block(exchanged)) | refused(1)


def request(cast: Cast, operation: Operation | None = None) -> Request:
    return Request(
        suite=SUITE,
        vault=cast.hospital.vault,
        doctor=cast.ada.id,
        signing_certificate=certificate_hash(cast.ada.signing),
        time=POSIX,
        nonce=seed("request nonce"),
        answer_key=seed("answer"),
        operation=operation or RecordGet(record=uuid_of("St. Elsewhere", "record 1")),
    )


def ask(
    cast: Cast,
    name: str,
    what: Request | bytes,
    *,
    by: Doctor | None = None,
    to: VaultKeys | None = None,
    context: bytes = signatures.REQUEST,
    info: bytes | None = None,
    more: bytes = b"}",
) -> Case:
    data = what if isinstance(what, bytes) else canonical.encode(what)
    signer, statement = (by or cast.ada).keys.signing.mldsa65, (to or cast.keys).statement
    signed = canonical.encode(SignedRequest(request=data, mldsa65=signer.sign(data, context)))[:-1] + more
    header = RequestHeader(suite=SUITE, vault=cast.hospital.vault, recipient=statement.kem.id)
    info = info or sealing.request_info(SUITE, cast.hospital.vault, statement.kem.public_key)
    sealed = sealing.seal(statement.kem.public_key, signed, info)
    return whole(name, encode_header(REQUEST_MAGIC, header) + sealed)


def whole(name: str, data: bytes) -> Case:
    return {"name": name, "data": b64(data)}


def patched(name: str, of: str, *patch: list[Any]) -> Case:
    return {"name": name, "of": of, "patch": list(patch)}


def _ok(content: bytes) -> Case:
    return {"expect": "ok", "content_sha256": sha256_hex(content)}


def _other_letter(letter: int) -> str:
    return "62" if letter == ord("a") else "61"
