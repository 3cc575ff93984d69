"""Two keystores as one, while keys move from the old to the new.

A key's id is never given twice over the two, so the id alone says where a key lives: only that is remembered between
calls. A key that another process makes or destroys counts at once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import ec

from vaultq_core.errors import KeyNotFound
from vaultq_core.spi.keystore import MASTER, KeyId, Keystore, KeystoreInfo, WrappedKey

T = TypeVar("T")


class MovingKeystore:
    """See Keystore. The new keystore takes over purpose by purpose; it makes keys once it holds a master key."""

    def __init__(self, old: Keystore, new: Keystore) -> None:
        self.old = old
        self.new = new
        self._homes: dict[KeyId, Keystore] = {}

    def info(self) -> KeystoreInfo:
        """See Keystore. Backend and place are those of the keystore that makes keys now; keys are those of both."""
        old, new = self.old.info(), self.new.info()
        makes = new if self._holds_master() else old
        keys = tuple(sorted((*old.keys, *new.keys), key=lambda each: each.key_id))
        return KeystoreInfo(makes.backend, makes.place, keys, details=makes.details)

    def create_key(self, purpose: str, algorithm: str, *, above: int = 0) -> KeyId:
        """See Keystore. The version is also greater than any that the other keystore holds."""
        makes, other = (self.new, self.old) if self._holds_master() else (self.old, self.new)
        held = (each.key_id.version for each in other.info().keys if each.key_id.purpose == purpose)
        return makes.create_key(purpose, algorithm, above=max(above, *held, 0))

    def current_key(self, purpose: str) -> KeyId:
        """See Keystore. The new keystore's if it has one."""
        return self._new_or_old(lambda keystore: keystore.current_key(purpose))

    def wrap_key(self, key: bytes, *, aad: bytes, key_id: KeyId | None = None) -> WrappedKey:
        """See Keystore."""
        if key_id is None:
            return self._new_or_old(lambda keystore: keystore.wrap_key(key, aad=aad))
        return self._where_it_lives(key_id, lambda keystore: keystore.wrap_key(key, aad=aad, key_id=key_id))

    def unwrap_key(self, wrapped: WrappedKey, *, aad: bytes) -> bytes:
        """See Keystore."""
        return self._where_it_lives(wrapped.key_id, lambda keystore: keystore.unwrap_key(wrapped, aad=aad))

    def destroy_key(self, key_id: KeyId) -> None:
        """See Keystore."""
        self._where_it_lives(key_id, lambda keystore: keystore.destroy_key(key_id))

    def signer(self, key_id: KeyId) -> ec.EllipticCurvePrivateKey:
        """See Keystore."""
        return self._where_it_lives(key_id, lambda keystore: keystore.signer(key_id))

    def close(self) -> None:
        """See Keystore. Closes both, the second even when the first cannot be closed."""
        with ExitStack() as closing:
            closing.callback(self.old.close)
            closing.callback(self.new.close)

    def _holds_master(self) -> bool:
        try:
            self.new.current_key(MASTER)
        except KeyNotFound:
            return False
        return True

    def _new_or_old(self, call: Callable[[Keystore], T]) -> T:
        """Return what the new keystore answers, or the old one where the new does not hold the key."""
        try:
            return call(self.new)
        except KeyNotFound:
            return call(self.old)

    def _where_it_lives(self, key_id: KeyId, call: Callable[[Keystore], T]) -> T:
        """Return what the key's keystore answers. Raises KeyNotFound when neither has it, or not any more."""
        home = self._homes.get(key_id, self.new)
        try:
            answer = call(home)
        except KeyNotFound:  # in a token, looking in vain takes longer than using a key
            home = self.old if home is self.new else self.new
            answer = call(home)
        self._homes[key_id] = home
        return answer


def parts(keystore: Keystore) -> tuple[Keystore, ...]:
    """Return the keystores that `keystore` stands for, the old one first."""
    return (keystore.old, keystore.new) if isinstance(keystore, MovingKeystore) else (keystore,)
