"""Suite ids and the two lists that govern them: what may be written and what may be read.

Nothing is negotiated. `VQ-87` is reserved; no code writes or reads it.
"""

from __future__ import annotations

from typing import Final

from vaultq_core.errors import UnknownSuite

VQ_65: Final = "VQ-65"
WRITABLE: Final = (VQ_65,)
READABLE: Final = (VQ_65,)


def require_readable(suite: str) -> str:
    """Return `suite` if this version reads it. Raises UnknownSuite."""
    if suite not in READABLE:
        raise UnknownSuite(f"suite {suite} cannot be read by this version")
    return suite


def require_writable(suite: str) -> str:
    """Return `suite` if this version writes it. Raises UnknownSuite."""
    if suite not in WRITABLE:
        raise UnknownSuite(f"suite {suite} is not written by this version")
    return suite
