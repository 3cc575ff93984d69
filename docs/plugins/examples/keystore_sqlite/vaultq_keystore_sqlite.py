"""`[keystore] name = "sqlite"`: keys in an SQLite file under a sealing key, and that one under a passphrase."""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from vaultq_core.crypto import passphrase, wrapping
from vaultq_core.errors import KeyNotFound, KeystoreError, KeystoreUnavailable, NotVerified
from vaultq_core.private_files import read_private, write_private
from vaultq_core.spi import keystore as spi
from vaultq_core.spi.hooks import Kind, Plugin, hookimpl
from vaultq_core.spi.keystore import KeyId, KeyInfo, WrappedKey
from vaultq_core.spi.secrets import SecretCallback, SecretRequest

LABEL = "example/keystore-sqlite/v1"
# A destroyed key keeps its row, without material, so that its version never names another key.
TABLE = "CREATE TABLE keys (purpose, algorithm, version, created, material, PRIMARY KEY (purpose, version))"
LIST = "SELECT purpose, algorithm, version, created FROM keys WHERE material IS NOT NULL ORDER BY purpose, version"
CURRENT = "SELECT algorithm, max(version) FROM keys WHERE purpose = ? AND material IS NOT NULL GROUP BY purpose"
NEWEST = "SELECT algorithm, max(version) FROM keys WHERE purpose = ? GROUP BY purpose"
FIND = "SELECT material FROM keys WHERE (purpose, algorithm, version) = (?, ?, ?) AND material IS NOT NULL"
DESTROY = "UPDATE keys SET material = NULL WHERE (purpose, algorithm, version) = (?, ?, ?) AND material IS NOT NULL"


class SqliteKeystore:
    """See vaultq_core.spi.keystore.Keystore. Nothing is remembered between calls: another process may change it."""

    def __init__(self, path: str, sealing_key: bytes) -> None:
        self._path, self._sealing_key, self._closed = path, sealing_key, False
        self._database, self._lock = _connect(path), threading.Lock()  # one thread at a time

    def info(self) -> spi.KeystoreInfo:
        with self._transaction() as database:
            rows = database.execute(LIST).fetchall()
        keys = tuple(KeyInfo(KeyId(*row[:3]), spi.Provenance.MADE_HERE, row[3]) for row in rows)
        return spi.KeystoreInfo("sqlite", self._path, keys)

    def create_key(self, purpose: str, algorithm: str, *, above: int = 0) -> KeyId:
        with self._transaction() as database:
            known, version = database.execute(NEWEST, (purpose,)).fetchone() or (algorithm, 0)
            if known != algorithm:
                raise KeystoreError(f"keys for {purpose} are {known}, not {algorithm}")
            key_id = KeyId(purpose, algorithm, max(version, above) + 1)  # raises Malformed
            sealed = wrapping.wrap(self._sealing_key, _generate(algorithm), str(key_id).encode())
            row = (*astuple(key_id), int(time.time()), sealed)
            database.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?)", row)
        return key_id

    def current_key(self, purpose: str) -> KeyId:
        with self._transaction() as database:
            row = database.execute(CURRENT, (purpose,)).fetchone()
        if row is None:
            raise KeyNotFound(f"the keystore holds no key for {purpose}")
        return KeyId(purpose, *row)

    def wrap_key(self, key: bytes, *, aad: bytes, key_id: KeyId | None = None) -> WrappedKey:
        spi.require_wrappable(key, aad)
        used = key_id or self.current_key(spi.MASTER)
        return WrappedKey(used, spi.AES_256_GCM, wrapping.wrap(self._material(used, spi.AES_256), key, aad))

    def unwrap_key(self, wrapped: WrappedKey, *, aad: bytes) -> bytes:
        material = self._material(wrapped.key_id, spi.AES_256)
        if wrapped.algorithm != spi.AES_256_GCM:
            raise NotVerified(f"the keystore does not unwrap by {wrapped.algorithm}")
        return wrapping.unwrap(material, wrapped.ciphertext, aad)

    def destroy_key(self, key_id: KeyId) -> None:
        with self._transaction() as database:
            if not database.execute(DESTROY, astuple(key_id)).rowcount:
                raise KeyNotFound(f"the keystore does not hold the key {key_id}")

    def signer(self, key_id: KeyId) -> ec.EllipticCurvePrivateKey:
        number = int.from_bytes(self._material(key_id, spi.EC_P384), "big")
        return ec.derive_private_key(number, ec.SECP384R1())

    def close(self) -> None:
        with self._lock:
            self._closed, self._sealing_key = True, b""
            self._database.close()

    def _material(self, key_id: KeyId, algorithm: str) -> bytes:
        if key_id.algorithm != algorithm:
            raise KeystoreError(f"the key {key_id} is of the wrong kind for this")
        with self._transaction() as database:
            row = database.execute(FIND, astuple(key_id)).fetchone()
            if row is None:
                raise KeyNotFound(f"the keystore does not hold the key {key_id}")
            return wrapping.unwrap(self._sealing_key, row[0], str(key_id).encode())

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._closed:
                raise KeystoreUnavailable("the keystore is closed")
            with self._database as database:  # commits, or takes everything back
                database.execute("BEGIN IMMEDIATE")
                yield database


class SqliteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    path: str  # of the database
    passphrase_file: str | None = None  # else a systemd credential, else whoever starts the server types it


def asks(settings: SqliteSettings) -> SecretRequest:
    return SecretRequest("passphrase of the keystore", "vaultq-keystore-passphrase", settings.passphrase_file)


def create(settings: SqliteSettings, secret: SecretCallback, cost: passphrase.Cost | None = None) -> SqliteKeystore:
    box = passphrase.seal(secrets.token_bytes(wrapping.KEY_BYTES), secret().reveal(), label=LABEL, cost=cost)
    write_private(settings.path, b"", create_only=True)  # mode 0600; raises Conflict where something is
    with closing(_connect(settings.path)) as database:
        database.execute(TABLE)
    write_private(settings.path + ".sealing-key", box, create_only=True)
    return open_keystore(settings, secret)


def open_keystore(settings: SqliteSettings, secret: SecretCallback) -> SqliteKeystore:
    box = read_private(settings.path + ".sealing-key", passphrase.BOX_BYTES)  # raises InsecureFile
    return SqliteKeystore(settings.path, passphrase.unseal(box, secret().reveal(), label=LABEL))


@hookimpl
def vaultq_keystore() -> Plugin[SqliteSettings, SqliteKeystore]:
    return Plugin("sqlite", Kind.KEYSTORE, SqliteSettings, asks, create, open_keystore)


def _connect(path: str) -> sqlite3.Connection:
    address = f"{Path(path).absolute().as_uri()}?mode=rw"  # never makes a file
    database = sqlite3.connect(address, uri=True, timeout=30, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA synchronous = EXTRA")  # durable on return, a destruction too
    database.execute("PRAGMA secure_delete = ON")  # zeros where a destroyed key was
    return database


def _generate(algorithm: str) -> bytes:
    if algorithm == spi.AES_256:
        return secrets.token_bytes(wrapping.KEY_BYTES)
    return ec.generate_private_key(ec.SECP384R1()).private_numbers().private_value.to_bytes(48, "big")
