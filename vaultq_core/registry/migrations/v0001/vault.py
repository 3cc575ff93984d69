"""Schema 0001: tables of the vault, its keys and what workers share."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def create() -> None:
    """Create the tables, in an order that foreign keys allow."""
    _crls()
    _epoch()
    _issuing_cas()
    _kem_keys()
    _leases()
    _rate_counters()
    _sealed_keys()
    _vault()
    _vault_statements()


def _crls() -> None:
    op.create_table(
        "crls",
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("number", COUNT, nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("this_update", sa.BigInteger(), nullable=False),
        sa.Column("next_update", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("issuer", name=op.f("pk_crls")),
    )


def _epoch() -> None:
    op.create_table(
        "epoch",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", COUNT, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_epoch_only_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_epoch")),
    )


def _issuing_cas() -> None:
    op.create_table(
        "issuing_cas",
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("role IN ('pq', 'doctors', 'admins', 'servers')", name=op.f("ck_issuing_cas_role")),
        sa.PrimaryKeyConstraint("role", name=op.f("pk_issuing_cas")),
    )


def _kem_keys() -> None:
    op.create_table(
        "kem_keys",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_seed", sa.LargeBinary(), nullable=True),
        sa.Column("key_id", sa.String(length=255), nullable=False),
        sa.Column("destroy_after", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kem_keys")),
    )


def _leases() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("holder", sa.String(length=255), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )


def _rate_counters() -> None:
    op.create_table(
        "rate_counters",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("hits", COUNT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rate_counters")),
    )


def _sealed_keys() -> None:
    op.create_table(
        "sealed_keys",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sealed_keys")),
    )


def _vault() -> None:
    op.create_table(
        "vault",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("vault", sa.String(length=64), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("log_origin", sa.String(length=200), nullable=False),
        sa.Column("recovery_public_key", sa.LargeBinary(), nullable=False),
        sa.Column("hospital_root", sa.LargeBinary(), nullable=False),
        sa.Column("pq_root", sa.LargeBinary(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_vault_only_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vault")),
    )


def _vault_statements() -> None:
    op.create_table(
        "vault_statements",
        sa.Column("version", COUNT, autoincrement=False, nullable=False),
        sa.Column("statement", sa.LargeBinary(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("kem_key", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_vault_statements")),
    )
