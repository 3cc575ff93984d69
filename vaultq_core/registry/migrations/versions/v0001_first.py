"""Schema 0001: all tables of the first version."""

from __future__ import annotations

from vaultq_core.registry.migrations.v0001 import log, patients, people, vault

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    vault.create()
    people.create()
    patients.create()
    log.create()
