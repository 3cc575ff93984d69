"""A real vault and its doctors."""

from __future__ import annotations

from tests.fixtures.exposed_vault import ada, bob, founded, foundry, keystore, vault

__all__ = ["ada", "bob", "founded", "foundry", "keystore", "vault"]
