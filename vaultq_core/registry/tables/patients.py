"""Tables of patients, grants and records. Nothing here names a patient in the clear."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Table, UniqueConstraint

from vaultq_core.registry.tables.base import Blob, Count, Hash, Id, Mac, Name, Time, Word, metadata, one_of

patients = Table(
    "patients",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Time, nullable=False),
    Column("founder", ForeignKey("doctors.id"), nullable=False),
    Column("wrapped_key", Blob),
    Column("key_version", Count, nullable=False),
    Column("recovery_key", Blob),
    Column("demographics", Blob),
    Column("record_counter", Count, nullable=False),
    Column("erased_at", Time),
    Column("mac", Mac, nullable=False),
    Index(None, "key_version"),
)

record_numbers = Table(
    "record_numbers",
    metadata,
    Column("blind_index", Hash, primary_key=True),
    Column("patient", ForeignKey("patients.id"), nullable=False, index=True),
)

grants = Table(
    "grants",
    metadata,
    Column("id", Id, primary_key=True),
    Column("patient", ForeignKey("patients.id"), nullable=False),
    Column("doctor", ForeignKey("doctors.id"), nullable=False),
    Column("role", Word, nullable=False),
    Column("until", Time),
    Column("statement", Blob, nullable=False),
    Column("parent", ForeignKey("grants.id"), index=True),
    Column("ended_at", Time),
    Column("ended_by", Id),
    Column("log_index", Count, nullable=False),
    Column("mac", Mac, nullable=False),
    one_of("role", "read", "write", "own"),
    Index(None, "patient", "doctor"),
    Index(None, "doctor", "id"),
)

pending_records = Table(
    "pending_records",
    metadata,
    Column("object_name", Name, primary_key=True),
    Column("record", Id, nullable=False),
    Column("patient", Id, nullable=False),
    Column("created", Time, nullable=False),
    Index(None, "created"),
)

records = Table(
    "records",
    metadata,
    Column("id", Id, primary_key=True),
    Column("patient", ForeignKey("patients.id"), nullable=False),
    Column("author", ForeignKey("doctors.id"), nullable=False),
    Column("manifest_hash", Hash, nullable=False),
    Column("record_hash", Hash, nullable=False),
    Column("object_name", Name, nullable=False, unique=True),
    Column("size", Count, nullable=False),
    Column("wrapped_dek", Blob),
    Column("sealed_manifest", Blob, nullable=False),
    Column("counter", Count, nullable=False),
    Column("replaces", ForeignKey("records.id"), unique=True),
    Column("replaced_by", ForeignKey("records.id"), unique=True),
    Column("log_index", Count, nullable=False, unique=True),
    Column("stored_at", Time, nullable=False),
    Column("damaged_at", Time),
    Column("mac", Mac, nullable=False),
    UniqueConstraint("patient", "counter"),
    Index(None, "author", "log_index"),
)
