"""`vaultq-server issuing-cas`: CAs are replaced while doctors work, closed when nobody needs them, killed any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from cryptography import x509

from tests.fixtures.busy_doctor import busy
from tests.fixtures.exposed_vault import EnrolledDoctor, Vault, running_vault, until
from tests.fixtures.killed import killed_at
from tests.fixtures.renewing import contact
from tests.fixtures.still_vault import does, keyring_of, refuses, still_vault
from tools.throwaway_vault import KeystoreName
from vaultq_client.admin.home import load_admin_home
from vaultq_client.home import Home
from vaultq_client.identity import Identity
from vaultq_client.session import Session, system_clock
from vaultq_core.crypto.revocation import load_crl
from vaultq_core.errors import CannotConnect, NotAuthenticated
from vaultq_core.server.ca_office import open_ca_office
from vaultq_core.server.config import Config, load_config
from vaultq_core.server.services.crls import CrlPublisher

ROLES = {"doctors", "admins", "servers"}
REPLACE = ("issuing-cas", "replace", "--yes")
CLOSE = ("issuing-cas", "close", "--yes")


@pytest.fixture
def still(tmp_path: Path) -> Vault:
    return still_vault(tmp_path)


@pytest.fixture(params=get_args(KeystoreName))
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Vault]:
    with running_vault(tmp_path / "vault", keystore=request.param, workers=2) as vault:
        yield vault


def cas(vault: Vault, state: str) -> dict[str, dict[str, Any]]:
    """Return the CAs of a state by role; there is one of each at most."""
    found = does(vault, "issuing-cas", "status")["issuing_cas"]
    assert all(count == 1 for count in Counter((ca["role"], ca["state"]) for ca in found).values())
    return {ca["role"]: ca for ca in found if ca["state"] == state}


def issuer_of(identity: Identity) -> x509.Name:
    return identity.tls().chain[0].issuer


def server_ca(vault: Vault) -> x509.Name:
    """Return who certified the worker that answers."""
    with vault.connect("enrolment", None) as connection:
        shown = connection.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).issuer


def wait_for_servers_ca(vault: Vault, generation: int) -> None:
    """Wait until a worker has a certificate of this servers CA: the others have by then, or right after."""
    name = common_name(f"St. Elsewhere servers CA {generation}")
    until(lambda: server_ca(vault) == name, "workers have certificates of the new CA")


def common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def kinds(vault: Vault) -> Counter[str]:
    return Counter(entry["kind"] for entry in vault.log_entries())


def is_refused(doctor: EnrolledDoctor) -> bool:
    session = Session(Home(doctor.home), doctor.client.identity, system_clock)
    try:
        session.view  # noqa: B018 - it asks
    except (NotAuthenticated, CannotConnect):
        return True
    finally:
        session.close()
    return False


def test_no_request_fails_while_all_three_are_replaced_and_replaced_again(served: Vault) -> None:
    ada, bob = served.enrol("Dr. Ada Lovelace"), served.enrol("Dr. Robert Koch")
    with busy(served, ada) as work:
        work.at_least(3)
        for generation in (2, 3):
            done = does(served, *REPLACE)["issuing_cas"]
            assert {ca["role"] for ca in done if ca["state"] == "present"} == ROLES
            assert sum(ca["state"] == "former" for ca in done) == (generation - 1) * len(ROLES)
            wait_for_servers_ca(served, generation)
            served.admin.status()
            until(lambda: contact(bob), "a doctor renews")
            with busy(served, bob) as renewed:
                renewed.at_least(3)
            work.at_least(3)
        eve = served.enrol("Dr. Eve")
        ada.grant(work.patients[0], eve, "read")

    assert issuer_of(ada.client.identity) == common_name("St. Elsewhere doctors CA")
    assert issuer_of(eve.client.identity) == common_name("St. Elsewhere doctors CA 3")
    for record, content in work.contents.items():
        assert ada.get(record) == content
    assert kinds(served)["issuing-ca-replaced"] == 2 * len(ROLES)
    served.restart()
    assert eve.client.records(work.patients[0])


def test_a_dry_run_names_what_would_be_replaced_and_changes_nothing(still: Vault) -> None:
    before = does(still, "issuing-cas", "status")

    planned = does(still, "issuing-cas", "replace", "--dry-run", "--role", "doctors")

    assert (planned["dry_run"], [ca["role"] for ca in planned["issuing_cas"]]) == (True, ["doctors"])
    assert does(still, "issuing-cas", "status") == before
    assert "no terminal" in refuses(still, "usage", "issuing-cas", "replace")


def test_one_role_is_replaced_alone_and_its_former_key_is_kept_until_it_is_closed(still: Vault) -> None:
    former = cas(still, "present")["doctors"]

    does(still, *REPLACE, "--role", "doctors")

    assert {role: ca["sha256"] for role, ca in cas(still, "former").items()} == {"doctors": former["sha256"]}
    assert cas(still, "present")["doctors"]["name"] == "St. Elsewhere doctors CA 2"
    assert "cite" in refuses(still, "conflict", "keystore", "retire", "--yes", former["key"])
    does(still, *CLOSE)
    assert cas(still, "closed")["doctors"]["sha256"] == former["sha256"]
    does(still, "keystore", "retire", "--yes", former["key"])
    assert cas(still, "closed")["doctors"]["key"] is None
    does(still, *REPLACE, "--role", "doctors")
    assert does(still, *CLOSE)["issuing_cas"][0]["name"] == "St. Elsewhere doctors CA 2"
    assert does(still, *CLOSE)["issuing_cas"] == []
    assert len(does(still, "issuing-cas", "status")["issuing_cas"]) == len(ROLES) + 2


def test_a_former_ca_is_closed_only_when_it_ends_nobodys_newest_certificate(served: Vault) -> None:
    ada = served.enrol("Dr. Ada Lovelace")
    gone = served.enrol("Dr. Gone")
    served.admin.revoke(gone.id, "left")
    until(lambda: is_refused(gone), "the list is loaded")
    does(served, *REPLACE)
    wait_for_servers_ca(served, 2)

    assert is_refused(gone)
    administrator = served.value("SELECT id FROM administrators")
    assert cas(served, "former")["doctors"]["hanging"] == [ada.id]
    assert cas(served, "former")["admins"]["hanging"] == [administrator]
    for role, who in (("doctors", ada.id), ("admins", administrator)):
        assert who in refuses(served, "conflict", *CLOSE, "--role", role)
    assert not is_refused(ada)
    does(served, *CLOSE, "--role", "servers")
    does(served, *CLOSE, "--role", "doctors", "--end")

    until(lambda: is_refused(ada), "what the closed CA issued is let in no more")
    bob = served.enrol("Dr. Robert Koch")
    assert not is_refused(bob)
    assert kinds(served)["issuing-ca-closed"] == 2


@pytest.mark.timeout(300)
def test_a_replacement_that_is_killed_at_any_moment_has_come_into_force_or_not(still: Vault) -> None:
    config = load_config(still.made.config)

    def replace() -> None:
        with keyring_of(still) as keyring, open_ca_office(config, keyring, None) as office:
            office.replace(["servers"])

    moment = 0
    while killed_at(moment := moment + 1, replace):
        with keyring_of(still) as keyring, open_ca_office(config, keyring, None) as office:
            states = [state for state in office.states() if state.role == "servers"]
        entries = kinds(still)
        assert len(states) == 1 + entries["issuing-ca-replaced"]
        assert entries["statement-published"] == len(states)
        assert states[0].key is not None

    assert moment > 1
    does(still, "check")


@pytest.mark.timeout(300)
def test_a_closing_that_is_killed_at_any_moment_is_finished_by_the_server_or_by_another_one(
    still: Vault, tmp_path_factory: pytest.TempPathFactory
) -> None:
    does(still, *REPLACE, "--role", "admins")
    (former,) = cas(still, "former").values()
    serial = load_admin_home(still.made.admin_home).certificate.serial_number
    states, alive, moment = set[str](), True, 0
    while alive:
        vault = Vault(still.made.copy(tmp_path_factory.mktemp("copy") / "vault"))
        config = load_config(vault.made.config)

        def close(vault: Vault = vault, config: Config = config) -> None:
            with keyring_of(vault) as keyring, open_ca_office(config, keyring, None) as office:
                office.close(former["sha256"], end=True)

        alive = killed_at(moment := moment + 1, close)
        with vault.desk() as desk:
            closed = desk.authorities.present().former[0].row.closed
            assert kinds(vault)["issuing-ca-closed"] == (0 if closed is None else 1)
            states.add("open" if closed is None else "closed")
            if CrlPublisher(desk).is_due():  # as the server's maintenance asks twice a minute
                CrlPublisher(desk).publish()
            with desk.registry.reading() as tx:
                newest = desk.registry.crls.find(tx, f"CN={former['name']}")
        assert newest is not None
        named = load_crl(newest.der).get_revoked_certificate_by_serial_number(serial)
        if closed is None:
            assert named is None
            close()
        else:
            assert newest.next_update == former["not_after"]
            assert named is not None
            assert int(named.revocation_date_utc.timestamp()) == closed
    assert states == {"open", "closed"}
