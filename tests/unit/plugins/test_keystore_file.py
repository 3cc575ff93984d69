from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from vaultq_core.crypto.passphrase import Cost
from vaultq_core.errors import (
    Conflict,
    InsecureFile,
    KeyNotFound,
    KeystoreError,
    KeystoreUnavailable,
    LimitExceeded,
    Malformed,
    Usage,
    WrongPassphrase,
)
from vaultq_core.spi.keystore import AES_256, MASTER
from vaultq_core.spi.secrets import Secret
from vaultq_core.spi.testing import KeystoreContract, KnownSecret
from vaultq_keystore_file import plugin
from vaultq_keystore_file.keystore import FileKeystore

CHEAP = Cost(iterations=2, lanes=1, memory_kib=19 * 1024)
SECRET = KnownSecret()
Reopen = Callable[[], FileKeystore]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "master_key.json"


@pytest.fixture
def settings(path: Path) -> plugin.FileSettings:
    return plugin.FileSettings(path=str(path))


@pytest.fixture
def reopen(settings: plugin.FileSettings) -> Reopen:
    plugin.create(settings, SECRET, cost=CHEAP).close()
    return partial(plugin.open_keystore, settings, SECRET)


@pytest.fixture
def keystore(reopen: Reopen) -> Iterator[FileKeystore]:
    with closing(reopen()) as keystore:
        keystore.create_key(MASTER, AES_256)
        yield keystore


class TestFileKeystore(KeystoreContract):
    @pytest.fixture
    def reopen(self, settings: plugin.FileSettings) -> Reopen:
        plugin.create(settings, SECRET, cost=CHEAP).close()
        return partial(plugin.open_keystore, settings, SECRET)


@pytest.mark.usefixtures("reopen")
def test_a_wrong_passphrase_opens_nothing(settings: plugin.FileSettings) -> None:
    with pytest.raises(WrongPassphrase):
        plugin.open_keystore(settings, KnownSecret("another passphrase"))


def test_no_keystore_is_made_without_a_passphrase(settings: plugin.FileSettings, path: Path) -> None:
    with pytest.raises(Usage):
        plugin.create(settings, KnownSecret(""))

    assert not path.exists()


@pytest.mark.usefixtures("reopen")
def test_a_keystore_is_never_made_over_another(settings: plugin.FileSettings, path: Path) -> None:
    before = path.read_bytes()

    with pytest.raises(Conflict):
        plugin.create(settings, SECRET, cost=CHEAP)

    assert path.read_bytes() == before


def test_a_missing_keystore_says_how_to_make_one(settings: plugin.FileSettings) -> None:
    with pytest.raises(KeystoreError) as raised:
        plugin.open_keystore(settings, SECRET)

    assert "vaultq-server init" in raised.value.remedy


@pytest.mark.usefixtures("keystore")
def test_the_file_is_0600_and_holds_no_key_in_clear(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"master" not in path.read_bytes()


def test_a_stolen_repr_holds_no_key(keystore: FileKeystore) -> None:
    with keystore._fresh() as contents:  # noqa: SLF001 - what a debugger would print
        [key] = contents.keys
        assert repr(key.material) not in repr(contents) + repr(key)


@pytest.mark.parametrize("attack", ["flip", "cut", "empty", "half", "space", "garbage", "oversize"])
def test_a_changed_file_is_refused(attack: str, reopen: Reopen, path: Path) -> None:
    data = path.read_bytes()
    changed = {
        "flip": data[:-20] + bytes([data[-20] ^ 1]) + data[-19:],
        "cut": data[:-1],
        "empty": b"",
        "half": data[: len(data) // 2],
        "space": data + b" ",
        "garbage": secrets.token_bytes(500),
        "oversize": data + b" " * (1 << 20),
    }[attack]
    path.write_bytes(changed)

    with pytest.raises((Malformed, WrongPassphrase, LimitExceeded)):
        reopen()


@pytest.mark.parametrize(
    ("field", "hostile"),
    [
        (b'"memory_kib":19456', b'"memory_kib":99999999'),
        (b'"memory_kib":19456', b'"memory_kib":8'),
        (b'"iterations":2', b'"iterations":4000000000'),
        (b'"iterations":2', b'"iterations":1'),
        (b'"lanes":1', b'"lanes":0'),
        (b'"lanes":1', b'"lanes":1000'),
        (b'"argon2id"', b'"argon2d"'),
        (b"vaultq/keystore/v1", b"vaultq/identity/v1"),
    ],
)
@pytest.mark.usefixtures("keystore")
def test_hostile_parameters_are_refused_before_deriving(
    field: bytes, hostile: bytes, settings: plugin.FileSettings, path: Path
) -> None:
    path.write_bytes(path.read_bytes().replace(field, hostile))

    with pytest.raises(Malformed):
        plugin.open_keystore(settings, asked_for_nothing)


def asked_for_nothing() -> Secret:
    raise AssertionError("the passphrase was asked for")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o601])
def test_a_file_that_others_may_use_is_refused(mode: int, reopen: Reopen, path: Path) -> None:
    path.chmod(mode)

    with pytest.raises(InsecureFile):
        reopen()


def test_a_symlinked_keystore_is_refused(reopen: Reopen, path: Path) -> None:
    path.rename(path.with_name("elsewhere.json"))
    path.symlink_to("elsewhere.json")

    with pytest.raises(InsecureFile):
        reopen()


def test_a_hard_linked_keystore_is_refused(reopen: Reopen, path: Path) -> None:
    path.with_name("copy.json").hardlink_to(path)

    with pytest.raises(InsecureFile):
        reopen()


def test_a_fifo_in_its_place_does_not_hold_the_server(reopen: Reopen, path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)

    with pytest.raises(InsecureFile):
        reopen()


def test_a_directory_that_others_can_write_is_refused(reopen: Reopen, path: Path) -> None:
    path.parent.chmod(0o777)

    with pytest.raises(InsecureFile):
        reopen()


def test_a_symlinked_lock_does_not_redirect_the_writer(keystore: FileKeystore, path: Path) -> None:
    target = path.with_name("target")
    lock = path.with_name(f"{path.name}.lock")
    lock.unlink()
    lock.symlink_to(target)

    with pytest.raises(InsecureFile):
        keystore.create_key(MASTER, AES_256)

    assert not target.exists()


def test_a_keystore_that_vanishes_under_a_running_server_is_waited_for(keystore: FileKeystore, path: Path) -> None:
    present = keystore.create_key(MASTER, AES_256)
    away = path.rename(path.with_name("away"))

    for call in (lambda: keystore.wrap_key(b"k" * 32, aad=b"x"), lambda: keystore.create_key(MASTER, AES_256)):
        with pytest.raises(KeystoreUnavailable, match="not there any more"):
            call()

    away.rename(path)
    assert keystore.wrap_key(b"k" * 32, aad=b"x").key_id == present


def test_a_destroyed_versions_name_never_names_another_key(keystore: FileKeystore) -> None:
    month = keystore.create_key("kem/2026-11", AES_256)
    keystore.destroy_key(month)

    assert keystore.create_key("kem/2026-11", AES_256).version == 2
    with pytest.raises(KeyNotFound):
        keystore.destroy_key(month)


def test_the_passphrase_is_asked_for_once(settings: plugin.FileSettings, reopen: Reopen) -> None:
    asked: list[str] = []

    def secret() -> Secret:
        asked.append("passphrase")
        return SECRET()

    with closing(plugin.open_keystore(settings, secret)) as keystore, closing(reopen()) as other:
        other.create_key(MASTER, AES_256)
        keystore.create_key(MASTER, AES_256)
        other.create_key(MASTER, AES_256)
        assert keystore.current_key(MASTER).version == 3

    assert asked == ["passphrase"]


@pytest.mark.usefixtures("keystore")
def test_a_write_that_fails_leaves_the_old_keystore(path: Path) -> None:
    before = path.read_bytes()

    with elsewhere(path, f"resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n{MAKE_KEY}") as child:
        _, complaint = child.communicate()

    assert "KeystoreUnavailable" in complaint
    assert "File too large" in complaint
    assert path.read_bytes() == before
    assert sorted(each.name for each in path.parent.iterdir()) == [path.name, f"{path.name}.lock"]


def test_a_kill_at_any_moment_leaves_a_whole_keystore(keystore: FileKeystore, reopen: Reopen, path: Path) -> None:
    for made in range(1, 6):
        with elsewhere(path, f"while True:\n    {MAKE_KEY}\n    print('made', flush=True)") as child:
            assert [output(child).readline() for _ in range(made)] == ["made\n"] * made
            child.send_signal(signal.SIGKILL)
            child.communicate()

        with closing(reopen()) as again:
            assert again.current_key(MASTER).version == len(again.info().keys) > made
            assert keystore.current_key(MASTER) == again.current_key(MASTER)


MAKE_KEY = "keystore.create_key('master', 'AES-256')"


def elsewhere(path: Path, code: str) -> subprocess.Popen[str]:
    """Start a process that opens the keystore, then runs `code`."""
    opening = f"""
import resource
from vaultq_core.spi.testing import KnownSecret
from vaultq_keystore_file.plugin import FileSettings, open_keystore
keystore = open_keystore(FileSettings(path={str(path)!r}), KnownSecret())
"""
    return subprocess.Popen(
        [sys.executable, "-c", opening + code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output(child: subprocess.Popen[str]) -> IO[str]:
    assert child.stdout is not None
    return child.stdout
