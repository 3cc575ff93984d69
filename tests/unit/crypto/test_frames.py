from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Iterator

import pytest

from tests.fixtures.hospital import Doctor, Hospital, VaultKeys, seal_frame, seed
from vaultq_core.crypto import payload
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.frames import (
    OpenedFrame,
    exact_content,
    frame_length,
    open_frame,
    read_frame_header,
    seal_frame_head,
)
from vaultq_core.errors import LimitExceeded, Malformed, NotVerified
from vaultq_core.wire.framing import ByteStream
from vaultq_core.wire.manifest import Content

CONTENT = b"Die Patientin ist wohlauf."


@pytest.fixture(scope="module")
def frame(hospital: Hospital, ada: Doctor, vault_keys: VaultKeys) -> bytes:
    return seal_frame(hospital.signed_manifest(ada, CONTENT), vault_keys.statement, CONTENT)


@dataclasses.dataclass(frozen=True)
class Vault:
    hospital: Hospital
    keys: VaultKeys

    def open(self, frame: bytes) -> OpenedFrame:
        stream = ByteStream([frame])
        return open_frame(read_frame_header(stream), stream, self.keys.kem, self.hospital.trust, self.hospital.now)


@pytest.fixture
def vault(hospital: Hospital, vault_keys: VaultKeys) -> Vault:
    return Vault(hospital, vault_keys)


def test_an_upload_opens_to_its_content_and_author(vault: Vault, ada: Doctor, frame: bytes) -> None:
    opened = vault.open(frame)
    assert b"".join(opened.content) == CONTENT
    assert opened.verified.author.id == ada.id


@pytest.mark.parametrize("start", range(10))
def test_flipped_bytes_of_an_upload_are_refused(vault: Vault, frame: bytes, start: int) -> None:
    header_end = 21 + int.from_bytes(frame[17:21], "big")
    salient = (*range(header_end, header_end + 90), *range(len(frame) - 110, len(frame)))
    for at in [*range(start * 11, len(frame), 110), *salient[start::10]]:
        changed = frame[:at] + bytes([frame[at] ^ 1]) + frame[at + 1 :]
        if b'"recipient"' in frame[:at] and at < frame.index(b'","manifest"'):
            continue  # names the key to look up; the right key is what the DEK opens with
        with pytest.raises((Malformed, NotVerified)):
            b"".join(vault.open(changed).content)


def test_an_upload_for_last_month_s_key_does_not_open_with_another(
    vault: Vault, other_hospital: Hospital, frame: bytes
) -> None:
    other = dataclasses.replace(vault, keys=other_hospital.vault_keys())
    with pytest.raises(NotVerified, match="step 1"):
        other.open(frame)


def test_nothing_is_handed_out_of_an_upload_that_grows_beyond_its_manifest() -> None:
    seen: list[bytes] = []
    content = Content(sha256=sha256_hex(b"ab"), length=2, media_type="text/plain", name="a")
    with pytest.raises(NotVerified, match="step 5: the content is longer"):
        seen.extend(exact_content(iter([b"a", b"b", b"c"]), content, number=5))
    assert seen == [b"a", b"b"]


def test_a_manifest_s_length_of_4_gib_takes_no_memory_and_reads_nothing(vault: Vault, frame: bytes) -> None:
    length_at = 21 + int.from_bytes(frame[17:21], "big")

    def arriving() -> Iterator[bytes]:
        yield frame[:length_at] + b"\xff" * 4
        raise AssertionError("more was read")

    stream = ByteStream(arriving())
    header = read_frame_header(stream)
    tracemalloc.start()
    try:
        with pytest.raises(LimitExceeded):
            open_frame(header, stream, vault.keys.kem, vault.hospital.trust, vault.hospital.now)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_doctor_verified_before_is_not_taken_for_another(vault: Vault, grace: Doctor, frame: bytes) -> None:
    stream = ByteStream([frame])
    header, known = read_frame_header(stream), vault.hospital.verified(grace)
    opened = open_frame(header, stream, vault.keys.kem, vault.hospital.trust, vault.hospital.now, author=known)
    assert opened.verified.author.id != known.id


def test_the_length_of_an_upload_is_known_before_it_is_sent(hospital: Hospital, ada: Doctor, vault: Vault) -> None:
    content = bytes(50_000)
    signed = hospital.signed_manifest(ada, content)
    whole = seal_frame(signed, vault.keys.statement, content, seed("dek"))
    head = seal_frame_head(signed, vault.keys.statement, seed("dek"))
    assert frame_length(head, len(content)) == len(whole)
    assert payload.encrypted_length(len(content)) == len(whole) - len(head)
