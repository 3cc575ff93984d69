"""`vaultq-server init`: a new vault on disk: configuration, keystore, registry, first administrator.

Nothing that is there already is touched. Whatever is needed later (recovery key, administrator's key,
roots) is on disk before the registry's one transaction, which makes the vault.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from sqlalchemy import Engine

from vaultq_core.crypto.issuing import issue_administrator
from vaultq_core.crypto.keys import generate_p256
from vaultq_core.crypto.x509_profile import load_certificate
from vaultq_core.errors import Conflict
from vaultq_core.private_files import write_private
from vaultq_core.registry.engine import open_engine, reading
from vaultq_core.registry.schema import migrate
from vaultq_core.registry.vault import peek_vault_id
from vaultq_core.server.authorities import issuer_of
from vaultq_core.server.backends import Prompt, plugin_section, secret_of
from vaultq_core.server.ceremony import NewVault, make_vault
from vaultq_core.server.config import Config, load_config
from vaultq_core.server.config_default import default_toml
from vaultq_core.server.founding import FirstAdministrator, found_vault
from vaultq_core.server.keys import open_vault_keys
from vaultq_core.server.opening import utc_now
from vaultq_core.server.plugins import select_keystore, select_storage
from vaultq_core.server.services.doctors import ALPHABET, ID_CHARS
from vaultq_core.spi.secrets import Secret

DIRECTORY_MODE: Final = 0o700
HOSPITAL_ROOT_FILE: Final = "hospital_root_ca.pem"
PQ_ROOT_FILE: Final = "hospital_pq_root.pem"
RECOVERY_LABEL: Final = "vaultq-recovery-v1"


@dataclass(frozen=True, slots=True)
class InitChoices:
    """What the operator says at `init`; the passphrase seals the first administrator's key."""

    administrator: str
    hospital: str
    recovery_key_file: Path | None
    admin_passphrase: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Initialised:
    """A new vault and where its files are; `recovery_key` only when no file took it."""

    vault: str
    data_dir: Path
    administrator: str
    recovery_key: str | None = field(repr=False)

    def lines(self) -> list[str]:
        """Return what the operator has to read."""
        lines = [
            f"vault           {self.vault}",
            f"roots           {self.data_dir / HOSPITAL_ROOT_FILE}, {PQ_ROOT_FILE}",
            f"administrator   {self.administrator}, home: {self.data_dir / 'admin'}",
        ]
        if self.recovery_key is not None:
            lines += ["recovery key    shown this once; put it into a safe:", f"  {self.recovery_key}"]
        return lines


def initialise(path: Path, choices: InitChoices, prompt: Prompt) -> Initialised:
    """Make a vault after the configuration at `path`, which is written first where there is none.

    Raises Conflict when there is a vault or a keystore already; ConfigInvalid, KeystoreError, StorageError.
    """
    if not path.exists():
        path.write_text(default_toml(), encoding="utf-8")
    config = load_config(path)
    config.data_dir.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    engine = open_engine(config.registry.url)
    try:
        _require_no_vault(engine)
        return _initialise(config, choices, prompt, engine)
    finally:
        engine.dispose()


def _require_no_vault(engine: Engine) -> None:
    migrate(engine)
    with reading(engine) as tx:
        if peek_vault_id(tx) is not None:
            raise Conflict(
                "there is a vault here already", remedy="Run `vaultq-server serve`, or choose another data_dir."
            )


def _initialise(config: Config, choices: InitChoices, prompt: Prompt, engine: Engine) -> Initialised:
    chosen = select_keystore(plugin_section(config.keystore.name, config.keystore.settings))
    storage = select_storage(plugin_section(config.storage.name, config.storage.settings))
    secret, now = secret_of(chosen.secret_request, prompt), utc_now()
    keystore = chosen.create(lambda: secret)
    try:
        storage.create(lambda: Secret("")).close()
        new = make_vault(keystore, choices.hospital, now)
        keys = open_vault_keys(keystore, new.identity, new.sealed)
        admins = issuer_of(keystore, "admins-ca", load_certificate(new.identity.issuing.admins))
        administrator_id = f"ad-{''.join(secrets.choice(ALPHABET) for _ in range(ID_CHARS))}"
        key = generate_p256()
        certificate = issue_administrator(administrator_id, choices.administrator, key.public_key(), admins, now)
        recovery_key = _write_recovery_key(choices, new)
        _write_roots(config.data_dir, new)
        _write_admin_home(config, choices, new, certificate, key)
        administrator = FirstAdministrator(administrator_id, choices.administrator, certificate)
        found_vault(engine, keystore, new, keys, administrator, now)
    finally:
        keystore.close()
    return Initialised(new.identity.vault, config.data_dir, administrator_id, recovery_key)


def _write_recovery_key(choices: InitChoices, new: NewVault) -> str | None:
    text = f"{RECOVERY_LABEL} {new.identity.vault[:16]} {new.recovery_seed.hex()}"
    if choices.recovery_key_file is None:
        return text
    write_private(choices.recovery_key_file, text.encode() + b"\n", create_only=True)
    return None


def _write_roots(directory: Path, new: NewVault) -> None:
    for name, der in ((HOSPITAL_ROOT_FILE, new.identity.roots.hospital), (PQ_ROOT_FILE, new.identity.roots.pq)):
        write_private(directory / name, load_certificate(der).public_bytes(Encoding.PEM))


def _write_admin_home(
    config: Config, choices: InitChoices, new: NewVault, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    home = config.data_dir / "admin"
    home.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    _write_roots(home, new)
    sealed = BestAvailableEncryption(choices.admin_passphrase)
    write_private(home / "administrator.crt", certificate.public_bytes(Encoding.PEM))
    write_private(home / "administrator.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed))
    address = f"{config.vault.names[0]}:{config.listeners['admin'].port}"
    settings = {"address": f"https://{address}", "vault": new.identity.vault}
    write_private(home / "admin.json", msgspec.json.encode(settings) + b"\n")
