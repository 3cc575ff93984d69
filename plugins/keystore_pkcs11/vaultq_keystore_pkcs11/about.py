"""What a token says of itself: for choosing how to wrap, and for people."""

from __future__ import annotations

from typing import Final

from pkcs11 import Mechanism

from vaultq_core.errors import KeystoreError
from vaultq_core.spi.keystore import AES_256_GCM, AES_256_KW
from vaultq_keystore_pkcs11.connection import Token, serial_of

_NEEDED: Final = (Mechanism.AES_KEY_GEN, Mechanism.EC_KEY_PAIR_GEN, Mechanism.ECDSA)
_WRAPS: Final = {AES_256_GCM: Mechanism.AES_GCM, AES_256_KW: Mechanism.AES_KEY_WRAP}
_POST_QUANTUM: Final = (  # PKCS#11 3.2
    Mechanism.ML_DSA_KEY_PAIR_GEN,
    Mechanism.ML_DSA,
    Mechanism.ML_KEM_KEY_PAIR_GEN,
    Mechanism.ML_KEM,
)


def algorithm_for(token: Token, wrapping: str) -> str:
    """Return the algorithm for new AES keys: `wrapping` if it names one, else GCM where there is GCM.

    Raises KeystoreError when the token lacks a mechanism that VaultQ needs.
    """
    offered = _offered(token)
    missing = [each.name for each in _NEEDED if each not in offered]
    possible = [name for name, mechanism in _WRAPS.items() if mechanism in offered and wrapping in (name, "auto")]
    if missing or not possible:
        wanted = ", ".join(missing) or (" or ".join(_WRAPS) if wrapping == "auto" else wrapping)
        raise KeystoreError(
            f"the token {token.place} does not offer {wanted}",
            remedy="Switch it on in the HSM's policy, or choose another token; softhsm/README.md lists what is needed.",
        )
    return possible[0]


def details(token: Token, algorithm: str) -> tuple[tuple[str, str], ...]:
    """Return names and values for people. Call it inside `Token.run`."""
    raw, module = token.describe()
    offered = _offered(token)
    post_quantum = [each.name for each in _POST_QUANTUM if each in offered]
    return (
        ("module", token.target.module),
        ("module version", f"{module.lib.library_description} {_dotted(module.lib.library_version)}"),
        ("token", raw.label),
        ("serial number", serial_of(raw)),
        ("slot", str(raw.slot.slot_id)),
        ("made by", f"{raw.manufacturer_id}, {raw.model}, firmware {_dotted(raw.firmware_version)}"),
        ("wrapping of new keys", algorithm),
        ("post-quantum mechanisms", ", ".join(post_quantum) or "none"),
    )


def _offered(token: Token) -> set[Mechanism]:
    raw, _ = token.describe()
    return raw.slot.get_mechanisms()


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
