"""From the options of `vaultq-admin` to a client: whose directory, and how its key is opened."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import typer

from vaultq_client.admin.client import AdminClient, connect
from vaultq_client.admin.home import days_left, load_admin_home
from vaultq_client.ui import read_secret, say_aside

WARN_DAYS = 30


@dataclass(frozen=True, slots=True)
class AdminOptions:
    """The options that stand before the command."""

    home: Path
    passphrase_file: Path | None


def open_client(context: typer.Context) -> AdminClient:
    """Return a client for the options in `context`; warns of a certificate that ends soon. Raises VaultQErrors."""
    options: AdminOptions = context.obj
    home = load_admin_home(options.home)
    left = days_left(home, dt.datetime.now(dt.UTC))
    if left < WARN_DAYS:
        say_aside(f"The administrator's certificate ends in {left} d. Ask the operator for a new one.", style="yellow")
    return connect(home, read_secret("Passphrase of the administrator's key", options.passphrase_file))
