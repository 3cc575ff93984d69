"""The composition root: every use case of a worker, made once and wired together."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from vaultq_core.server.pools import Pool, Pools
from vaultq_core.server.services.access import Access
from vaultq_core.server.services.crls import CrlPublisher
from vaultq_core.server.services.deposit import Deposit
from vaultq_core.server.services.desk import Desk
from vaultq_core.server.services.doctors import Addresses, DoctorsOffice
from vaultq_core.server.services.enrolments import Enrolments
from vaultq_core.server.services.log_reading import LogReading
from vaultq_core.server.services.maintenance import Maintenance
from vaultq_core.server.services.presence import Presence
from vaultq_core.server.services.renewal import Renewals
from vaultq_core.server.services.requests import Requests
from vaultq_core.server.services.vault_info import ServerStatus, VaultInfo
from vaultq_core.server.slots import Slots
from vaultq_core.wire.limits import Limits

PASSWORD_THREADS: Final = 2  # bcrypt is a CPU sink for strangers
PASSWORDS_WAITING: Final = 14


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes call."""

    access: Access
    deposit: Deposit
    requests: Requests
    enrolments: Enrolments
    doctors: DoctorsOffice
    renewals: Renewals
    vault_info: VaultInfo
    log: LogReading
    status: ServerStatus
    maintenance: Maintenance
    presence: Presence
    pools: Pools
    password_pool: Pool
    upload_slots: Slots
    limits: Limits

    def close(self) -> None:
        """Let running work finish."""
        self.pools.close()
        self.password_pool.close()


def compose(desk: Desk, addresses: Addresses, holder: str) -> Services:
    """Return a worker's use cases; `holder` names its place where only one may do a job: a successor goes on."""
    access, crls = Access(desk), CrlPublisher(desk)
    renewals = Renewals(desk, access)
    return Services(
        access=access,
        deposit=Deposit(desk, access),
        requests=Requests(desk, access, renewals),
        enrolments=Enrolments(desk),
        doctors=DoctorsOffice(desk, crls, addresses),
        renewals=renewals,
        vault_info=VaultInfo(desk),
        log=LogReading(desk),
        status=ServerStatus(desk, version("vaultq-core"), ssl.OPENSSL_VERSION),
        maintenance=Maintenance(desk, crls, holder),
        presence=Presence(desk, version("vaultq-core")),
        pools=Pools(desk.limits),
        password_pool=Pool("password", PASSWORD_THREADS, PASSWORDS_WAITING),
        upload_slots=Slots(desk.limits.uploads_per_doctor),
        limits=desk.limits,
    )
