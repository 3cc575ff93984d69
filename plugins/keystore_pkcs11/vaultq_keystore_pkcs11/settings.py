"""`[keystore.pkcs11]`: which module, which token, and where its PIN comes from; never the PIN itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import unquote

import msgspec

from vaultq_core.errors import ConfigInvalid
from vaultq_core.spi.secrets import SecretRequest

PATH_CHARS = 4096
URI_CHARS = 4096
LABEL_BYTES = 32  # CK_TOKEN_INFO.label
SERIAL_BYTES = 16  # CK_TOKEN_INFO.serialNumber
LAST_SLOT = 2**64 - 1
CREDENTIAL = "vaultq-token-pin"

_SCHEME = "pkcs11:"
_IN_URI = {"token", "serial", "slot-id", "module-path", "pin-source"}

Path = Annotated[str, msgspec.Meta(min_length=1, max_length=PATH_CHARS)]


class Pkcs11Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section as it stands. The token is named by `uri` (RFC 7512), or by `token` (label), `serial` and `slot`.

    `sessions` is how many calls the token works on at once: one suits SoftHSM, a network HSM wants more.
    A call that gets no session within `timeout_seconds` fails. `wrapping` is probed unless it is named.
    """

    module: Path | None = None
    uri: Annotated[str, msgspec.Meta(max_length=URI_CHARS)] | None = None
    token: Annotated[str, msgspec.Meta(min_length=1, max_length=LABEL_BYTES)] | None = None
    serial: Annotated[str, msgspec.Meta(min_length=1, max_length=SERIAL_BYTES)] | None = None
    slot: Annotated[int, msgspec.Meta(ge=0)] | None = None
    pin_file: Path | None = None
    pin_variable: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}\Z")] | None = None
    timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=300)] = 10.0
    sessions: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    wrapping: Literal["auto", "AES-256-GCM", "AES-256-KW"] = "auto"


@dataclass(frozen=True, slots=True)
class Target:
    """The one token that the settings mean: a module's path, and what its token must match."""

    module: str
    label: str | None
    serial: str | None
    slot: int | None
    pin_file: str | None

    def __str__(self) -> str:
        named = (("label", self.label), ("serial number", self.serial), ("slot", self.slot))
        return " and ".join(f"{name} {value}" for name, value in named if value is not None)


def target_of(settings: Pkcs11Settings) -> Target:
    """Return what the settings name. Raises ConfigInvalid when that is nothing, or one thing twice."""
    parts = _uri_parts(settings.uri) if settings.uri is not None else {}
    slot = _one("slot", None if settings.slot is None else str(settings.slot), parts.get("slot-id"))
    target = Target(
        module=_one("module", settings.module, parts.get("module-path")) or "",
        label=_one("token", settings.token, parts.get("token")),
        serial=_one("serial", settings.serial, parts.get("serial")),
        slot=None if slot is None else _slot(slot),
        pin_file=_one("pin_file", settings.pin_file, _source_path(parts.get("pin-source"))),
    )
    if not target.module:
        raise ConfigInvalid("[keystore.pkcs11]: `module` has to name the PKCS#11 module, a shared library (.so)")
    if not str(target):
        raise ConfigInvalid("[keystore.pkcs11]: the token has to be named, by `token`, `serial`, `slot` or `uri`")
    return target


def asks(settings: Pkcs11Settings) -> SecretRequest:
    """Say that the PIN is needed. Raises ConfigInvalid."""
    target = target_of(settings)
    return SecretRequest(
        label=f"PIN of the token with {target}",
        credential=CREDENTIAL,
        file=target.pin_file,
        variable=settings.pin_variable,
    )


def _uri_parts(uri: str) -> dict[str, str]:
    """Return the attributes of an RFC 7512 URI that say something here; the others are refused."""
    if not uri.startswith(_SCHEME):
        raise ConfigInvalid("[keystore.pkcs11]: `uri` begins with `pkcs11:` (RFC 7512)")
    path, _, query = uri.removeprefix(_SCHEME).partition("?")
    pairs = [each.partition("=") for each in (*path.split(";"), *query.split("&")) if each]
    names = [name for name, _, _ in pairs]
    if "pin-value" in names:
        raise ConfigInvalid("[keystore.pkcs11]: a PIN does not belong into `uri`", remedy="Name a `pin_file` instead.")
    for name in names:
        if name not in _IN_URI:
            known = ", ".join(sorted(_IN_URI))
            raise ConfigInvalid(f"[keystore.pkcs11]: `uri` says `{name[:32]}`, which names no token; use {known}")
    if len(set(names)) != len(names):
        raise ConfigInvalid("[keystore.pkcs11]: `uri` says the same thing twice")
    return {name: _text(value) for name, _, value in pairs}


def _text(value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise ConfigInvalid("[keystore.pkcs11]: `uri` is not UTF-8 text") from None


def _source_path(source: str | None) -> str | None:
    if source is None:
        return None
    if source.startswith("|"):
        raise ConfigInvalid("[keystore.pkcs11]: `pin-source` has to be a file; no program is run for a PIN")
    return source.removeprefix("file://").removeprefix("file:")


def _slot(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > LAST_SLOT:
        raise ConfigInvalid("[keystore.pkcs11]: a slot is a number")
    return int(text)


def _one(name: str, setting: str | None, in_uri: str | None) -> str | None:
    if setting is not None and in_uri is not None and setting != in_uri:
        raise ConfigInvalid(f"[keystore.pkcs11]: `{name}` and `uri` say two different things")
    return in_uri if setting is None else setting
