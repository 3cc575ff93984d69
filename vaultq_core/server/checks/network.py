"""Checks of TLS and ports: what this OpenSSL offers, and who listens at the three addresses."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from sqlalchemy import select

from vaultq_core.crypto.keys import generate_p256
from vaultq_core.errors import VaultQError
from vaultq_core.registry.engine import reading
from vaultq_core.registry.tables.vault import vault
from vaultq_core.server.checks.findings import Finding, Opened, failed, failed_by, ok, warning
from vaultq_core.server.checks.hello import ANSWER_BYTES, POST_QUANTUM, chosen_group, client_hello, is_whole
from vaultq_core.server.config import Address
from vaultq_core.server.listeners import bind_listener
from vaultq_core.server.tls import ServerIdentity, server_context

SECONDS: Final = 5.0
DAY: Final = dt.timedelta(days=1)
ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to connect to, not to listen at
SEALED_ANYWAY: Final = "contents are sealed with ML-KEM-768 + X25519 (HPKE) inside of TLS all the same"
_NEWER: Final = "Run on OpenSSL 3.5 or later (Debian 13); clients then agree on it by themselves."
_FOREIGN: Final = "Stop the other process, or choose another port under [listeners]."


def check_tls(opened: Opened) -> Iterator[Finding]:
    """Whether TLS on this machine offers the post-quantum key exchange: tried in memory, with our own settings."""
    offers = _group_here(opened.now)
    if offers == POST_QUANTUM:
        yield ok("tls", f"{ssl.OPENSSL_VERSION} offers {POST_QUANTUM}; {SEALED_ANYWAY}")
    else:
        detail = f"{ssl.OPENSSL_VERSION} offers no {POST_QUANTUM}, so TLS uses {offers}; {SEALED_ANYWAY}"
        yield warning("tls", detail, _NEWER)


def check_listeners(opened: Opened) -> Iterator[Finding]:
    """Each address is free, or served by this very vault."""
    root = _root(opened)
    for name, address in opened.config.listeners.items():
        try:
            yield _listener(f"listener {name}", name, address, root)
        except VaultQError as error:
            yield failed_by(f"listener {name}", error)


def _listener(subject: str, name: str, address: Address, root: bytes | None) -> Finding:
    if address.port == 0:
        return ok(subject, f"{address}: any free port")
    try:
        _connect(address).close()
    except OSError:  # nobody listens, so it has to be ours to take
        bind_listener(name, address).close()
        return ok(subject, f"{address} is free")
    if root is None:
        return failed(subject, f"somebody listens at {address}, and without a registry nobody knows who", _FOREIGN)
    try:
        _require_ours(address, root)
    except (OSError, ValueError) as error:
        kind = "no server of this vault" if isinstance(error, ssl.SSLError) else type(error).__name__
        return failed(subject, f"another process listens at {address} ({kind}) [address-in-use]", _FOREIGN)
    return ok(subject, f"{address} is served by this vault; its TLS chooses {_group_there(address)}")


def _root(opened: Opened) -> bytes | None:
    if opened.engine is None:
        return None
    with reading(opened.engine) as tx:
        return bytes(tx.execute(select(vault.c.hospital_root)).scalar_one())


def _connect(address: Address) -> socket.socket:
    return socket.create_connection((ANYWHERE.get(address.host, address.host), address.port), timeout=SECONDS)


def _require_ours(address: Address, root: bytes) -> None:
    """Raise an OSError unless the server proves, by its certificate's key, to be this vault's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # it may be reached by an address that no certificate names
    context.load_verify_locations(cadata=root)
    with _connect(address) as plain, context.wrap_socket(plain):
        pass


def _group_there(address: Address) -> str:
    with _connect(address) as plain:
        plain.sendall(client_hello())
        answer = b""
        while not is_whole(answer) and len(answer) < ANSWER_BYTES and (part := plain.recv(ANSWER_BYTES)):
            answer += part
    return chosen_group(answer)


def _group_here(now: dt.datetime) -> str:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context(_passing_identity(now), None).wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(client_hello())
    with suppress(ssl.SSLWantReadError):
        server.do_handshake()
    return chosen_group(outgoing.read())


def _passing_identity(now: dt.datetime) -> ServerIdentity:
    key, name = generate_p256(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vaultq-server check")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + DAY)
    return ServerIdentity((builder.sign(key, hashes.SHA256()),), key)
