"""Which key exchange a TLS 1.3 server chooses, read from its first answer in the clear (RFC 8446, 4.1).

Python's ssl cannot tell the group, and an older OpenSSL could not offer the post-quantum one. So the ClientHello is
written here: it offers X25519MLKEM768 and X25519, with a share for X25519 alone. A server that prefers the first
asks for a share of it (HelloRetryRequest), another answers with the second; no handshake is finished.
"""

from __future__ import annotations

import secrets
from typing import Final

from vaultq_core.errors import Malformed

GROUPS: Final = {0x11EC: "X25519MLKEM768", 0x001D: "X25519", 0x0017: "secp256r1", 0x0018: "secp384r1"}
POST_QUANTUM: Final = "X25519MLKEM768"
ANSWER_BYTES: Final = 16 * 1024

_HANDSHAKE, _CLIENT_HELLO, _SERVER_HELLO = 22, 1, 2
_SUPPORTED_GROUPS, _SIGNATURES, _VERSIONS, _KEY_SHARE = 10, 13, 43, 51
_TLS12, _TLS13 = b"\x03\x03", b"\x03\x04"
_RANDOM_BYTES = 32
_SUITES = bytes.fromhex("130213011303")
_ALGORITHMS = bytes.fromhex("040305030804080508060401")  # ECDSA on P-256 and P-384, RSA
_X25519 = 0x001D


def client_hello() -> bytes:
    """Return a ClientHello in its record."""
    share = _two(_X25519) + _long(secrets.token_bytes(_RANDOM_BYTES))
    extensions = (
        _extension(_VERSIONS, _short(_TLS13))
        + _extension(_SUPPORTED_GROUPS, _long(b"".join(map(_two, GROUPS))))
        + _extension(_SIGNATURES, _long(_ALGORITHMS))
        + _extension(_KEY_SHARE, _long(share))
    )
    session = secrets.token_bytes(_RANDOM_BYTES)
    body = _TLS12 + secrets.token_bytes(_RANDOM_BYTES) + _short(session) + _long(_SUITES) + _short(b"\0")
    message = body + _long(extensions)
    return bytes([_HANDSHAKE]) + b"\x03\x01" + _long(bytes([_CLIENT_HELLO]) + len(message).to_bytes(3, "big") + message)


def chosen_group(answer: bytes) -> str:
    """Return the name of the group that a server's first bytes choose. Raises Malformed for anything but that."""
    reader = _Reader(answer)
    if reader.take(1)[0] != _HANDSHAKE:
        raise Malformed("the server answers with no TLS handshake")
    reader.take(4)
    if reader.take(1)[0] != _SERVER_HELLO:
        raise Malformed("the server answers with no ServerHello")
    reader.take(3 + len(_TLS12) + _RANDOM_BYTES)
    reader.take(reader.take(1)[0] + 3)  # session id, cipher suite, compression
    extensions = _Reader(reader.sized())
    while not extensions.is_done():
        kind, value = int.from_bytes(extensions.take(2), "big"), extensions.sized()
        if kind == _KEY_SHARE:
            number = int.from_bytes(value[:2], "big")
            return GROUPS.get(number, f"group {number:#06x}")
    raise Malformed("the server's answer names no key exchange")


def is_whole(answer: bytes) -> bool:
    """Tell whether the first record has come whole."""
    return len(answer) >= 5 and len(answer) >= 5 + int.from_bytes(answer[3:5], "big")  # noqa: PLR2004 - its header


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def take(self, count: int) -> bytes:
        if len(self._data) < count:
            raise Malformed("the server's answer is cut off")
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def sized(self) -> bytes:
        return self.take(int.from_bytes(self.take(2), "big"))

    def is_done(self) -> bool:
        return not self._data


def _two(number: int) -> bytes:
    return number.to_bytes(2, "big")


def _short(data: bytes) -> bytes:
    return bytes([len(data)]) + data


def _long(data: bytes) -> bytes:
    return _two(len(data)) + data


def _extension(kind: int, data: bytes) -> bytes:
    return _two(kind) + _long(data)
