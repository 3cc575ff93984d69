"""Authentication of rows: who can write to the database alone cannot make a doctor active or a grant wider.

An older row, put back whole, still verifies: the log shows what happened since.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from vaultq_core.errors import RecordDamaged

ROW_KEY_BYTES = 32

Value = str | int | bytes | None
"""What a column of an authenticated table may hold."""

_LABEL = b"vaultq/row/v1"


class RowAuth:
    """HMAC-SHA-256 under the vault's row key over a table's name and all columns of a row but `mac`."""

    def __init__(self, row_key: bytes) -> None:
        if len(row_key) != ROW_KEY_BYTES:
            raise ValueError(f"a row key has {ROW_KEY_BYTES} bytes")
        self._row_key = row_key

    def mac(self, table: str, values: Mapping[str, Value]) -> bytes:
        """Return the 32-byte code of a row; the order of `values` does not matter."""
        return self._hmac(table, values).finalize()

    def verify_row(self, table: str, key: str, values: Mapping[str, Value], mac: bytes) -> Mapping[str, Value]:
        """Return `values` if `mac` is theirs. Raises RecordDamaged naming the table and the row's key."""
        try:
            self._hmac(table, values).verify(mac)
        except InvalidSignature:
            raise RecordDamaged(f"row {key} of {table} is not what VaultQ wrote") from None
        return values

    def _hmac(self, table: str, values: Mapping[str, Value]) -> HMAC:
        code = HMAC(self._row_key, SHA256())
        columns = (part for name in sorted(values) for part in (name.encode(), _typed(values[name])))
        code.update(b"".join(map(_prefixed, (_LABEL, table.encode(), *columns))))
        return code


def _prefixed(field: bytes) -> bytes:
    return len(field).to_bytes(4, "big") + field


def _typed(value: Value) -> bytes:
    """Return the value under a letter for its type, so that no two values of different types look alike."""
    if value is None:
        return b"n"
    if isinstance(value, bytes):
        return b"b" + value
    if isinstance(value, int):
        return b"i" + str(value).encode()
    return b"s" + value.encode()
