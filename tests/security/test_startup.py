"""A server that cannot start says so in one line, what to do in another, and ends with the status of docs/errors.md."""

from __future__ import annotations

import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.fixtures.startup import assert_refused, edit, rewrite_passphrase, run
from tools.throwaway_vault import ThrowawayVault


@pytest.fixture
def made(founded: ThrowawayVault, tmp_path: Path) -> Iterator[ThrowawayVault]:
    """A vault of the test's own, which holds afterwards what it held."""
    place = tmp_path / "vault"
    copied = founded.copy(place)
    before = _contents(place)
    yield copied
    after = _contents(place)
    assert {path: after.get(path) for path in before if path.suffix in {".vqr", ".ckpt", ".key"}} == {
        path: data for path, data in before.items() if path.suffix in {".vqr", ".ckpt", ".key"}
    }


def _contents(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_wrong_passphrase(made: ThrowawayVault) -> None:
    rewrite_passphrase(made, "not the passphrase at all")

    said = assert_refused(run(made, "serve"), 77, "wrong-passphrase")

    assert "not the passphrase" not in said


def test_a_passphrase_file_that_others_can_read(made: ThrowawayVault) -> None:
    (made.directory / "keystore-passphrase").chmod(0o644)

    assert_refused(run(made, "serve"), 78, "insecure-file")


def test_a_keystore_that_others_can_read(made: ThrowawayVault) -> None:
    (made.directory / "keystore").chmod(0o644)

    assert_refused(run(made, "serve"), 78, "insecure-file")


def test_a_keystore_that_is_not_there(made: ThrowawayVault) -> None:
    (made.directory / "keystore").unlink()

    assert_refused(run(made, "serve"), 78, "keystore-error")


@pytest.mark.parametrize("at", [200, -20])
def test_a_keystore_whose_bytes_were_changed(made: ThrowawayVault, at: int) -> None:
    path = made.directory / "keystore"
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)

    done = run(made, "serve")

    assert done.returncode in {65, 77}
    assert_refused(done, done.returncode, {65: "malformed", 77: "wrong-passphrase"}[done.returncode])


def test_a_keystore_of_another_vault(made: ThrowawayVault, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    theirs = ThrowawayVault.create(other, workers=1)
    shutil.copy(theirs.directory / "keystore", made.directory / "keystore")

    done = run(made, "serve")

    assert done.returncode in {76, 78}
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("listener", ["records", "enrolment", "admin"])
def test_a_port_that_is_in_use(made: ThrowawayVault, listener: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", made.ports[listener]))
        taken.listen()

        said = assert_refused(run(made, "serve"), 71, "address-in-use")

    assert listener in said
    assert str(made.ports[listener]) in said


MISTAKES: dict[str, tuple[str, str, str]] = {
    "unknown-key": ("workers =", "wokers =", "wokers"),
    "unknown-limit": ("[limits]\n", "[limits]\ncontent_byte = 1\n", "content_bytes"),
    "no-toml": ("[vault]", "[vault", "TOML"),
    "foreign-setting": ('name = "file"', 'name = "file"\npin = "x"', "pin"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_configuration_is_named(made: ThrowawayVault, mistake: str) -> None:
    old, new, named = MISTAKES[mistake]
    edit(made, old, new)

    assert named in assert_refused(run(made, "serve"), 78, "config-invalid")


def test_an_unknown_plug_in(made: ThrowawayVault) -> None:
    edit(made, 'name = "fs"', 'name = "punchcards"')
    edit(made, "[storage.fs]", "[storage.punchcards]")

    assert "punchcards" in assert_refused(run(made, "serve"), 78, "plugin-invalid")


def test_a_configuration_that_is_not_there(made: ThrowawayVault) -> None:
    made.config.unlink()

    assert_refused(run(made, "serve"), 78, "config-invalid")


def test_a_registry_that_is_not_there(made: ThrowawayVault) -> None:
    (made.directory / "registry.db").unlink()

    assert_refused(run(made, "serve"), 78, "config-invalid")


def test_a_storage_that_is_not_mounted(made: ThrowawayVault) -> None:
    shutil.rmtree(made.objects)

    assert_refused(run(made, "serve"), 75, "storage-unavailable")


def test_an_empty_directory_in_the_storages_place(made: ThrowawayVault) -> None:
    """What a disk that is not mounted looks like: records must not go to the disk below."""
    shutil.rmtree(made.objects)
    made.objects.mkdir(mode=0o700)

    assert_refused(run(made, "serve"), 75, "storage-unavailable")
    assert list(made.objects.iterdir()) == []


def test_a_second_init_touches_nothing(made: ThrowawayVault, tmp_path: Path) -> None:
    before = _contents(made.directory)

    done = run(
        made, "init", "--admin", "Eve", "--recovery-key-file", str(tmp_path / "recovery"),
        "--admin-passphrase-file", str(made.admin_passphrase_file),
    )  # fmt: skip

    assert_refused(done, 73, "conflict")
    assert not (tmp_path / "recovery").exists()
    assert _contents(made.directory).items() >= before.items()


@pytest.mark.parametrize(
    ("table", "column"), [("vault", "hospital_root"), ("issuing_cas", "der"), ("sealed_keys", "wrapped")]
)
def test_a_vaults_own_row_that_was_tampered_with(made: ThrowawayVault, table: str, column: str) -> None:
    with closing(sqlite3.connect(made.directory / "registry.db")) as database, database:
        database.execute(f"UPDATE {table} SET {column} = zeroblob(64)")  # noqa: S608 - the test's own names

    done = run(made, "serve")

    assert done.returncode in {65, 76, 78}, done.stderr
    assert "Traceback" not in done.stderr
    assert "ready" not in done.stdout


def test_relative_paths_start_at_the_configuration(made: ThrowawayVault) -> None:
    """The server is started from `/`, and the plug-ins' sections say `keystore` and `objects`."""
    edit(made, f'path = "{made.directory}/keystore"', 'path = "keystore"')
    edit(made, f'passphrase_file = "{made.directory}/keystore-passphrase"', 'passphrase_file = "keystore-passphrase"')
    edit(made, f'path = "{made.objects}"', 'path = "objects"')

    rewrite_passphrase(made, "not the passphrase at all")

    assert_refused(run(made, "serve"), 77, "wrong-passphrase")
