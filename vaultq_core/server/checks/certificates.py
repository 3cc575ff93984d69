"""Checks of what ends: roots, issuing CAs, vault statement, revocation lists, people's certificates.

They read the registry's rows without their codes, so that they work when the keystore does not open.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, func, select

from vaultq_core.crypto.x509_profile import load_certificate
from vaultq_core.registry.engine import reading
from vaultq_core.registry.tables.people import certificates
from vaultq_core.registry.tables.vault import crls, issuing_cas, vault, vault_statements
from vaultq_core.server.checks.findings import Finding, Opened, failed, not_checked, ok, warning

DAY: Final = 24 * 3600
ROOT_DAYS: Final = 2 * 365  # a new root is a new vault: years of notice
CA_DAYS: Final = 365  # certificates for a year have to fit below it
STATEMENT_DAYS: Final = 26  # renewed when 28 are left
CRL_DAYS: Final = 5  # renewed when 6 are left
PERSON_DAYS: Final = 30
NAMED: Final = 5  # ids in one line
_NEW_VAULT: Final = "Plan a new vault, and the move of its records."
_NEW_CA: Final = "Replace it: `vaultq-server issuing-cas replace`; docs/operations.md, `New issuing CAs`, says more."
_SERVE: Final = "Start `vaultq-server serve`, which makes a new one at once; if it runs, its log says why it does not."


def check_authorities(opened: Opened) -> Iterator[Finding]:
    """Both roots and all issuing CAs are in date, with time to replace them."""
    if opened.engine is None:
        yield not_checked("authorities", "the registry")
        return
    with reading(opened.engine) as tx:
        roots = tx.execute(select(vault.c.hospital_root, vault.c.pq_root)).one()
        cas = tx.execute(select(issuing_cas.c.role, issuing_cas.c.der)).all()
    for subject, der in (("root hospital", roots[0]), ("root pq", roots[1])):
        yield _in_date(opened, subject, _end(der), ROOT_DAYS, _NEW_VAULT)
    for role, der in sorted((str(role), bytes(der)) for role, der in cas):
        yield _in_date(opened, f"issuing CA {role}", _end(der), CA_DAYS, _NEW_VAULT if role == "pq" else _NEW_CA)


def check_renewals(opened: Opened) -> Iterator[Finding]:
    """Statement and revocation lists, which the server renews by itself, are renewed in time."""
    if opened.engine is None:
        yield not_checked("renewals", "the registry")
        return
    with reading(opened.engine) as tx:
        statement = tx.execute(select(func.max(vault_statements.c.not_after))).scalar_one()
        lists = tx.execute(select(crls.c.issuer, crls.c.next_update).order_by(crls.c.issuer)).all()
    yield _in_date(opened, "vault statement", statement or 0, STATEMENT_DAYS, _SERVE)
    for issuer, end in lists:
        yield _in_date(opened, f"revocation list of {issuer}", end, CRL_DAYS, _SERVE)


def check_people(opened: Opened) -> Iterator[Finding]:
    """Certificates of doctors and administrators last for a while."""
    if opened.engine is None:
        yield not_checked("people", "the registry")
        return
    with reading(opened.engine) as tx:
        for subject, role in (("administrators", "admin-tls"), ("doctors", "doctor-tls")):
            yield _people(opened, subject, _ends(tx, role))


def _people(opened: Opened, subject: str, ends: dict[str, int]) -> Finding:
    now = opened.seconds()
    over = sorted(owner for owner, end in ends.items() if end <= now)
    soon = sorted(owner for owner, end in ends.items() if now < end <= now + PERSON_DAYS * DAY)
    if subject == "administrators" and len(over) == len(ends):
        return failed(subject, "no administrator has a certificate in date", "See docs/operations.md, `Not there yet`.")
    if not over and not soon:
        return ok(subject, f"{len(ends)} with certificates, none ends within {PERSON_DAYS} days")
    texts = [f"{text}: {_names(who)}" for text, who in (("ended", over), ("ends soon", soon)) if who]
    remedy = "Ask them for any command, which renews it, before it ends. Afterwards a doctor has to enrol again."
    return warning(subject, f"of {len(ends)}, {'; '.join(texts)}", remedy)


def _names(ids: list[str]) -> str:
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return ", ".join(ids[:NAMED]) + more


def _ends(tx: Connection, role: str) -> dict[str, int]:
    """Return when the newest certificate of that role that was not revoked ends, by owner."""
    columns = certificates.c
    newest = (
        select(columns.owner, func.max(columns.not_after))
        .where(columns.role == role, columns.status == "active")
        .group_by(columns.owner)
    )
    return {str(owner): int(end) for owner, end in tx.execute(newest).all()}


def _end(der: bytes) -> int:
    return int(load_certificate(der).not_valid_after_utc.timestamp())


def _in_date(opened: Opened, subject: str, end: int, days: int, remedy: str) -> Finding:
    left = (end - opened.seconds()) / DAY
    if left <= 0:
        return failed(subject, f"ended {-left:.0f} days ago", remedy)
    detail = f"{left:.0f} days left"
    return warning(subject, detail, remedy) if left < days else ok(subject, detail)
