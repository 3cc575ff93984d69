"""The keys on a token stay there. Programs that are not ours show it: `pkcs11-tool`, python-pkcs11, openssl."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from softhsm.make_token import LABEL, find_module
from tests.fixtures.exposed_vault import EnrolledDoctor, Vault
from tests.fixtures.pkcs11_tool import Pkcs11Tool
from tools.throwaway_vault import KeystoreName
from vaultq_core.crypto.revocation import load_crl
from vaultq_core.crypto.x509_profile import load_certificate
from vaultq_core.server.keys import KeyBox
from vaultq_core.spi.keystore import WrappedKey

CA_KEYS = {"root-ca", "doctors-ca", "admins-ca", "servers-ca"}
KEPT = {"sensitive", "always sensitive", "never extractable", "local"}
OPEN = {"keystore-passphrase", "admin-passphrase", "recovery-key"}


@pytest.fixture(scope="session")
def keystore() -> KeystoreName:
    return "pkcs11"


@pytest.fixture(scope="module")
def tool(vault: Vault, ada: EnrolledDoctor) -> Pkcs11Tool:
    """The tool at the token of a vault that serves and has served."""
    stored = ada.put(ada.new_patient(), b"a record of a vault on a token")
    assert ada.get(stored.record) == b"a record of a vault on a token"
    return Pkcs11Tool(vault.made)


@pytest.fixture(scope="module")
def revoked(vault: Vault) -> EnrolledDoctor:
    """A doctor who was revoked, before the lists were read."""
    doctor = vault.enrol("Dr. Gone")
    vault.admin.revoke(doctor.id, "left")
    return doctor


def purpose(label: str) -> str:
    """The purpose in a key's label, `vaultq:<purpose>:<algorithm>:<version>`."""
    return label.removeprefix("vaultq:").partition(":")[0]


def test_every_key_was_made_in_the_token_and_never_could_leave_it(tool: Pkcs11Tool) -> None:
    wrapping, signing = tool.keys("Secret"), tool.keys("Private")

    assert {purpose(each.label).partition("/")[0] for each in wrapping} == {"master", "kem"}
    assert {purpose(each.label) for each in signing} == CA_KEYS
    for each in wrapping + signing:
        assert each.access == KEPT, each
    assert [each.usage for each in wrapping] == [{"encrypt", "decrypt"}] * len(wrapping)
    assert [each.usage for each in signing] == [{"sign"}] * len(signing)


def test_pkcs11_tool_is_refused_a_wrapping_keys_value(tool: Pkcs11Tool, tmp_path: Path) -> None:
    for key in tool.keys("Secret"):
        done = tool("--read-object", "--type", "secrkey", "--label", key.label, "--output-file", str(tmp_path / "key"))

        assert done.returncode != 0
        assert "CKR_ATTRIBUTE_SENSITIVE" in done.stderr
        assert not (tmp_path / "key").exists()


def test_pkcs11_tool_is_refused_to_wrap_a_key_out(tool: Pkcs11Tool, tmp_path: Path) -> None:
    """Whoever has the PIN may make a key of their own in the token that wraps; ours are not wrapped by it."""
    made = tool("--keygen", "--key-type", "AES:32", "--label", "trojan", "--id", "77", "--usage-wrap", "--extractable")
    assert made.returncode == 0, made.stderr
    ids = {purpose(key.label): key.lines["ID"] for key in tool.keys("Secret") if key.label != "trojan"}

    wrapped = str(tmp_path / "wrapped")
    for theirs in ids.values():
        way = ("--wrap", "--mechanism", "AES-KEY-WRAP", "--id", "77", "--output-file", wrapped)
        done = tool(*way, "--application-id", theirs)
        assert done.returncode != 0
        assert "CKR_KEY_UNEXTRACTABLE" in done.stderr
        assert not Path(wrapped).exists()

    own = tool("--delete-object", "--type", "secrkey", "--label", "trojan")
    assert own.returncode == 0, own.stderr


def test_no_key_leads_out_by_value_flag_copy_or_wrapping(vault: Vault, tool: Pkcs11Tool) -> None:
    pin = vault.made.keystore_passphrase_file.read_text(encoding="utf-8").strip()
    done = subprocess.run(
        (sys.executable, "-m", "tests.fixtures.take_out", find_module(), LABEL),
        check=True,
        capture_output=True,
        env={**vault.made.environment, "PIN": pin},
    )

    found: dict[str, dict[str, str]] = json.loads(done.stdout)

    assert set(found) == {key.label for kind in ("Secret", "Private") for key in tool.keys(kind)}
    for label, ways in found.items():
        assert len(ways) == 7
        assert "" not in ways.values(), (label, ways)
        assert ways["read the value"] == "AttributeSensitive"


def test_no_file_holds_an_open_key(vault: Vault, tool: Pkcs11Tool) -> None:
    """What the server opens with the token's keys; those themselves it never sees, as the tests above show."""
    assert tool.keys("Secret")
    keys = opened_keys(vault)
    assert len(keys) >= 8
    for path in server_files(vault):
        data = path.read_bytes()
        assert b"BEGIN PRIVATE KEY" not in data, path
        assert b"BEGIN EC PRIVATE KEY" not in data, path
        for name, key in keys.items():
            for form in (key, key.hex().encode(), base64.b64encode(key), base64.urlsafe_b64encode(key).rstrip(b"=")):
                assert form not in data, f"{name} lies in {path}"


def test_openssl_accepts_a_doctor_and_the_list_and_refuses_the_revoked(
    ada: EnrolledDoctor, revoked: EnrolledDoctor, tmp_path: Path
) -> None:
    with ada.reopened() as client:
        info = client.session.view.info
    authority = load_certificate(info.issuing.doctors)
    (crl,) = (each for each in map(load_crl, info.crls) if each.issuer == authority.subject)
    root = load_certificate(info.roots.hospital)
    (tmp_path / "root").write_bytes(root.public_bytes(Encoding.PEM))
    (tmp_path / "doctors-ca").write_bytes(authority.public_bytes(Encoding.PEM))
    (tmp_path / "crl").write_bytes(crl.public_bytes(Encoding.PEM))

    verdicts = {}
    for doctor in (ada, revoked):
        (tmp_path / "doctor").write_bytes(doctor.tls.chain[0].public_bytes(Encoding.PEM))
        done = subprocess.run(
            (
                *("openssl", "verify", "-x509_strict", "-crl_check", "-purpose", "sslclient"),
                *("-CAfile", tmp_path / "root", "-untrusted", tmp_path / "doctors-ca", "-CRLfile", tmp_path / "crl"),
                tmp_path / "doctor",
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        verdicts[doctor.name] = (done.returncode, done.stdout.strip().rpartition(": ")[2], done.stderr)

    assert verdicts[ada.name] == (0, "OK", "")
    assert verdicts[revoked.name][0] == 2
    assert "certificate revoked" in verdicts[revoked.name][2]


def opened_keys(vault: Vault) -> dict[str, bytes]:
    """Every key that the server has open while it runs: seeds of KEM, log and PQ CAs, HMAC keys, patients' keys."""
    with vault.desk() as desk:
        box = KeyBox(desk.keystore, desk.vault)
        rows = vault.rows("SELECT name, wrapped FROM sealed_keys") + vault.rows("SELECT id, wrapped_seed FROM kem_keys")
        keys = {name: box.unwrap(name, WrappedKey.parse(wrapped)) for name, wrapped in rows}
        with desk.registry.reading() as tx:
            patients = [desk.registry.patients.get(tx, each) for (each,) in vault.rows("SELECT id FROM patients")]
        return keys | {f"patient {row.id}": desk.patient_keys.open(row)._key for row in patients}  # noqa: SLF001


def server_files(vault: Vault) -> Iterator[Path]:
    """Registry, storage, configuration, log, the token's own files: all but what the operator keeps elsewhere."""
    for path in vault.directory.rglob("*"):
        inside = path.relative_to(vault.directory).parts
        if path.is_file() and not inside[0].startswith("home-") and inside[0] not in OPEN:
            yield path
