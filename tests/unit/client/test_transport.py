from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.hospital import Doctor, Hospital
from tests.fixtures.small_vault import SmallVault, problem, serving
from vaultq_client.tls import TlsIdentity, client_context, readable_path, unverified_context
from vaultq_client.transport import Body, Transport, decode_body
from vaultq_client.vault_view import fetch_info
from vaultq_core.errors import (
    CannotConnect,
    IdentityInvalid,
    Malformed,
    NotFound,
    NotVerified,
    TooManyRequests,
    Unavailable,
    Usage,
)
from vaultq_core.wire import paths
from vaultq_core.wire.api import EnrolmentState


def tls_of(doctor: Doctor) -> TlsIdentity:
    return TlsIdentity((doctor.tls,), doctor.keys.tls)


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def transport(vault: SmallVault, hospital: Hospital, ada: Doctor, waits: list[float]) -> Iterator[Transport]:
    context = client_context(hospital.trust.anchors.hospital, tls_of(ada))
    with Transport(vault.address, context, wait=waits.append) as transport:
        yield transport


def test_it_speaks_tls_1_3_to_its_own_root_only(transport: Transport, hospital: Hospital) -> None:
    assert fetch_info(transport).vault == hospital.vault
    context = client_context(hospital.trust.anchors.hospital)
    assert (context.minimum_version, context.check_hostname) == (ssl.TLSVersion.TLSv1_3, True)
    assert context.verify_flags & ssl.VERIFY_X509_STRICT
    assert len(context.get_ca_certs()) == 1


def test_a_server_under_another_root_is_refused(vault: SmallVault, other_hospital: Hospital) -> None:
    stranger = Transport(vault.address, client_context(other_hospital.trust.anchors.hospital))
    with stranger, pytest.raises(CannotConnect, match="does not verify") as caught:
        fetch_info(stranger)

    assert "somebody may stand between" in caught.value.remedy
    assert vault.asked == []


def test_a_server_of_another_name_is_refused(vault: SmallVault, hospital: Hospital) -> None:
    port = vault.address.partition(":")[2]
    elsewhere = Transport(f"127.1:{port}", client_context(hospital.trust.anchors.hospital))
    with elsewhere, pytest.raises(CannotConnect, match="does not verify"):
        fetch_info(elsewhere)


def test_a_refused_certificate_is_told_in_the_alerts_words(hospital: Hospital, ada: Doctor, tmp_path: Path) -> None:
    crl = hospital.crls((ada, hospital.now, None))[1]
    context = client_context(hospital.trust.anchors.hospital, tls_of(ada))
    with serving(SmallVault(hospital, ada, hospital.vault_keys()), tmp_path, crl=crl) as vault:
        client = Transport(vault.address, context)
        with client, pytest.raises(CannotConnect, match="certificate revoked") as caught:
            fetch_info(client)

    assert "revoked" in caught.value.remedy
    assert vault.asked == []


def test_nobody_at_home_is_cannot_connect(hospital: Hospital) -> None:
    with socket.socket() as bound:  # bound, but nobody listens
        bound.bind(("127.0.0.1", 0))
        nobody = Transport(f"127.0.0.1:{bound.getsockname()[1]}", client_context(hospital.trust.anchors.hospital))
        with nobody, pytest.raises(CannotConnect, match="refused"):
            fetch_info(nobody)


def test_a_busy_vault_is_asked_again_after_the_time_it_names(
    transport: Transport, vault: SmallVault, waits: list[float]
) -> None:
    vault.refusals = [problem(503, "unavailable", retry_after=3), problem(429, "too-many-requests", retry_after=1)]

    fetch_info(transport)
    assert waits == [3, 1]


def test_it_gives_up_after_three_times(transport: Transport, vault: SmallVault, waits: list[float]) -> None:
    vault.refusals = [problem(503, "unavailable", retry_after=1)] * 3

    with pytest.raises(Unavailable):
        fetch_info(transport)
    assert (waits, len(vault.asked)) == ([1, 1], 3)


def test_a_wait_that_is_too_long_is_the_callers_to_decide(
    transport: Transport, vault: SmallVault, waits: list[float]
) -> None:
    vault.refusals = [problem(429, "too-many-requests", retry_after=600)]

    with pytest.raises(TooManyRequests):
        fetch_info(transport)
    assert waits == []


def test_a_lost_connection_is_tried_again(transport: Transport, vault: SmallVault) -> None:
    vault.refusals = [None]

    fetch_info(transport)
    assert len(vault.asked) == 2


def test_a_refusal_is_not_tried_again(transport: Transport, vault: SmallVault) -> None:
    vault.refusals = [problem(404, "not-found")]

    with pytest.raises(NotFound):
        fetch_info(transport)
    assert len(vault.asked) == 1


def test_an_answer_that_is_too_long_is_cut(transport: Transport) -> None:
    with pytest.raises(CannotConnect, match="more than 100 bytes"):
        transport.get(paths.VAULT, limit=100)


def test_what_an_uploads_source_raises_reaches_the_caller(transport: Transport, vault: SmallVault) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"begun"
        raise NotFound("the file is gone")

    with pytest.raises(NotFound, match="gone"):
        transport.upload(paths.RECORDS, Body(paths.FRAME_TYPE, chunks(), 1000), limit=100)
    assert vault.records == {}


def test_the_environments_proxies_and_key_log_are_not_looked_at(
    hospital: Hospital, vault: SmallVault, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {"HTTPS_PROXY": "http://127.0.0.1:1", "SSLKEYLOGFILE": str(tmp_path / "keys")}.items():
        monkeypatch.setenv(name, value)
    with Transport(vault.address, client_context(hospital.trust.anchors.hospital)) as transport:
        fetch_info(transport)

    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_key_is_loaded_from_a_path_that_is_gone_afterwards(*, in_memory: bool) -> None:
    with readable_path((b"a", b"b"), in_memory=in_memory) as path:
        assert Path(path).read_bytes() == b"ab"
        assert in_memory == path.startswith("/proc/self/fd/")
    assert not Path(path).exists()


def test_certificate_and_key_of_two_people_are_refused(hospital: Hospital, ada: Doctor, grace: Doctor) -> None:
    with pytest.raises(IdentityInvalid):
        client_context(hospital.trust.anchors.hospital, TlsIdentity((ada.tls,), grace.keys.tls))


@pytest.mark.parametrize(
    "address", ["", "localhost", "localhost:0", "localhost:99999", "a b:1", "u@h:1", "h:1/x", "h:\u0661"]
)
def test_an_address_is_host_and_port(address: str) -> None:
    with pytest.raises(Usage):
        Transport(address, unverified_context())


@pytest.mark.parametrize("address", ["h:1", "[::1]:8443", "https://vault.example.org:8443/"])
def test_an_address_may_be_a_name_or_a_number(address: str) -> None:
    with Transport(address, unverified_context()) as transport:
        assert transport.address in address


@pytest.mark.parametrize("data", [b"", b"{}", b'{"state":"open","more":1}', b"\xff"])
def test_an_answer_of_another_shape_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed, match="EnrolmentState"):
        decode_body(data, EnrolmentState)


def test_a_body_that_is_sent_again_is_whole_again(transport: Transport, vault: SmallVault) -> None:
    vault.refusals = [problem(503, "unavailable", retry_after=0)]
    body = Body.of(b"this is no sealed request", paths.REQUEST_TYPE)

    with pytest.raises(NotVerified, match="not a RequestHeader"), transport.ask(paths.REQUESTS, body):
        pass
    assert vault.asked == [f"POST {paths.REQUESTS}"] * 2
