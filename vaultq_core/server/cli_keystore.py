"""`vaultq-server rotate-master` and `keystore status|prepare|retire`: the keys that hold everything else."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Final

import typer

from vaultq_core.errors import Usage
from vaultq_core.registry.workers import keystore_name
from vaultq_core.server.backends import next_keystore, secret_of
from vaultq_core.server.cli_common import ConfigOption, JsonOption, enter_directory, prompt_twice, terminal_prompt
from vaultq_core.server.cli_migrate import migrate
from vaultq_core.server.cli_progress import OTHER_COMMAND, progress_bar, waiting
from vaultq_core.server.config import load_config
from vaultq_core.server.keyring import open_keyring
from vaultq_core.server.services.key_census import HeldKey, census
from vaultq_core.server.services.retirement import retire_keys
from vaultq_core.server.services.rotation import Rotated, RotationPlan, plan_rotation, rotate_master
from vaultq_core.server.state import utc
from vaultq_core.spi.keystore import KeyId

YES: Final = "yes"
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("rotate-master", epilog="Example: vaultq-server rotate-master --config /etc/vaultq/vaultq.toml")(rotate)
    keystore = typer.Typer(help="See, move and destroy the keys that the keystore holds.", no_args_is_help=True)
    keystore.command(epilog="Example: vaultq-server keystore status --json")(status)
    keystore.command(epilog="Example: vaultq-server keystore prepare --config /etc/vaultq/vaultq.toml")(prepare)
    keystore.command(epilog="Example: vaultq-server keystore migrate --to pkcs11 --dry-run")(migrate)
    keystore.command(epilog="Example: vaultq-server keystore retire master:AES-256:1")(retire)
    app.add_typer(keystore, name="keystore")


def rotate(
    config: ConfigOption = Path("vaultq.toml"), *, dry_run: DryRunOption = False, as_json: JsonOption = False
) -> None:
    """Make a new master key and re-wrap every key under it, also while the vault is served.

    A rotation that was interrupted is continued: run the command again. The former key stays until it is destroyed.
    """
    settings = load_config(enter_directory(config))
    with open_keyring(settings, terminal_prompt()) as keyring:
        if dry_run:
            plan = plan_rotation(keyring)
            typer.echo(json.dumps(_planned(plan)) if as_json else _plan_text(plan))
            return
        started = time.monotonic()
        with progress_bar(as_json=as_json) as progress:
            done = rotate_master(keyring, progress, waiting(OTHER_COMMAND, as_json=as_json))
        seconds = time.monotonic() - started
    typer.echo(json.dumps(_rotated(done, seconds)) if as_json else "\n".join(_done_lines(done, seconds)))


def status(config: ConfigOption = Path("vaultq.toml"), *, as_json: JsonOption = False) -> None:
    """Show every key: version, where it was made, how many rows or certificates cite it, whether it is current."""
    settings = load_config(enter_directory(config))
    with open_keyring(settings, terminal_prompt()) as keyring:
        keys = census(keyring)
        with keyring.registry.reading() as tx:
            move = keyring.registry.keystore_moves.running(tx)
    if as_json:
        moves = None if move is None else {"source": move.source, "target": move.target, "begun": utc(move.begun)}
        typer.echo(json.dumps({"keys": [_key(each) for each in keys], "move": moves}))
        return
    typer.echo("\n".join(_table(keys)))
    if move is not None:
        typer.echo(f"\nKeys move from {move.source} to {move.target}, since {utc(move.begun)}.")


def prepare(config: ConfigOption = Path("vaultq.toml"), *, as_json: JsonOption = False) -> None:
    """Make the empty keystore that [next_keystore] names, or look whether the token there is empty.

    Refused when it holds keys already. Then reload the server, so that its workers open it too.
    """
    chosen = next_keystore(load_config(enter_directory(config)))
    secret = secret_of(chosen.secret_request, prompt_twice())
    with closing(chosen.create(lambda: secret)) as made:
        info = made.info()
    name = keystore_name(info.backend, info.place)
    typer.echo(json.dumps({"prepared": name}) if as_json else f"{name} is ready, and empty. Reload the server now.")


def retire(
    keys: Annotated[list[str], typer.Argument(metavar="KEY_ID", help="As `keystore status` shows them.")],
    config: ConfigOption = Path("vaultq.toml"),
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Destroy keys for good. Refused while anything cites one, or while it is current."""
    key_ids = list(dict.fromkeys(map(KeyId.parse, keys)))
    settings = load_config(enter_directory(config))
    if not yes:
        _ask(key_ids)
    with open_keyring(settings, terminal_prompt()) as keyring:
        retire_keys(keyring, key_ids, waiting(OTHER_COMMAND, as_json=as_json))
    destroyed = [str(each) for each in key_ids]
    typer.echo(
        json.dumps({"destroyed": destroyed}) if as_json else "\n".join(f"destroyed {each}" for each in destroyed)
    )


def _ask(key_ids: list[KeyId]) -> None:
    if not sys.stdin.isatty():
        raise Usage("there is no terminal to ask whether the keys are to be destroyed", remedy="Use --yes.")
    typer.echo("To be destroyed for good, with whatever only a backup still cites:", err=True)
    typer.echo("\n".join(f"  {each}" for each in key_ids), err=True)
    if typer.prompt(f"Type {YES} to go on", err=True).strip().lower() != YES:
        raise Usage("the question was not answered with yes; nothing was destroyed", remedy="Run the command again.")


def _key(key: HeldKey) -> dict[str, object]:
    return {
        "id": str(key.key_id),
        "version": key.key_id.version,
        "keystore": key.keystore,
        "provenance": key.info.provenance.value,
        "created": utc(key.info.created),
        "cited_by": key.cited_by,
        "current": key.is_current,
        "needed_because": key.needed_because,
    }


def _table(keys: Sequence[HeldKey]) -> list[str]:
    heads = ("KEY", "ORIGIN", "CREATED", "CITED BY", "CURRENT", "KEYSTORE")
    rows = [heads] + [
        (str(key.key_id), key.info.provenance.value, utc(key.info.created), str(key.cited_by),
         "yes" if key.is_current else "no", key.keystore)
        for key in keys
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _planned(plan: RotationPlan) -> dict[str, object]:
    return {"dry_run": True, "newest": str(plan.newest), "continues": plan.continues, "rows": plan.rows}


def _plan_text(plan: RotationPlan) -> str:
    if plan.continues:
        return f"A rotation was interrupted. It would go on: {plan.rows} keys are to be re-wrapped under {plan.newest}."
    return f"A master key newer than {plan.newest} would be made, and {plan.rows} keys re-wrapped under it."


def _rotated(done: Rotated, seconds: float) -> dict[str, object]:
    return {
        "dry_run": False,
        "key": str(done.key),
        "continued": done.continued,
        "sealed_keys": done.sealed_keys,
        "patient_keys": done.patient_keys,
        "seconds": round(seconds, 3),
        "uncited": [str(each) for each in done.uncited],
    }


def _done_lines(done: Rotated, seconds: float) -> list[str]:
    how = "A rotation that was interrupted is complete" if done.continued else "The master key was rotated"
    lines = [
        f"{how}: {done.key}",
        f"re-wrapped in {seconds:.1f} s: {done.sealed_keys} keys of the vault, {done.patient_keys} of patients",
    ]
    if done.uncited:
        names = " ".join(map(str, done.uncited))
        lines.append(f"no longer needed; destroy with: vaultq-server keystore retire {names}")
    return lines
