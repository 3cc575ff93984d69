from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.fixtures.admin_vault import ADMIN, PASSPHRASE, AdminListener, AdminPki, write_home
from vaultq_client.admin.client import AdminClient, connect
from vaultq_client.admin.home import load_admin_home
from vaultq_core.errors import CannotConnect, Conflict, Malformed, NotFound, Unavailable
from vaultq_core.server.problems import problem_of
from vaultq_core.wire.api import Change, DoctorIssue, DoctorRevoke, DoctorRow, Doctors, LogPage, LogRow

ADA = "dr-0000000001"
BOB = "dr-0000000002"
ISSUE = f"POST /v1/doctors/{ADA}/issue"


def entry(index: int) -> LogRow:
    return LogRow(index=index, entry=msgspec.Raw(b'{"kind":"vault-created","time":1760000000}'))


def test_the_vault_sees_the_administrators_certificate(admin: AdminClient, listener: AdminListener) -> None:
    listener.answers["GET /v1/doctors/pending?limit=500"] = (200, Doctors(doctors=()))

    assert list(admin.pending()) == []
    assert listener.callers == {f"urn:vaultq:admin:{ADMIN}"}


def test_a_listing_goes_on_to_the_last_page(admin: AdminClient, listener: AdminListener, ada: DoctorRow) -> None:
    bob = msgspec.structs.replace(ada, doctor=BOB)
    listener.answers["GET /v1/doctors?limit=500"] = (200, Doctors(doctors=(ada,), next=ADA))
    listener.answers[f"GET /v1/doctors?limit=500&after={ADA}"] = (200, Doctors(doctors=(bob,)))

    assert list(admin.doctors()) == [ada, bob]


def test_a_listing_that_goes_in_circles_is_refused(admin: AdminClient, listener: AdminListener, ada: DoctorRow) -> None:
    listener.answers["GET /v1/doctors?limit=500"] = (200, Doctors(doctors=(ada,), next=BOB))
    listener.answers[f"GET /v1/doctors?limit=500&after={BOB}"] = (200, Doctors(doctors=(ada,), next=ADA))

    with pytest.raises(Malformed, match="does not move on"):
        list(admin.doctors())


def test_the_log_goes_on_to_its_end(admin: AdminClient, listener: AdminListener) -> None:
    listener.answers["GET /v1/log/entries?after=0&limit=500"] = (200, LogPage(entries=(entry(0),), next=1))
    listener.answers["GET /v1/log/entries?after=1&limit=500"] = (200, LogPage(entries=(entry(1),)))

    assert [row.index for row in admin.log()] == [0, 1]


def test_issuing_names_the_words_that_were_compared(
    admin: AdminClient, listener: AdminListener, ada: DoctorRow
) -> None:
    listener.answers[ISSUE] = (200, Change(index=7, time=1_760_000_000))

    assert admin.issue(ADA, ada.words).index == 7
    assert msgspec.json.decode(listener.asked[0][1], type=DoctorIssue).words == ada.words


def test_a_revocation_carries_since_when_the_key_may_be_in_other_hands(
    admin: AdminClient, listener: AdminListener
) -> None:
    listener.answers[f"POST /v1/doctors/{ADA}/revoke"] = (200, Change(index=8, time=1_760_000_000))

    admin.revoke(ADA, "phone stolen", 1_750_000_000)

    sent = msgspec.json.decode(listener.asked[0][1], type=DoctorRevoke)
    assert (sent.reason, sent.compromised_since) == ("phone stolen", 1_750_000_000)


def test_a_change_whose_answer_was_lost_is_not_sent_again(admin: AdminClient, listener: AdminListener) -> None:
    listener.answers["POST /v1/doctors"] = None

    with pytest.raises(Unavailable) as caught:
        admin.add_doctor("Dr. Ada Lovelace")

    assert "may have been made" in caught.value.remedy
    assert listener.requests() == ["POST /v1/doctors"]


def test_a_refusal_arrives_as_the_error_that_it_is(admin: AdminClient, listener: AdminListener, ada: DoctorRow) -> None:
    listener.answers[ISSUE] = (409, problem_of(Conflict("the words changed", remedy="Compare them again."), "r1"))

    with pytest.raises(Conflict, match="the words changed") as caught:
        admin.issue(ADA, ada.words)

    assert caught.value.remedy == "Compare them again."


@pytest.mark.parametrize("doctor", ["", "dr-000000000", "../status", "dr-0000000001/issue", "dr-0000000001\n"])
def test_what_is_no_id_never_becomes_part_of_a_url(admin: AdminClient, listener: AdminListener, doctor: str) -> None:
    with pytest.raises(Malformed, match="doctor's id"):
        admin.reject(doctor)

    assert listener.requests() == []


def test_somebody_who_does_not_wait_is_named(admin: AdminClient, listener: AdminListener, ada: DoctorRow) -> None:
    listener.answers["GET /v1/doctors/pending?limit=500"] = (200, Doctors(doctors=(ada,)))
    listener.answers["GET /v1/doctors?limit=500"] = (200, Doctors(doctors=(ada,)))

    assert admin.waiting(ADA) == admin.doctor(ADA) == ada
    with pytest.raises(Conflict, match=BOB):
        admin.waiting(BOB)
    with pytest.raises(NotFound, match=BOB):
        admin.doctor(BOB)


def test_an_answer_of_another_form_is_refused(admin: AdminClient, listener: AdminListener) -> None:
    listener.answers["GET /v1/status"] = (200, {"vault": "no"})

    with pytest.raises(Malformed, match="ServerStatus"):
        admin.status()


def test_a_listener_of_another_hospital_hears_nothing(listener: AdminListener, tmp_path: Path) -> None:
    other = write_home(tmp_path / "other", AdminPki(), listener.address)

    with connect(load_admin_home(other), PASSPHRASE) as client, pytest.raises(CannotConnect, match="does not verify"):
        client.status()

    assert listener.requests() == []
