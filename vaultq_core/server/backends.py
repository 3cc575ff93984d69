"""From a configuration and the operator's secrets to what opens keystore and storage: at start and at each reload.

Nothing is opened here, so it may be carried over a fork: a worker opens, since a module of a token must be
loaded after the fork.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from vaultq_core.errors import ConfigInvalid
from vaultq_core.registry.workers import keystore_name
from vaultq_core.server.config import Config
from vaultq_core.server.moving_keystore import MovingKeystore
from vaultq_core.server.plugins import Selected, select_keystore, select_storage
from vaultq_core.spi.guard import GuardedKeystore
from vaultq_core.spi.keystore import Keystore
from vaultq_core.spi.secrets import Secret, SecretRequest, find_secret
from vaultq_core.spi.storage import Storage

Prompt = Callable[[str], str] | None


@dataclass(frozen=True, slots=True)
class Backends:
    """How to open what the configuration names; each call opens it anew."""

    open_keystore: Callable[[], Keystore]
    open_storage: Callable[[], Storage]


def prepare_backends(config: Config, prompt: Prompt) -> Backends:
    """Load the plug-ins and get every secret, once. Raises PluginInvalid, ConfigInvalid, InsecureFile or NotFound.

    A worker that is replaced later finds nobody at the terminal: so its secrets are kept in memory.
    """
    return Backends(prepare_keystore(config, prompt), prepare_storage(config, prompt))


def prepare_keystore(config: Config, prompt: Prompt) -> Callable[[], Keystore]:
    """Return what opens the keystore, both of them while keys move; see prepare_backends."""
    old, *further = (_opening(chosen, prompt) for chosen in _keystores(config))
    return (lambda: _both(old, *further)) if further else old


def prepare_storage(config: Config, prompt: Prompt) -> Callable[[], Storage]:
    """Return what opens the storage; see prepare_backends."""
    chosen = select_storage(plugin_section(config.storage.name, config.storage.settings))
    secret = secret_of(chosen.secret_request, prompt)
    return lambda: chosen.open(lambda: secret)


def keystore_requests(config: Config) -> tuple[SecretRequest, ...]:
    """Return what is asked for to open each keystore: for whoever wants to know where it lies."""
    requests = (chosen.secret_request for chosen in _keystores(config))
    return tuple(request for request in requests if request is not None)


def next_keystore(config: Config) -> Selected[GuardedKeystore]:
    """Return the keystore to which keys move; its secret has a name of its own. Raises ConfigInvalid without one."""
    choice = config.next_keystore
    if choice is None:
        raise ConfigInvalid(
            "there is no section [next_keystore] that says where keys move to",
            remedy="Add it beside [keystore], of the same shape; docs/operations.md, `Rotation and moves`, says more.",
        )
    if choice == config.keystore:
        raise ConfigInvalid("[next_keystore] is the same as [keystore]")
    try:
        chosen = select_keystore(plugin_section(choice.name, choice.settings))
    except ConfigInvalid as error:
        raise type(error)(f"[next_keystore]: {error}", remedy=error.remedy) from None
    asked = chosen.secret_request
    if asked is None:
        return chosen
    named = replace(asked, label=f"{asked.label} (next keystore)", credential=f"{asked.credential}-next")
    return replace(chosen, secret_request=named)


def _keystores(config: Config) -> tuple[Selected[GuardedKeystore], ...]:
    present = select_keystore(plugin_section(config.keystore.name, config.keystore.settings))
    return (present,) if config.next_keystore is None else (present, next_keystore(config))


def _opening(chosen: Selected[GuardedKeystore], prompt: Prompt) -> Callable[[], Keystore]:
    secret = secret_of(chosen.secret_request, prompt)
    return lambda: chosen.open(lambda: secret)


def _both(open_old: Callable[[], Keystore], open_new: Callable[[], Keystore]) -> MovingKeystore:
    """Open both, or none. Raises ConfigInvalid when they are one and the same."""
    with ExitStack() as opened:
        old = open_old()
        opened.callback(old.close)
        new = open_new()
        opened.callback(new.close)
        names = {keystore_name(info.backend, info.place) for info in (old.info(), new.info())}
        if len(names) == 1:
            raise ConfigInvalid(f"[keystore] and [next_keystore] are the same keystore, {names.pop()}")
        opened.pop_all()
        return MovingKeystore(old, new)


class TypedSecrets:
    """What the operator typed at the start, for reloads: then nobody is asked."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._typed: dict[str, str] = {}

    @property
    def ask(self) -> Prompt:
        """Ask at the terminal and remember; None without one."""
        return None if self._prompt is None else self._ask

    @property
    def recall(self) -> Prompt:
        """Give the remembered answer, or raise ConfigInvalid; None without a terminal at the start."""
        return None if self._prompt is None else self._recall

    def _ask(self, label: str) -> str:
        if self._prompt is not None and label not in self._typed:
            self._typed[label] = self._prompt(label)
        return self._typed[label]

    def _recall(self, label: str) -> str:
        if label not in self._typed:
            raise ConfigInvalid(
                f"a reload asks for nothing at the terminal, and there is no other way to get the {label.rstrip(': ')}",
                remedy="Name a file of mode 0600 in the configuration, or stop the server and start it again.",
            )
        return self._typed[label]


def plugin_section(name: str, settings: object) -> dict[str, object]:
    """Return a plug-in's section as the loader takes it."""
    return {"name": name, name: settings}


def secret_of(request: SecretRequest | None, prompt: Prompt) -> Secret:
    """Return the secret that a plug-in asks for, or an empty one if it asks for none. Raises ConfigInvalid."""
    return Secret("") if request is None else find_secret(request, environ=os.environ, prompt=prompt)
