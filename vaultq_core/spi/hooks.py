"""How a plug-in makes itself known: one pluggy hook that returns a Plugin.

A distribution carries an entry point in the group `vaultq`, named `keystore_<name>` or `storage_<name>`, that
leads to a module with one function marked `@hookimpl`. Importing the module must have no effect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec
import pluggy

from vaultq_core.spi.keystore import Keystore
from vaultq_core.spi.secrets import SecretCallback, SecretRequest
from vaultq_core.spi.storage import Storage

PROJECT = "vaultq"

S = TypeVar("S", bound=msgspec.Struct)
T_co = TypeVar("T_co", covariant=True)

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Kind(StrEnum):
    """What a plug-in can be; also the name of the section that chooses it."""

    KEYSTORE = "keystore"
    STORAGE = "storage"


@dataclass(frozen=True, slots=True)
class Plugin(Generic[S, T_co]):
    """A named factory and the settings it takes.

    `settings` is a frozen msgspec struct that forbids unknown fields; it is decoded from `[<kind>.<name>]`.
    `asks` says which secret these settings need, if any. `create` makes an empty place where none is, and raises
    Conflict where one is; `open` opens one that is there. Both are called with the decoded settings and a
    callback that gives the secret, and may raise VaultQErrors only.
    """

    name: str
    kind: Kind
    settings: type[S]
    asks: Callable[[S], SecretRequest | None]
    create: Callable[[S, SecretCallback], T_co]
    open: Callable[[S, SecretCallback], T_co]


class Hooks:
    """The hooks; a plug-in module implements exactly one."""

    @hookspec
    def vaultq_keystore(self) -> Plugin[msgspec.Struct, Keystore]:  # type: ignore[empty-body]  # a specification
        """Return the keystore plug-in."""

    @hookspec
    def vaultq_storage(self) -> Plugin[msgspec.Struct, Storage]:  # type: ignore[empty-body]  # a specification
        """Return the storage plug-in."""
