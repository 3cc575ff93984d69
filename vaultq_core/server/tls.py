"""The TLS of a listener: 1.3 only, no resumption, one role's CAs and CRLs, and a key that no disk ever sees.

`ssl.create_default_context` is not used: it honours SSLKEYLOGFILE. Resumption is off, since a resumed
session is not asked for its certificate again and so outlives a revocation.
"""

from __future__ import annotations

import secrets
import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from vaultq_core.errors import ConfigInvalid, NotVerified
from vaultq_core.server.pem_file import readable_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ALPN = ("h2", "http/1.1")
_PEM = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """The certificate chain, leaf first, that the server shows, and the leaf's private key."""

    chain: tuple[x509.Certificate, ...]
    key: ec.EllipticCurvePrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientTrust:
    """Whose certificates a listener takes: those of one issuing CA that its CRL does not name, and of former ones."""

    issuing_ca: x509.Certificate
    crl: x509.CertificateRevocationList
    former: tuple[ClientTrust, ...] = ()


class LiveContext:
    """A context whose certificate, CA and CRL can change together for every new handshake.

    `base` goes to the server once. A listener either asks for client certificates or doesn't: that
    never changes (`mutual`). Connections that are open already are not touched.
    """

    def __init__(self, identity: ServerIdentity, trust: ClientTrust | None) -> None:
        """Build the first context. Raises ConfigInvalid when it can't be built."""
        self.mutual = trust is not None
        self.base = server_context(identity, trust)
        self._live = self.base
        self.base.sni_callback = self._choose

    def swap(self, identity: ServerIdentity, trust: ClientTrust | None) -> None:
        """Use these for every new handshake from now on. Raises ConfigInvalid, and changes nothing then."""
        if (trust is not None) != self.mutual:
            raise ConfigInvalid("a listener cannot change whether it asks for client certificates")
        self._live = server_context(identity, trust)

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _base: ssl.SSLContext) -> None:
        connection.context = self._live


def server_context(identity: ServerIdentity, trust: ClientTrust | None) -> ssl.SSLContext:
    """Return a context of our own making; with `trust`, it requires a client certificate.

    Raises ConfigInvalid when key, certificates and CRL don't belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(ALPN)
    try:
        _load_identity(context, identity)
        if trust is not None:
            _require_clients_of(context, trust)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ConfigInvalid(f"the TLS certificate or CRL cannot be used: {type(error).__name__}") from error
    return context


def fresh_identity(
    issue: Callable[[x509.CertificateSigningRequest], Sequence[x509.Certificate]],
    names: Sequence[str],
    addresses: Sequence[str],
) -> ServerIdentity:
    """Make a P-256 key in memory and have `issue` certify it for these DNS names and IP addresses.

    `issue` gets a PKCS#10 request and returns the chain, leaf first, without the root. Raises
    NotVerified when the leaf isn't for this key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    chain = tuple(issue(_request(key, names, addresses)))
    if not chain or chain[0].public_key() != key.public_key():
        raise NotVerified("the servers CA returned a certificate for another key")
    return ServerIdentity(chain, key)


def _request(
    key: ec.EllipticCurvePrivateKey, names: Sequence[str], addresses: Sequence[str]
) -> x509.CertificateSigningRequest:
    alternatives = [*map(x509.DNSName, names), *(x509.IPAddress(ip_address(one)) for one in addresses)]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "VaultQ server")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(key, hashes.SHA256())


def _load_identity(context: ssl.SSLContext, identity: ServerIdentity) -> None:
    password = secrets.token_hex(32).encode()
    sealed = serialization.BestAvailableEncryption(password)
    key = identity.key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, sealed)
    chain = b"".join(certificate.public_bytes(_PEM) for certificate in identity.chain)
    with readable_path(chain + key) as path:
        context.load_cert_chain(path, password=password)


def _require_clients_of(context: ssl.SSLContext, trust: ClientTrust) -> None:
    parts = []
    for each in (trust, *trust.former):
        authority = each.issuing_ca.public_key()
        if not isinstance(authority, ec.EllipticCurvePublicKey) or not each.crl.is_signature_valid(authority):
            raise ConfigInvalid("the CRL is not signed by the listener's issuing CA")
        parts += [each.issuing_ca.public_bytes(_PEM), each.crl.public_bytes(_PEM)]
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_CRL_CHECK_LEAF
    with readable_path(b"".join(parts)) as path:
        context.load_verify_locations(path)
