"""Uploads that are not what they claim: each is refused, and leaves no record, no object and no pending row."""

from __future__ import annotations

import datetime as dt
import json
import unicodedata
from collections.abc import Callable, Iterator

import msgspec
import pytest

from tests.fixtures.exposed_vault import Answer, EnrolledDoctor, Vault
from tests.fixtures.forging import CONTENT, Forger, StolenCa
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.frames import seal_content
from vaultq_core.crypto.keys import generate_signing_keys
from vaultq_core.crypto.payload import HEAD_BYTES, encrypt, payload_context
from vaultq_core.crypto.records import sign_manifest
from vaultq_core.crypto.signatures import ENROLMENT, RECORD, sign_both
from vaultq_core.wire import canonical
from vaultq_core.wire.frame import FRAME_MAGIC
from vaultq_core.wire.framing import block
from vaultq_core.wire.limits import HEADER_BYTES, KIB
from vaultq_core.wire.manifest import Content, Signatures, SignedManifest

CHUNK = 16 * KIB + 16  # of ciphertext
LONG = bytes(range(256)) * 200  # 51,200 bytes: four chunks


@pytest.fixture(scope="module")
def patient(ada: EnrolledDoctor) -> str:
    return ada.new_patient()


@pytest.fixture(scope="module")
def forger(vault: Vault, ada: EnrolledDoctor) -> Forger:
    return Forger(vault, ada)


@pytest.fixture
def refused(vault: Vault, ada: EnrolledDoctor, patient: str) -> Iterator[Callable[[Answer, int, str], str]]:
    """Checks an answer's status and code, returns its detail; afterwards the vault holds what it held."""
    before, log = vault.holdings(), vault.log_size()

    def check(answer: Answer, status: int, code: str) -> str:
        assert (answer.status, answer.code) == (status, code), answer.problem.detail
        assert "Geheim" not in answer.body.decode()
        return answer.problem.detail

    yield check
    assert vault.holdings() == before
    assert vault.log_size() == log, "a refused upload got into the log"
    assert ada.client.records(patient) == ()


Check = Callable[[Answer, int, str], str]


def test_an_honest_frame_is_taken(ada: EnrolledDoctor, forger: Forger) -> None:
    """What the other tests change is the only thing wrong with their frames."""
    patient = ada.new_patient()
    manifest = forger.manifest(patient)

    answer = forger.upload(forger.frame(forger.sign(manifest)))

    assert answer.status == 201
    assert ada.get(manifest.record) == CONTENT


# --- who signed -----------------------------------------------------------------------------------


def test_a_manifest_signed_by_another_doctor(forger: Forger, patient: str, bob: EnrolledDoctor, refused: Check) -> None:
    manifest = Forger(forger.vault, bob).manifest(patient)

    detail = refused(forger.upload(forger.frame(forger.sign(manifest, by=bob))), 422, "not-verified")

    assert "another doctor" in detail


def test_a_manifest_in_another_doctors_name(forger: Forger, patient: str, bob: EnrolledDoctor, refused: Check) -> None:
    manifest = forger.manifest(patient, author=bob.id)

    refused(forger.upload(forger.frame(forger.sign(manifest))), 422, "not-verified")


def test_another_doctors_signatures_under_the_authors_certificates(
    forger: Forger, patient: str, bob: EnrolledDoctor, refused: Check
) -> None:
    manifest = forger.manifest(patient)
    signed = forger.sign(manifest, signatures=forger.sign(manifest, by=bob).signatures)

    assert "step 4" in refused(forger.upload(forger.frame(signed)), 422, "not-verified")


@pytest.mark.parametrize("which", ["mldsa65", "ecdsa_p256"])
def test_one_of_two_signatures_by_another_key(
    forger: Forger, patient: str, bob: EnrolledDoctor, refused: Check, which: str
) -> None:
    manifest = forger.manifest(patient)
    mine, foreign = forger.sign(manifest), forger.sign(manifest, by=bob)
    mixed = msgspec.structs.replace(mine.signatures, **{which: getattr(foreign.signatures, which)})
    signed = msgspec.structs.replace(mine, signatures=mixed)

    assert "step 4" in refused(forger.upload(forger.frame(signed)), 422, "not-verified")


@pytest.mark.parametrize("which", ["mldsa65", "ecdsa_p256"])
def test_a_missing_signature(forger: Forger, patient: str, refused: Check, which: str) -> None:
    signed = forger.sign(forger.manifest(patient))
    fields = json.loads(canonical.encode(signed))
    del fields["signatures"][which]

    assert which in refused(forger.upload(_frame_of(forger, signed, _compact(fields))), 422, "not-verified")


@pytest.mark.parametrize("which", ["mldsa65", "ecdsa_p256"])
def test_a_signature_of_zeros(forger: Forger, patient: str, refused: Check, which: str) -> None:
    signed = forger.sign(forger.manifest(patient))
    zeros = bytes(len(getattr(signed.signatures, which)))
    changed = msgspec.structs.replace(signed.signatures, **{which: zeros})

    refused(forger.upload(forger.frame(msgspec.structs.replace(signed, signatures=changed))), 422, "not-verified")


def test_signatures_that_were_made_for_something_else(
    forger: Forger, ada: EnrolledDoctor, patient: str, refused: Check
) -> None:
    signed = forger.sign(forger.manifest(patient))
    elsewhere = sign_both(ada.keys.signing, signed.manifest, ENROLMENT)

    refused(forger.upload(forger.frame(msgspec.structs.replace(signed, signatures=elsewhere))), 422, "not-verified")


def test_a_forged_signing_certificate_around_a_real_tls_certificate(
    vault: Vault, forger: Forger, ada: EnrolledDoctor, patient: str, refused: Check
) -> None:
    """A thief of the PQ issuing CA alone: relatedCertificate in the real TLS certificate names another one."""
    keys = generate_signing_keys()
    with vault.desk() as desk:
        forged, _ = StolenCa(desk).pair(ada.id, keys)
    pair = msgspec.structs.replace(ada.client.identity.certificates, signing=forged.signing)
    manifest = forger.manifest(patient, signing_certificate=sha256_hex(pair.signing))

    refused(forger.upload(forger.frame(sign_manifest(manifest, keys, pair))), 422, "not-verified")


def test_a_pair_that_a_thief_of_both_cas_made(
    vault: Vault, forger: Forger, ada: EnrolledDoctor, patient: str, refused: Check
) -> None:
    """Both chains hold, but the registry knows this doctor under another pair."""
    keys = generate_signing_keys()
    with vault.desk() as desk:
        pair, _ = StolenCa(desk).pair(ada.id, keys)
    manifest = forger.manifest(
        patient, signing_certificate=sha256_hex(pair.signing), tls_certificate=sha256_hex(pair.tls)
    )

    refused(forger.upload(forger.frame(sign_manifest(manifest, keys, pair))), 422, "not-verified")


def test_an_expired_pair(vault: Vault, forger: Forger, ada: EnrolledDoctor, patient: str, refused: Check) -> None:
    with vault.desk() as desk:
        pair, _ = StolenCa(desk).pair(ada.id, ada.keys.signing, desk.now() - dt.timedelta(days=500))
    manifest = forger.manifest(
        patient, signing_certificate=sha256_hex(pair.signing), tls_certificate=sha256_hex(pair.tls)
    )

    refused(forger.upload(forger.frame(sign_manifest(manifest, ada.keys.signing, pair))), 422, "not-verified")


def test_anothers_upload_replayed_over_ones_own_tls_identity(
    forger: Forger, patient: str, bob: EnrolledDoctor, refused: Check
) -> None:
    frame = forger.frame(forger.sign(forger.manifest(patient)))

    assert "another doctor" in refused(forger.upload(frame, bob.tls), 422, "not-verified")


# --- what is said ---------------------------------------------------------------------------------


def test_a_header_around_another_manifest(forger: Forger, patient: str, refused: Check) -> None:
    """The sealed DEK is bound to the hash of the manifest that the doctor sealed it for."""
    meant, other = forger.frame(forger.sign(forger.manifest(patient))), forger.sign(forger.manifest(patient))

    frame = meant[: _header_end(meant)] + forger.frame(other)[_header_end(forger.head(other)) :]

    refused(forger.upload(frame), 422, "not-verified")


def test_a_header_that_names_another_manifest(forger: Forger, patient: str, refused: Check) -> None:
    signed, other = forger.sign(forger.manifest(patient)), forger.sign(forger.manifest(patient))
    digest = sha256_hex(other.manifest)

    frame = _with_header(forger.frame(signed), lambda fields: fields | {"manifest": digest})

    assert "step 1" in refused(forger.upload(frame), 422, "not-verified")


def test_a_record_for_another_vault(forger: Forger, patient: str, refused: Check) -> None:
    refused(forger.upload(forger.frame(forger.sign(forger.manifest(patient, vault="0" * 64)))), 422, "not-verified")


@pytest.mark.parametrize("suite", ["VQ-87", "VQ-00"])
def test_an_unknown_suite(forger: Forger, patient: str, refused: Check, suite: str) -> None:
    frame = forger.frame(forger.sign(forger.manifest(patient)))

    refused(forger.upload(frame.replace(b'"suite":"VQ-65"', f'"suite":"{suite}"'.encode(), 1)), 400, "unknown-suite")


def test_a_manifest_of_another_suite_than_its_header(forger: Forger, patient: str, refused: Check) -> None:
    signed = forger.sign(forger.manifest(patient, suite="VQ-87"))

    assert "another suite" in refused(forger.upload(forger.frame(signed)), 422, "not-verified")


def test_an_unknown_field_in_the_header(forger: Forger, patient: str, refused: Check) -> None:
    signed = forger.sign(forger.manifest(patient))

    refused(forger.upload(_with_header(forger.frame(signed), lambda fields: fields | {"next": 1})), 400, "malformed")


def test_an_unknown_field_in_the_manifest(forger: Forger, ada: EnrolledDoctor, patient: str, refused: Check) -> None:
    fields = json.loads(canonical.encode(forger.manifest(patient)))
    data = _compact(fields | {"priority": "high"})

    assert "priority" in refused(forger.upload(forger.frame(_signed_bytes(ada, data))), 422, "not-verified")


@pytest.mark.parametrize("change", ["space", "order", "duplicate", "nfd", "escape"])
def test_json_that_is_not_canonical(
    forger: Forger, ada: EnrolledDoctor, patient: str, refused: Check, change: str
) -> None:
    data = canonical.encode(forger.manifest(patient, title="Für Zoë"))
    fields = json.loads(data)
    changed = {
        "space": data.replace(b'","', b'", "', 1),
        "order": _compact(dict(reversed(fields.items()))),
        "duplicate": data[:-1] + b',"title":"other"}',
        "nfd": data.replace("Für".encode(), unicodedata.normalize("NFD", "Für").encode()),
        "escape": data.replace("ü".encode(), b"\\u00fc"),
    }[change]
    assert changed != data

    assert "step 3" in refused(forger.upload(forger.frame(_signed_bytes(ada, changed))), 422, "not-verified")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a/b", "..", ".", "", "a\\b", "a\x00b", "a\nb", "\u202egpj.exe"]
)
def test_a_file_name_that_is_a_path(
    forger: Forger, ada: EnrolledDoctor, patient: str, refused: Check, name: str
) -> None:
    fields = json.loads(canonical.encode(forger.manifest(patient)))
    fields["content"]["name"] = name

    assert "step 3" in refused(forger.upload(forger.frame(_signed_bytes(ada, _compact(fields)))), 422, "not-verified")


@pytest.mark.parametrize("field", ["record", "patient"])
@pytest.mark.parametrize("value", ["../../../../tmp/x", "%2e%2e/x", "AAAAAAAA-0000-4000-8000-000000000000", ""])
def test_an_id_that_is_a_path(
    forger: Forger, ada: EnrolledDoctor, patient: str, refused: Check, field: str, value: str
) -> None:
    fields = json.loads(canonical.encode(forger.manifest(patient))) | {field: value}

    assert "step 3" in refused(forger.upload(forger.frame(_signed_bytes(ada, _compact(fields)))), 422, "not-verified")


@pytest.mark.parametrize("hours", [-25, 25])
def test_a_time_of_creation_far_from_the_vaults_clock(forger: Forger, patient: str, refused: Check, hours: int) -> None:
    manifest = forger.manifest(patient)
    manifest = msgspec.structs.replace(manifest, created=manifest.created + hours * 3600)

    refused(forger.upload(forger.frame(forger.sign(manifest))), 400, "malformed")


# --- the content ----------------------------------------------------------------------------------


def test_content_that_does_not_match_its_hash(forger: Forger, patient: str, refused: Check) -> None:
    signed = forger.sign(forger.manifest(patient, CONTENT))

    assert "step 5" in refused(forger.upload(forger.frame(signed, CONTENT.upper())), 422, "not-verified")


@pytest.mark.parametrize("length", [0, len(LONG) - 1, len(LONG) + 1, 2 * len(LONG)])
def test_content_that_does_not_match_its_length(forger: Forger, patient: str, refused: Check, length: int) -> None:
    content = Content(sha256=sha256_hex(LONG), length=length, media_type="text/plain", name="a.txt")
    signed = forger.sign(forger.manifest(patient, LONG, content=content))

    assert "step 5" in refused(forger.upload(forger.frame(signed, LONG)), 422, "not-verified")


def _flip(at: int) -> Callable[[bytes], bytes]:
    return lambda sealed: sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]


TAMPERED: dict[str, Callable[[bytes], bytes]] = {
    "salt-flipped": _flip(3),
    "commitment-flipped": _flip(30),
    "first-chunk-flipped": _flip(HEAD_BYTES + 5),
    "tag-flipped": _flip(HEAD_BYTES + CHUNK - 1),
    "last-byte-flipped": _flip(-1 + HEAD_BYTES + 3 * CHUNK + len(LONG) - 3 * 16 * KIB + 16),
    "truncated-in-a-chunk": lambda sealed: sealed[: HEAD_BYTES + CHUNK + 100],
    "truncated-at-a-chunk": lambda sealed: sealed[: HEAD_BYTES + 2 * CHUNK],
    "without-the-last-chunk": lambda sealed: sealed[: HEAD_BYTES + 3 * CHUNK],
    "head-only": lambda sealed: sealed[:HEAD_BYTES],
    "nothing": lambda _sealed: b"",
    "chunks-swapped": lambda sealed: (
        sealed[:HEAD_BYTES]
        + sealed[HEAD_BYTES + CHUNK : HEAD_BYTES + 2 * CHUNK]
        + sealed[HEAD_BYTES : HEAD_BYTES + CHUNK]
        + sealed[HEAD_BYTES + 2 * CHUNK :]
    ),
    "chunk-repeated": lambda sealed: sealed[: HEAD_BYTES + CHUNK] + sealed[HEAD_BYTES:],
    "extended": lambda sealed: sealed + b"x",
    "extended-by-a-chunk": lambda sealed: sealed + sealed[HEAD_BYTES : HEAD_BYTES + CHUNK],
    "twice": lambda sealed: sealed + sealed,
}


@pytest.mark.parametrize("change", TAMPERED)
def test_a_payload_that_was_changed_on_its_way(forger: Forger, patient: str, refused: Check, change: str) -> None:
    signed = forger.sign(forger.manifest(patient, LONG))
    sealed = forger.sealed_content(signed, LONG)
    changed = TAMPERED[change](sealed)
    assert changed != sealed

    answer = forger.upload(forger.head(signed) + changed)

    refused(answer, *((400, "malformed") if answer.status == 400 else (422, "not-verified")))


@pytest.mark.parametrize("at", [0, 20, 40, 300, 1500, 2500, 8000])
def test_a_head_that_was_changed_on_its_way(forger: Forger, patient: str, refused: Check, at: int) -> None:
    frame = forger.frame(forger.sign(forger.manifest(patient)))

    answer = forger.upload(_flip(at)(frame))

    assert answer.status in {400, 404, 413, 422, 500}
    refused(answer, answer.status, answer.code)
    assert answer.status != 500, answer.problem


def test_content_sealed_for_another_record(forger: Forger, patient: str, refused: Check) -> None:
    meant, other = forger.sign(forger.manifest(patient)), forger.sign(forger.manifest(patient))

    refused(forger.upload(forger.head(meant) + forger.sealed_content(other)), 422, "not-verified")


def test_content_sealed_for_storage_or_an_answer(forger: Forger, patient: str, refused: Check) -> None:
    signed = forger.sign(forger.manifest(patient))
    context = payload_context("store", "content", "VQ-65", sha256_hex(signed.manifest))

    refused(forger.upload(forger.head(signed) + encrypt(forger.dek, context, CONTENT)), 422, "not-verified")


@pytest.mark.parametrize("body", [b"", b"{}", FRAME_MAGIC, b"\x00" * 100, FRAME_MAGIC + b"\xff\xff\xff\xff"])
def test_a_body_that_is_no_frame(forger: Forger, refused: Check, body: bytes) -> None:
    answer = forger.upload(body)

    refused(answer, *((413, "limit-exceeded") if body.endswith(b"\xff\xff\xff\xff") else (400, "malformed")))


def test_a_header_over_its_limit_is_refused_unread(forger: Forger, refused: Check) -> None:
    body = FRAME_MAGIC + (HEADER_BYTES + 1).to_bytes(4, "big") + b" " * (HEADER_BYTES + 1)

    refused(forger.upload(body), 413, "limit-exceeded")


def test_a_frame_sealed_to_a_key_that_the_vault_does_not_have(forger: Forger, patient: str, refused: Check) -> None:
    frame = forger.frame(forger.sign(forger.manifest(patient)))
    unknown = _with_header(frame, lambda fields: fields | {"recipient": "kem/1999-12"})

    answer = forger.upload(unknown)

    refused(answer, answer.status, answer.code)
    assert answer.code in {"key-not-found", "not-found"}


def _compact(fields: object) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


def _signed_bytes(doctor: EnrolledDoctor, data: bytes) -> SignedManifest:
    signatures: Signatures = sign_both(doctor.keys.signing, data, RECORD)
    return SignedManifest(manifest=data, signatures=signatures, certificates=doctor.client.identity.certificates)


def _frame_of(forger: Forger, signed: SignedManifest, envelope: bytes) -> bytes:
    """A frame whose sealed envelope is not what the types would allow."""
    head, digest = forger.head(signed), sha256_hex(signed.manifest)
    sealed = block(encrypt(forger.dek, payload_context("upload", "manifest", "VQ-65", digest), envelope))
    return head[: _header_end(head)] + sealed + b"".join(seal_content(forger.dek, "VQ-65", digest, [CONTENT]))


def _with_header(frame: bytes, change: Callable[[dict[str, object]], dict[str, object]]) -> bytes:
    start, end = len(FRAME_MAGIC) + 4, _header_end(frame)
    return FRAME_MAGIC + block(_compact(change(json.loads(frame[start:end])))) + frame[end:]


def _header_end(frame: bytes) -> int:
    start = len(FRAME_MAGIC) + 4
    return start + int.from_bytes(frame[len(FRAME_MAGIC) : start], "big")
