"""Schema 0002: who serves this vault now, and which keystore its keys move to."""

from __future__ import annotations

from vaultq_core.registry.migrations.v0002 import vault

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables."""
    vault.create()
