"""Keys move from a file into a token, and from one token to the next, while a doctor works."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.busy_doctor import busy
from tests.fixtures.exposed_vault import Vault, running_vault
from tests.fixtures.reloads import known, reload
from tests.fixtures.still_vault import begin, does, make_next_the_keystore, refuses
from tools.throwaway_token import Token
from tools.throwaway_vault import write_secret

MIGRATE = ("keystore", "migrate", "--to", "pkcs11")
MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "a PIN for a throw-away token"
OF_KEYS = {"keystore", "wrapping", "keys", "signing"}  # first words of what `check` says of them
CAS = {"doctors-ca", "admins-ca", "servers-ca"}


def add_token(vault: Vault) -> str:
    """Make a further token, name it in the configuration, and return what rows call it."""
    options = ("--init-token", "--free", "--label", "next", "--so-pin", PIN, "--pin", PIN)
    subprocess.run(("softhsm2-util", *options), check=True, capture_output=True, env=vault.made.environment)
    pin = write_secret(vault.directory / "next-pin", PIN)
    section = f'name = "pkcs11"\n\n[next_keystore.pkcs11]\nmodule = "{MODULE}"\ntoken = "next"\npin_file = "{pin}"\n'
    with vault.made.config.open("a", encoding="utf-8") as config:
        config.write(f"\n[next_keystore]\n{section}")
    return str(does(vault, "keystore", "prepare")["prepared"])


def origins(vault: Vault) -> dict[str, str]:
    """Return the origin of each key by its purpose, which stands there once."""
    keys = does(vault, "keystore", "status")["keys"]
    found = {key["id"].partition(":")[0]: key["provenance"] for key in keys}
    assert len(found) == len(keys)
    return found


@pytest.mark.timeout(300)
def test_keys_move_from_a_file_into_a_token(tmp_path: Path) -> None:
    with running_vault(tmp_path / "vault", workers=1) as vault:
        token = Token.create(tmp_path / "token")
        vault.stop()
        vault.made.variables.update(token.variables)
        vault.start()
        ada = vault.enrol("Dr. Ada Lovelace")
        with busy(vault, ada) as work:
            name = add_token(vault)
            reload(vault)
            done = does(vault, *MIGRATE)
            assert (done["finished"], done["target"], done["left"]) == (True, name, [])
            work.at_least(3)
            does(vault, "keystore", "retire", "--yes", *done["unneeded"])
            make_next_the_keystore(vault)
            reload(vault)
            (vault.directory / "keystore").unlink()
            work.at_least(3)

        shown = origins(vault)
        assert {purpose for purpose, origin in shown.items() if origin == "imported"} == {*CAS, "root-ca"}
        vault.restart()
        assert known(vault) == {name}
        for record, content in work.contents.items():
            assert ada.get(record) == content


@pytest.mark.timeout(300)
def test_keys_move_from_token_to_token_with_new_issuing_cas_and_an_offline_root(tmp_path: Path) -> None:
    with running_vault(tmp_path / "vault", keystore="pkcs11", workers=1) as vault:
        ada = vault.enrol("Dr. Ada Lovelace")
        with busy(vault, ada) as work:
            name = add_token(vault)
            reload(vault)
            assert "cannot leave" in refuses(vault, "conflict", *MIGRATE)
            first = does(vault, *MIGRATE, "--leave-ca-keys")
            assert {each.partition(":")[0] for each in first["left"]} == {*CAS, "root-ca"}
            work.at_least(3)
            does(vault, "issuing-cas", "replace", "--yes")
            work.at_least(3)
        for record, content in work.contents.items():
            assert ada.get(record) == content

        does(vault, "issuing-cas", "close", "--end", "--yes")
        done = does(vault, *MIGRATE)

        assert (done["resumed"], done["finished"], done["left"]) == (True, True, ["root-ca:EC-P384:1"])
        does(vault, "keystore", "retire", "--yes", *done["unneeded"])
        assert set(origins(vault).values()) == {"made here"}
        assert "cite" in refuses(vault, "conflict", "keystore", "retire", "--yes", "root-ca:EC-P384:1")
        make_next_the_keystore(vault)
        vault.restart()
        assert known(vault) == {name}
        assert "root-ca" not in origins(vault)
        checks = json.loads(begin(vault, "check").communicate()[0])["checks"]
        keys = [
            each for each in checks if each["subject"].partition(" ")[0] in {"keystore", "wrapping", "keys", "signing"}
        ]
        assert len(keys) == 7
        assert [each for each in keys if each["verdict"] != "ok"] == []
