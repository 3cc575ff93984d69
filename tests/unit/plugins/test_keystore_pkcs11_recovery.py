"""What the PKCS#11 keystore promises beyond the contract: it comes back by itself, asks once, and does no harm."""

from __future__ import annotations

import ctypes
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from softhsm.make_token import find_module
from tests.fixtures.edge_pki import EdgePki
from tests.fixtures.exposed_vault import until
from tests.fixtures.sabotage import vaultq_keystore_sabotaged as sabotage
from tests.fixtures.token import directory, open_in, pin_in, settings
from vaultq_core.errors import ConfigInvalid, Conflict, KeystoreError, KeystoreUnavailable, WrongPassphrase
from vaultq_core.spi.keystore import AES_256, EC_P384, MASTER
from vaultq_core.spi.secrets import Secret
from vaultq_keystore_pkcs11.keystore import Pkcs11Keystore
from vaultq_keystore_pkcs11.plugin import create, open_keystore
from vaultq_keystore_pkcs11.settings import Pkcs11Settings, asks, target_of

__all__ = ["directory", "settings"]

SECRET = (pkcs11.ObjectClass.SECRET_KEY, pkcs11.ObjectClass.PRIVATE_KEY)
KEY, AAD = b"k" * 32, b"whose it is"
MODULE = "/m.so"


@pytest.fixture
def keystore(directory: Path, settings: Pkcs11Settings) -> Iterator[Pkcs11Keystore]:
    """A keystore with a master key and a CA key."""
    with closing(open_in(directory, settings)) as opened:
        opened.create_key(MASTER, AES_256)
        opened.create_key("root-ca", EC_P384)
        yield opened


def change_pin(old: bytes, new: bytes) -> None:
    """Change the user's PIN of the token, as somebody else in this process."""
    module = ctypes.CDLL(find_module())
    for slot in sabotage.slots(module):
        session = ctypes.c_ulong()
        flags = ctypes.c_ulong(sabotage.SESSION)
        if module.C_OpenSession(slot, flags, None, None, ctypes.byref(session)) == sabotage.OK:
            pins = (old, ctypes.c_ulong(len(old)), new, ctypes.c_ulong(len(new)))
            sabotage.require(module.C_SetPIN(session, *pins))


def works(keystore: Pkcs11Keystore) -> bool:
    """Wrap, unwrap, and sign with a signer."""
    assert keystore.unwrap_key(keystore.wrap_key(KEY, aad=AAD), aad=AAD) == KEY
    signer = keystore.signer(keystore.current_key("root-ca"))
    signer.public_key().verify(signer.sign(b"text", ec.ECDSA(hashes.SHA384())), b"text", ec.ECDSA(hashes.SHA384()))
    return True


def is_back(keystore: Pkcs11Keystore) -> bool:
    try:
        return works(keystore)
    except KeystoreUnavailable:
        return False


# --- recovery -------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", sabotage.ACTS.values(), ids=sabotage.ACTS)
def test_whatever_another_user_of_the_module_did_the_next_call_works(
    keystore: Pkcs11Keystore, act: Callable[[ctypes.CDLL], None]
) -> None:
    wrapped, signer = keystore.wrap_key(KEY, aad=AAD), keystore.signer(keystore.current_key("root-ca"))

    act(ctypes.CDLL(find_module()))
    assert keystore.unwrap_key(wrapped, aad=AAD) == KEY
    act(ctypes.CDLL(find_module()))
    assert signer.sign(b"text", ec.ECDSA(hashes.SHA384()))
    act(ctypes.CDLL(find_module()))
    assert len(keystore.info().keys) == 2
    act(ctypes.CDLL(find_module()))
    keystore.create_key(MASTER, AES_256)
    assert len(keystore.info().keys) == 3


def test_a_token_that_is_away_is_unavailable_and_works_again_once_it_is_back(
    keystore: Pkcs11Keystore, directory: Path
) -> None:
    wrapped = keystore.wrap_key(KEY, aad=AAD)
    (directory / "tokens").rename(directory / "away")

    for _ in range(3):
        with pytest.raises(KeystoreUnavailable) as refused:
            keystore.unwrap_key(wrapped, aad=AAD)
        assert (refused.value.retry_after > 0, refused.value.remedy != "") == (True, True)

    (directory / "away").rename(directory / "tokens")
    until(lambda: is_back(keystore), "the token is seen again")
    assert keystore.unwrap_key(wrapped, aad=AAD) == KEY
    assert works(keystore)


def test_two_keystores_of_one_process_on_one_module_recover_and_close_apart(
    keystore: Pkcs11Keystore, directory: Path, settings: Pkcs11Settings
) -> None:
    with closing(open_in(directory, settings)) as second:
        assert works(second)
        sabotage.initialise_again(ctypes.CDLL(find_module()))
        assert works(keystore)
        assert works(second)
    assert works(keystore)


def test_a_keystore_that_is_closed_is_unavailable_and_may_be_closed_again(
    directory: Path, settings: Pkcs11Settings
) -> None:
    opened = open_in(directory, settings)
    opened.close()
    opened.close()

    with pytest.raises(KeystoreUnavailable, match="closed"):
        opened.info()


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


# --- the PIN --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("directory")
def test_a_wrong_pin_is_told_without_it(settings: Pkcs11Settings) -> None:
    asked = []

    def wrong() -> Secret:
        asked.append(1)
        return Secret("8765-wrong")

    with pytest.raises(WrongPassphrase) as refused:
        open_keystore(settings, wrong)

    assert "8765" not in f"{refused.value} {refused.value.remedy} {refused.value!r}"
    assert asked == [1]


def test_a_pin_that_was_refused_is_not_tried_again(keystore: Pkcs11Keystore, directory: Path) -> None:
    """An HSM locks itself after a few wrong ones, and a busy server would ask it as often within a second."""
    right = pin_in(directory).reveal().encode()
    change_pin(right, b"another-pin")
    sabotage.close_sessions(ctypes.CDLL(find_module()))
    with pytest.raises(WrongPassphrase):
        keystore.info()

    change_pin(b"another-pin", right)

    for _ in range(3):
        with pytest.raises(WrongPassphrase):
            keystore.info()


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("keystore")
def test_no_key_can_be_read() -> None:
    token = pkcs11.lib(find_module()).get_token(token_label="vaultq")
    with token.open() as session:  # the process is logged in
        kept = [each for each in list(session.get_objects()) if each.object_class in SECRET]
        assert len(kept) == 2
        for key in kept:
            assert key[pkcs11.Attribute.LOCAL] and key[pkcs11.Attribute.NEVER_EXTRACTABLE]  # noqa: PT018 - of one key
            with pytest.raises(pkcs11.AttributeSensitive):
                key[pkcs11.Attribute.VALUE]


def test_create_refuses_a_token_that_is_a_vaults_already(
    keystore: Pkcs11Keystore, directory: Path, settings: Pkcs11Settings
) -> None:
    before = keystore.info().keys

    with pytest.raises(Conflict, match="it was not touched"):
        create(settings, lambda: pin_in(directory))

    assert (keystore.info().keys, works(keystore)) == (before, True)


def test_create_refuses_a_token_whose_keys_were_destroyed(directory: Path, settings: Pkcs11Settings) -> None:
    with closing(open_in(directory, settings)) as former:
        former.destroy_key(former.create_key(MASTER, AES_256))

    with pytest.raises(Conflict, match="none any more"):
        create(settings, lambda: pin_in(directory))


def test_a_second_key_of_the_same_label_is_noticed(
    keystore: Pkcs11Keystore, directory: Path, settings: Pkcs11Settings
) -> None:
    token = pkcs11.lib(find_module()).get_token(token_label="vaultq")
    with token.open(rw=True) as session:
        session.generate_key(pkcs11.KeyType.AES, 256, label=f"vaultq:{keystore.current_key(MASTER)}", store=True)

    with (
        closing(open_in(directory, settings)) as another,
        pytest.raises(KeystoreError, match="2 keys with the label") as refused,
    ):
        another.wrap_key(KEY, aad=AAD)

    assert "CKA_ID" in refused.value.remedy


# --- settings -------------------------------------------------------------------------------------


def test_a_token_is_named_by_a_uri() -> None:
    uri = f"pkcs11:token=my%20vault;serial=0123;slot-id=7?module-path={MODULE}&pin-source=file:/etc/vaultq/pin"

    target = target_of(Pkcs11Settings(uri=uri))

    assert (target.module, target.label, target.serial, target.slot) == (MODULE, "my vault", "0123", 7)
    assert asks(Pkcs11Settings(uri=uri)).file == "/etc/vaultq/pin"


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"module": MODULE}, "the token has to be named"),
        ({"token": "vaultq"}, "`module`"),
        ({"uri": "http://vaultq"}, "begins with `pkcs11:`"),
        ({"uri": "pkcs11:token=a?pin-value=1234"}, "a PIN does not belong"),
        ({"uri": "pkcs11:token=a?pin-source=|/bin/sh"}, "no program is run"),
        ({"uri": "pkcs11:object=key"}, "names no token"),
        ({"uri": "pkcs11:token=a;token=b"}, "twice"),
        ({"uri": "pkcs11:token=%FF"}, "UTF-8"),
        ({"uri": "pkcs11:slot-id=x"}, "a slot is a number"),
        ({"uri": "pkcs11:token=a", "token": "b"}, "two different things"),
    ],
)
def test_settings_that_name_no_token_are_told(named: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        target_of(Pkcs11Settings(**named))

    assert said in str(refused.value)
    assert "1234" not in str(refused.value)
