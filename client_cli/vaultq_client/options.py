"""From the options of `vaultq` to an open client: whose directory, and how its keys are opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from vaultq_client.client import Client
from vaultq_client.home import Home
from vaultq_client.ui import new_secret, read_secret, say_aside
from vaultq_core.errors import IdentityInvalid, VaultQError

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


@contextmanager
def open_client(context: typer.Context) -> Iterator[Client]:
    """Yield the client of the identity in --home; what was done with it done, its certificates are renewed if due.

    Raises IdentityInvalid before any passphrase is asked for.
    """
    options = doctor_options(context)
    home = Home(options.home)
    if not home.identity.exists() and home.enrolment.exists():
        raise IdentityInvalid("your enrolment is not finished", remedy="Run `vaultq enroll` to go on waiting for it.")
    if not home.identity.exists():
        raise IdentityInvalid(f"there is no identity in {options.home}")
    passphrase = options.passphrase()
    with Client.open(options.home, passphrase) as client:
        yield client
        _renew(client, passphrase)


def _renew(client: Client, passphrase: str) -> None:
    """Renew the certificates, and only warn when that fails: the command itself was successful."""
    try:
        if client.renew(passphrase):
            say_aside("Your certificates were renewed; your keys are the same.")
    except VaultQError as error:
        say_aside(f"Your certificates could not be renewed: {error} [{error.code}]", style="yellow")
        say_aside("  The next command tries again. Tell the vault's administrator if it fails for days.")
