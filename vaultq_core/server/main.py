"""`vaultq-server`: init, serve, status, check, upgrade and more; for operators (docs/operations.md)."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from vaultq_core.errors import ConfigInvalid, VaultQError
from vaultq_core.private_files import read_private
from vaultq_core.server import cli_check, cli_issuing_cas, cli_keystore
from vaultq_core.server.backends import TypedSecrets, prepare_backends
from vaultq_core.server.bootstrap import InitChoices, initialise
from vaultq_core.server.cli_common import (
    ConfigOption,
    JsonOption,
    ask_twice,
    enter_directory,
    prompt_twice,
    terminal_prompt,
)
from vaultq_core.server.config import load_config
from vaultq_core.server.listeners import address_of, bind_listener
from vaultq_core.server.logs import configure_logs
from vaultq_core.server.node import Node, renewed
from vaultq_core.server.state import describe_vault, status_lines
from vaultq_core.server.supervisor import supervise
from vaultq_core.spi.secrets import SECRET_BYTES
from vaultq_core.wire.problem import TYPE_PREFIX

PASSPHRASE_CHARS = 12

app = typer.Typer(
    name="vaultq-server",
    help="A post-quantum vault for medical records: the server.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli_check.register(app)
cli_issuing_cas.register(app)
cli_keystore.register(app)


@app.command(epilog="Example: vaultq-server init --config /etc/vaultq/vaultq.toml --admin 'Grace Hopper'")
def init(
    admin: Annotated[str, typer.Option(help="Name of the first administrator.")],
    config: ConfigOption = Path("vaultq.toml"),
    hospital: Annotated[str, typer.Option(help="Name in the roots' certificates.")] = "Hospital",
    recovery_key_file: Annotated[
        Path | None, typer.Option(help="Write the recovery key to this new file (mode 0600) instead of the terminal.")
    ] = None,
    admin_passphrase_file: Annotated[
        Path | None, typer.Option(help="Read the passphrase for the administrator's key from this file.")
    ] = None,
) -> None:
    """Make a new vault: keys, both roots, issuing CAs, registry, and the first administrator.

    Writes a commented configuration first where there is none.
    """
    passphrase = _new_passphrase("passphrase for the administrator's key", admin_passphrase_file)
    choices = InitChoices(admin, hospital, recovery_key_file and recovery_key_file.absolute(), passphrase)
    created = initialise(enter_directory(config), choices, prompt_twice())
    typer.echo("\n".join(created.lines()))


@app.command(epilog="Example: vaultq-server serve --config /etc/vaultq/vaultq.toml")
def serve(config: ConfigOption = Path("vaultq.toml")) -> None:
    """Serve the vault on its three listeners until SIGTERM, which lets running requests finish.

    SIGHUP reads configuration and secrets anew and replaces the workers one by one; no request is lost.
    Standard error carries JSON log lines.
    """
    path = enter_directory(config)
    settings = load_config(path)
    configure_logs(settings.server.log_level)
    typed = TypedSecrets(terminal_prompt())
    backends = prepare_backends(settings, typed.ask)
    sockets = {name: bind_listener(name, address) for name, address in settings.listeners.items()}

    def ready() -> None:
        for name, listening in sockets.items():
            typer.echo(f"{name} https://{address_of(listening)}")
        typer.echo("ready")
        sys.stdout.flush()

    first = Node(settings, sockets, backends)
    raise typer.Exit(supervise(first.crew(), renew=lambda: renewed(path, first, typed.recall).crew(), ready=ready))


@app.command(epilog="Example: vaultq-server status --json")
def status(
    config: ConfigOption = Path("vaultq.toml"),
    *,
    as_json: JsonOption = False,
) -> None:
    """Show what this vault holds and who serves it, from its registry; opens no key."""
    facts = describe_vault(load_config(config), int(time.time()))
    typer.echo(json.dumps(facts) if as_json else "\n".join(status_lines(facts)))


def main() -> None:
    """Run the command; an error is two lines, or one JSON object, on standard error (docs/errors.md)."""
    try:
        app()
    except VaultQError as error:
        typer.echo(_json(error) if "--json" in sys.argv else _text(error), err=True)
        sys.exit(error.exit_status)


def _text(error: VaultQError) -> str:
    return f"vaultq-server: {error} [{error.code}]\n  {error.remedy}"


def _json(error: VaultQError) -> str:
    facts = {"type": TYPE_PREFIX + error.code, "code": error.code, "detail": str(error), "remedy": error.remedy}
    return json.dumps(facts | {"exit_status": error.exit_status})


def _new_passphrase(label: str, file: Path | None) -> bytes:
    if file is not None:
        passphrase = read_private(file, SECRET_BYTES).removesuffix(b"\n")
    elif sys.stdin.isatty():
        passphrase = ask_twice(f"New {label}: ").encode()
    else:
        raise ConfigInvalid(f"there is no terminal to ask for the {label}", remedy="Use --admin-passphrase-file.")
    if len(passphrase) < PASSPHRASE_CHARS:
        raise ConfigInvalid(f"the {label} is too short", remedy=f"Use at least {PASSPHRASE_CHARS} characters.")
    return passphrase
