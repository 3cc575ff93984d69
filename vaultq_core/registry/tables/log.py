"""Tables of the transparency log: entries, the hashes of the tree (level 0 are the leaves), checkpoints, the head."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, Text

from vaultq_core.registry.tables.base import Blob, Count, Id, Mac, Time, Word, metadata, only_row

log_entries = Table(
    "log_entries",
    metadata,
    Column("log_index", Count, primary_key=True, autoincrement=False),
    Column("time", Time, nullable=False),
    Column("kind", Word, nullable=False),
    Column("actor", Id),
    Column("subject", Id),
    Column("patient", Id),
    Column("record", Id),
    Column("entry", Blob, nullable=False),
    Column("salt", Blob),
    Column("checkpoint_size", Count, nullable=False),
    Index(None, "time"),
    Index(None, "kind", "log_index"),
    Index(None, "actor", "log_index"),
    Index(None, "subject", "log_index"),
    Index(None, "patient", "log_index"),
    Index(None, "record", "log_index"),
)

tree_nodes = Table(
    "tree_nodes",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("node_index", Count, primary_key=True, autoincrement=False),
    Column("hash", Blob, nullable=False),
)

# Those that a receipt was given under, so that it can be given again byte for byte.
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("size", Count, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
)

log_head = Table(
    "log_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", Count, nullable=False),
    Column("root", Blob, nullable=False),
    Column("frontier", Blob, nullable=False),
    Column("time", Time, nullable=False),
    Column("note", Text, nullable=False),
    Column("mac", Mac, nullable=False),
    only_row(),
)
