"""What the PKCS#11 keystore promises beyond the contract: it comes back by itself, and does no harm on the way."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.fixtures.edge_pki import EdgePki
from tests.fixtures.token import directory, open_in, settings
from vaultq_core.spi.keystore import AES_256, MASTER
from vaultq_keystore_pkcs11.keystore import Pkcs11Keystore
from vaultq_keystore_pkcs11.settings import Pkcs11Settings

__all__ = ["directory", "settings"]


@pytest.fixture
def keystore(directory: Path, settings: Pkcs11Settings) -> Iterator[Pkcs11Keystore]:
    """A keystore with a master key."""
    with closing(open_in(directory, settings)) as opened:
        opened.create_key(MASTER, AES_256)
        yield opened


def test_tls_in_the_thread_that_opens_it_is_none_the_worse(
    directory: Path, settings: Pkcs11Settings, tmp_path: Path
) -> None:
    """SoftHSM and Python's ssl may be users of one OpenSSL, which keeps errors by thread."""
    root = EdgePki(tmp_path).root.certificate.public_bytes(Encoding.DER)
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    with suppress(ssl.SSLError):  # what came before is not this test's
        trust.load_verify_locations(cadata=root)
    with closing(open_in(directory, settings)):
        trust.load_verify_locations(cadata=root)
