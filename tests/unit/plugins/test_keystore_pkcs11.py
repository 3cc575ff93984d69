"""The PKCS#11 keystore on a real SoftHSM: the contract whole, by both ways of wrapping and with a pool of sessions."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from softhsm.make_token import find_module
from tests.fixtures.token import directory, open_in, settings
from vaultq_core.spi.testing import KeystoreContract
from vaultq_core.spi.testing.key_use_contract import Reopen
from vaultq_keystore_pkcs11.settings import Pkcs11Settings

__all__ = ["directory", "settings"]


class TestTokenKeystore(KeystoreContract):
    @pytest.fixture
    def reopen(self, directory: Path, settings: Pkcs11Settings) -> Reopen:
        return functools.partial(open_in, directory, settings)


class TestTokenKeystoreByKeyWrap(TestTokenKeystore):
    @pytest.fixture
    def settings(self) -> Pkcs11Settings:
        return Pkcs11Settings(module=find_module(), token="vaultq", wrapping="AES-256-KW")


class TestTokenKeystoreWithSessions(TestTokenKeystore):
    @pytest.fixture
    def settings(self) -> Pkcs11Settings:
        return Pkcs11Settings(module=find_module(), token="vaultq", sessions=4)
