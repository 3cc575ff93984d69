from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from tests.fixtures.admin_vault import NOW, PASSPHRASE, AdminPki, key_pem, pem, write_home
from vaultq_client.admin.home import days_left, load_admin_home
from vaultq_core.crypto.keys import generate_p256
from vaultq_core.errors import IdentityInvalid, InsecureFile, NotVerified, WrongPassphrase

ADDRESS = "https://localhost:8445"


@pytest.fixture
def home(pki: AdminPki, tmp_path: Path) -> Path:
    return write_home(tmp_path / "admin", pki, ADDRESS)


def test_the_directory_that_init_makes_opens(home: Path, pki: AdminPki) -> None:
    loaded = load_admin_home(home)

    assert loaded.address == ADDRESS
    assert loaded.anchors == pki.anchors
    assert loaded.identity(PASSPHRASE).key.public_key() == pki.grace.public_key()


def test_a_wrong_passphrase_opens_nothing(home: Path) -> None:
    with pytest.raises(WrongPassphrase):
        load_admin_home(home).identity("seven green bottles on a well")


def test_a_key_that_lies_there_unencrypted_is_refused(home: Path, pki: AdminPki) -> None:
    (home / "administrator.key").write_bytes(key_pem(pki.grace_key, None))

    with pytest.raises(InsecureFile, match="not encrypted"):
        load_admin_home(home).identity(PASSPHRASE)


def test_a_key_that_others_can_read_is_refused(home: Path) -> None:
    (home / "administrator.key").chmod(0o640)

    with pytest.raises(InsecureFile, match="0640"):
        load_admin_home(home)


def test_a_key_of_another_certificate_is_refused(home: Path) -> None:
    (home / "administrator.key").write_bytes(key_pem(generate_p256(), PASSPHRASE))

    with pytest.raises(IdentityInvalid, match="does not belong"):
        load_admin_home(home).identity(PASSPHRASE)


@pytest.mark.parametrize("name", ["hospital_root_ca.pem", "hospital_pq_root.pem"])
def test_a_root_that_was_exchanged_is_refused_at_step_2(home: Path, name: str) -> None:
    other = AdminPki().anchors
    (home / name).write_bytes(pem(other.hospital if "ca" in name else other.pq))

    with pytest.raises(NotVerified, match="step 2"):
        load_admin_home(home)


@pytest.mark.parametrize("name", ["admin.json", "administrator.crt", "hospital_root_ca.pem", "hospital_pq_root.pem"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 100, b"[" * 5000])
def test_a_damaged_file_is_named(home: Path, name: str, content: bytes) -> None:
    (home / name).write_bytes(content)

    with pytest.raises(IdentityInvalid, match=name):
        load_admin_home(home)


def test_a_missing_directory_says_where_to_point(tmp_path: Path) -> None:
    with pytest.raises(IdentityInvalid) as caught:
        load_admin_home(tmp_path / "nowhere")

    assert "VAULTQ_ADMIN_HOME" in caught.value.remedy


def test_a_certificate_is_of_no_use_once_it_has_ended(home: Path) -> None:
    loaded = load_admin_home(home)

    assert days_left(loaded, NOW) == 364
    with pytest.raises(IdentityInvalid, match="ended on"):
        days_left(loaded, loaded.ends_at + dt.timedelta(seconds=1))


def test_no_repr_shows_the_key(home: Path) -> None:
    loaded = load_admin_home(home)

    assert "PRIVATE" not in repr(loaded) + repr(loaded.identity(PASSPHRASE))
