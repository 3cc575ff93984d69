"""The storage plug point: what a directory or a bucket has to do for VaultQ.

Objects are written once, never changed, and named by vaultq_core.spi.names. What they hold is sealed
already: a storage keeps bytes safe, not secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

SMALL_OBJECT_BYTES = 4 * 1024 * 1024  # up to here create-only is atomic in every storage


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object that is completely there; `size` in bytes."""

    name: str
    size: int


class Storage(Protocol):
    """Keeps objects. Threads and processes may use one storage at the same time.

    Every method may raise StorageUnavailable (does not answer, no room) and StorageError (refuses, among
    others every name that vaultq_core.spi.names does not know).
    """

    def put_new(self, name: str, chunks: Iterable[bytes]) -> StoredObject:
        """Store an object under a name that nothing has yet; complete and durable on return.

        An exception from `chunks` comes out unchanged and leaves no object, like every other failure.
        Create-only is atomic for objects of up to SMALL_OBJECT_BYTES; above that the caller's names are
        unique by construction. Raises ObjectExists.
        """
        ...

    def open(self, name: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Return the object's bytes in chunks of at most 8 MiB, from `offset` on, at most `length` of them.

        Beyond the end there is nothing: an empty iterator, no error. Raises ObjectMissing at once, not at
        the first chunk; StorageError for a negative `offset` or `length`.
        """
        ...

    def stat(self, name: str) -> StoredObject:
        """Return name and size. Raises ObjectMissing."""
        ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield every complete object whose name begins with `prefix` (see names.list_prefix), in order of name.

        Foreign files are passed over; an object made or deleted meanwhile may be there or not.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove an object; durable on return. An object that is not there is no error, so a retry is safe."""
        ...

    def close(self) -> None:
        """Let go of the backend; may be called twice. Later calls raise StorageUnavailable."""
        ...
