"""[next_keystore]: every process opens both keystores, each with its own secret, or none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.exposed_vault import Vault, running_vault, until
from tests.fixtures.reloads import known, reload
from tests.fixtures.still_vault import add_next_keystore, does, refuses, still_vault


@pytest.fixture
def still(tmp_path: Path) -> Vault:
    return still_vault(tmp_path)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Vault]:
    with running_vault(tmp_path / "vault", workers=1) as vault:
        yield vault


def test_a_reload_lets_every_worker_open_both(served: Vault) -> None:
    present = f"file {served.directory}/keystore"
    following = add_next_keystore(served)
    assert known(served) == {present}

    assert '"reloaded"' in reload(served)

    until(lambda: known(served) == {f"{present}\n{following}"}, "the former worker has ended")
    assert {key["keystore"] for key in does(served, "keystore", "status")["keys"]} == {present}


def test_a_wrong_secret_of_the_next_one_keeps_the_workers_that_serve(served: Vault) -> None:
    workers = served.workers()
    add_next_keystore(served)
    (served.directory / "next-passphrase").write_text("not the passphrase")

    refused = reload(served)

    assert '"code": "wrong-passphrase"' in refused
    assert set(workers) <= set(served.workers())


def test_a_keystore_does_not_move_to_itself(still: Vault) -> None:
    text = still.made.config.read_text()
    section = text[text.index("[keystore]") : text.index("[storage]")]
    still.made.config.write_text(text + section.replace("[keystore", "[next_keystore"))
    assert "same" in refuses(still, "config-invalid", "keystore", "status")

    again = section.replace("[keystore", "[next_keystore").replace("/keystore-passphrase", "//keystore-passphrase")
    still.made.config.write_text(text + again)
    assert "same keystore" in refuses(still, "config-invalid", "keystore", "status")


def test_what_is_wrong_with_the_next_one_is_said_of_the_next_one(still: Vault) -> None:
    text = still.made.config.read_text()
    still.made.config.write_text(text + '\n[next_keystore]\nname = "no_such"\n')
    assert "[next_keystore]" in refuses(still, "plugin-invalid", "keystore", "status")
    still.made.config.write_text(text)
    assert "[next_keystore]" in refuses(still, "config-invalid", "keystore", "prepare")


def test_a_keystore_that_is_there_is_not_prepared_again(still: Vault) -> None:
    add_next_keystore(still)

    assert "already" in refuses(still, "conflict", "keystore", "prepare")
