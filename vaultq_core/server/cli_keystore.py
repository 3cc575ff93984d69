"""`vaultq-server rotate-master`: a new master key, and every wrapped key under it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from vaultq_core.server.cli_common import ConfigOption, JsonOption, enter_directory, terminal_prompt
from vaultq_core.server.cli_progress import progress_bar, say_waiting
from vaultq_core.server.config import load_config
from vaultq_core.server.keyring import open_keyring
from vaultq_core.server.services.rotation import Rotated, RotationPlan, plan_rotation, rotate_master

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("rotate-master", epilog="Example: vaultq-server rotate-master --config /etc/vaultq/vaultq.toml")(rotate)


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
            done = rotate_master(keyring, progress, say_waiting)
        seconds = time.monotonic() - started
    typer.echo(json.dumps(_rotated(done, seconds)) if as_json else "\n".join(_done_lines(done, seconds)))


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
    return lines + [f"no longer needed: {each}" for each in done.uncited]
