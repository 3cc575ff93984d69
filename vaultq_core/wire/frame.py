"""Headers of the three sealed binary formats: upload frame, stored object, sealed request.

docs/spec/frame.md, docs/spec/stored-object.md, docs/spec/sealed-request.md.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from vaultq_core.wire.ids import KemKeyId, PatientId, RecordId, Sha256, SuiteId, VaultId

FRAME_MAGIC = b"vaultq/upload/v1\n"
OBJECT_MAGIC = b"vaultq/object/v1\n"
REQUEST_MAGIC = b"vaultq/request/v1\n"

SEALED_DEK_BYTES = 1168  # HPKE X-Wing: 1,120 encapsulation + 32 key + 16 tag

SealedDek = Annotated[bytes, msgspec.Meta(min_length=SEALED_DEK_BYTES, max_length=SEALED_DEK_BYTES)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class FrameHeader(_Strict, frozen=True, kw_only=True):
    """Opens an upload: to which KEM key the DEK is sealed, and which manifest it belongs to."""

    suite: SuiteId
    vault: VaultId
    recipient: KemKeyId
    manifest: Sha256
    sealed_dek: SealedDek


class ObjectHeader(_Strict, frozen=True, kw_only=True):
    """Opens a stored object; all of it is covered by the record hash."""

    suite: SuiteId
    vault: VaultId
    patient: PatientId
    record: RecordId
    manifest: Sha256


class RequestHeader(_Strict, frozen=True, kw_only=True):
    """Opens a sealed request; the HPKE ciphertext follows to the end of the body."""

    suite: SuiteId
    vault: VaultId
    recipient: KemKeyId
