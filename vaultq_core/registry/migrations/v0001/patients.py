"""Schema 0001: tables of patients, grants and records."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def create() -> None:
    """Create the tables, in an order that foreign keys allow."""
    _pending_records()
    _patients()
    _grants()
    _record_numbers()
    _records()


def _pending_records() -> None:
    op.create_table(
        "pending_records",
        sa.Column("object_name", sa.String(length=255), nullable=False),
        sa.Column("record", sa.String(length=36), nullable=False),
        sa.Column("patient", sa.String(length=36), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("object_name", name=op.f("pk_pending_records")),
    )
    op.create_index(op.f("ix_pending_records_created"), "pending_records", ["created"])


def _patients() -> None:
    op.create_table(
        "patients",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("founder", sa.String(length=36), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("key_version", COUNT, nullable=False),
        sa.Column("recovery_key", sa.LargeBinary(), nullable=True),
        sa.Column("demographics", sa.LargeBinary(), nullable=True),
        sa.Column("record_counter", COUNT, nullable=False),
        sa.Column("erased_at", sa.BigInteger(), nullable=True),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(["founder"], ["doctors.id"], name=op.f("fk_patients_founder")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patients")),
    )
    op.create_index(op.f("ix_patients_key_version"), "patients", ["key_version"])


def _grants() -> None:
    op.create_table(
        "grants",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("patient", sa.String(length=36), nullable=False),
        sa.Column("doctor", sa.String(length=36), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("statement", sa.LargeBinary(), nullable=False),
        sa.Column("parent", sa.String(length=36), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.String(length=36), nullable=True),
        sa.Column("log_index", COUNT, nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.CheckConstraint("role IN ('read', 'write', 'own')", name=op.f("ck_grants_role")),
        sa.ForeignKeyConstraint(["doctor"], ["doctors.id"], name=op.f("fk_grants_doctor")),
        sa.ForeignKeyConstraint(["parent"], ["grants.id"], name=op.f("fk_grants_parent")),
        sa.ForeignKeyConstraint(["patient"], ["patients.id"], name=op.f("fk_grants_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
    )
    op.create_index(op.f("ix_grants_doctor_id"), "grants", ["doctor", "id"])
    op.create_index(op.f("ix_grants_parent"), "grants", ["parent"])
    op.create_index(op.f("ix_grants_patient_doctor"), "grants", ["patient", "doctor"])


def _record_numbers() -> None:
    op.create_table(
        "record_numbers",
        sa.Column("blind_index", sa.String(length=64), nullable=False),
        sa.Column("patient", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["patient"], ["patients.id"], name=op.f("fk_record_numbers_patient")),
        sa.PrimaryKeyConstraint("blind_index", name=op.f("pk_record_numbers")),
    )
    op.create_index(op.f("ix_record_numbers_patient"), "record_numbers", ["patient"])


def _records() -> None:
    op.create_table(
        "records",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("patient", sa.String(length=36), nullable=False),
        sa.Column("author", sa.String(length=36), nullable=False),
        sa.Column("manifest_hash", sa.String(length=64), nullable=False),
        sa.Column("record_hash", sa.String(length=64), nullable=False),
        sa.Column("object_name", sa.String(length=255), nullable=False),
        sa.Column("size", COUNT, nullable=False),
        sa.Column("wrapped_dek", sa.LargeBinary(), nullable=True),
        sa.Column("sealed_manifest", sa.LargeBinary(), nullable=False),
        sa.Column("counter", COUNT, nullable=False),
        sa.Column("replaces", sa.String(length=36), nullable=True),
        sa.Column("replaced_by", sa.String(length=36), nullable=True),
        sa.Column("log_index", COUNT, nullable=False),
        sa.Column("stored_at", sa.BigInteger(), nullable=False),
        sa.Column("damaged_at", sa.BigInteger(), nullable=True),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(["author"], ["doctors.id"], name=op.f("fk_records_author")),
        sa.ForeignKeyConstraint(["patient"], ["patients.id"], name=op.f("fk_records_patient")),
        sa.ForeignKeyConstraint(["replaced_by"], ["records.id"], name=op.f("fk_records_replaced_by")),
        sa.ForeignKeyConstraint(["replaces"], ["records.id"], name=op.f("fk_records_replaces")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_records")),
        sa.UniqueConstraint("log_index", name=op.f("uq_records_log_index")),
        sa.UniqueConstraint("object_name", name=op.f("uq_records_object_name")),
        sa.UniqueConstraint("patient", "counter", name=op.f("uq_records_patient_counter")),
        sa.UniqueConstraint("replaced_by", name=op.f("uq_records_replaced_by")),
        sa.UniqueConstraint("replaces", name=op.f("uq_records_replaces")),
    )
    op.create_index(op.f("ix_records_author_log_index"), "records", ["author", "log_index"])
