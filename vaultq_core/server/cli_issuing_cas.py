"""`vaultq-server issuing-cas`: replace the CAs of doctors, administrators and servers, and close former ones."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vaultq_core.errors import Usage
from vaultq_core.server.ca_office import open_ca_office
from vaultq_core.server.cli_common import ConfigOption, JsonOption, enter_directory, terminal_prompt
from vaultq_core.server.cli_progress import OTHER_COMMAND, waiting
from vaultq_core.server.config import load_config
from vaultq_core.server.keyring import Keyring, open_keyring
from vaultq_core.server.services.ca_states import CaState
from vaultq_core.server.services.issuing_cas import IssuingCaOffice, some
from vaultq_core.server.services.retirement import require_workers_know


class Role(StrEnum):
    """Whom an issuing CA certifies, as `--role` takes it."""

    DOCTORS = "doctors"
    ADMINS = "admins"
    SERVERS = "servers"


RoleOption = Annotated[
    list[Role] | None, typer.Option("--role", help="Only this one; may be repeated. All three without it.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask whether to go on.")]

commands = typer.Typer(
    help="Replace the issuing CAs under the same root, online, and close former ones.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(commands, name="issuing-cas")


@commands.command(epilog="Example: vaultq-server issuing-cas status --json")
def status(config: ConfigOption = Path("vaultq.toml"), *, as_json: JsonOption = False) -> None:
    """Show the issuing CAs, present, former and closed: their keys, and who has not renewed yet."""
    with _office(config) as (_, office):
        _show(office.states(), as_json=as_json)


@commands.command(epilog="Example: vaultq-server issuing-cas replace --role doctors --dry-run")
def replace(
    config: ConfigOption = Path("vaultq.toml"),
    *,
    role: RoleOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make new issuing CAs with new keys in the place of the present ones, while the server goes on.

    Doctors and administrators renew their certificates at their next contact, servers at once. The former CAs stay
    trusted until `close`. The root's key has to be in the keystore; with [next_keystore], the new keys are made there.
    """
    with _office(config) as (keyring, office):
        chosen = [each for each in office.states() if each.state == "present" and (not role or each.role in role)]
        if dry_run:
            _show(chosen, as_json=as_json, dry_run=True, title="These would be replaced:")
            return
        _confirm(f"Replace the issuing CA of {', '.join(each.role for each in chosen)}?", yes=yes)
        with keyring.lease.held(waiting(OTHER_COMMAND, as_json=as_json)):
            require_workers_know(keyring)
            office.replace([each.role for each in chosen])
        _show(office.states(), as_json=as_json)
    if not as_json:
        typer.echo("\nWho has not renewed yet: vaultq-server issuing-cas status. When all have: issuing-cas close.")


@commands.command(epilog="Example: vaultq-server issuing-cas close --role doctors")
def close(
    config: ConfigOption = Path("vaultq.toml"),
    *,
    role: RoleOption = None,
    end: Annotated[bool, typer.Option("--end", help="End the certificates of those who have not renewed.")] = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Close former issuing CAs: what they issued counts no more, records that were logged before verify for good.

    Refuses while the newest certificate of a doctor or an administrator is one of theirs; `status` names them.
    Afterwards the keys of the closed CAs are needed no more.
    """
    with _office(config) as (_, office):
        chosen = [each for each in office.states() if each.state == "former" and (not role or each.role in role)]
        if dry_run or not chosen:
            _show(chosen, as_json=as_json, dry_run=dry_run, title="These would be closed:")
            return
        hanging = sorted({each for state in chosen for each in state.hanging})
        _confirm(f"End {some(hanging)}, who have not renewed?" if end and hanging else _question(chosen), yes=yes)
        chosen.sort(key=lambda each: not each.hanging)  # what refuses, refuses before anything is closed
        closed = [office.close(each.sha256, end=end) for each in chosen]
        _show(closed, as_json=as_json)
    keys = [each.key for each in closed if each.key is not None]
    if keys and not as_json:
        typer.echo(f"\nNo longer needed; destroy with: vaultq-server keystore retire {' '.join(keys)}")


@contextmanager
def _office(config: Path) -> Iterator[tuple[Keyring, IssuingCaOffice]]:
    settings, prompt = load_config(enter_directory(config)), terminal_prompt()
    with open_keyring(settings, prompt) as keyring, open_ca_office(settings, keyring, prompt) as office:
        yield keyring, office


def _question(chosen: Sequence[CaState]) -> str:
    return f"Close {', '.join(each.name for each in chosen)} for good?"


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Usage("there is no terminal to ask at", remedy="Add --yes, or look first with --dry-run.")
    if not typer.confirm(question, err=True):
        raise Usage("the question was not answered with yes; nothing was changed", remedy="Run the command again.")


def _show(states: Sequence[CaState], *, as_json: bool, dry_run: bool = False, title: str = "") -> None:
    if as_json:
        typer.echo(json.dumps({"dry_run": dry_run, "issuing_cas": [asdict(each) for each in states]}))
        return
    lines = [line for each in states for line in _lines(each)]
    typer.echo("\n".join([title, *lines] if title and lines else lines or ["There are none."]))


def _lines(state: CaState) -> list[str]:
    key = state.key or "not here"
    lines = [
        f"{state.role:8} {state.state:8} {state.name}, until {_day(state.not_after)}",
        f"         certificate {state.sha256[:16]}…, key {key}",
    ]
    if state.role != "servers":  # theirs live in the memory of workers
        lines.append(f"         active certificates: {state.certificates}")
    return lines + ([f"         not renewed yet: {some(state.hanging)}"] if state.hanging else [])


def _day(time: int) -> str:
    return f"{dt.datetime.fromtimestamp(time, dt.UTC):%Y-%m-%d}"
