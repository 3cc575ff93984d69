"""The vault's own rows: name, keys, statements, CRLs, and what workers share."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from tests.unit.registry.example import HOSPITAL, VAULT
from vaultq_core.errors import Conflict, NotFound
from vaultq_core.registry.crls import CrlRow
from vaultq_core.registry.engine import open_engine
from vaultq_core.registry.keys import KemKeyRow, SealedKey
from vaultq_core.registry.registry import Registry
from vaultq_core.registry.schema import migrate
from vaultq_core.registry.statements import StatementRow
from vaultq_core.registry.vault import IssuingCa, peek_vault_id


def test_there_is_one_vault(registry: Registry) -> None:
    with registry.reading() as tx:
        assert registry.vault.get(tx) == HOSPITAL
        assert peek_vault_id(tx) == VAULT
    with pytest.raises(Conflict), registry.writing() as tx:
        registry.vault.create(tx, HOSPITAL)


def test_before_init_there_is_none(tmp_path: object) -> None:
    fresh = Registry(open_engine(f"sqlite:///{tmp_path}/fresh.db"), b"r" * 32)
    migrate(fresh.engine)

    with fresh.reading() as tx:
        assert peek_vault_id(tx) is None
        for read in (fresh.vault.get, fresh.log.head, fresh.statements.newest):
            with pytest.raises(NotFound):
                read(tx)
    fresh.close()


def test_a_new_issuing_ca_takes_the_place_of_its_role(registry: Registry, tx: Connection) -> None:
    for der in (b"first", b"second"):
        registry.vault.put_ca(tx, IssuingCa(role="pq", der=der, created=1))
    registry.vault.put_ca(tx, IssuingCa(role="doctors", der=b"doctors", created=1))

    assert {role: ca.der for role, ca in registry.vault.issuing_cas(tx).items()} == {
        "pq": b"second",
        "doctors": b"doctors",
    }


def test_a_key_that_was_rewrapped_meanwhile_is_not_overwritten(registry: Registry, tx: Connection) -> None:
    registry.sealed_keys.put(tx, SealedKey(name="log-ed25519", wrapped=b"v1", key_id="master:AES-256:1"))
    read = registry.sealed_keys.get(tx, "log-ed25519")

    registry.sealed_keys.rewrap(tx, read, wrapped=b"v2", key_id="master:AES-256:2")

    assert [key.wrapped for key in registry.sealed_keys.every(tx)] == [b"v2"]
    with pytest.raises(Conflict):
        registry.sealed_keys.rewrap(tx, read, wrapped=b"v3", key_id="master:AES-256:2")


def test_a_destroyed_kem_seed_is_gone_and_its_public_key_stays(registry: Registry, tx: Connection) -> None:
    for month, end in (("kem/2026-10", 100), ("kem/2026-11", 200)):
        row = KemKeyRow(id=month, public_key=b"p", wrapped_seed=b"w", key_id="kem:AES-256:1", destroy_after=end)
        registry.kem_keys.put(tx, row)

    assert [key.id for key in registry.kem_keys.due(tx, 100)] == ["kem/2026-10"]
    registry.kem_keys.destroy(tx, "kem/2026-10")

    assert registry.kem_keys.due(tx, 100) == ()
    assert [key.id for key in registry.kem_keys.usable(tx)] == ["kem/2026-11"]
    assert registry.kem_keys.get(tx, "kem/2026-10").public_key == b"p"
    with pytest.raises(NotFound, match="destroyed before"):
        registry.kem_keys.destroy(tx, "kem/2026-10")
    november = registry.kem_keys.get(tx, "kem/2026-11")
    assert registry.kem_keys.rewrap(tx, november, wrapped_seed=b"x", key_id="kem:AES-256:2").wrapped_seed == b"x"


def test_statements_follow_each_other_without_a_gap(registry: Registry, tx: Connection) -> None:
    def put(version: int) -> None:
        row = StatementRow(version=version, statement=b"s", not_after=version, kem_key="kem/2026-11")
        registry.statements.put(tx, row)

    put(1)
    put(2)

    for refused in (2, 4, 1):
        with pytest.raises(Conflict, match="does not follow"):
            put(refused)
    assert registry.statements.newest(tx).version == 2


def test_a_crl_is_replaced_by_a_newer_one_only(registry: Registry, tx: Connection) -> None:
    def put(issuer: str, number: int) -> None:
        registry.crls.put(tx, CrlRow(issuer=issuer, number=number, der=b"crl", this_update=1, next_update=2))

    put("CN=doctors", 1)
    put("CN=doctors", 5)
    put("CN=pq", 1)

    for number in (4, 5):
        with pytest.raises(Conflict, match="not newer"):
            put("CN=doctors", number)
    assert [(crl.issuer, crl.number) for crl in registry.crls.every(tx)] == [("CN=doctors", 5), ("CN=pq", 1)]


def test_a_lease_that_is_seized_is_no_more_its_former_holders(registry: Registry, tx: Connection) -> None:
    assert registry.leases.take(tx, "maintenance", "a", now=100, seconds=30)
    assert registry.leases.holds(tx, "maintenance", "a")

    registry.leases.seize(tx, "maintenance", "b", now=100, seconds=30)

    assert not registry.leases.take(tx, "maintenance", "a", now=101, seconds=30)
    assert not registry.leases.holds(tx, "maintenance", "a")
    registry.leases.release(tx, "maintenance", "b")
    assert not registry.leases.holds(tx, "maintenance", "a")


def test_a_lease_has_one_holder_until_it_ends(registry: Registry, tx: Connection) -> None:
    def take(holder: str, now: int) -> bool:
        return registry.leases.take(tx, "maintenance", holder, now=now, seconds=30)

    assert take("a", 0)
    assert take("a", 20)
    assert not take("b", 49)
    assert take("b", 50)
    assert not take("a", 51)
    registry.leases.release(tx, "maintenance", "a")
    assert not take("a", 52)
    registry.leases.release(tx, "maintenance", "b")
    assert take("a", 53)


def test_hits_are_counted_by_window(registry: Registry, tx: Connection) -> None:
    times = [60, 61, 119, 120, 125, 300]

    assert [registry.rates.hit(tx, "enrolments", now=now, seconds=60) for now in times] == [1, 2, 3, 1, 2, 1]
    assert registry.rates.hit(tx, "another", now=300, seconds=60) == 1


def test_the_epoch_rises_with_the_change_that_raises_it(registry: Registry) -> None:
    with pytest.raises(Conflict), registry.writing() as tx:  # noqa: PT012 - the change fails after it
        registry.epoch.advance(tx)
        raise Conflict("not issued")
    with registry.writing() as tx:
        registry.epoch.advance(tx)

    with registry.reading() as tx:
        assert registry.epoch.value(tx) == 1
