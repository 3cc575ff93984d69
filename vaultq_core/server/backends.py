"""From a configuration and the operator's secrets to what opens keystore and storage: at start and at each reload.

Nothing is opened here, so it may be carried over a fork: a worker opens, since a module of a token must be
loaded after the fork.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from vaultq_core.errors import ConfigInvalid
from vaultq_core.server.config import Config, PluginChoice
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
    """Return what opens the keystore; see prepare_backends."""
    chosen = _keystore(config.keystore)
    secret = secret_of(chosen.secret_request, prompt)
    return lambda: chosen.open(lambda: secret)


def prepare_storage(config: Config, prompt: Prompt) -> Callable[[], Storage]:
    """Return what opens the storage; see prepare_backends."""
    chosen = select_storage(plugin_section(config.storage.name, config.storage.settings))
    secret = secret_of(chosen.secret_request, prompt)
    return lambda: chosen.open(lambda: secret)


def keystore_requests(config: Config) -> tuple[SecretRequest, ...]:
    """Return what is asked for to open the keystore: for whoever wants to know where it lies."""
    request = _keystore(config.keystore).secret_request
    return () if request is None else (request,)


def _keystore(choice: PluginChoice) -> Selected[GuardedKeystore]:
    return select_keystore(plugin_section(choice.name, choice.settings))


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
