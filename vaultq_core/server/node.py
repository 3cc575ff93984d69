"""One worker of a node, from an opened vault to its end; the parent only prepares it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.errors import ConfigInvalid
from vaultq_core.server.backends import Backends, Prompt, prepare_backends
from vaultq_core.server.composition import compose
from vaultq_core.server.config import Config, load_config
from vaultq_core.server.listeners import address_of
from vaultq_core.server.logs import configure_logs, logger
from vaultq_core.server.opening import open_desk
from vaultq_core.server.services.desk import Desk
from vaultq_core.server.services.doctors import Addresses
from vaultq_core.server.serving import Serving
from vaultq_core.server.supervisor import Crew
from vaultq_core.server.worker import Worker

# The committer gives the interpreter's lock up at every SQL statement, while it holds the registry's; at
# the default of 5 ms it waits longer for the one than it works under the other.
SWITCH_SECONDS: Final = 0.001


class Node:
    """What the parent prepares, and each worker runs after the fork."""

    def __init__(self, config: Config, sockets: Mapping[str, socket.socket], backends: Backends) -> None:
        self._config = config
        self._sockets = sockets
        self._backends = backends

    @property
    def config(self) -> Config:
        """The settings that it serves by."""
        return self._config

    def crew(self) -> Crew:
        """Return what the supervisor runs."""
        server = self._config.server
        return Crew(self.run_worker, server.workers, server.drain_seconds)

    def with_settings(self, config: Config, backends: Backends) -> Node:
        """Return a node at the same sockets."""
        return Node(config, self._sockets, backends)

    async def run_worker(self, worker: Worker) -> None:
        """Open the vault, serve until told to stop, drain, close. Raises VaultQError when it cannot start."""
        sys.setswitchinterval(SWITCH_SECONDS)
        with ExitStack() as stack:
            desk = open_desk(self._config, self._backends, stack)
            services = compose(desk, self._addresses(desk), f"{socket.gethostname()}/{worker.index}")
            stack.callback(services.close)
            await Serving(self._config, desk, services, self._sockets).run(worker)

    def _addresses(self, desk: Desk) -> Addresses:
        host, roots = self._config.vault.names[0], desk.keys.roots
        ports = {each: address_of(listening).rpartition(":")[2] for each, listening in self._sockets.items()}
        return Addresses(
            enrolment=f"{host}:{ports['enrolment']}",
            records=f"{host}:{ports['records']}",
            hospital_root=sha256_hex(roots.hospital),
            pq_root=sha256_hex(roots.pq),
        )


def renewed(path: Path, first: Node, prompt: Prompt) -> Node:
    """Read the configuration at `path` and the secrets anew; sockets stay as they were at the start.

    Raises ConfigInvalid also when the registry is another one: its rows and those of the workers that still serve
    would part. Raises what `load_config` and `prepare_backends` raise.
    """
    config = load_config(path)
    if config.registry.url != first.config.registry.url:
        raise ConfigInvalid(
            "the registry cannot be changed by a reload",
            remedy="Put [registry] url back, or stop the server and start it again.",
        )
    backends = prepare_backends(config, prompt)
    configure_logs(config.server.log_level)
    for name, address in config.listeners.items():
        if address != first.config.listeners[name]:
            logger("reload").warning(
                "restart-needed",
                listener=name,
                address=str(address),
                detail="a listener's address changes with a restart only; the old one is served on",
            )
    return first.with_settings(config, backends)
