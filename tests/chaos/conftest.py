"""A real vault, to kill and to weigh down."""

from __future__ import annotations

from tests.fixtures.exposed_vault import vault

__all__ = ["vault"]
