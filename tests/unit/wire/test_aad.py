from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultq_core.errors import Malformed
from vaultq_core.wire.aad import length_prefixed, wrap_aad

FIELDS = st.lists(st.binary(max_size=40), max_size=5)


def split(data: bytes) -> list[bytes]:
    fields = []
    while data:
        end = 2 + int.from_bytes(data[:2], "big")
        fields.append(data[2:end])
        data = data[end:]
    return fields


@given(FIELDS)
def test_every_list_of_fields_has_its_own_bytes(fields: list[bytes]) -> None:
    assert split(length_prefixed(fields)) == fields


def test_a_wrapped_key_is_bound_to_each_of_its_places() -> None:
    places = {
        wrap_aad("v", "patient", "p", 1),
        wrap_aad("w", "patient", "p", 1),
        wrap_aad("v", "record", "p", 1),
        wrap_aad("v", "patient", "q", 1),
        wrap_aad("v", "patient", "p", 2),
        wrap_aad("vp", "atient", "p", 1),
    }
    assert len(places) == 6


def test_the_bytes_are_those_of_the_specification() -> None:
    expected = b"\0\x0evaultq/wrap/v1" + b"\0\x01v" + b"\0\x07patient" + b"\0\x03p/r" + b"\0\x0212"
    assert wrap_aad("v", "patient", "p/r", 12) == expected


def test_a_field_longer_than_its_length_can_say_is_refused() -> None:
    assert len(length_prefixed([bytes(65_535)])) == 65_537
    with pytest.raises(Malformed):
        length_prefixed([bytes(65_536)])
