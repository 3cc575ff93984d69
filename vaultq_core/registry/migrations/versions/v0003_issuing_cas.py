"""Schema 0003: issuing CAs are replaced, and certificates renewed."""

from __future__ import annotations

from vaultq_core.registry.migrations.v0003 import cas

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables."""
    cas.create()
