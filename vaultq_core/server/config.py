"""vaultq.toml: read once, strictly. A key that means nothing is refused, since it is one misspelt.

Relative paths are relative to the file. docs/operations.md lists every setting; `config_default.py`
writes the commented file that `vaultq-server init` starts from.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from vaultq_core.errors import ConfigInvalid
from vaultq_core.spi.settings import decode_settings
from vaultq_core.wire.limits import MIB, Limits

FILE_BYTES = MIB
PORT_MAX = 2**16 - 1
LISTENERS = ("records", "enrolment", "admin")
_SQLITE = "sqlite:///"
_PORT = re.compile("[0-9]{1,5}")

Table = dict[str, Any]
DnsName = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)*\Z", max_length=253)
]
IpText = Annotated[str, msgspec.Meta(max_length=45)]
HostAndPort = Annotated[str, msgspec.Meta(min_length=3, max_length=262)]
PluginName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,31}\Z")]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class VaultSettings(_Section, frozen=True, kw_only=True):
    """[vault]: where the server keeps its own files, and what its certificates are made out to."""

    data_dir: Annotated[str, msgspec.Meta(min_length=1)]
    names: Annotated[tuple[DnsName, ...], msgspec.Meta(min_length=1, max_length=16)] = ("localhost",)
    addresses: Annotated[tuple[IpText, ...], msgspec.Meta(max_length=16)] = ("127.0.0.1",)


class RegistrySettings(_Section, frozen=True, kw_only=True):
    """[registry]: an SQLAlchemy URL, `sqlite:///file` or `postgresql+psycopg://…`."""

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]

    def __repr__(self) -> str:
        """Hide the URL, which may hold a password."""
        return "RegistrySettings(url=…)"


class ListenerSettings(_Section, frozen=True, kw_only=True):
    """[listeners]: `address:port` of each; port 0 takes a free one."""

    records: HostAndPort = "127.0.0.1:8443"
    enrolment: HostAndPort = "127.0.0.1:8444"
    admin: HostAndPort = "127.0.0.1:8445"


class ServerSettings(_Section, frozen=True, kw_only=True):
    """[server]: processes and logs."""

    workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    drain_seconds: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 20.0
    retire_seconds: Annotated[float, msgspec.Meta(gt=0, le=86400)] = 3600.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class _File(_Section, frozen=True, kw_only=True):
    vault: Table
    keystore: Table
    next_keystore: Table | None = None
    storage: Table
    registry: Table
    listeners: Table = {}
    server: Table = {}
    limits: Table = {}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener listens: an IP address or `localhost`, and a TCP port (0: any free one)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class PluginChoice:
    """A plug-in's name and its own table, which only it can check."""

    name: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Config:
    """One vaultq.toml. `directory` is where relative paths start; `data_dir` is absolute.

    `next_keystore` is where the keys move to, if they do (docs/operations.md, "Rotation and moves").
    """

    directory: Path
    data_dir: Path
    vault: VaultSettings
    keystore: PluginChoice
    storage: PluginChoice
    registry: RegistrySettings
    listeners: Mapping[str, Address]
    server: ServerSettings
    limits: Limits
    next_keystore: PluginChoice | None = None


def load_config(path: Path) -> Config:
    """Read vaultq.toml. Raises ConfigInvalid naming the section, the key and the nearest valid one."""
    return parse_config(_read(path), path.resolve().parent)


def parse_config(text: str, directory: Path) -> Config:
    """Return the configuration that `text` says; relative paths start at `directory`. Raises ConfigInvalid."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(f"vaultq.toml is not valid TOML: {error}") from None
    file = decode_settings(tables, _File, "")
    vault = decode_settings(file.vault, VaultSettings, "vault")
    for address in vault.addresses:
        _ip(address, "[vault] addresses")
    return Config(
        directory=directory,
        data_dir=directory / vault.data_dir,
        vault=vault,
        keystore=_plugin(file.keystore, "keystore"),
        storage=_plugin(file.storage, "storage"),
        registry=_registry(decode_settings(file.registry, RegistrySettings, "registry"), directory),
        listeners=_addresses(decode_settings(file.listeners, ListenerSettings, "listeners")),
        server=decode_settings(file.server, ServerSettings, "server"),
        limits=decode_settings(file.limits, Limits, "limits"),
        next_keystore=None if file.next_keystore is None else _plugin(file.next_keystore, "next_keystore"),
    )


def parse_address(text: str, where: str) -> Address:
    """Return the address that `127.0.0.1:8443`, `[::1]:8443` or `localhost:8443` names. Raises ConfigInvalid."""
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT.fullmatch(port) or int(port) > PORT_MAX:
        raise ConfigInvalid(f"{where} must be an address and a port up to 65535, such as 127.0.0.1:8443")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if bare != "localhost" and (_ip(bare, where).version == 6) != (bare != host):  # noqa: PLR2004 - IPv6
        raise ConfigInvalid(f"{where}: an IPv6 address stands in brackets, such as [::1]:8443")
    return Address(bare, int(port))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES + 1)
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigInvalid(
            f"{path} cannot be read: {reason}", remedy="Run `vaultq-server init` to make one."
        ) from None
    if len(data) > FILE_BYTES:
        raise ConfigInvalid(f"{path} has more than {FILE_BYTES} bytes")
    return text


def _ip(text: str, where: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError:
        raise ConfigInvalid(f"{where}: {text!r} is not an IP address") from None


def _plugin(table: Table, section: str) -> PluginChoice:
    # The one other key that may stand here is the plug-in's own table, and is named after it.
    class Choice(_Section, frozen=True, kw_only=True):
        name: PluginName

    chosen = table.get("name")
    own = table.get(chosen, {}) if isinstance(chosen, str) else {}
    rest = {key: value for key, value in table.items() if key == "name" or key != chosen}
    choice = decode_settings(rest, Choice, section)
    if not isinstance(own, dict):
        raise ConfigInvalid(f"[{section}] {choice.name} must be a table: [{section}.{choice.name}]")
    return PluginChoice(choice.name, own)


def _registry(section: RegistrySettings, directory: Path) -> RegistrySettings:
    place = section.url.removeprefix(_SQLITE)
    if place in {section.url, ":memory:", ""}:
        return section
    return RegistrySettings(url=f"{_SQLITE}{directory / place}")


def _addresses(section: ListenerSettings) -> dict[str, Address]:
    return {name: parse_address(getattr(section, name), f"[listeners] {name}") for name in LISTENERS}
