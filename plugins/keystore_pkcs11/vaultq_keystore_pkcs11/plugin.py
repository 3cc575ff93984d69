"""The plug-in: `[keystore] name = "pkcs11"` and its settings under `[keystore.pkcs11]`."""

from __future__ import annotations

import time

from vaultq_core.errors import VaultQError
from vaultq_core.spi.hooks import Kind, Plugin, hookimpl
from vaultq_core.spi.secrets import SecretCallback
from vaultq_keystore_pkcs11.connection import Token
from vaultq_keystore_pkcs11.keystore import Pkcs11Keystore
from vaultq_keystore_pkcs11.settings import Pkcs11Settings, asks, target_of


def create(settings: Pkcs11Settings, pin: SecretCallback) -> Pkcs11Keystore:
    """Open a token that holds no key of VaultQ yet. Raises Conflict when it does, and what `open_keystore` raises."""
    keystore = open_keystore(settings, pin)
    try:
        keystore.require_empty()
    except VaultQError:
        keystore.close()
        raise
    return keystore


def open_keystore(settings: Pkcs11Settings, pin: SecretCallback) -> Pkcs11Keystore:
    """Log in to the token. Call it after the fork only.

    Raises ConfigInvalid (no such module), KeystoreUnavailable (no such token), WrongPassphrase (the PIN), KeystoreError
    (the token lacks a mechanism).
    """
    token = Token(target_of(settings), pin(), sessions=settings.sessions, seconds=settings.timeout_seconds)
    try:
        return Pkcs11Keystore(token, wrapping=settings.wrapping, clock=_now)
    except VaultQError:
        token.close()
        raise


@hookimpl
def vaultq_keystore() -> Plugin[Pkcs11Settings, Pkcs11Keystore]:
    """Register the plug-in."""
    return Plugin(
        name="pkcs11", kind=Kind.KEYSTORE, settings=Pkcs11Settings, asks=asks, create=create, open=open_keystore
    )


def _now() -> int:
    return int(time.time())
