"""Reading a stored object, or a range of it, chunk by chunk."""

from __future__ import annotations

import os
from collections.abc import Iterator

from vaultq_storage_fs.problems import system_errors

CHUNK_BYTES = 1024 * 1024


class Reader:
    """An iterator over an open file's bytes; it closes the file at the end, at `close`, or when it is dropped."""

    def __init__(self, descriptor: int, name: str, offset: int, length: int) -> None:
        self._descriptor = descriptor
        self._name = name
        self._offset = offset
        self._left = length

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = self._read() if self._left and self._descriptor >= 0 else b""
        if not chunk:
            self.close()
            raise StopIteration
        self._offset += len(chunk)
        self._left -= len(chunk)
        return chunk

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; may be called twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _read(self) -> bytes:
        with system_errors(self._name):
            return os.pread(self._descriptor, min(CHUNK_BYTES, self._left), self._offset)
