"""Uploads that have no receipt yet: one sealed file each, on disk before the first byte leaves.

AES-256-GCM under the identity's outbox key, bound to the record's id. While the file is there, the same
manifest can be sent again, and the vault answers it with the same receipt.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from vaultq_core.crypto import wrapping
from vaultq_core.errors import Malformed, NotFound
from vaultq_core.private_files import file_errors, read_private, write_private
from vaultq_core.wire import canonical
from vaultq_core.wire.aad import length_prefixed
from vaultq_core.wire.ids import Key32, RecordId, Size, parse
from vaultq_core.wire.limits import KIB
from vaultq_core.wire.manifest import Manifest, SignedManifest, decode_manifest

_LABEL = b"vaultq/outbox/v1"
_SUFFIX = ".sealed"
_ENTRY_BYTES = 256 * KIB


class OutboxEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that an upload needs to be sent again, beside the file itself, which is read where it lies."""

    type: Literal["vaultq/outbox/v1"] = "vaultq/outbox/v1"
    signed: SignedManifest
    dek: Key32
    place: Annotated[bytes, msgspec.Meta(min_length=1, max_length=4096)]
    """The file's path as the system has it: bytes, since it need be neither NFC nor UTF-8."""
    size: Size
    modified: int
    """The file's time of change in nanoseconds, as it was when the manifest was signed."""

    @property
    def path(self) -> str:
        """The file's path."""
        return os.fsdecode(self.place)

    def __repr__(self) -> str:
        """Hide the key and what is personal."""
        return f"OutboxEntry(record={self.manifest().record!r})"

    def manifest(self) -> Manifest:
        """Return what was signed."""
        return decode_manifest(self.signed.manifest)


class Outbox:
    """The directory of sealed entries, named by record."""

    def __init__(self, directory: Path, key: bytes) -> None:
        self._directory, self._key = directory, key

    def add(self, entry: OutboxEntry) -> None:
        """Keep an entry; durable on return. Raises Conflict when the record has one."""
        record = entry.manifest().record
        sealed = wrapping.wrap(self._key, canonical.encode(entry), _aad(record))
        write_private(self._path(record), sealed, create_only=True)

    def get(self, record: str) -> OutboxEntry:
        """Return a record's entry. Raises NotFound; NotVerified when it was changed or is another identity's."""
        sealed = read_private(self._path(record), _ENTRY_BYTES)
        return canonical.decode(wrapping.unwrap(self._key, sealed, _aad(record)), OutboxEntry, limit=_ENTRY_BYTES)

    def records(self) -> tuple[str, ...]:
        """Return the ids of all records that wait, in order."""
        return tuple(sorted(self._names()))

    def remove(self, record: str) -> None:
        """Forget an entry; one that is gone already is no error."""
        path = self._path(record)
        with file_errors(path):
            path.unlink(missing_ok=True)

    def _names(self) -> Iterator[str]:
        with suppress(NotFound), file_errors(self._directory):
            for path in self._directory.iterdir():
                with suppress(Malformed):
                    yield parse(path.name.removesuffix(_SUFFIX), RecordId, "record id")

    def _path(self, record: str) -> Path:
        return self._directory / (parse(record, RecordId, "record id") + _SUFFIX)


def _aad(record: str) -> bytes:
    return length_prefixed((_LABEL, record.encode()))
