"""From the options of `vaultq-admin` to a client: whose directory, how its key is opened, renewal at the end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from vaultq_client.admin.client import AdminClient, connect
from vaultq_client.admin.home import AdminHome, days_left, load_admin_home
from vaultq_client.admin.renewal import renew
from vaultq_client.ui import read_secret, say_aside
from vaultq_core.errors import VaultQError


@dataclass(frozen=True, slots=True)
class AdminOptions:
    """The options that stand before the command."""

    home: Path
    passphrase_file: Path | None


@contextmanager
def open_client(context: typer.Context) -> Iterator[AdminClient]:
    """Yield a client for the options in `context`; what was done with it done, its certificate is renewed if due.

    Raises IdentityInvalid for a certificate that has ended, and what `load_admin_home` and `connect` raise.
    """
    options: AdminOptions = context.obj
    home = load_admin_home(options.home)
    days_left(home, _now())
    with connect(home, read_secret("Passphrase of the administrator's key", options.passphrase_file)) as admin:
        yield admin
        _renew(home, admin)


def _renew(home: AdminHome, admin: AdminClient) -> None:
    """Renew the certificate, and only warn when that fails: the command itself was successful."""
    try:
        if renew(home, admin, _now()):
            say_aside("The administrator's certificate was renewed; its key is the same.")
    except VaultQError as error:
        left = f"it ends in {days_left(home, _now())} d"
        say_aside(f"The administrator's certificate was not renewed, {left}: {error} [{error.code}]", style="yellow")
        say_aside("  The next command tries again. Tell the vault's operator if it fails for days.")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
