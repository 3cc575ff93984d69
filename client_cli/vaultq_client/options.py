"""From the options of `vaultq` to an open client: whose directory, and how its keys are opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from vaultq_client.client import Client
from vaultq_client.home import Home
from vaultq_client.ui import new_secret, read_secret
from vaultq_core.errors import IdentityInvalid

PASSPHRASE = "Passphrase of your keys"  # noqa: S105 - the prompt


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """The options that stand before the command."""

    home: Path
    passphrase_file: Path | None

    def passphrase(self) -> str:
        """Return the passphrase of keys that are there."""
        return read_secret(PASSPHRASE, self.passphrase_file)

    def new_passphrase(self) -> str:
        """Return a passphrase for new keys."""
        return new_secret(PASSPHRASE, self.passphrase_file)


def doctor_options(context: typer.Context) -> DoctorOptions:
    """Return the options that stood before the command."""
    options: DoctorOptions = context.obj
    return options


def open_client(context: typer.Context) -> Client:
    """Return the client of the identity in --home. Raises IdentityInvalid before any passphrase is asked for."""
    options = doctor_options(context)
    home = Home(options.home)
    if not home.identity.exists() and home.enrolment.exists():
        raise IdentityInvalid("your enrolment is not finished", remedy="Run `vaultq enroll` to go on waiting for it.")
    if not home.identity.exists():
        raise IdentityInvalid(f"there is no identity in {options.home}")
    return Client.open(options.home, options.passphrase())
