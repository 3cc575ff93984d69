"""Tables of the vault itself: its name and roots, its wrapped keys, its statements, and what workers share."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from vaultq_core.registry.tables.base import (
    Blob,
    Count,
    Hash,
    Line,
    Mac,
    Name,
    Place,
    Time,
    Word,
    metadata,
    one_of,
    only_row,
)

vault = Table(
    "vault",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("vault", Hash, nullable=False),
    Column("created", Time, nullable=False),
    Column("log_origin", Line, nullable=False),
    Column("recovery_public_key", Blob, nullable=False),
    Column("hospital_root", Blob, nullable=False),
    Column("pq_root", Blob, nullable=False),
    Column("mac", Mac, nullable=False),
    only_row(),
)

# No mac here: a certificate is proven by its chain, a wrapped key by its wrapping, a statement by its signature.
issuing_cas = Table(
    "issuing_cas",
    metadata,
    Column("role", Word, primary_key=True),
    Column("der", Blob, nullable=False),
    Column("created", Time, nullable=False),
    one_of("role", "pq", "doctors", "admins", "servers"),
)

former_cas = Table(
    "former_cas",
    metadata,
    Column("sha256", Hash, primary_key=True),
    Column("role", Word, nullable=False),
    Column("der", Blob, nullable=False),
    Column("created", Time, nullable=False),
    Column("replaced", Time, nullable=False),
    Column("closed", Time),
    one_of("role", "doctors", "admins", "servers"),
)

sealed_keys = Table(
    "sealed_keys",
    metadata,
    Column("name", Name, primary_key=True),
    Column("wrapped", Blob, nullable=False),
    Column("key_id", Name, nullable=False),
)

kem_keys = Table(
    "kem_keys",
    metadata,
    Column("id", Word, primary_key=True),
    Column("public_key", Blob, nullable=False),
    Column("wrapped_seed", Blob),
    Column("key_id", Name, nullable=False),
    Column("destroy_after", Time, nullable=False),
)

vault_statements = Table(
    "vault_statements",
    metadata,
    Column("version", Count, primary_key=True, autoincrement=False),
    Column("statement", Blob, nullable=False),
    Column("not_after", Time, nullable=False),
    Column("kem_key", Word, nullable=False),
)

crls = Table(
    "crls",
    metadata,
    Column("issuer", Name, primary_key=True),
    Column("number", Count, nullable=False),
    Column("der", Blob, nullable=False),
    Column("this_update", Time, nullable=False),
    Column("next_update", Time, nullable=False),
)

epoch = Table(
    "epoch",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", Count, nullable=False),
    only_row(),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Word, primary_key=True),
    Column("holder", Name, nullable=False),
    Column("until", Time, nullable=False),
)

rate_counters = Table(
    "rate_counters",
    metadata,
    Column("name", Name, primary_key=True),
    Column("window_start", Time, nullable=False),
    Column("hits", Count, nullable=False),
)

# Neither has a mac: a false row can hold up a move of the keys, but no more than that.
workers = Table(
    "workers",
    metadata,
    Column("holder", Name, primary_key=True),
    Column("node", Name, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("version", Word, nullable=False),
    Column("keystores", Text, nullable=False),
    Column("started", Time, nullable=False),
    Column("seen", Time, nullable=False),
)

keystore_moves = Table(
    "keystore_moves",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("source", Place, nullable=False),
    Column("target", Place, nullable=False),
    Column("begun", Time, nullable=False),
    Column("finished", Time),
)
