"""Unambiguous concatenation for labels that cryptography binds to (docs/spec/keys.md)."""

from __future__ import annotations

from collections.abc import Iterable

from vaultq_core.errors import Malformed

WRAP_LABEL = b"vaultq/wrap/v1"
MOST_FIELD_BYTES = 0xFFFF


def length_prefixed(fields: Iterable[bytes]) -> bytes:
    """Return each field behind its length (u16, big-endian). Raises Malformed above 65,535 bytes."""
    out = bytearray()
    for field in fields:
        if len(field) > MOST_FIELD_BYTES:
            raise Malformed("a field of a label has more than 65,535 bytes")
        out += len(field).to_bytes(2, "big") + field
    return bytes(out)


def wrap_aad(vault: str, purpose: str, owner: str, version: int) -> bytes:
    """Return what a wrapped key is bound to: its vault, purpose, owner and its own version.

    `owner` is a patient id, `patient/record`, or the name of a vault key.
    """
    fields = (vault.encode(), purpose.encode(), owner.encode(), str(version).encode())
    return length_prefixed((WRAP_LABEL, *fields))
