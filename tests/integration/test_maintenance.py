"""What the server renews and destroys by itself, with its clock moved on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fixtures.exposed_vault import Vault
from tools.throwaway_vault import ThrowawayVault
from vaultq_client.vault_view import VaultView, verify_vault
from vaultq_core.errors import CannotVerify, KeyNotFound
from vaultq_core.server.services.crls import CrlPublisher
from vaultq_core.server.services.desk import Desk
from vaultq_core.server.services.maintenance import Maintenance
from vaultq_core.server.services.vault_info import VaultInfo

DAY = dt.timedelta(days=1)


@pytest.fixture
def still(founded: ThrowawayVault, tmp_path: Path) -> Vault:
    """A vault that nobody serves, so that its clock is the test's alone."""
    return Vault(founded.copy(tmp_path / "vault"))


@contextmanager
def maintained(vault: Vault, moved: dt.timedelta) -> Iterator[Desk]:
    """The vault's desk after its maintenance has run at that time."""
    with vault.desk(moved) as desk:
        Maintenance(desk, CrlPublisher(desk), "test").run()
        yield desk


def seen(vault: Vault, desk: Desk, lowest: int = 0) -> VaultView:
    """What a client makes of the vault at the desk's time."""
    return verify_vault(VaultInfo(desk)(), vault.admin_home.anchors, at=desk.now(), lowest_version=lowest)


def test_nothing_is_renewed_before_it_is_due(still: Vault) -> None:
    crls, statements = still.rows("SELECT * FROM crls"), still.rows("SELECT * FROM vault_statements")
    size = still.log_size()

    with maintained(still, dt.timedelta(0)):
        pass

    assert still.rows("SELECT * FROM crls") == crls
    assert still.rows("SELECT * FROM vault_statements") == statements
    assert still.log_size() == size


def test_revocation_lists_are_signed_anew_every_day(still: Vault) -> None:
    numbers, epoch = still.rows("SELECT number FROM crls"), still.value("SELECT value FROM epoch")

    with maintained(still, DAY + dt.timedelta(minutes=1)) as desk:
        assert seen(still, desk).statement.vault == desk.vault

    assert still.rows("SELECT number FROM crls") == [(number + 1,) for (number,) in numbers]
    assert still.value("SELECT value FROM epoch") > epoch


def test_a_vault_whose_lists_have_ended_cannot_be_verified(still: Vault) -> None:
    with still.desk(8 * DAY) as desk, pytest.raises(CannotVerify, match="step 3"):
        seen(still, desk)


def test_the_statement_is_renewed_long_before_it_ends(still: Vault) -> None:
    with maintained(still, 8 * DAY) as desk:
        view = seen(still, desk, lowest=2)
        left = dt.datetime.fromtimestamp(view.statement.expires, dt.UTC) - desk.now()

    assert view.statement.version == 2
    assert 34 * DAY < left <= 35 * DAY
    assert still.log_entries()[-1]["kind"] == "statement-published"


def test_a_new_month_brings_a_new_kem_key_and_the_old_one_still_opens(still: Vault) -> None:
    with still.desk() as desk:
        old = seen(still, desk).statement.kem

    with maintained(still, 32 * DAY) as desk:
        new = seen(still, desk).statement.kem
        assert desk.kem_keys.get(old.id).public == old.public_key
        assert desk.kem_keys.get(new.id).public == new.public_key

    assert new.id > old.id
    assert new.public_key != old.public_key


def test_an_old_kem_key_is_destroyed_a_week_after_its_statement_has_ended(still: Vault) -> None:
    with still.desk() as desk:
        old = seen(still, desk).statement.kem.id
    with maintained(still, 32 * DAY):
        pass

    with maintained(still, 44 * DAY) as desk:
        with pytest.raises(KeyNotFound):
            desk.kem_keys.get(old)
        assert old not in {each.key_id.purpose for each in desk.keystore.info().keys}
        assert seen(still, desk).statement.vault == desk.vault

    assert still.value("SELECT wrapped_seed FROM kem_keys WHERE id = ?", old) is None


def test_a_kem_key_is_kept_while_a_statement_names_it(still: Vault) -> None:
    with still.desk() as desk:
        old = seen(still, desk).statement.kem

    with maintained(still, 41 * DAY) as desk:
        assert desk.kem_keys.get(old.id).public == old.public_key


def test_only_one_worker_maintains_at_a_time(still: Vault) -> None:
    with still.desk(8 * DAY) as desk:
        first, second = (Maintenance(desk, CrlPublisher(desk), each) for each in ("first", "second"))
        first.run()
        size = still.log_size()
        second.run()
        assert still.rows("SELECT holder FROM leases") == [("first",)]
        first.finish()
        second.run()

    assert still.rows("SELECT holder FROM leases") == [("second",)]
    assert still.log_size() == size
