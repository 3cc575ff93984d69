"""A real vault and its doctors, on every keystore."""

from __future__ import annotations

import pytest

from tests.fixtures.exposed_vault import KEYSTORES, ada, bob, founded, foundry, vault
from tools.throwaway_vault import KeystoreName

__all__ = ["ada", "bob", "founded", "foundry", "keystore", "vault"]


@pytest.fixture(scope="session", params=KEYSTORES)
def keystore(request: pytest.FixtureRequest) -> KeystoreName:
    """Every test of this suite runs on each keystore."""
    name: KeystoreName = request.param
    return name
