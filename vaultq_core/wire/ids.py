r"""The names of things, as types that cannot be swapped, with the one pattern each must match.

Two uses: as field types of structs (msgspec checks the pattern when decoding) and through `parse`
at an edge that is no JSON (a command line, a path of a URL). Patterns end in \Z: `$` would let a final
newline through.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from vaultq_core.errors import Malformed

UUID4 = r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z"
HEX256 = r"^[0-9a-f]{64}\Z"
CROCKFORD10 = "[0-9abcdefghjkmnpqrstvwxyz]{10}"

RecordId = Annotated[str, msgspec.Meta(pattern=UUID4)]
PatientId = Annotated[str, msgspec.Meta(pattern=UUID4)]
GrantId = Annotated[str, msgspec.Meta(pattern=UUID4)]
DoctorId = Annotated[str, msgspec.Meta(pattern=rf"^dr-{CROCKFORD10}\Z")]
AdminId = Annotated[str, msgspec.Meta(pattern=rf"^ad-{CROCKFORD10}\Z")]
Sha256 = Annotated[str, msgspec.Meta(pattern=HEX256)]
VaultId = Sha256
SuiteId = Annotated[str, msgspec.Meta(pattern=r"^VQ-[0-9]{2}\Z")]
KemKeyId = Annotated[str, msgspec.Meta(pattern=r"^kem/[0-9]{4}-(0[1-9]|1[0-2])\Z")]

Time = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
"""POSIX seconds, UTC; within what every JSON parser holds exactly."""

Size = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Salt = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Key32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
UNSAFE = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
"""Inside a character class: C0 and C1 controls, line separators, and what turns the direction of writing."""

Line = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=rf"^[^{UNSAFE}]*\Z")]
"""One line of text for people: nothing that could forge or disguise a terminal's output."""


def parse(text: str, kind: Any, what: str) -> str:
    """Return `text` if it matches the annotated string type `kind`. Raises Malformed naming `what`."""
    try:
        return str(msgspec.convert(text, kind))
    except msgspec.ValidationError:
        raise Malformed(f"this is not a {what}") from None
