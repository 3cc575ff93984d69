"""The vaultq.toml that `vaultq-server init` writes: short, commented, and valid as it stands."""

from __future__ import annotations

import json

import msgspec

from vaultq_core.wire.limits import Limits

_HEAD = """\
# VaultQ. Relative paths are relative to this file; docs/operations.md explains every setting.

[vault]
data_dir = {data_dir}
# What the server's certificate is made out to; clients connect to one of these.
names = {names}
addresses = {addresses}

[keystore]
name = "file"

[keystore.file]
path = "keystore"
# Without this line the passphrase is asked for at the terminal, or read from systemd's credentials.
# passphrase_file = "/run/credentials/vaultq/passphrase"

# [next_keystore], of the same shape, is where keys move to (docs/operations.md, "Rotation and moves").

[storage]
name = "fs"

[storage.fs]
path = "objects"

[registry]
url = "sqlite:///registry.db"

[listeners]
# Doctors and enrolment face the hospital's network; the admin listener belongs on an inner one.
records = "127.0.0.1:8443"
enrolment = "127.0.0.1:8444"
admin = "127.0.0.1:8445"

[server]
workers = 2          # processes; about one a core
drain_seconds = 20   # what running requests get when the server stops
retire_seconds = 3600  # and in a worker that a reload (SIGHUP) has replaced
log_level = "info"   # debug, info, warning, error

# Every bound that a client can meet, with its default.
[limits]
"""


def default_toml(
    *, data_dir: str = "data", names: tuple[str, ...] = ("localhost",), addresses: tuple[str, ...] = ("127.0.0.1",)
) -> str:
    """Return the text of a commented vaultq.toml."""
    head = _HEAD.format(data_dir=_toml(data_dir), names=_toml(names), addresses=_toml(addresses))
    return head + "".join(f"# {name} = {value}\n" for name, value in msgspec.structs.asdict(Limits()).items())


def _toml(value: str | tuple[str, ...]) -> str:
    # A JSON string or array of strings is also one of TOML, apart from the surrogate pairs that this avoids.
    return json.dumps(value, ensure_ascii=False)
