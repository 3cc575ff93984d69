"""A real vault, to kill and to weigh down."""

from __future__ import annotations

from tests.fixtures.exposed_vault import keystore, vault

__all__ = ["keystore", "vault"]
