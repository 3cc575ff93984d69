"""Keys that the keystore wrapped: the vault's own, and the KEM keys of the months."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection

from vaultq_core.errors import NotFound
from vaultq_core.registry.rows import Rows
from vaultq_core.registry.tables import vault as tables


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedKey:
    """A key under the keystore key `key_id`, by its name: `pq-root`, `log-ed25519`, `row-key` and so on."""

    name: str
    wrapped: bytes = field(repr=False)
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KemKeyRow:
    """A month's KEM key, id `kem/<YYYY-MM>`; its seed is gone once it was destroyed. Times in POSIX seconds."""

    id: str
    public_key: bytes
    wrapped_seed: bytes | None = field(repr=False)
    key_id: str
    destroy_after: int


class SealedKeys:
    """The vault's wrapped keys by name."""

    def __init__(self) -> None:
        self._rows = Rows(tables.sealed_keys, SealedKey, "sealed key")

    def put(self, tx: Connection, key: SealedKey) -> None:
        """Add the key. Raises Conflict when the name is taken."""
        self._rows.insert(tx, key)

    def get(self, tx: Connection, name: str) -> SealedKey:
        """Return the key. Raises NotFound."""
        return self._rows.get(tx, name)

    def every(self, tx: Connection) -> tuple[SealedKey, ...]:
        """Return all keys by name: for rotation."""
        return self._rows.every(tx, order=tables.sealed_keys.c.name)

    def rewrap(self, tx: Connection, key: SealedKey, *, wrapped: bytes, key_id: str) -> SealedKey:
        """Replace the wrapping of the key that was read. Raises Conflict if it was rewrapped meanwhile."""
        return self._rows.change(tx, key, wrapped=wrapped, key_id=key_id)


class KemKeys:
    """The KEM keys of the months, to which clients seal."""

    def __init__(self) -> None:
        self._rows = Rows(tables.kem_keys, KemKeyRow, "KEM key")

    def put(self, tx: Connection, key: KemKeyRow) -> None:
        """Add the key. Raises Conflict when the month has a key."""
        self._rows.insert(tx, key)

    def get(self, tx: Connection, key: str) -> KemKeyRow:
        """Return the key of id `key`. Raises NotFound."""
        return self._rows.get(tx, key)

    def usable(self, tx: Connection) -> tuple[KemKeyRow, ...]:
        """Return the keys whose seed is still there, oldest first."""
        columns = tables.kem_keys.c
        return self._rows.every(tx, columns.wrapped_seed.is_not(None), order=columns.id)

    def due(self, tx: Connection, now: int) -> tuple[KemKeyRow, ...]:
        """Return the keys that are to be destroyed by now."""
        columns = tables.kem_keys.c
        return self._rows.every(tx, columns.wrapped_seed.is_not(None), columns.destroy_after <= now, order=columns.id)

    def keep_until(self, tx: Connection, key: str, destroy_after: int) -> KemKeyRow:
        """Put off a key's destruction: a newer statement names it too. Raises NotFound."""
        return self._rows.change(tx, self.get(tx, key), destroy_after=destroy_after)

    def destroy(self, tx: Connection, key: str) -> None:
        """Delete the wrapped seed; the public half stays. Raises NotFound when it is gone already."""
        row = self.get(tx, key)
        if row.wrapped_seed is None:
            raise NotFound(f"the seed of {key} was destroyed before")
        self._rows.change(tx, row, wrapped_seed=None)

    def rewrap(self, tx: Connection, key: KemKeyRow, *, wrapped_seed: bytes, key_id: str) -> KemKeyRow:
        """Replace the wrapping of the seed that was read. Raises Conflict if it changed meanwhile."""
        return self._rows.change(tx, key, wrapped_seed=wrapped_seed, key_id=key_id)
