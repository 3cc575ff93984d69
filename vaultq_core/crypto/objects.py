"""The stored object: written once by the vault, never changed (docs/spec/stored-object.md).

header {suite, vault, patient, record, manifest hash} ‖ u32 length ‖ Cobblestone of the signed manifest ‖
Cobblestone of the content, all under the record's storage DEK.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from vaultq_core.crypto import payload
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.frames import exact_content
from vaultq_core.crypto.records import record_hash
from vaultq_core.crypto.steps import step
from vaultq_core.errors import NotVerified
from vaultq_core.wire import canonical
from vaultq_core.wire.frame import OBJECT_MAGIC, ObjectHeader
from vaultq_core.wire.framing import ByteStream, block, encode_header, read_header
from vaultq_core.wire.limits import SIGNED_MANIFEST_BYTES
from vaultq_core.wire.manifest import SignedManifest, decode_manifest, decode_signed_manifest
from vaultq_core.wire.suite import require_readable

_SEALED_MANIFEST_LIMIT = payload.encrypted_length(SIGNED_MANIFEST_BYTES)


class ObjectWriter:
    """One object on its way into storage. `record_hash` is known once the first content chunk has passed."""

    def __init__(self, header: ObjectHeader, signed: SignedManifest, dek: bytes) -> None:
        context = payload.payload_context("store", "manifest", header.suite, header.manifest)
        self.sealed_manifest = payload.encrypt(dek, context, canonical.encode(signed))
        self._header = encode_header(OBJECT_MAGIC, header)
        self._context = payload.payload_context("store", "content", header.suite, header.manifest)
        self._dek = dek
        self._payload_head = b""

    def chunks(self, content: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the object's bytes. What `content` raises passes through, and the object must not be kept."""
        yield self._header + block(self.sealed_manifest)
        for chunk in payload.encrypt_chunks(self._dek, self._context, content):
            if len(self._payload_head) < payload.HEAD_BYTES:
                self._payload_head = (self._payload_head + chunk)[: payload.HEAD_BYTES]
            yield chunk

    @property
    def record_hash(self) -> str:
        """The record hash. Raises Malformed before the content's first bytes have passed."""
        return record_hash(self._header, self.sealed_manifest, self._payload_head)


@dataclass(frozen=True, slots=True)
class ExpectedObject:
    """What the registry says of an object: its header's fields and its record hash."""

    header: ObjectHeader
    record_hash: str


@dataclass(frozen=True, slots=True)
class OpenedObject:
    """A stored record; `content` yields authenticated plaintext and ends with the last check."""

    signed: SignedManifest
    content: Iterator[bytes] = field(repr=False)


def open_object(stream: ByteStream, expected: ExpectedObject, dek: bytes) -> OpenedObject:
    """Open a stored object.

    1. Its header is the one that the registry expects.
    2. Header, sealed manifest, salt and commitment have the registered record hash.
    3. The manifest authenticates under the DEK and has the header's hash.
    4. The content authenticates chunk by chunk and has the manifest's length and SHA-256
       (raised while `content` is read; the first chunk is read here).

    The signatures were verified when the record was stored, and are by every client that reads it.
    Raises NotVerified, naming the step.
    """
    with step(1):
        header, raw = read_header(stream, OBJECT_MAGIC, ObjectHeader)
        require_readable(header.suite)
        if header != expected.header:
            raise NotVerified("the object is another record's")
    with step(2):
        sealed = stream.read_block(limit=_SEALED_MANIFEST_LIMIT, what="the sealed manifest")
        payload_head = stream.read_exact(payload.HEAD_BYTES)
        if record_hash(raw, sealed, payload_head) != expected.record_hash:
            raise NotVerified("the object does not have its record hash")
    with step(3):
        signed = open_sealed_manifest(header, sealed, dek)
        content = decode_manifest(signed.manifest).content
    context = payload.payload_context("store", "content", header.suite, header.manifest)
    plaintext = payload.decrypt_chunks(dek, context, _prepend(payload_head, stream.rest()))
    return OpenedObject(signed, _started(exact_content(plaintext, content, number=4)))


def open_sealed_manifest(header: ObjectHeader, sealed: bytes, dek: bytes) -> SignedManifest:
    """Return the signed manifest of an object or a registry row. Raises NotVerified or Malformed."""
    context = payload.payload_context("store", "manifest", header.suite, header.manifest)
    signed = decode_signed_manifest(payload.decrypt(dek, context, sealed))
    if sha256_hex(signed.manifest) != header.manifest:
        raise NotVerified("the manifest has another hash than the header names")
    return signed


def _prepend(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _started(content: Iterator[bytes]) -> Iterator[bytes]:
    first = next(content, None)
    return content if first is None else _prepend(first, content)
