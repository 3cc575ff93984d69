"""The example of docs/plugins/write-a-keystore.md keeps what the page says of it."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable
from contextlib import closing
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from tests.fixtures.sources import ROOT
from vaultq_core.crypto.passphrase import Cost
from vaultq_core.errors import Conflict, InsecureFile, WrongPassphrase
from vaultq_core.server.plugins import select_keystore
from vaultq_core.spi.keystore import AES_256, MASTER
from vaultq_core.spi.testing import KeystoreContract, KnownSecret
from vaultq_keystore_sqlite import SqliteKeystore, SqliteSettings, create, open_keystore

PAGE = ROOT / "docs/plugins/write-a-keystore.md"
EXAMPLE = ROOT / "docs/plugins/examples/keystore_sqlite/vaultq_keystore_sqlite.py"
CHEAP = Cost(iterations=2, lanes=1, memory_kib=19 * 1024)
SECRET = KnownSecret()
Reopen = Callable[[], SqliteKeystore]


@pytest.fixture
def settings(tmp_path: Path) -> SqliteSettings:
    return SqliteSettings(path=str(tmp_path / "keys.db"))


@pytest.fixture
def reopen(settings: SqliteSettings) -> Reopen:
    create(settings, SECRET, CHEAP).close()
    return partial(open_keystore, settings, SECRET)


class TestSqliteKeystore(KeystoreContract):
    @pytest.fixture
    def reopen(self, settings: SqliteSettings) -> Reopen:
        create(settings, SECRET, CHEAP).close()
        return partial(open_keystore, settings, SECRET)


def test_a_wrong_passphrase_is_told_from_a_keystore_that_is_there_already(
    settings: SqliteSettings, reopen: Reopen
) -> None:
    with pytest.raises(WrongPassphrase):
        open_keystore(settings, KnownSecret("another"))
    with pytest.raises(Conflict):
        create(settings, SECRET, CHEAP)
    reopen().close()


def test_a_file_that_others_may_read_is_refused(settings: SqliteSettings, reopen: Reopen) -> None:
    Path(settings.path + ".sealing-key").chmod(0o640)

    with pytest.raises(InsecureFile):
        reopen()


def test_no_key_lies_in_the_file(settings: SqliteSettings, reopen: Reopen) -> None:
    keystore = reopen()
    material = keystore._material(keystore.create_key(MASTER, AES_256), AES_256)  # noqa: SLF001 - what must not leak
    keystore.close()

    assert material not in Path(settings.path).read_bytes()


def test_the_server_finds_and_opens_it_by_its_entry_point(settings: SqliteSettings, reopen: Reopen) -> None:
    reopen().close()
    project = tomllib.loads(EXAMPLE.with_name("pyproject.toml").read_text(encoding="utf-8"))["project"]
    installed = [EntryPoint(name, value, "vaultq") for name, value in project["entry-points"]["vaultq"].items()]

    selected = select_keystore({"name": "sqlite", "sqlite": {"path": settings.path}}, installed)

    with closing(selected.open(SECRET)) as keystore:
        assert keystore.info().backend == "sqlite"


def test_the_example_is_short_and_the_page_shows_it_whole() -> None:
    code = EXAMPLE.read_text(encoding="utf-8")

    assert len(code.splitlines()) < 150
    page = PAGE.read_text(encoding="utf-8")
    assert f"```python\n{code}```" in page
    assert inspect.getsource(TestSqliteKeystore) in page
