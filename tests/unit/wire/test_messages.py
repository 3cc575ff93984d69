"""Messages that travel sealed, and statements, entries and bundles: strict, bounded, silent about secrets."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from tests.fixtures.hospital import Doctor, Hospital, VaultKeys, seed, uuid_of
from vaultq_core.errors import LimitExceeded, Malformed, UnknownSuite
from vaultq_core.wire import api, bundle, canonical, entries, sealed_request, statements, suite
from vaultq_core.wire.bundle import BUNDLE_BYTES, Bundle, BundleCas, decode_bundle
from vaultq_core.wire.entries import DoctorRevoked, LogEntry, RecordRead
from vaultq_core.wire.limits import ENTRY_BYTES, STATEMENT_BYTES
from vaultq_core.wire.sealed_request import Operation, PatientFind, RecordNumber, Request

MODULES = (api, bundle, entries, sealed_request, statements)
STRUCTS = sorted(
    {
        value
        for module in MODULES
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and not value.__name__.startswith("_")
    },
    key=lambda each: each.__name__,
)
SECRET = "ZZ-4711-secret"


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_every_message_is_frozen_and_forbids_unknown_fields(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen
    assert kind.__struct_config__.forbid_unknown_fields


@pytest.mark.parametrize("kinds", [LogEntry, Operation], ids=["entries", "operations"])
def test_no_two_of_a_union_have_one_tag(kinds: Any) -> None:
    tags = [kind.__struct_config__.tag for kind in get_args(kinds)]
    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize(
    "entry",
    [
        RecordRead(vault="0" * 64, time=1, doctor="dr-0123456789", patient=uuid_of("p"), record=uuid_of("r")),
        DoctorRevoked(
            vault="0" * 64,
            time=1,
            administrator="ad-0123456789",
            doctor="dr-0123456789",
            signing_certificate="1" * 64,
            tls_certificate="2" * 64,
            reason="verloren",
            compromised_since=None,
        ),
    ],
    ids=lambda entry: type(entry).__name__,
)
def test_an_entry_begins_with_its_kind_and_comes_back_as_it_was(entry: Any) -> None:
    data = canonical.encode(entry)
    assert data.startswith(b'{"kind":"')
    assert canonical.decode(data, LogEntry, limit=ENTRY_BYTES) == entry


def test_a_request_tells_nothing_when_it_is_printed() -> None:
    number = RecordNumber(authority="St. Elsewhere", number=SECRET)
    request = Request(
        suite="VQ-65",
        vault="0" * 64,
        doctor="dr-0123456789",
        signing_certificate="1" * 64,
        time=1,
        nonce=bytes(32),
        answer_key=SECRET.encode().ljust(32),
        operation=PatientFind(record_number=number),
    )
    assert SECRET not in repr(request)
    assert canonical.decode(canonical.encode(request), Request, limit=65_536) == request


def test_one_time_secrets_are_not_printed() -> None:
    opening = api.EnrolmentOpening(doctor="dr-0123456789", password=SECRET)
    opened = api.EnrolmentOpened(secret=SECRET.encode().ljust(32), nonce=bytes(32), name="Ada", expires=1)
    assert SECRET not in repr(opening) + repr(opened)


@pytest.mark.parametrize(
    "decode",
    [
        statements.decode_vault_statement,
        statements.decode_enrolment_statement,
        statements.decode_grant_statement,
    ],
)
def test_a_statement_is_bounded_before_it_is_parsed(decode: Any) -> None:
    with pytest.raises(LimitExceeded):
        decode(bytes(STATEMENT_BYTES + 1))


def test_a_vault_statement_comes_back_as_it_was(vault_keys: VaultKeys) -> None:
    assert statements.decode_vault_statement(vault_keys.signed.statement) == vault_keys.statement


def test_a_statement_of_one_kind_is_not_read_as_another(vault_keys: VaultKeys) -> None:
    for decode in (statements.decode_grant_statement, statements.decode_enrolment_statement):
        with pytest.raises(Malformed):
            decode(vault_keys.signed.statement)


def test_a_bundle_comes_back_as_it_was_and_is_bounded(hospital: Hospital, ada: Doctor, vault_keys: VaultKeys) -> None:
    cas = BundleCas(pq=seed("pq"), doctors=seed("doctors"), servers=seed("servers"))
    signed = hospital.signed_manifest(ada, b"")
    evidence = Bundle(signed=signed, receipt="", statement=vault_keys.signed, issuing=cas, crls=())
    assert decode_bundle(canonical.encode(evidence)) == evidence
    with pytest.raises(LimitExceeded):
        decode_bundle(bytes(BUNDLE_BYTES + 1))


@pytest.mark.parametrize("name", ["VQ-87", "VQ-64", ""])
def test_a_suite_is_read_and_written_only_when_it_is_listed(name: str) -> None:
    assert suite.require_readable("VQ-65") == suite.require_writable("VQ-65") == "VQ-65"
    for require in (suite.require_readable, suite.require_writable):
        with pytest.raises(UnknownSuite):
            require(name)
