from __future__ import annotations

import msgspec
import pytest

from vaultq_core.errors import ConfigInvalid
from vaultq_core.spi.settings import decode_settings


class Pool(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    threads: int = 4


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    path: str
    passphrase_file: str | None = None
    pool: Pool | None = None


def test_a_table_becomes_its_struct() -> None:
    assert decode_settings({"path": "x", "pool": {"threads": 2}}, Example, "keystore.file") == Example(
        path="x", pool=Pool(threads=2)
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"pth": "x"}, r"\[keystore.file\]: unknown key `pth`; did you mean `path`\?"),
        ({"path": "x", "passphrase": "y"}, r"unknown key `passphrase`; did you mean `passphrase_file`\?"),
        ({"path": "x", "zzz": 1}, r"unknown key `zzz`; the keys are `path`, `passphrase_file`, `pool`"),
        ({"path": "x", "pool": {"thread": 1}}, r"\[keystore.file.pool\]: unknown key `thread`.*`threads`"),
        ({"path": 5}, r"\[keystore.file\]: path: Expected `str`, got `int`"),
        ({"path": "x", "pool": {"threads": "5"}}, r"pool.threads: Expected `int`, got `str`"),
        ({}, r"missing setting `path`"),
    ],
)
def test_a_wrong_table_is_refused_with_what_was_meant(table: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigInvalid, match=message):
        decode_settings(table, Example, "keystore.file")


def test_a_passphrase_written_as_a_setting_is_not_repeated() -> None:
    with pytest.raises(ConfigInvalid) as raised:
        decode_settings({"path": "x", "pin": "hunter2"}, Example, "keystore.file")

    assert "hunter2" not in str(raised.value)
