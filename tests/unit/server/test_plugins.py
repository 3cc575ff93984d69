from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from vaultq_core.errors import ConfigInvalid, PluginInvalid
from vaultq_core.server.plugins import select_keystore, select_storage
from vaultq_core.spi.guard import GuardedKeystore, GuardedStorage
from vaultq_core.spi.keystore import AES_256
from vaultq_core.spi.secrets import SecretRequest
from vaultq_core.spi.testing import KnownSecret


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, "vaultq")


INSTALLED = [
    entry("keystore_file", "vaultq_keystore_file.plugin"),
    entry("storage_fs", "vaultq_storage_fs.plugin"),
    entry("keystore_explosive", "a_module_that_must_never_be_imported"),
]

PLUGIN_CODE = """
from vaultq_core.spi.hooks import Kind, Plugin, hookimpl
from vaultq_storage_fs.plugin import FsSettings, asks, create, open_storage

{hooks}
"""
STORAGE_HOOK = """
@hookimpl
def vaultq_storage():
    return Plugin(name={name!r}, kind=Kind.STORAGE, settings=FsSettings, asks=asks, create=create, open=open_storage)
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory for plug-in modules that others wrote."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_the_named_keystore_is_made_opened_and_guarded(tmp_path: Path) -> None:
    section = {"name": "file", "file": {"path": str(tmp_path / "master_key.json"), "passphrase_file": "/safe/pass"}}
    selected = select_keystore(section, INSTALLED)

    with closing(selected.create(KnownSecret())) as keystore:
        key_id = keystore.create_key("master", AES_256)
    with closing(selected.open(KnownSecret())) as again:
        assert isinstance(again, GuardedKeystore)
        assert again.current_key("master") == key_id
    assert isinstance(selected.secret_request, SecretRequest)
    assert selected.secret_request.file == "/safe/pass"


def test_the_named_storage_is_made_opened_and_guarded(tmp_path: Path) -> None:
    selected = select_storage({"name": "fs", "fs": {"path": str(tmp_path / "objects")}}, INSTALLED)

    selected.create(KnownSecret()).close()
    with closing(selected.open(KnownSecret())) as storage:
        assert isinstance(storage, GuardedStorage)
    assert selected.secret_request is None


def test_nothing_but_the_named_plugin_is_imported() -> None:
    code = """
import sys
from importlib.metadata import EntryPoint
from vaultq_core.server.plugins import select_storage
installed = [EntryPoint("keystore_file", "vaultq_keystore_file.plugin", "vaultq"),
             EntryPoint("storage_fs", "vaultq_storage_fs.plugin", "vaultq")]
select_storage({"name": "fs"}, installed)
assert "vaultq_storage_fs" in sys.modules
assert "vaultq_keystore_file" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{code}"], check=True)


def test_two_that_claim_one_name_are_both_refused() -> None:
    claims = [*INSTALLED, entry("storage_fs", "evil_twin.plugin")]

    with pytest.raises(PluginInvalid, match=r"claimed by 2 .* evil_twin.plugin, vaultq_storage_fs.plugin"):
        select_storage({"name": "fs"}, claims)


def test_an_unknown_name_tells_what_is_installed() -> None:
    with pytest.raises(PluginInvalid, match="no keystore plug-in `hsm`; installed: explosive, file"):
        select_keystore({"name": "hsm"}, INSTALLED)


def test_a_storage_is_not_taken_for_a_keystore() -> None:
    with pytest.raises(PluginInvalid, match="no keystore plug-in `fs`"):
        select_keystore({"name": "fs"}, INSTALLED)


def test_a_plugin_that_cannot_be_imported_is_told_by_name() -> None:
    with pytest.raises(PluginInvalid, match="`explosive` cannot be imported: No module named"):
        select_keystore({"name": "explosive"}, INSTALLED)


@pytest.mark.parametrize(
    ("hooks", "message"),
    [
        ("", "does not register exactly one"),
        (STORAGE_HOOK.format(name="other"), "registers the storage `other` instead"),
        ("@hookimpl\ndef vaultq_storage():\n    return 'fs'", "does not register exactly one"),
        ("@hookimpl\ndef vaultq_storages():\n    pass", "cannot be loaded: PluginValidationError"),
        ("1 / 0", "cannot be loaded: ZeroDivisionError"),
    ],
    ids=["no hook", "another name", "no plugin", "unknown hook", "raises"],
)
def test_an_unfit_plugin_is_refused(modules: Path, hooks: str, message: str) -> None:
    (modules / "unfit_plugin.py").write_text(PLUGIN_CODE.format(hooks=hooks))

    with pytest.raises(PluginInvalid, match=message):
        select_storage({"name": "mine"}, [entry("storage_mine", "unfit_plugin")])


def test_a_third_party_plugin_needs_one_entry_point_and_one_hook(modules: Path, tmp_path: Path) -> None:
    (modules / "third_party.py").write_text(PLUGIN_CODE.format(hooks=STORAGE_HOOK.format(name="mine")))
    section = {"name": "mine", "mine": {"path": str(tmp_path / "objects")}}

    select_storage(section, [*INSTALLED, entry("storage_mine", "third_party")]).create(KnownSecret()).close()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, r"\[storage\]: `name` has to name a plug-in; installed: fs"),
        ({"name": 5}, r"`name` has to name a plug-in"),
        ({"name": "fs", "sf": {}}, r"\[storage\]: unknown key `sf`; did you mean `fs`\?"),
        ({"name": "fs", "fs": "objects"}, r"`fs` has to be a table"),
        ({"name": "fs", "fs": {"pth": "x"}}, r"\[storage.fs\]: unknown key `pth`; did you mean `path`\?"),
        ({"name": "fs", "fs": {"path": 5}}, r"\[storage.fs\]: path: Expected `str`, got `int`"),
    ],
)
def test_a_wrong_section_is_refused_with_what_was_meant(section: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigInvalid, match=message):
        select_storage(section, INSTALLED)


def test_a_section_may_keep_the_settings_of_another_installed_plugin() -> None:
    select_keystore({"name": "file", "file": {"path": "x"}, "explosive": {"pin_file": "y"}}, INSTALLED)
