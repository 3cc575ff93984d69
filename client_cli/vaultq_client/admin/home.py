"""The directory of one administrator, which `vaultq-server init` makes: whom to trust, and who we are.

admin.json                    the admin listener's address, and the vault's id
administrator.crt, .key       the TLS certificate, and its key as encrypted PKCS#8 (RFC 5958)
hospital_root_ca.pem, hospital_pq_root.pem    both roots, which the vault's id must name
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from vaultq_client.home import HOSPITAL_ROOT, PQ_ROOT
from vaultq_client.tls import TlsIdentity
from vaultq_core.crypto.chains import TrustAnchors
from vaultq_core.errors import IdentityInvalid, InsecureFile, NotVerified, WrongPassphrase
from vaultq_core.private_files import file_errors, read_private, write_private
from vaultq_core.wire.ids import Line, VaultId

CERTIFICATE = "administrator.crt"
FILE_BYTES = 64 * 1024  # an ML-DSA-87 root is 10 kB as PEM
T = TypeVar("T")

_REMEDY = "Point --home or VAULTQ_ADMIN_HOME at the directory that `vaultq-server init` made for you."
_ENCRYPT = "Encrypt it: openssl pkcs8 -topk8 -v2 aes-256-cbc -in administrator.key -out new.key"


class AdminSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What admin.json holds; the address may be edited by hand."""

    address: Line
    vault: VaultId


@dataclass(frozen=True, slots=True)
class AdminHome:
    """An administrator whose files hold together; the key is still sealed."""

    directory: Path
    address: str
    anchors: TrustAnchors
    certificate: x509.Certificate
    sealed_key: bytes = field(repr=False)

    @property
    def ends_at(self) -> dt.datetime:
        """When the certificate ends."""
        return self.certificate.not_valid_after_utc

    def identity(self, passphrase: str) -> TlsIdentity:
        """Return the identity for TLS. Raises WrongPassphrase, InsecureFile when the key lies there unencrypted.

        Raises IdentityInvalid when it is no key of this certificate.
        """
        key = _open_key(self.sealed_key, passphrase)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != self.certificate.public_key():
            raise IdentityInvalid("administrator.key does not belong to administrator.crt", remedy=_REMEDY)
        return TlsIdentity((self.certificate,), key)


def load_admin_home(directory: Path) -> AdminHome:
    """Read an administrator's directory.

    1. Every file is there and can be read; the key by nobody else.
    2. The vault's id in admin.json is that of the two roots.

    Raises IdentityInvalid, NotFound, InsecureFile, or NotVerified at step 2.
    """
    settings = _settings(directory / "admin.json")  # 1
    anchors = TrustAnchors(_certificate(directory / HOSPITAL_ROOT), _certificate(directory / PQ_ROOT))
    certificate = _certificate(directory / CERTIFICATE)
    sealed_key = read_private(directory / "administrator.key", FILE_BYTES)
    if anchors.vault != settings.vault:  # 2
        raise NotVerified("the roots in this directory are not those of the vault that admin.json names", step=2)
    return AdminHome(directory, settings.address, anchors, certificate, sealed_key)


def replace_certificate(home: AdminHome, pem: bytes) -> None:
    """Put a renewed certificate (PEM) in the place of the present one, whole or not at all."""
    write_private(home.directory / CERTIFICATE, pem)


def days_left(home: AdminHome, now: dt.datetime) -> int:
    """Return for how many whole days the certificate is valid. Raises IdentityInvalid once it has ended."""
    left = home.ends_at - now
    if left <= dt.timedelta(0):
        raise IdentityInvalid(
            f"the administrator's certificate ended on {home.ends_at:%Y-%m-%d}",
            remedy="Ask the operator for a new certificate.",
        )
    return left.days


def _settings(path: Path) -> AdminSettings:
    return _parsed(path, lambda data: msgspec.json.decode(data, type=AdminSettings))


def _certificate(path: Path) -> x509.Certificate:
    return _parsed(path, x509.load_pem_x509_certificate)


def _parsed(path: Path, parse: Callable[[bytes], T]) -> T:
    try:
        return parse(_read(path))
    except (ValueError, UnsupportedAlgorithm, RecursionError):
        raise IdentityInvalid(f"{path} is damaged", remedy=_REMEDY) from None


def _read(path: Path) -> bytes:
    if not path.exists():
        raise IdentityInvalid(f"there is no {path}", remedy=_REMEDY)
    with file_errors(path), path.open("rb") as file:
        return file.read(FILE_BYTES)


def _open_key(sealed: bytes, passphrase: str) -> object:
    try:
        return load_pem_private_key(sealed, passphrase.encode())
    except TypeError:  # a key without encryption takes no passphrase
        raise InsecureFile("administrator.key is not encrypted", remedy=_ENCRYPT) from None
    except (ValueError, UnsupportedAlgorithm):
        raise WrongPassphrase(
            "the passphrase does not open administrator.key, or the file is damaged",
            remedy="Check the passphrase. It is never stored: without it, ask the operator for a new certificate.",
        ) from None
