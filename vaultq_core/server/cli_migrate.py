"""`vaultq-server keystore migrate`: all keys into the keystore that [next_keystore] names."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from vaultq_core.errors import Usage
from vaultq_core.server.backends import next_keystore
from vaultq_core.server.cli_common import ConfigOption, JsonOption, enter_directory, terminal_prompt
from vaultq_core.server.cli_progress import progress_bar, waiting
from vaultq_core.server.config import Config, load_config
from vaultq_core.server.keyring import open_keyring
from vaultq_core.server.services.moving import Moved, MovePlan, move_keys, plan_move

WAITS_FOR: Final = "a worker has to open the new keystore, or another command on keys to end"


def migrate(
    to: Annotated[str, typer.Option(metavar="NAME", help="The name under [next_keystore], such as pkcs11.")],
    config: ConfigOption = Path("vaultq.toml"),
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")] = False,
    leave_ca_keys: Annotated[
        bool, typer.Option("--leave-ca-keys", help="Move everything but CA keys that cannot leave the old keystore.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Move every key to the keystore that [next_keystore] names, also while the vault is served.

    A move that was interrupted is continued: run the command again.
    """
    settings = load_config(enter_directory(config))
    _require_named(settings, to)
    with open_keyring(settings, terminal_prompt()) as keyring:
        if dry_run:
            plan = plan_move(keyring)
            typer.echo(json.dumps(_planned(plan)) if as_json else "\n".join(_plan_lines(plan)))
            return
        started = time.monotonic()
        with progress_bar(as_json=as_json) as progress:
            waits = waiting(WAITS_FOR, as_json=as_json)
            done = move_keys(keyring, progress, waits, leave_ca_keys=leave_ca_keys)
        seconds = time.monotonic() - started
    typer.echo(json.dumps(_moved(done, seconds)) if as_json else "\n".join(_done_lines(done, seconds)))


def _require_named(settings: Config, to: str) -> None:
    named = next_keystore(settings).name
    if named != to:
        raise Usage(f"[next_keystore] names {named}, not {to}", remedy=f"Use --to {named}, or correct the section.")


def _planned(plan: MovePlan) -> dict[str, object]:
    return {
        "dry_run": True,
        "source": plan.source,
        "target": plan.target,
        "resumes": plan.resumes,
        "rows": plan.rows,
        "imports": [str(each) for each in plan.imports],
        "stays": [str(each) for each in plan.stays],
    }


def _plan_lines(plan: MovePlan) -> list[str]:
    how = "would be continued: it was begun before" if plan.resumes else "would begin"
    return [
        f"The move from {plan.source} to {plan.target} {how}.",
        f"keys to re-wrap: {plan.rows}, under master and monthly keys made in the new keystore",
        f"CA keys to import: {_names(plan.imports)}",
        f"CA keys that cannot leave the old keystore: {_names(plan.stays)}",
    ]


def _moved(done: Moved, seconds: float) -> dict[str, object]:
    return {
        "dry_run": False,
        "source": done.plan.source,
        "target": done.plan.target,
        "resumed": done.plan.resumes,
        "finished": done.is_finished,
        "sealed_keys": done.sealed_keys,
        "patient_keys": done.patient_keys,
        "months": done.months,
        "imported": [str(each) for each in done.imported],
        "left": [str(each) for each in done.left],
        "unneeded": [str(each) for each in done.unneeded],
        "seconds": round(seconds, 3),
    }


def _done_lines(done: Moved, seconds: float) -> list[str]:
    return [
        f"From {done.plan.source} to {done.plan.target}, in {seconds:.1f} s:",
        f"re-wrapped: {done.sealed_keys} keys of the vault, {done.patient_keys} of patients, {done.months} of months",
        f"imported: {_names(done.imported)}",
        "",
        *_next_steps(done),
    ]


def _next_steps(done: Moved) -> list[str]:
    if not done.is_finished:
        return [
            f"Still needed in the old keystore: {_names(done.left)}.",
            "Keep [next_keystore]. Replace the issuing CAs (vaultq-server issuing-cas replace), close the former ones",
            "when all certificates are renewed, then run this command again.",
        ]
    stays = [f"The root's key stays in the old keystore, which cannot give it away: {_names(done.left)}."]
    return [
        *(stays if done.left else ["Nothing needs the old keystore any more."]),
        "Next:",
        "  1. Look whether all is well: vaultq-server check",
        "  2. Make a backup: of the new keystore and of the registry.",
        f"  3. Destroy the old keys: vaultq-server keystore retire {' '.join(map(str, done.unneeded))}",
        "  4. In vaultq.toml, make [next_keystore] the [keystore], and reload the server (SIGHUP).",
        *(
            ["  5. Keep the old keystore in a safe: without it the issuing CAs cannot be replaced."]
            if done.left
            else []
        ),
    ]


def _names(keys: tuple[object, ...]) -> str:
    return ", ".join(map(str, keys)) or "none"
