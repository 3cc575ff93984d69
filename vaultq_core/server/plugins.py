"""Loading plug-ins: only those that the configuration names, and only guarded.

`select_keystore` and `select_storage` take the section as it stands in vaultq.toml, for instance
`{"name": "file", "file": {"path": "…"}}`, and import nothing but the one named plug-in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

import pluggy

from vaultq_core.errors import ConfigInvalid, KeystoreUnavailable, PluginInvalid, StorageUnavailable, Unavailable
from vaultq_core.spi.guard import Border, GuardedKeystore, GuardedStorage
from vaultq_core.spi.hooks import PROJECT, Hooks, Kind, Plugin
from vaultq_core.spi.secrets import SecretCallback, SecretRequest
from vaultq_core.spi.settings import decode_settings, nearest_key

T = TypeVar("T", GuardedKeystore, GuardedStorage)
Section = Mapping[str, object]

_UNAVAILABLE: Mapping[Kind, type[Unavailable]] = {
    Kind.KEYSTORE: KeystoreUnavailable,
    Kind.STORAGE: StorageUnavailable,
}


@dataclass(frozen=True, slots=True)
class Selected(Generic[T]):
    """A loaded plug-in with its settings; nothing is opened yet, so it may be carried over a fork."""

    name: str
    secret_request: SecretRequest | None
    create: Callable[[SecretCallback], T]
    open: Callable[[SecretCallback], T]


def select_keystore(section: Section, installed: Iterable[EntryPoint] | None = None) -> Selected[GuardedKeystore]:
    """Load the keystore plug-in that the section names; `installed` defaults to this environment's entry points.

    Raises PluginInvalid (not installed, claimed twice, unfit), ConfigInvalid (settings).
    """
    return _select(Kind.KEYSTORE, section, installed, GuardedKeystore)


def select_storage(section: Section, installed: Iterable[EntryPoint] | None = None) -> Selected[GuardedStorage]:
    """Load the storage plug-in that the section names; see select_keystore."""
    return _select(Kind.STORAGE, section, installed, GuardedStorage)


def _select(
    kind: Kind, section: Section, installed: Iterable[EntryPoint] | None, guard: Callable[[Any, str], T]
) -> Selected[T]:
    found = _of_kind(kind, entry_points(group=PROJECT) if installed is None else installed)
    name = _chosen(kind, section, found)
    plugin = _load(kind, name, found[name])
    settings = decode_settings(_table(section, kind, name), plugin.settings, f"{kind}.{name}")
    border = Border(f"the {kind} {name}", _UNAVAILABLE[kind])
    return Selected(
        name,
        border.call(plugin.asks, settings),
        lambda secret: guard(border.call(plugin.create, settings, secret), name),
        lambda secret: guard(border.call(plugin.open, settings, secret), name),
    )


def _of_kind(kind: Kind, installed: Iterable[EntryPoint]) -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for entry in installed:
        if entry.name.startswith(f"{kind}_"):
            found.setdefault(entry.name.removeprefix(f"{kind}_"), []).append(entry)
    return found


def _chosen(kind: Kind, section: Section, found: Mapping[str, list[EntryPoint]]) -> str:
    name = section.get("name")
    names = ", ".join(sorted(found)) or "none"
    if not isinstance(name, str):
        raise ConfigInvalid(f"[{kind}]: `name` has to name a plug-in; installed: {names}")
    for key in section:
        if key not in {"name", name, *found}:
            raise ConfigInvalid(f"[{kind}]: unknown key `{key}`; {nearest_key(key, ['name', *sorted(found)])}")
    if name not in found:
        raise PluginInvalid(f"there is no {kind} plug-in `{name}`; installed: {names}")
    return name


def _table(section: Section, kind: Kind, name: str) -> Section:
    table = section.get(name, {})
    if not isinstance(table, Mapping):
        raise ConfigInvalid(f"[{kind}]: `{name}` has to be a table of settings")
    return table


def _load(kind: Kind, name: str, claims: list[EntryPoint]) -> Plugin[Any, Any]:
    if len(claims) > 1:
        sources = ", ".join(sorted(entry.value for entry in claims))
        raise PluginInvalid(f"the name `{name}` is claimed by {len(claims)} {kind} plug-ins: {sources}")
    offered = _offered(claims[0], f"the {kind} plug-in `{name}`")
    if len(offered) != 1 or not isinstance(offered[0], Plugin):
        raise PluginInvalid(f"the {kind} plug-in `{name}` does not register exactly one plug-in")
    plugin = offered[0]
    if (plugin.kind, plugin.name) != (kind, name):
        raise PluginInvalid(f"the {kind} plug-in `{name}` registers the {plugin.kind} `{plugin.name}` instead")
    return plugin


def _offered(entry: EntryPoint, what: str) -> list[object]:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    try:
        manager.register(entry.load())
        manager.check_pending()
        return [*manager.hook.vaultq_keystore(), *manager.hook.vaultq_storage()]
    except ImportError as error:
        raise PluginInvalid(f"{what} cannot be imported: {error}") from error
    except Exception as error:
        raise PluginInvalid(f"{what} cannot be loaded: {type(error).__name__}") from error
