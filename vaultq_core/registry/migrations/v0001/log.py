"""Schema 0001: tables of the transparency log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def create() -> None:
    """Create the tables, in an order that foreign keys allow."""
    _checkpoints()
    _log_entries()
    _log_head()
    _tree_nodes()


def _checkpoints() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("size", COUNT, autoincrement=False, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_checkpoints")),
    )


def _log_entries() -> None:
    op.create_table(
        "log_entries",
        sa.Column("log_index", COUNT, autoincrement=False, nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=36), nullable=True),
        sa.Column("subject", sa.String(length=36), nullable=True),
        sa.Column("patient", sa.String(length=36), nullable=True),
        sa.Column("record", sa.String(length=36), nullable=True),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("checkpoint_size", COUNT, nullable=False),
        sa.PrimaryKeyConstraint("log_index", name=op.f("pk_log_entries")),
    )
    op.create_index(op.f("ix_log_entries_actor_log_index"), "log_entries", ["actor", "log_index"])
    op.create_index(op.f("ix_log_entries_kind_log_index"), "log_entries", ["kind", "log_index"])
    op.create_index(op.f("ix_log_entries_patient_log_index"), "log_entries", ["patient", "log_index"])
    op.create_index(op.f("ix_log_entries_record_log_index"), "log_entries", ["record", "log_index"])
    op.create_index(op.f("ix_log_entries_subject_log_index"), "log_entries", ["subject", "log_index"])
    op.create_index(op.f("ix_log_entries_time"), "log_entries", ["time"])


def _log_head() -> None:
    op.create_table(
        "log_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", COUNT, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_log_head_only_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_head")),
    )


def _tree_nodes() -> None:
    op.create_table(
        "tree_nodes",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("node_index", COUNT, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "node_index", name=op.f("pk_tree_nodes")),
    )
