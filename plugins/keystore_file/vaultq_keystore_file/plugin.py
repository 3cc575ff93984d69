"""The plug-in: `[keystore] name = "file"` and its settings under `[keystore.file]`."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from vaultq_core.crypto.passphrase import Cost
from vaultq_core.spi.hooks import Kind, Plugin, hookimpl
from vaultq_core.spi.secrets import SecretCallback, SecretRequest
from vaultq_keystore_file.keystore import FileKeystore
from vaultq_keystore_file.sealed_file import SealedFile


class FileSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`path` of the sealed file; `passphrase_file`, mode 0600, when nobody types and systemd gives no credential."""

    path: str = "master_key.json"
    passphrase_file: str | None = None


def asks(settings: FileSettings) -> SecretRequest:
    """Say that the passphrase is needed."""
    return SecretRequest(
        label=f"passphrase of the keystore {settings.path}",
        credential="vaultq-keystore-passphrase",
        file=settings.passphrase_file,
    )


def create(settings: FileSettings, secret: SecretCallback, *, cost: Cost | None = None) -> FileKeystore:
    """Make a keystore with no keys in it. Raises Conflict when the file is there already, Usage without passphrase."""
    file = SealedFile(Path(settings.path), secret)
    file.create(cost or Cost())
    return FileKeystore(file, _now)


def open_keystore(settings: FileSettings, secret: SecretCallback) -> FileKeystore:
    """Open the keystore. Raises WrongPassphrase, InsecureFile, KeystoreError when there is none."""
    return FileKeystore(SealedFile(Path(settings.path), secret), _now)


@hookimpl
def vaultq_keystore() -> Plugin[FileSettings, FileKeystore]:
    """Register the plug-in."""
    return Plugin(name="file", kind=Kind.KEYSTORE, settings=FileSettings, asks=asks, create=create, open=open_keystore)


def _now() -> int:
    return int(time.time())
