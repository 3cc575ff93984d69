"""A second, independent ML-DSA verifier: dilithium-py, pure Python (docs/spec/suites.md).

It never touches a secret (its own README forbids that: not constant time), and its SHAKE state is
global to the module, so one lock guards it.
"""

from __future__ import annotations

import threading
from typing import Any

from cryptography.hazmat.primitives.asymmetric import mldsa
from dilithium_py.ml_dsa import ML_DSA_44, ML_DSA_65, ML_DSA_87  # type: ignore[import-untyped]

from vaultq_core.errors import NotVerified

_LOCK = threading.Lock()

MlDsaPublicKey = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey


def verify_again(key: MlDsaPublicKey, signature: bytes, data: bytes, context: bytes) -> bytes:
    """Return `data` once dilithium-py finds the signature valid too (FIPS 204, algorithm 3). Raises NotVerified."""
    with _LOCK:
        holds = _engine(key).verify(key.public_bytes_raw(), data, signature, context)
    if not holds:
        raise NotVerified("the second verifier finds the ML-DSA signature invalid")
    return data


def _engine(key: MlDsaPublicKey) -> Any:
    if isinstance(key, mldsa.MLDSA65PublicKey):
        return ML_DSA_65
    return ML_DSA_44 if isinstance(key, mldsa.MLDSA44PublicKey) else ML_DSA_87
