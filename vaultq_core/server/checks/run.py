"""The run of all checks, in an order in which later ones can use what earlier ones opened."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from vaultq_core.errors import VaultQError
from vaultq_core.server.backends import Prompt
from vaultq_core.server.checks import certificates, keystore, network, registry, storage
from vaultq_core.server.checks.findings import Finding, Opened, failed_by, guarded, ok
from vaultq_core.server.config import Config, load_config


def examine(path: Path, prompt: Prompt, now: dt.datetime) -> Iterator[Finding]:
    """Yield what is found out about the vault whose configuration is at `path`, as it is found out.

    Nothing is changed. Without a configuration that can be read, that is the only finding.
    """
    try:
        config = load_config(path)
    except VaultQError as error:
        yield failed_by("configuration", error)
        return
    yield _configuration(path, config)
    checks = {
        "tls": network.check_tls,
        "registry": registry.check_registry,
        "keystore": keystore.check_keystore(prompt),
        "wrapping": keystore.check_wrapping,
        "keys": keystore.check_keys,
        "secret": keystore.check_secret,
        "storage": storage.check_storage(prompt),
        "room": storage.check_room,
        "log": registry.check_log,
        "checkpoint": registry.check_checkpoint,
        "clock": registry.check_clock,
        "authorities": certificates.check_authorities,
        "renewals": certificates.check_renewals,
        "people": certificates.check_people,
        "listeners": network.check_listeners,
    }
    with ExitStack() as stack:
        opened = Opened(config, now, stack)
        for subject, check in checks.items():
            yield from guarded(subject, check, opened)


def _configuration(path: Path, config: Config) -> Finding:
    return ok("configuration", f"{path}: keystore {config.keystore.name}, storage {config.storage.name}")
