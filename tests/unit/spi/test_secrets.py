from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from vaultq_core.errors import ConfigInvalid, InsecureFile
from vaultq_core.private_files import write_private
from vaultq_core.spi.secrets import Secret, SecretRequest, find_secret


def request(file: Path | None = None) -> SecretRequest:
    return SecretRequest(label="passphrase of the keystore", credential="vaultq-pass", file=str(file) if file else None)


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret("hunter2")

    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "hunter2"


def test_a_secret_is_not_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret("hunter2"))


def test_the_named_file_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    write_private(file, b"from the file\n")

    secret = find_secret(request(file), environ={"CREDENTIALS_DIRECTORY": str(tmp_path)}, prompt=lambda _: "typed")

    assert secret.reveal() == "from the file"


def test_a_passphrase_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    write_private(file, b"x")
    file.chmod(0o644)

    with pytest.raises(InsecureFile):
        find_secret(request(file), environ={}, prompt=None)


def test_a_named_environment_variable_comes_before_the_credential(tmp_path: Path) -> None:
    (tmp_path / "vaultq-pass").write_text("from systemd")
    named = SecretRequest(label="PIN", credential="vaultq-pass", variable="TOKEN_PIN")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "TOKEN_PIN": "from the environment"}

    assert find_secret(named, environ=environ, prompt=None).reveal() == "from the environment"


def test_a_named_environment_variable_that_is_not_set_is_told() -> None:
    named = SecretRequest(label="PIN", credential="vaultq-pass", variable="TOKEN_PIN")

    with pytest.raises(ConfigInvalid, match="TOKEN_PIN"):
        find_secret(named, environ={}, prompt=lambda _: "typed")


def test_a_systemd_credential_comes_next(tmp_path: Path) -> None:
    (tmp_path / "vaultq-pass").write_text("from systemd\r\n")

    secret = find_secret(request(), environ={"CREDENTIALS_DIRECTORY": str(tmp_path)}, prompt=lambda _: "typed")

    assert secret.reveal() == "from systemd"


def test_the_terminal_comes_last(tmp_path: Path) -> None:
    asked: list[str] = []

    def prompt(text: str) -> str:
        asked.append(text)
        return " typed with spaces "

    secret = find_secret(request(), environ={"CREDENTIALS_DIRECTORY": str(tmp_path)}, prompt=prompt)

    assert secret.reveal() == " typed with spaces "
    assert asked == ["passphrase of the keystore: "]


def test_without_any_way_the_message_names_the_ways() -> None:
    with pytest.raises(ConfigInvalid) as raised:
        find_secret(request(), environ={}, prompt=None)

    assert "vaultq-pass" in raised.value.remedy


@pytest.mark.parametrize("typed", ["", "\n"])
def test_an_empty_secret_is_refused(typed: str) -> None:
    with pytest.raises(ConfigInvalid):
        find_secret(request(), environ={}, prompt=lambda _: typed)
