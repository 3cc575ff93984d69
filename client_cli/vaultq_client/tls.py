"""The client's side of TLS: 1.3 only, one trust anchor, and a key that no disk sees in the clear.

`ssl.create_default_context` is not used: it trusts the system's authorities and honours SSLKEYLOGFILE.
"""

from __future__ import annotations

import os
import secrets
import ssl
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from vaultq_core.crypto.x509_profile import der
from vaultq_core.errors import IdentityInvalid


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """What a client shows: its certificate, then the issuing CAs it sends along, and the private key."""

    chain: tuple[x509.Certificate, ...]
    key: ec.EllipticCurvePrivateKey = field(repr=False)


def client_context(root: x509.Certificate, identity: TlsIdentity | None = None) -> ssl.SSLContext:
    """Return a context that trusts `root` alone and checks the host's name (RFC 9525).

    Raises IdentityInvalid when certificate and key don't belong together.
    """
    context = _context()
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=der(root))
    if identity is not None:
        _load(context, identity)
    return context


def unverified_context() -> ssl.SSLContext:
    """Return a context that trusts whoever answers: to fetch the two roots, which are compared with pins, no more."""
    context = _context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, identity: TlsIdentity) -> None:
    password = secrets.token_hex(32).encode()
    key = identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
    pem = (*(each.public_bytes(Encoding.PEM) for each in identity.chain), key)
    try:
        with readable_path(pem) as path:
            context.load_cert_chain(path, password=password)
    except (ssl.SSLError, OSError) as error:
        raise IdentityInvalid(f"the TLS certificate and key cannot be used: {type(error).__name__}") from None


@contextmanager
def readable_path(parts: Iterable[bytes], *, in_memory: bool = hasattr(os, "memfd_create")) -> Iterator[str]:
    """Yield a path to the joined parts: to memory on Linux, elsewhere to a 0600 file that is gone afterwards."""
    with _memory_path() if in_memory else _file_path() as (descriptor, path):
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.writelines(parts)
        yield path


@contextmanager
def _memory_path() -> Iterator[tuple[int, str]]:
    descriptor = os.memfd_create("vaultq", os.MFD_CLOEXEC)
    try:
        yield descriptor, f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


@contextmanager
def _file_path() -> Iterator[tuple[int, str]]:
    descriptor, path = tempfile.mkstemp(prefix="vaultq-")  # mode 0600
    try:
        yield descriptor, path
    finally:
        os.close(descriptor)
        Path(path).unlink()
