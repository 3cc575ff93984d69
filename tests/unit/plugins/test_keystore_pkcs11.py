"""The PKCS#11 keystore on a real SoftHSM: the contract whole, by both ways of wrapping and with a pool of sessions."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import pytest

from softhsm.make_token import CONFIGURATION, PIN_FILE, find_module, make_token
from vaultq_core.spi.secrets import Secret
from vaultq_core.spi.testing import KeystoreContract
from vaultq_core.spi.testing.key_use_contract import Reopen
from vaultq_keystore_pkcs11.keystore import Pkcs11Keystore
from vaultq_keystore_pkcs11.plugin import open_keystore
from vaultq_keystore_pkcs11.settings import Pkcs11Settings


def open_in(directory: Path, settings: Pkcs11Settings) -> Pkcs11Keystore:
    """Open the token in `directory`, in whichever process this runs."""
    os.environ["SOFTHSM2_CONF"] = str(directory / CONFIGURATION)
    pin = (directory / PIN_FILE).read_text(encoding="utf-8").strip()
    return open_keystore(settings, lambda: Secret(pin))


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "token"
    make_token(place)
    monkeypatch.setenv("SOFTHSM2_CONF", str(place / CONFIGURATION))
    return place


@pytest.fixture
def settings() -> Pkcs11Settings:
    return Pkcs11Settings(module=find_module(), token="vaultq")


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
