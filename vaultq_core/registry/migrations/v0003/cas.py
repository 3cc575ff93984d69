"""Schema 0003: issuing CAs that were replaced, and the certificate pairs that doctors had before renewing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


def create() -> None:
    """Create the tables."""
    _former_cas()
    _former_pairs()


def _former_cas() -> None:
    op.create_table(
        "former_cas",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("replaced", sa.BigInteger(), nullable=False),
        sa.Column("closed", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("role IN ('doctors', 'admins', 'servers')", name=op.f("ck_former_cas_role")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_former_cas")),
    )


def _former_pairs() -> None:
    op.create_table(
        "former_pairs",
        sa.Column("tls_certificate", sa.String(length=64), nullable=False),
        sa.Column("signing_certificate", sa.String(length=64), nullable=False),
        sa.Column("signing_key_hash", sa.String(length=64), nullable=False),
        sa.Column("renewed", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["signing_certificate"], ["certificates.sha256"], name=op.f("fk_former_pairs_signing_certificate")
        ),
        sa.ForeignKeyConstraint(
            ["signing_key_hash"], ["enrolled_keys.signing_key_hash"], name=op.f("fk_former_pairs_signing_key_hash")
        ),
        sa.ForeignKeyConstraint(
            ["tls_certificate"], ["certificates.sha256"], name=op.f("fk_former_pairs_tls_certificate")
        ),
        sa.PrimaryKeyConstraint("tls_certificate", name=op.f("pk_former_pairs")),
        sa.UniqueConstraint("signing_certificate", name=op.f("uq_former_pairs_signing_certificate")),
    )
    op.create_index(op.f("ix_former_pairs_signing_key_hash"), "former_pairs", ["signing_key_hash"])
