"""Canonical JSON: one value has exactly one encoding (docs/spec/canonical-json.md).

Fixed field order (the order of the struct), no spaces, UTF-8 in NFC, no duplicate or unknown keys.
msgspec alone accepts duplicate keys, spaces and escapes; decoding therefore encodes the value again
and refuses anything but the very same bytes.
"""

from __future__ import annotations

import unicodedata
from typing import Any, TypeVar, overload

import msgspec

from vaultq_core.errors import LimitExceeded, Malformed

T = TypeVar("T", bound=msgspec.Struct)

_ENCODER = msgspec.json.Encoder()


def encode(value: msgspec.Struct) -> bytes:
    """Return the canonical bytes of `value`. Raises Malformed when a string is not in NFC, or is no Unicode."""
    try:
        data = _ENCODER.encode(value)
    except UnicodeEncodeError:  # a lone surrogate, as file names that are not UTF-8 have
        raise Malformed("a string is not valid Unicode") from None
    _require_nfc(data)
    return data


@overload
def decode(data: bytes, kind: type[T], *, limit: int) -> T: ...
@overload
def decode(data: bytes, kind: Any, *, limit: int) -> Any: ...
def decode(data: bytes, kind: Any, *, limit: int) -> Any:
    """Return the `kind` (a struct, or a union of tagged ones) that `data` encodes; `limit` is in bytes.

    Raises LimitExceeded before parsing, Malformed for unknown, missing or wrong fields and for every
    encoding but the canonical one.
    """
    name = getattr(kind, "__name__", "tagged value")
    if len(data) > limit:
        raise LimitExceeded(f"{name} has {len(data)} bytes; the limit is {limit}")
    try:
        value = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"{name} cannot be decoded: {_first_line(error)}") from None
    if encode(value) != data:
        raise Malformed(f"{name} is not in canonical encoding")
    return value


def _require_nfc(data: bytes) -> None:
    if data.isascii():
        return
    if not unicodedata.is_normalized("NFC", data.decode()):
        raise Malformed("a string is not in Unicode normalisation form C")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
