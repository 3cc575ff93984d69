"""Tables of doctors, administrators, their enrolments and all certificates."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, String, Table, UniqueConstraint

from vaultq_core.registry.tables.base import Blob, Count, Hash, Id, Line, Mac, Name, Time, Word, metadata, one_of

doctors = Table(
    "doctors",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Line, nullable=False),
    Column("status", Word, nullable=False),
    Column("created", Time, nullable=False),
    Column("mac", Mac, nullable=False),
    one_of("status", "provisioned", "pending", "active", "revoked", "rejected"),
    Index(None, "status", "id"),
)

administrators = Table(
    "administrators",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Line, nullable=False),
    Column("status", Word, nullable=False),
    Column("created", Time, nullable=False),
    Column("mac", Mac, nullable=False),
    one_of("status", "active", "revoked"),
)

one_time_passwords = Table(
    "one_time_passwords",
    metadata,
    Column("doctor", ForeignKey("doctors.id"), primary_key=True),
    Column("hash", Blob, nullable=False),
    Column("expires", Time, nullable=False),
    Column("attempts_left", Count, nullable=False),
    Column("spent_at", Time),
)

enrolments = Table(
    "enrolments",
    metadata,
    Column("secret_hash", Hash, primary_key=True),
    Column("doctor", ForeignKey("doctors.id"), nullable=False),
    Column("nonce", Blob, nullable=False),
    Column("state", Word, nullable=False),
    Column("created", Time, nullable=False),
    Column("expires", Time, nullable=False),
    Column("request", Blob),
    Column("statement_hash", Hash),
    Column("words", Line),
    Column("received_at", Time),
    Column("decided_at", Time),
    Column("decided_by", Id),
    Column("log_index", Count),
    one_of("state", "open", "pending", "issued", "rejected"),
    Index(None, "doctor", "state"),
    Index(None, "state", "doctor"),
)

certificates = Table(
    "certificates",
    metadata,
    Column("sha256", Hash, primary_key=True),
    Column("role", Word, nullable=False),
    Column("owner", Name, nullable=False),
    Column("der", Blob, nullable=False),
    Column("serial", String(40), nullable=False),
    Column("issuer", Name, nullable=False),
    Column("not_before", Time, nullable=False),
    Column("not_after", Time, nullable=False),
    Column("status", Word, nullable=False),
    Column("revoked_at", Time),
    Column("reason", Line),
    Column("log_index", Count),
    Column("compromised_since", Time),
    Column("mac", Mac, nullable=False),
    one_of("role", "doctor-signing", "doctor-tls", "admin-tls", "server-tls", "issuing"),
    one_of("status", "active", "revoked"),
    UniqueConstraint("issuer", "serial"),
    Index(None, "owner", "role"),
    Index(None, "issuer", "status"),
)

enrolled_keys = Table(
    "enrolled_keys",
    metadata,
    Column("signing_key_hash", Hash, primary_key=True),
    Column("doctor", ForeignKey("doctors.id"), nullable=False, index=True),
    Column("signing_certificate", ForeignKey("certificates.sha256"), nullable=False, unique=True),
    Column("tls_certificate", ForeignKey("certificates.sha256"), nullable=False, unique=True),
    Column("issued_at", Time, nullable=False),
)

former_pairs = Table(
    "former_pairs",
    metadata,
    Column("tls_certificate", ForeignKey("certificates.sha256"), primary_key=True),
    Column("signing_certificate", ForeignKey("certificates.sha256"), nullable=False, unique=True),
    Column("signing_key_hash", ForeignKey("enrolled_keys.signing_key_hash"), nullable=False, index=True),
    Column("renewed", Time, nullable=False),
)
