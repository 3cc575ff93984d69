"""Deposit: the only way a record enters the vault (docs/architecture.md, "The way of an upload")."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from vaultq_core.crypto.frames import OpenedFrame, open_frame, read_frame_header
from vaultq_core.crypto.objects import ObjectWriter
from vaultq_core.crypto.payload import DEK_BYTES
from vaultq_core.crypto.records import VerifiedManifest
from vaultq_core.errors import Conflict, LimitExceeded, Malformed, StorageError, Unavailable
from vaultq_core.registry.commit import Turn
from vaultq_core.registry.pending_records import PendingRecord
from vaultq_core.registry.records import RecordRow
from vaultq_core.server.services.access import Access, Caller
from vaultq_core.server.services.desk import Desk
from vaultq_core.spi.names import ObjectName, record_name
from vaultq_core.spi.storage import StoredObject
from vaultq_core.wire.entries import LogEntry, RecordStored
from vaultq_core.wire.frame import ObjectHeader
from vaultq_core.wire.framing import ByteStream
from vaultq_core.wire.manifest import Manifest
from vaultq_core.wire.proof import encode_receipt
from vaultq_core.wire.suite import require_writable

SUFFIX_CHARS: Final = 16
_SUFFIX_ALPHABET: Final = string.ascii_lowercase + string.digits
_HOUR: Final = 3600


class Deposit:
    """Takes one upload frame and returns its receipt."""

    def __init__(self, desk: Desk, access: Access) -> None:
        self._desk = desk
        self._access = access

    def __call__(self, caller: Caller, body: Iterator[bytes]) -> str:
        """Store the record of an upload frame and return its receipt, durable and logged.

        Raises Malformed, UnknownSuite, LimitExceeded or NotVerified for what the frame holds; NotFound or
        NotPermitted without a grant to write; Conflict when the id, or the record to replace, is taken;
        StorageUnavailable, KeystoreUnavailable or RegistryUnavailable. Whatever it raises, no object stays.
        """
        frame = self._open(caller, ByteStream(body))
        manifest = frame.verified.manifest
        with self._desk.registry.reading() as tx:
            found = self._access.find(tx, caller, manifest.patient)
            present = self._desk.registry.records.find(tx, manifest.record)
        allowed = self._access.require(caller, manifest.patient, found, "write", "put")
        if present is not None:  # a safe retry
            return self._receipt_of(frame.verified, present)
        dek = secrets.token_bytes(DEK_BYTES)
        writer = ObjectWriter(_object_header(frame.verified), frame.signed, dek)
        wrapped_dek = self._desk.patient_keys.open(allowed.patient).wrap_dek(manifest.record, dek)
        name = self._announce(manifest)
        try:
            stored = self._desk.storage.put_new(name, writer.chunks(frame.content))
            unit = StoreRecord(self._desk, frame.verified, writer, wrapped_dek, stored)
            return encode_receipt(self._desk.committer.commit(unit).receipts[0])
        except BaseException as error:
            self._withdraw(name)
            if isinstance(error, Conflict) and (twin := self._find(manifest.record)):  # two retries at once
                return self._receipt_of(frame.verified, twin)
            raise

    def _open(self, caller: Caller, stream: ByteStream) -> OpenedFrame:
        desk, header = self._desk, read_frame_header(stream)
        require_writable(header.suite)
        key = desk.kem_keys.get(header.recipient)
        frame = open_frame(header, stream, key, desk.trust, desk.now(), author=caller.doctor)
        self._access.require_same_doctor(caller, frame.verified.author)
        if abs(desk.seconds() - frame.verified.manifest.created) > desk.limits.created_skew_hours * _HOUR:
            raise Malformed(
                "the record's time of creation is too far from the vault's clock",
                remedy="Set this computer's clock, then put the record again.",
            )
        if frame.verified.manifest.content.length > desk.limits.content_bytes:
            raise LimitExceeded(f"the record is longer than content_bytes allows ({desk.limits.content_bytes})")
        return frame

    def _find(self, record: str) -> RecordRow | None:
        with self._desk.registry.reading() as tx:
            return self._desk.registry.records.find(tx, record)

    def _receipt_of(self, verified: VerifiedManifest, row: RecordRow) -> str:
        if (row.manifest_hash, row.author) != (verified.hash, verified.author.id):
            raise Conflict("another record has this id", remedy="Put the record again; it gets a new id.")
        with self._desk.registry.reading() as tx:
            return encode_receipt(self._desk.registry.log.receipt(tx, row.log_index))

    def _announce(self, manifest: Manifest) -> ObjectName:
        suffix = "".join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(SUFFIX_CHARS))
        name = record_name(manifest.patient, manifest.record, suffix)
        row = PendingRecord(
            object_name=name, record=manifest.record, patient=manifest.patient, created=self._desk.seconds()
        )
        with self._desk.registry.writing() as tx:
            self._desk.registry.pending_records.add(tx, row)
        return name

    def _withdraw(self, name: ObjectName) -> None:
        # Whoever takes the pending row decides about the object; if the commit took it, the record counts.
        # What cannot be cleaned now is left to `scrub`, and must not hide why the upload failed.
        with suppress(Conflict, Unavailable, StorageError):
            with self._desk.registry.writing() as tx:
                self._desk.registry.pending_records.take(tx, name)
            self._desk.storage.delete(name)


@dataclass(frozen=True, slots=True)
class StoreRecord:
    """The unit that makes a record count: its pending row goes, its row and its log entry come."""

    desk: Desk
    verified: VerifiedManifest
    writer: ObjectWriter
    wrapped_dek: bytes = field(repr=False)
    stored: StoredObject
    keeps_receipt: bool = True

    def apply(self, tx: Connection, turn: Turn) -> Sequence[LogEntry]:
        """Write the rows. Raises Conflict when the id, or the record to replace, was taken meanwhile."""
        rows, manifest = self.desk.registry, self.verified.manifest
        rows.pending_records.take(tx, self.stored.name)
        self._require_replaceable(tx)
        counter = rows.patients.next_record(tx, manifest.patient)
        record_hash = self.writer.record_hash
        row = RecordRow(
            id=manifest.record,
            patient=manifest.patient,
            author=manifest.author,
            manifest_hash=self.verified.hash,
            record_hash=record_hash,
            object_name=self.stored.name,
            size=self.stored.size,
            wrapped_dek=self.wrapped_dek,
            sealed_manifest=self.writer.sealed_manifest,
            counter=counter,
            replaces=manifest.replaces.record if manifest.replaces else None,
            log_index=turn.index,
            stored_at=turn.time,
        )
        rows.records.add(tx, row)
        entry = RecordStored(
            vault=manifest.vault,
            author=manifest.author,
            patient=manifest.patient,
            record=manifest.record,
            manifest=self.verified.hash,
            record_hash=record_hash,
            counter=counter,
        )
        return (entry,)

    def _require_replaceable(self, tx: Connection) -> None:
        replaces = self.verified.manifest.replaces
        if replaces is None:
            return
        old = self.desk.registry.records.find(tx, replaces.record)
        if old is None or old.patient != self.verified.manifest.patient or old.manifest_hash != replaces.manifest:
            raise Conflict("the record to replace is not this patient's, or has another manifest")


def _object_header(verified: VerifiedManifest) -> ObjectHeader:
    manifest = verified.manifest
    return ObjectHeader(
        suite=manifest.suite,
        vault=manifest.vault,
        patient=manifest.patient,
        record=manifest.record,
        manifest=verified.hash,
    )
