"""The upload frame: sealed by a client, opened by the vault (docs/spec/frame.md).

header {suite, vault, recipient, manifest hash, sealed DEK} ‖ u32 length ‖ Cobblestone of the signed
manifest ‖ Cobblestone of the content, to the end of the body.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from vaultq_core.crypto import payload, sealing
from vaultq_core.crypto.chains import Trust, VerifiedDoctor
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.records import VerifiedManifest, verify_manifest
from vaultq_core.crypto.steps import step
from vaultq_core.errors import NotVerified
from vaultq_core.wire import canonical
from vaultq_core.wire.frame import FRAME_MAGIC, FrameHeader
from vaultq_core.wire.framing import ByteStream, block, encode_header, read_header
from vaultq_core.wire.limits import SIGNED_MANIFEST_BYTES
from vaultq_core.wire.manifest import Content, SignedManifest, decode_manifest, decode_signed_manifest
from vaultq_core.wire.statements import VaultStatement
from vaultq_core.wire.suite import require_readable, require_writable

_SEALED_MANIFEST_LIMIT = payload.encrypted_length(SIGNED_MANIFEST_BYTES)


def seal_frame_head(signed: SignedManifest, statement: VaultStatement, dek: bytes) -> bytes:
    """Return all of an upload that precedes its content, sealed to the vault's KEM key of the month."""
    suite, vault, digest = require_writable(statement.suite), statement.vault, sha256_hex(signed.manifest)
    recipient = statement.kem.public_key
    header = FrameHeader(
        suite=suite,
        vault=vault,
        recipient=statement.kem.id,
        manifest=digest,
        sealed_dek=sealing.seal(recipient, dek, sealing.upload_info(suite, vault, recipient, digest)),
    )
    context = payload.payload_context("upload", "manifest", suite, digest)
    return encode_header(FRAME_MAGIC, header) + block(payload.encrypt(dek, context, canonical.encode(signed)))


def seal_content(dek: bytes, suite: str, manifest_hash: str, content: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content's encryption, which follows the head."""
    return payload.encrypt_chunks(dek, payload.payload_context("upload", "content", suite, manifest_hash), content)


@dataclass(frozen=True, slots=True)
class OpenedFrame:
    """An upload whose manifest is proven; `content` yields authenticated plaintext and ends with the last check."""

    signed: SignedManifest
    verified: VerifiedManifest
    content: Iterator[bytes] = field(repr=False)


def read_frame_header(stream: ByteStream) -> FrameHeader:
    """Return an upload's header. Raises Malformed, UnknownSuite or LimitExceeded."""
    header, _ = read_header(stream, FRAME_MAGIC, FrameHeader)
    require_readable(header.suite)
    return header


def open_frame(
    header: FrameHeader,
    stream: ByteStream,
    key: sealing.KemPrivateKey,
    trust: Trust,
    at: dt.datetime,
    *,
    author: VerifiedDoctor | None = None,
) -> OpenedFrame:
    """Open an upload behind its header; `key` is the vault's KEM key that the header names.

    `author` is a doctor whose certificates were verified already (`verify_manifest`).

    1. The frame is for this vault, and the DEK opens for this suite, key and manifest hash.
    2. The manifest's envelope authenticates under the DEK.
    3. The manifest has the hash that the header names, and its own suite.
    4. Certificates and both signatures hold (`verify_manifest`).
    5. The content authenticates chunk by chunk, and has the manifest's length and SHA-256
       (`exact_content`; raised while `content` is read).

    Returns the upload. Raises NotVerified, naming the step; LimitExceeded for an envelope that is too long.
    """
    with step(1):
        if header.vault != trust.anchors.vault:
            raise NotVerified("the upload is for another vault")
        dek = key.open(header.sealed_dek, sealing.upload_info(header.suite, header.vault, key.public, header.manifest))
    sealed = stream.read_block(limit=_SEALED_MANIFEST_LIMIT, what="the sealed manifest")
    with step(2):
        context = payload.payload_context("upload", "manifest", header.suite, header.manifest)
        signed = decode_signed_manifest(payload.decrypt(dek, context, sealed))
    with step(3):
        if sha256_hex(signed.manifest) != header.manifest:
            raise NotVerified("the manifest has another hash than the header names")
        if decode_manifest(signed.manifest).suite != header.suite:
            raise NotVerified("the manifest is of another suite than the header")
    with step(4, "the manifest"):
        verified = verify_manifest(signed, trust, at, author=author)
    context = payload.payload_context("upload", "content", header.suite, header.manifest)
    plaintext = payload.decrypt_chunks(dek, context, stream.rest())
    return OpenedFrame(signed, verified, exact_content(plaintext, verified.manifest.content, number=5))


def exact_content(chunks: Iterable[bytes], content: Content, *, number: int) -> Iterator[bytes]:
    """Yield `chunks`, and at the end prove length and SHA-256. Raises NotVerified at step `number`.

    A stream that grows beyond the length is refused at once; whoever keeps what was yielded keeps it
    only when the iteration ends without an exception.
    """
    digest, length = hashlib.sha256(), 0
    with step(number):
        for chunk in chunks:
            length += len(chunk)
            if length > content.length:
                raise NotVerified("the content is longer than the manifest says")
            digest.update(chunk)
            yield chunk
        if length != content.length:
            raise NotVerified("the content is shorter than the manifest says")
        if digest.hexdigest() != content.sha256:
            raise NotVerified("the content has another SHA-256 than the manifest says")


def frame_length(head: bytes, content_length: int) -> int:
    """Return the bytes of a whole frame."""
    return len(head) + payload.encrypted_length(content_length)
