"""`vaultq-server check` and `upgrade`: is this vault well, and is its registry of this version."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Final

import typer

from vaultq_core.registry.engine import open_engine
from vaultq_core.registry.schema import upgrade as upgrade_schema
from vaultq_core.server.checks.findings import Finding, Verdict
from vaultq_core.server.checks.run import examine
from vaultq_core.server.cli_common import ConfigOption, JsonOption, enter_directory, terminal_prompt
from vaultq_core.server.config import load_config
from vaultq_core.server.keyring import require_registry
from vaultq_core.server.opening import utc_now

FAILED: Final = 4  # exit status of `check` when something failed; docs/errors.md
WIDTH: Final = 110


def register(app: typer.Typer) -> None:
    """Add both commands."""
    app.command(epilog="Example: vaultq-server check --config /etc/vaultq/vaultq.toml")(check)
    app.command(epilog="Example: vaultq-server upgrade --config /etc/vaultq/vaultq.toml")(upgrade)


def check(config: ConfigOption = Path("vaultq.toml"), *, as_json: JsonOption = False) -> None:
    """Test configuration, keystore, storage, registry, clock, certificates, ports and TLS; change nothing.

    One line a thing: ok, warning or failed, and what to do. A failure does not stop the other checks. The
    passphrase or PIN is tried once. Ends with 0, also with warnings, and with 4 when something failed.
    """
    path = enter_directory(config)
    findings = []
    for finding in examine(path, terminal_prompt(), utc_now()):
        findings.append(finding)
        if not as_json:
            typer.echo("\n".join(_lines(finding)))
    typer.echo(json.dumps(_report(findings)) if as_json else _summary(findings))
    raise typer.Exit(FAILED if _count(findings)[Verdict.FAILED] else 0)


def upgrade(config: ConfigOption = Path("vaultq.toml"), *, as_json: JsonOption = False) -> None:
    """Bring the registry of an older version to this one's schema, once, while no server runs.

    Make a backup first: an older version does not serve it any more. Running it again does no harm.
    """
    settings = load_config(enter_directory(config))
    require_registry(settings)
    engine = open_engine(settings.registry.url)
    try:
        before, after = upgrade_schema(engine, int(utc_now().timestamp()))
    finally:
        engine.dispose()
    if as_json:
        typer.echo(json.dumps({"before": before, "after": after}))
    elif before == after:
        typer.echo(f"The registry has schema {after} already; nothing was changed.")
    else:
        typer.echo(f"The registry was brought from schema {before} to {after}. Start the server now.")


def _lines(finding: Finding) -> list[str]:
    lines = [f"{finding.verdict.value:8} {finding.subject}: {finding.detail}"]
    return lines + [f"         -> {line}" for line in textwrap.wrap(finding.remedy, WIDTH)]


def _summary(findings: Iterable[Finding]) -> str:
    count = _count(findings)
    return f"\n{count[Verdict.OK]} ok, {count[Verdict.WARNING]} warnings, {count[Verdict.FAILED]} failed"


def _report(findings: list[Finding]) -> dict[str, object]:
    count = _count(findings)
    worst = next((each for each in (Verdict.FAILED, Verdict.WARNING) if count[each]), Verdict.OK)
    checks = [asdict(each) for each in findings]
    return {"result": worst, "warnings": count[Verdict.WARNING], "failed": count[Verdict.FAILED], "checks": checks}


def _count(findings: Iterable[Finding]) -> Counter[Verdict]:
    return Counter(finding.verdict for finding in findings)
