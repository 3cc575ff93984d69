from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fixtures.hospital import Doctor, Hospital, seed
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.objects import ExpectedObject, ObjectWriter, open_object, open_sealed_manifest
from vaultq_core.crypto.records import record_hash
from vaultq_core.errors import LimitExceeded, Malformed, NotVerified
from vaultq_core.wire.frame import ObjectHeader
from vaultq_core.wire.framing import ByteStream
from vaultq_core.wire.manifest import SignedManifest

CONTENT = bytes(range(256)) * 100
DEK = seed("store")


@pytest.fixture(scope="module")
def signed(hospital: Hospital, ada: Doctor) -> SignedManifest:
    return hospital.signed_manifest(ada, CONTENT)


@pytest.fixture(scope="module")
def header(hospital: Hospital, ada: Doctor, signed: SignedManifest) -> ObjectHeader:
    manifest = hospital.manifest(ada, CONTENT)
    return ObjectHeader(
        suite="VQ-65",
        vault=manifest.vault,
        patient=manifest.patient,
        record=manifest.record,
        manifest=sha256_hex(signed.manifest),
    )


@pytest.fixture(scope="module")
def stored(header: ObjectHeader, signed: SignedManifest) -> tuple[bytes, ExpectedObject]:
    writer = ObjectWriter(header, signed, DEK)
    return b"".join(writer.chunks([CONTENT])), ExpectedObject(header, writer.record_hash)


def test_an_object_opens_to_what_was_stored(stored: tuple[bytes, ExpectedObject], signed: SignedManifest) -> None:
    data, expected = stored
    opened = open_object(ByteStream([data]), expected, DEK)
    assert opened.signed == signed
    assert b"".join(opened.content) == CONTENT


@pytest.mark.parametrize("start", range(10))
def test_every_flipped_byte_of_an_object_is_refused(stored: tuple[bytes, ExpectedObject], start: int) -> None:
    data, expected = stored
    for at in (*range(start, 420, 10), *range(420 + start * 13, len(data), 130), len(data) - 1):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises((NotVerified, LimitExceeded)):
            b"".join(open_object(ByteStream([changed]), expected, DEK).content)


def test_damage_in_the_first_chunk_is_known_before_anything_is_served(stored: tuple[bytes, ExpectedObject]) -> None:
    data, expected = stored
    first_chunk = len(data) - len(CONTENT) - 32
    changed = data[:first_chunk] + bytes([data[first_chunk] ^ 1]) + data[first_chunk + 1 :]
    with pytest.raises(NotVerified, match="step 4"):
        open_object(ByteStream([changed]), expected, DEK)


def test_two_writers_of_one_record_have_two_record_hashes(header: ObjectHeader, signed: SignedManifest) -> None:
    hashes = set()
    for _ in range(2):
        writer = ObjectWriter(header, signed, DEK)
        list(writer.chunks([CONTENT]))
        hashes.add(writer.record_hash)
    assert len(hashes) == 2


def test_there_is_no_record_hash_before_the_content_begins(header: ObjectHeader, signed: SignedManifest) -> None:
    with pytest.raises(Malformed):
        _ = ObjectWriter(header, signed, DEK).record_hash
    with pytest.raises(Malformed):
        record_hash(b"", b"", bytes(55))


def test_an_error_of_the_content_leaves_no_whole_object(header: ObjectHeader, signed: SignedManifest) -> None:
    def cut() -> Iterator[bytes]:
        yield CONTENT[:100]
        raise NotVerified("cut")

    with pytest.raises(NotVerified, match="cut"):
        list(ObjectWriter(header, signed, DEK).chunks(cut()))


def test_a_row_s_sealed_manifest_opens_like_the_object_s(header: ObjectHeader, signed: SignedManifest) -> None:
    sealed = ObjectWriter(header, signed, DEK).sealed_manifest
    assert open_sealed_manifest(header, sealed, DEK) == signed
    with pytest.raises(NotVerified):
        open_sealed_manifest(header, sealed, seed("another dek"))
