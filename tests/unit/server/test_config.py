from __future__ import annotations

from pathlib import Path

import pytest

from vaultq_core.errors import ConfigInvalid
from vaultq_core.server.config import Address, PluginChoice, load_config, parse_address, parse_config
from vaultq_core.server.config_default import default_toml
from vaultq_core.wire.limits import Limits

HERE = Path("/srv/vaultq")


def test_the_default_file_is_valid_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "vaultq.toml"
    path.write_text(default_toml(names=("vault.hospital.example",), addresses=("192.0.2.1", "2001:db8::1")))

    config = load_config(path)

    assert config.data_dir == tmp_path / "data"
    assert config.registry.url == f"sqlite:///{tmp_path}/registry.db"
    assert config.vault.names == ("vault.hospital.example",)
    assert (config.keystore.name, dict(config.keystore.settings)) == ("file", {"path": "keystore"})
    assert (config.storage.name, dict(config.storage.settings)) == ("fs", {"path": "objects"})
    assert config.listeners["records"] == Address("127.0.0.1", 8443)
    assert config.limits == Limits()


def test_every_limit_that_the_default_file_names_can_be_set() -> None:
    head, _, limits = default_toml().partition("[limits]\n")

    assert parse_config(head + "[limits]\n" + limits.replace("# ", ""), HERE).limits == Limits()


@pytest.mark.parametrize(
    ("right", "wrong", "section", "nearest"),
    [
        ("workers = 2", "worker = 2", "server", "workers"),
        ("records =", "record =", "listeners", "records"),
        ("[registry]", "[registery]", "", "registry"),
        ("[limits]", "[limits]\nidle_second = 5", "limits", "idle_seconds"),
        ('name = "fs"', 'name = "fs"\n[storage.s3]\nbucket = "x"', "storage", "name"),
        ("data_dir", "data_directory", "vault", "data_dir"),
    ],
)
def test_an_unknown_key_is_refused_with_the_one_that_was_meant(
    right: str, wrong: str, section: str, nearest: str
) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        parse_config(default_toml().replace(right, wrong, 1), HERE)

    assert section in str(refused.value)
    assert nearest in str(refused.value)


def test_a_second_keystore_has_the_shape_of_the_first() -> None:
    section = '[next_keystore]\nname = "pkcs11"\n[next_keystore.pkcs11]\ntoken = "ours"\n'

    config = parse_config(default_toml() + section, HERE)

    assert config.next_keystore == PluginChoice("pkcs11", {"token": "ours"})
    assert parse_config(default_toml(), HERE).next_keystore is None
    with pytest.raises(ConfigInvalid, match="next_keystore"):
        parse_config(default_toml() + section.replace("next_keystore.pkcs11", "next_keystore.pkcs"), HERE)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("workers = 2", "workers = 0"),
        ("workers = 2", 'workers = "2"'),
        ('log_level = "info"', 'log_level = "loud"'),
        ('addresses = ["127.0.0.1"]', 'addresses = ["localhost"]'),
        ('names = ["localhost"]', 'names = ["-not a name-"]'),
        ('name = "file"', 'name = "../file"'),
        ("[keystore.file]", "[keystore.other]"),
        ("[limits]", "[limits]\nstall_seconds = 0"),
        ("[vault]", "[vault"),
    ],
)
def test_a_wrong_value_is_refused(right: str, wrong: str) -> None:
    with pytest.raises(ConfigInvalid):
        parse_config(default_toml().replace(right, wrong, 1), HERE)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8443", Address("127.0.0.1", 8443)),
        ("[::1]:8443", Address("::1", 8443)),
        ("localhost:0", Address("localhost", 0)),
    ],
)
def test_an_address_is_read_as_it_is_written(text: str, address: Address) -> None:
    assert parse_address(text, "[listeners] records") == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["8443", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "::1:8443", "[127.0.0.1]:1", "x:1"]
)
def test_what_is_no_address_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"\[listeners\] admin"):
        parse_address(text, "[listeners] admin")


def test_a_database_password_does_not_show() -> None:
    text = default_toml().replace("sqlite:///registry.db", "postgresql+psycopg://vaultq:secret@db/vaultq")

    assert "secret" not in repr(parse_config(text, HERE))


def test_a_missing_file_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        load_config(tmp_path / "vaultq.toml")
