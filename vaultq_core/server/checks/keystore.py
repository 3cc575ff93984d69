"""Checks of the keystore: it opens, wraps and signs, its keys are this vault's, and its secret lies elsewhere.

The passphrase or PIN is tried once in the whole run: a token locks itself after a few wrong ones.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from vaultq_core.errors import KeystoreError, VaultQError
from vaultq_core.server.authorities import ROOT_CA, issuer_of
from vaultq_core.server.backends import Prompt, keystore_requests, prepare_keystore
from vaultq_core.server.checks.findings import Check, Finding, Opened, failed, failed_by, not_checked, ok, warning
from vaultq_core.server.moving_keystore import parts
from vaultq_core.server.opening import open_keys
from vaultq_core.spi.keystore import KeyInfo, Keystore, Provenance
from vaultq_core.spi.secrets import SecretRequest

PROBE_BYTES: Final = 32
PROBE_AAD: Final = b"vaultq-server check"
_DAMAGED: Final = "Check the [keystore] section: is it this vault's keystore? Restore it from its backup if it is."


def check_keystore(prompt: Prompt) -> Check:
    """Return the check that opens the keystore by its real secret, once."""

    def check(opened: Opened) -> Iterator[Finding]:
        keystore = prepare_keystore(opened.config, prompt)()
        opened.stack.callback(keystore.close)
        opened.keystore = keystore
        for each in parts(keystore):
            yield _described(each)

    return check


def check_wrapping(opened: Opened) -> Iterator[Finding]:
    """Wrap a probe under the master key and get it back."""
    if opened.keystore is None:
        yield not_checked("wrapping", "the keystore")
        return
    probe = secrets.token_bytes(PROBE_BYTES)
    wrapped = opened.keystore.wrap_key(probe, aad=PROBE_AAD)
    if opened.keystore.unwrap_key(wrapped, aad=PROBE_AAD) != probe:
        raise KeystoreError("what the keystore wrapped is not what it unwrapped")
    yield ok("wrapping", f"{PROBE_BYTES} bytes under {wrapped.key_id} by {wrapped.algorithm} came back unchanged")


def check_keys(opened: Opened) -> Iterator[Finding]:
    """Every sealed key of the registry opens, and each CA key signs what its certificate verifies."""
    if opened.keystore is None or opened.engine is None:
        yield not_checked("keys", "the keystore or the registry")
        return
    opened.registry, keys, authorities = open_keys(opened.engine, opened.keystore)
    opened.keys = keys
    yield ok("keys", "all of the vault's sealed keys open, and its issuing CAs lead to its roots")
    for role, certificate in authorities.present().known():
        yield _signs(f"{role}-ca", certificate, opened.keystore)
    if any(each.key_id.purpose == ROOT_CA for each in opened.keystore.info().keys):
        yield _signs(ROOT_CA, authorities.hospital_root, opened.keystore)
    else:
        yield ok(f"signing {ROOT_CA}", "its key is in no keystore here: an offline root, for new issuing CAs only")


def check_secret(opened: Opened) -> Iterator[Finding]:
    """No secret lies in a file beside what it opens: who takes the disk has both."""
    beside = {"the data directory": opened.config.data_dir, "the configuration": opened.config.directory}
    for info in [] if opened.keystore is None else [each.info() for each in parts(opened.keystore)]:
        beside["the keystore"] = Path(info.place)
    for request in keystore_requests(opened.config):
        if request.file is not None:
            yield _where(request, Path(request.file), beside)


def _described(keystore: Keystore) -> Finding:
    info = keystore.info()
    details = "".join(f", {name} {value}" for name, value in info.details)
    return ok("keystore", f"{info.backend} {info.place}{details}: {_counted(info.keys)}")


def _counted(keys: tuple[KeyInfo, ...]) -> str:
    imported = [str(key.key_id) for key in keys if key.provenance is Provenance.IMPORTED]
    return f"{len(keys)} keys" + (f", imported: {', '.join(imported)}" if imported else ", all made there")


def _signs(purpose: str, certificate: x509.Certificate, keystore: Keystore) -> Finding:
    subject, public = f"signing {purpose}", certificate.public_key()
    data = secrets.token_bytes(PROBE_BYTES)
    try:
        signer = issuer_of(keystore, purpose, certificate).key
        if not isinstance(signer, ec.EllipticCurvePrivateKey) or not isinstance(public, ec.EllipticCurvePublicKey):
            raise KeystoreError(f"the key {purpose} is not of the kind that its certificate names")
        signature = signer.sign(data, ec.ECDSA(hashes.SHA384()))
        public.verify(signature, data, ec.ECDSA(hashes.SHA384()))
    except VaultQError as error:
        return failed_by(subject, error)
    except InvalidSignature:
        return failed(subject, f"the key {purpose} is not the one of the certificate in the registry", _DAMAGED)
    digest = certificate.fingerprint(hashes.SHA256()).hex()[:16]
    return ok(subject, f"a signature verifies with the certificate {digest}… in the registry")


def _where(request: SecretRequest, file: Path, beside: dict[str, Path]) -> Finding:
    subject = f"secret {file}"
    device = file.stat().st_dev if file.exists() else None
    same = [name for name, place in beside.items() if place.exists() and place.stat().st_dev == device]
    if not same:
        return ok(subject, f"the {request.label} lies on no disk that holds what it opens")
    return warning(
        subject,
        f"the {request.label} lies on the same disk as {' and '.join(same)}: who takes the disk has both",
        f"Give it as the systemd credential {request.credential} (LoadCredentialEncrypted), or keep it elsewhere.",
    )
