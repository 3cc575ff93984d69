"""The manifest: what an author signs of a record (docs/spec/manifest.md)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from vaultq_core.errors import Malformed
from vaultq_core.wire import canonical
from vaultq_core.wire.ids import (
    UNSAFE,
    DoctorId,
    Line,
    PatientId,
    RecordId,
    Salt,
    Sha256,
    Size,
    SuiteId,
    Time,
    VaultId,
)
from vaultq_core.wire.limits import CERTIFICATE_BYTES, MANIFEST_BYTES, SIGNED_MANIFEST_BYTES

MANIFEST_TYPE = "vaultq/record/v1"
MLDSA65_SIGNATURE_BYTES = 3309  # FIPS 204, table 2
ECDSA_P256_SIGNATURE_BYTES = 72  # DER, at most

MediaType = Annotated[str, msgspec.Meta(max_length=127, pattern=r"^[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+\Z")]
FileName = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=rf"^[^/\\{UNSAFE}]+\Z")]
Kind = Annotated[str, msgspec.Meta(max_length=40, pattern=r"^[a-z][a-z0-9-]*\Z")]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Content(_Strict, frozen=True, kw_only=True):
    """The record's bytes: their hash, length, media type and file name (a name, never a path)."""

    sha256: Sha256
    length: Size
    media_type: MediaType
    name: FileName

    def __post_init__(self) -> None:
        if self.name in {".", ".."}:
            raise ValueError("a file name must name a file")


class Replaces(_Strict, frozen=True, kw_only=True):
    """The record that this one corrects. One record is replaced once."""

    record: RecordId
    manifest: Sha256
    reason: Line


class SeenCheckpoint(_Strict, frozen=True, kw_only=True):
    """The newest checkpoint that the author had verified: a forked log cannot pass it on unnoticed."""

    size: Size
    root: Sha256


class Manifest(_Strict, frozen=True, kw_only=True):
    """What the author's two signatures cover, in its canonical bytes.

    `blind` is 32 random bytes: the manifest's hash in the log tells nothing about a guessable record.
    `created` is the author's clock and decides nothing; the log's time does.
    """

    type: Literal["vaultq/record/v1"] = "vaultq/record/v1"
    suite: SuiteId
    vault: VaultId
    record: RecordId
    patient: PatientId
    author: DoctorId
    signing_certificate: Sha256
    tls_certificate: Sha256
    created: Time
    content: Content
    kind: Kind
    title: Line
    replaces: Replaces | None
    blind: Salt
    checkpoint: SeenCheckpoint | None


class Signatures(_Strict, frozen=True, kw_only=True):
    """Both signatures over the same bytes; each is required. ECDSA is DER."""

    mldsa65: Annotated[bytes, msgspec.Meta(min_length=MLDSA65_SIGNATURE_BYTES, max_length=MLDSA65_SIGNATURE_BYTES)]
    ecdsa_p256: Annotated[bytes, msgspec.Meta(min_length=8, max_length=ECDSA_P256_SIGNATURE_BYTES)]


class CertificatePair(_Strict, frozen=True, kw_only=True):
    """A doctor's two certificates, DER."""

    signing: Annotated[bytes, msgspec.Meta(max_length=CERTIFICATE_BYTES)]
    tls: Annotated[bytes, msgspec.Meta(max_length=CERTIFICATE_BYTES)]


class SignedManifest(_Strict, frozen=True, kw_only=True):
    """A manifest's exact bytes with its signatures and its author's certificates."""

    manifest: Annotated[bytes, msgspec.Meta(max_length=MANIFEST_BYTES)]
    signatures: Signatures
    certificates: CertificatePair


def decode_manifest(data: bytes) -> Manifest:
    """Return the manifest. Raises Malformed, or LimitExceeded above MANIFEST_BYTES."""
    return canonical.decode(data, Manifest, limit=MANIFEST_BYTES)


def decode_signed_manifest(data: bytes) -> SignedManifest:
    """Return the signed manifest. Raises Malformed, or LimitExceeded above SIGNED_MANIFEST_BYTES."""
    return canonical.decode(data, SignedManifest, limit=SIGNED_MANIFEST_BYTES)


def file_name(text: str) -> str:
    """Return `text` as a record's file name. Raises Malformed for a path, control characters or too many."""
    try:
        name = msgspec.convert(text, FileName)
    except msgspec.ValidationError:
        raise Malformed("a file name is 1 to 200 characters without a slash or control character") from None
    if name in {".", ".."}:
        raise Malformed("a file name must name a file")
    return name
