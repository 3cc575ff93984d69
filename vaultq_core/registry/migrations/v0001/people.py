"""Schema 0001: tables of doctors, administrators, enrolments and certificates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def create() -> None:
    """Create the tables, in an order that foreign keys allow."""
    _administrators()
    _certificates()
    _doctors()
    _enrolled_keys()
    _enrolments()
    _one_time_passwords()


def _administrators() -> None:
    op.create_table(
        "administrators",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.CheckConstraint("status IN ('active', 'revoked')", name=op.f("ck_administrators_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_administrators")),
    )


def _certificates() -> None:
    op.create_table(
        "certificates",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("log_index", COUNT, nullable=True),
        sa.Column("compromised_since", sa.BigInteger(), nullable=True),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.CheckConstraint(
            "role IN ('doctor-signing', 'doctor-tls', 'admin-tls', 'server-tls', 'issuing')",
            name=op.f("ck_certificates_role"),
        ),
        sa.CheckConstraint("status IN ('active', 'revoked')", name=op.f("ck_certificates_status")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_certificates")),
        sa.UniqueConstraint("issuer", "serial", name=op.f("uq_certificates_issuer_serial")),
    )
    op.create_index(op.f("ix_certificates_issuer_status"), "certificates", ["issuer", "status"])
    op.create_index(op.f("ix_certificates_owner_role"), "certificates", ["owner", "role"])


def _doctors() -> None:
    op.create_table(
        "doctors",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.CheckConstraint(
            "status IN ('provisioned', 'pending', 'active', 'revoked', 'rejected')", name=op.f("ck_doctors_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_doctors")),
    )
    op.create_index(op.f("ix_doctors_status_id"), "doctors", ["status", "id"])


def _enrolled_keys() -> None:
    op.create_table(
        "enrolled_keys",
        sa.Column("signing_key_hash", sa.String(length=64), nullable=False),
        sa.Column("doctor", sa.String(length=36), nullable=False),
        sa.Column("signing_certificate", sa.String(length=64), nullable=False),
        sa.Column("tls_certificate", sa.String(length=64), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["doctor"], ["doctors.id"], name=op.f("fk_enrolled_keys_doctor")),
        sa.ForeignKeyConstraint(
            ["signing_certificate"], ["certificates.sha256"], name=op.f("fk_enrolled_keys_signing_certificate")
        ),
        sa.ForeignKeyConstraint(
            ["tls_certificate"], ["certificates.sha256"], name=op.f("fk_enrolled_keys_tls_certificate")
        ),
        sa.PrimaryKeyConstraint("signing_key_hash", name=op.f("pk_enrolled_keys")),
        sa.UniqueConstraint("signing_certificate", name=op.f("uq_enrolled_keys_signing_certificate")),
        sa.UniqueConstraint("tls_certificate", name=op.f("uq_enrolled_keys_tls_certificate")),
    )
    op.create_index(op.f("ix_enrolled_keys_doctor"), "enrolled_keys", ["doctor"])


def _enrolments() -> None:
    op.create_table(
        "enrolments",
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("doctor", sa.String(length=36), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=True),
        sa.Column("statement_hash", sa.String(length=64), nullable=True),
        sa.Column("words", sa.String(length=200), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.String(length=36), nullable=True),
        sa.Column("log_index", COUNT, nullable=True),
        sa.CheckConstraint("state IN ('open', 'pending', 'issued', 'rejected')", name=op.f("ck_enrolments_state")),
        sa.ForeignKeyConstraint(["doctor"], ["doctors.id"], name=op.f("fk_enrolments_doctor")),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_enrolments")),
    )
    op.create_index(op.f("ix_enrolments_doctor_state"), "enrolments", ["doctor", "state"])
    op.create_index(op.f("ix_enrolments_state_doctor"), "enrolments", ["state", "doctor"])


def _one_time_passwords() -> None:
    op.create_table(
        "one_time_passwords",
        sa.Column("doctor", sa.String(length=36), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("attempts_left", COUNT, nullable=False),
        sa.Column("spent_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["doctor"], ["doctors.id"], name=op.f("fk_one_time_passwords_doctor")),
        sa.PrimaryKeyConstraint("doctor", name=op.f("pk_one_time_passwords")),
    )
