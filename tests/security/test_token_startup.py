"""A server whose token is not as it should be says what is wrong and what to do, and asks the token once."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from softhsm.make_token import LABEL, find_module
from tests.fixtures.startup import assert_refused, edit, rewrite_passphrase, run
from tools.throwaway_token import Token
from tools.throwaway_vault import KeystoreName, ThrowawayVault

WRONG_PIN = 77
CONFIG_INVALID = 78
UNAVAILABLE = 75
NOT_FOUND = 66


@pytest.fixture(scope="session")
def keystore() -> KeystoreName:
    return "pkcs11"


@pytest.fixture
def made(founded: ThrowawayVault, tmp_path: Path) -> ThrowawayVault:
    """A vault of the test's own."""
    return founded.copy(tmp_path / "vault")


def test_a_wrong_pin_is_tried_once(made: ThrowawayVault) -> None:
    rewrite_passphrase(made, "8765-not-the-pin")
    edit(made, "workers = 1", "workers = 4")

    done = run(made, "serve")

    assert "8765" not in assert_refused(done, WRONG_PIN, "wrong-passphrase")
    assert "PIN" in done.stderr


def test_a_token_of_another_name(made: ThrowawayVault) -> None:
    edit(made, f'token = "{LABEL}"', 'token = "elsewhere"')

    assert "elsewhere" in run_refused(made)


def test_two_tokens_of_one_name(made: ThrowawayVault) -> None:
    arguments = ("--init-token", "--free", "--label", LABEL, "--so-pin", "12345678", "--pin", "12345678")
    subprocess.run(("softhsm2-util", *arguments), check=True, capture_output=True, env=made.environment)

    assert LABEL in run_refused(made)


def test_a_token_that_is_not_there(made: ThrowawayVault) -> None:
    made.token.tokens.rename(made.token.directory / "away")

    said = run_refused(made)

    (made.token.directory / "away").rename(made.token.tokens)
    assert said


def test_a_module_that_is_not_there(made: ThrowawayVault) -> None:
    edit(made, find_module(), "/usr/lib/no-such-module.so")

    assert "/usr/lib/no-such-module.so" in assert_refused(run(made, "serve"), CONFIG_INVALID, "config-invalid")


def test_a_module_that_is_no_library(made: ThrowawayVault) -> None:
    edit(made, find_module(), str(made.config))

    assert str(made.config) in assert_refused(run(made, "serve"), CONFIG_INVALID, "config-invalid")


def test_a_pin_file_that_is_not_there(made: ThrowawayVault) -> None:
    made.keystore_passphrase_file.unlink()

    said = assert_refused(run(made, "serve"), NOT_FOUND, "not-found")

    assert str(made.keystore_passphrase_file) in said


def test_a_pin_file_that_others_can_read(made: ThrowawayVault) -> None:
    made.keystore_passphrase_file.chmod(0o644)

    assert str(made.keystore_passphrase_file) in assert_refused(run(made, "serve"), 78, "insecure-file")


def test_a_pin_in_the_configuration(made: ThrowawayVault) -> None:
    edit(made, f'token = "{LABEL}"', f'token = "{LABEL}"\npin = "1234"')

    said = assert_refused(run(made, "serve"), CONFIG_INVALID, "config-invalid")

    assert "pin" in said
    assert "1234" not in said


def test_a_key_that_is_not_there(made: ThrowawayVault) -> None:
    """An empty token of the same name: that of another vault, or one that was initialised anew."""
    shutil.rmtree(made.token.directory)
    Token.create(made.token.directory)

    said = assert_refused(run(made, "serve"), CONFIG_INVALID, "key-not-found")

    assert "master" in said


def run_refused(made: ThrowawayVault) -> str:
    """Return what is said of a token that cannot be found."""
    done = run(made, "serve")
    assert done.returncode in {UNAVAILABLE, CONFIG_INVALID}, done
    code = done.stderr.partition("[")[2].partition("]")[0]
    return assert_refused(done, done.returncode, code)
