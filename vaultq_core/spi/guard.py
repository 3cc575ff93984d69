"""The border to a plug-in: whatever it raises, only VaultQErrors come out.

A foreign exception becomes KeystoreUnavailable or StorageUnavailable with its class name and nothing else: its
text may hold a path, a PIN or an address, and so may what it was raised from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, ParamSpec, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec

from vaultq_core.errors import KeystoreError, KeystoreUnavailable, StorageUnavailable, Unavailable, VaultQError
from vaultq_core.spi.keystore import KeyId, Keystore, KeystoreInfo, WrappedKey
from vaultq_core.spi.names import list_prefix, object_name
from vaultq_core.spi.signer import BorderSigner
from vaultq_core.spi.storage import Storage, StoredObject

P = ParamSpec("P")
T = TypeVar("T")


class Border:
    """Calls a plug-in's code; `what` names it in messages ("the storage s3")."""

    def __init__(self, what: str, unavailable: type[Unavailable]) -> None:
        self._what = what
        self._unavailable = unavailable

    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the function returns. Raises VaultQErrors; lets through what ends the process."""
        try:
            return function(*args, **kwargs)
        except (VaultQError, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a panic of a Rust extension is no Exception
            foreign = type(error).__name__
        raise self._unavailable(f"{self._what} failed: {foreign}")  # out here, so that it carries no context


class GuardedIterator(Generic[T]):
    """An iterator of a plug-in, guarded at every step; `close` may be called at any time."""

    def __init__(self, border: Border, inner: Iterator[T]) -> None:
        self._border = border
        self._inner = inner
        self._end = object()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        item: object = self._border.call(next, self._inner, self._end)
        if item is self._end:
            raise StopIteration
        return item  # type: ignore[return-value]  # either the end or a T

    def close(self) -> None:
        """Let go of what the iterator holds open, if it holds something."""
        close = getattr(self._inner, "close", None)
        if close is not None:
            self._border.call(close)


class GuardedKeystore:
    """A keystore behind the border; see Keystore for what its methods do."""

    def __init__(self, inner: Keystore, name: str) -> None:
        self._inner = inner
        self._name = name
        self._border = Border(f"the keystore {name}", KeystoreUnavailable)

    def info(self) -> KeystoreInfo:
        """See Keystore."""
        return self._border.call(self._inner.info)

    def create_key(self, purpose: str, algorithm: str, *, above: int = 0) -> KeyId:
        """See Keystore."""
        return self._border.call(self._inner.create_key, purpose, algorithm, above=above)

    def current_key(self, purpose: str) -> KeyId:
        """See Keystore."""
        return self._border.call(self._inner.current_key, purpose)

    def wrap_key(self, key: bytes, *, aad: bytes, key_id: KeyId | None = None) -> WrappedKey:
        """See Keystore."""
        return self._border.call(self._inner.wrap_key, key, aad=aad, key_id=key_id)

    def unwrap_key(self, wrapped: WrappedKey, *, aad: bytes) -> bytes:
        """See Keystore."""
        return self._border.call(self._inner.unwrap_key, wrapped, aad=aad)

    def destroy_key(self, key_id: KeyId) -> None:
        """See Keystore."""
        self._border.call(self._inner.destroy_key, key_id)

    def signer(self, key_id: KeyId) -> ec.EllipticCurvePrivateKey:
        """See Keystore. What it returns is guarded as well, and never gives the private key away."""
        return BorderSigner(self._border.call(self._inner.signer, key_id), self._border.call)

    def import_signing_key(self, purpose: str, key: ec.EllipticCurvePrivateKey, *, above: int = 0) -> KeyId:
        """See SigningKeyImporter. Raises KeystoreError when the keystore is none."""
        take = self._extra("import_signing_key", "takes no keys that were made elsewhere")
        taken: KeyId = self._border.call(take, purpose, key, above=above)
        return taken

    def export_signing_key(self, key_id: KeyId) -> ec.EllipticCurvePrivateKey:
        """See SigningKeyExporter. Raises KeystoreError when the keystore is none."""
        give = self._extra("export_signing_key", "does not give its keys away")
        key: ec.EllipticCurvePrivateKey = self._border.call(give, key_id)
        return key

    def close(self) -> None:
        """See Keystore."""
        self._border.call(self._inner.close)

    def _extra(self, name: str, otherwise: str) -> Callable[..., Any]:
        extra: Callable[..., Any] | None = getattr(self._inner, name, None)
        if extra is None:
            raise KeystoreError(f"the keystore {self._name} {otherwise}")
        return extra


class GuardedStorage:
    """A storage behind the border; names are checked before they go in and when they come out."""

    def __init__(self, inner: Storage, name: str) -> None:
        self._inner = inner
        self._border = Border(f"the storage {name}", StorageUnavailable)

    def put_new(self, name: str, chunks: Iterable[bytes]) -> StoredObject:
        """See Storage. What `chunks` raises comes out unchanged, whatever the plug-in makes of it."""
        source = _CallersChunks(chunks)
        result: StoredObject | VaultQError
        try:
            result = self._border.call(self._inner.put_new, object_name(name), source)
        except VaultQError as error:
            result = error
        if source.failure is not None:  # out here, so that it carries no other context
            raise source.failure
        if isinstance(result, VaultQError):
            raise result
        return result

    def open(self, name: str, *, offset: int = 0, length: int | None = None) -> GuardedIterator[bytes]:
        """See Storage. Close what it returns when it is not read to its end."""
        inner = self._border.call(self._inner.open, object_name(name), offset=offset, length=length)
        return GuardedIterator(self._border, inner)

    def stat(self, name: str) -> StoredObject:
        """See Storage."""
        return self._border.call(self._inner.stat, object_name(name))

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See Storage."""
        found = GuardedIterator(self._border, self._border.call(self._inner.list, list_prefix(prefix)))
        return (StoredObject(object_name(each.name), each.size) for each in found)

    def delete(self, name: str) -> None:
        """See Storage."""
        self._border.call(self._inner.delete, object_name(name))

    def close(self) -> None:
        """See Storage."""
        self._border.call(self._inner.close)


class _CallersChunks:
    """The caller's chunks, remembering what they raised."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.failure: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except StopIteration:
            raise
        except BaseException as error:
            self.failure = error
            raise
