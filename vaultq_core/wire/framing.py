"""Length-framed headers: magic ‖ u32 length ‖ canonical JSON, as every binary format here begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from vaultq_core.errors import LimitExceeded, Malformed
from vaultq_core.wire import canonical
from vaultq_core.wire.limits import HEADER_BYTES

T = TypeVar("T", bound=msgspec.Struct)

LENGTH_BYTES = 4


class ByteStream:
    """Exact reads from an iterator of byte chunks; what was not read stays for `rest`.

    Raises Malformed where the input ends early.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._buffer = b""

    def read_exact(self, size: int) -> bytes:
        """Return the next `size` bytes. The caller has bounded `size`."""
        parts, missing = [self._buffer], size - len(self._buffer)
        while missing > 0:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise Malformed("the data ends early")
            parts.append(chunk)
            missing -= len(chunk)
        data = b"".join(parts)
        self._buffer = data[size:]
        return data[:size]

    def read_block(self, *, limit: int, what: str) -> bytes:
        """Return the block behind a u32 length. Raises LimitExceeded before reading it."""
        length = int.from_bytes(self.read_exact(LENGTH_BYTES), "big")
        if length > limit:
            raise LimitExceeded(f"{what} has {length} bytes; the limit is {limit}")
        return self.read_exact(length)

    def rest(self) -> Iterator[bytes]:
        """Yield all that is left, in the chunks it comes in."""
        if self._buffer:
            yield self._buffer
            self._buffer = b""
        yield from self._chunks


def block(data: bytes) -> bytes:
    """Return `data` behind its length, u32 big-endian."""
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def encode_header(magic: bytes, header: msgspec.Struct) -> bytes:
    """Return magic ‖ u32 length ‖ canonical header."""
    return magic + block(canonical.encode(header))


def read_header(stream: ByteStream, magic: bytes, kind: type[T]) -> tuple[T, bytes]:
    """Return the header and the exact bytes it was read from, magic and length included.

    Raises Malformed for another magic, LimitExceeded above HEADER_BYTES.
    """
    if stream.read_exact(len(magic)) != magic:
        raise Malformed(f"this is not a {kind.__name__}")
    raw = stream.read_block(limit=HEADER_BYTES, what=kind.__name__)
    return canonical.decode(raw, kind, limit=HEADER_BYTES), magic + block(raw)
