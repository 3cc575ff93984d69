"""A worker's listeners and what it does beside them: follow revocations, renew its certificate, maintain.

The worker's TLS key is made in memory at its start and certified by the servers CA; no disk ever holds it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from vaultq_core.crypto.issuing import issue_server
from vaultq_core.crypto.revocation import load_crl
from vaultq_core.errors import ConfigInvalid, Malformed, VaultQError
from vaultq_core.server.asgi import App
from vaultq_core.server.composition import Services
from vaultq_core.server.config import Config
from vaultq_core.server.listeners import Listener, Patience, serve_listeners
from vaultq_core.server.logs import logger
from vaultq_core.server.routes.admin import admin_app
from vaultq_core.server.routes.enrolment import enrolment_app
from vaultq_core.server.routes.records import records_app
from vaultq_core.server.services.desk import Desk
from vaultq_core.server.services.doctor_units import issuer_name
from vaultq_core.server.tls import ClientTrust, LiveContext, ServerIdentity, fresh_identity
from vaultq_core.server.worker import Worker
from vaultq_core.wire.entries import ReplaceableCa

EPOCH_SECONDS: Final = 0.5
CHECKPOINT_SECONDS: Final = 1.0
MAINTENANCE_SECONDS: Final = 30.0
PRESENCE_SECONDS: Final = 10.0
TLS_SECONDS: Final = 3600.0
CLIENTS: Final[dict[str, ReplaceableCa]] = {"records": "doctors", "admin": "admins"}
RENEW_TLS_AFTER: Final = dt.timedelta(days=60)


class Serving:
    """Three listeners in one event loop."""

    def __init__(self, config: Config, desk: Desk, services: Services, sockets: Mapping[str, socket.socket]) -> None:
        self._config = config
        self._desk = desk
        self._services = services
        self._identity = self._fresh_identity()
        apps = {"records": records_app, "enrolment": enrolment_app, "admin": admin_app}
        self._listeners = [
            Listener(name, sockets[name], cast("App", app(services)), LiveContext(self._identity, self._trust(name)))
            for name, app in apps.items()
        ]
        self._epoch = self._read_epoch()

    async def run(self, worker: Worker) -> None:
        """Serve until `worker.stop`, then drain. Raises when a listener fails."""
        await self._services.pools.short.run(self._services.presence.announce)
        await self._services.pools.short.run(self._services.maintenance.run)
        jobs = [
            asyncio.create_task(self._every(EPOCH_SECONDS, self._follow_epoch)),
            asyncio.create_task(self._every(TLS_SECONDS, self._renew_tls)),
            asyncio.create_task(self._every(MAINTENANCE_SECONDS, self._maintain)),
            asyncio.create_task(self._every(CHECKPOINT_SECONDS, self._publish_checkpoint)),
            asyncio.create_task(self._every(PRESENCE_SECONDS, self._announce)),
            asyncio.create_task(self._hand_over(worker.retire)),
        ]
        try:
            await serve_listeners(
                self._listeners,
                limits=self._desk.limits,
                patience=Patience(self._config.server.drain_seconds, self._config.server.retire_seconds),
                retire=worker.retire,
                stop=worker.stop,
                ready=worker.ready,
            )
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            await asyncio.to_thread(self._end)

    def _end(self) -> None:
        try:
            self._services.maintenance.finish()
        finally:
            self._services.presence.leave()

    async def _every(self, seconds: float, job: Callable[[], Awaitable[None]]) -> None:
        # A job that fails now is done again next time; what it guards fails closed meanwhile.
        while True:
            await asyncio.sleep(seconds)
            try:
                await job()
            except VaultQError as error:
                logger("jobs").warning("job-failed", job=job.__name__, code=error.code, detail=str(error))
            except Exception as error:  # noqa: BLE001 - a bug in one run must not end the following of revocations
                logger("jobs").error("job-failed", job=job.__name__, exc_info=error)

    async def _follow_epoch(self) -> None:
        epoch = await self._services.pools.short.run(self._read_epoch)
        if epoch == self._epoch:
            return
        # Open connections end first: a list that cannot be loaded now must not keep them open.
        shown = {one for listener in self._listeners for one in listener.connections.certificates()}
        ended = await self._services.pools.short.run(self._ended, shown)
        for listener in self._listeners:
            listener.connections.abort_connections(ended.__contains__)
        await self._services.pools.short.run(self._reload)
        self._epoch = epoch
        await self._renew_tls()

    async def _renew_tls(self) -> None:
        if await self._services.pools.short.run(self._is_renewal_due):
            self._identity = await self._services.pools.short.run(self._fresh_identity)
            await self._services.pools.short.run(self._reload)

    def _is_renewal_due(self) -> bool:
        leaf, servers = self._identity.chain
        old = leaf.not_valid_before_utc + RENEW_TLS_AFTER < self._desk.now()
        return old or servers != self._desk.authorities.present().present["servers"]

    async def _maintain(self) -> None:
        await self._services.pools.short.run(self._services.maintenance.run)

    async def _announce(self) -> None:
        await self._services.pools.short.run(self._services.presence.announce)

    async def _publish_checkpoint(self) -> None:
        await self._services.pools.short.run(self._services.maintenance.publish_if_holder)

    async def _hand_over(self, retire: asyncio.Event) -> None:
        await retire.wait()
        await self._services.pools.short.run(self._services.maintenance.finish)

    def _read_epoch(self) -> int:
        with self._desk.registry.reading() as tx:
            return self._desk.registry.epoch.value(tx)

    def _ended(self, shown: set[str]) -> set[str]:
        return {one for one in shown if not self._services.access.is_active(one)}

    def _reload(self) -> None:
        for listener in self._listeners:
            listener.tls.swap(self._identity, self._trust(listener.name))

    def _trust(self, listener: str) -> ClientTrust | None:
        if listener not in CLIENTS:
            return None
        with self._desk.registry.reading() as tx:
            cas = self._desk.authorities.read(tx).open(CLIENTS[listener])
            rows = [self._desk.registry.crls.find(tx, issuer_name(each.subject)) for each in cas]
        if None in rows:
            raise ConfigInvalid(f"the registry has no revocation list for the {listener} listener")
        lists = (load_crl(row.der) for row in rows if row is not None)
        present, *former = (ClientTrust(*each) for each in zip(cas, lists, strict=True))
        return replace(present, former=tuple(former))

    def _fresh_identity(self) -> ServerIdentity:
        settings = self._config.vault
        return fresh_identity(self._issue, settings.names, settings.addresses)

    def _issue(self, request: x509.CertificateSigningRequest) -> Sequence[x509.Certificate]:
        key, settings, servers = request.public_key(), self._config.vault, self._desk.authorities.issuer("servers")
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise Malformed("a server's key is on P-256")
        leaf = issue_server(settings.names, settings.addresses, key, servers, self._desk.now())
        return leaf, servers.certificate
