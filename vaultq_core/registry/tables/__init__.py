"""The tables, by subject; `base.metadata` knows all once this package is imported. Migrations make them."""

from __future__ import annotations

from vaultq_core.registry.tables import log, patients, people, vault
from vaultq_core.registry.tables.base import metadata

__all__ = ["log", "metadata", "patients", "people", "vault"]
