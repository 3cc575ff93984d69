from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.hospital import Doctor, Hospital
from vaultq_core.errors import LimitExceeded, Malformed
from vaultq_core.wire import canonical
from vaultq_core.wire.limits import MANIFEST_BYTES, SIGNED_MANIFEST_BYTES
from vaultq_core.wire.manifest import (
    Content,
    Manifest,
    Replaces,
    SeenCheckpoint,
    decode_manifest,
    decode_signed_manifest,
)

hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
sizes = st.integers(0, 2**53 - 1)
uuids = st.uuids(version=4).map(str)
lines = st.from_regex(r"[a-zäöüß0-9 .,東]{1,200}", fullmatch=True)
doctors = st.from_regex(r"dr-[0-9abcdefghjkmnpqrstvwxyz]{10}", fullmatch=True)
contents = st.builds(
    Content,
    sha256=hashes,
    length=sizes,
    media_type=st.just("text/plain"),
    name=lines.filter(lambda n: n not in {".", ".."}),
)
manifests = st.builds(
    Manifest,
    suite=st.just("VQ-65"),
    vault=hashes,
    record=uuids,
    patient=uuids,
    author=doctors,
    signing_certificate=hashes,
    tls_certificate=hashes,
    created=sizes,
    content=contents,
    kind=st.just("letter"),
    title=lines,
    replaces=st.none() | st.builds(Replaces, record=uuids, manifest=hashes, reason=lines),
    blind=st.binary(min_size=32, max_size=32),
    checkpoint=st.none() | st.builds(SeenCheckpoint, size=sizes, root=hashes),
)


@given(manifests)
def test_a_manifest_comes_back_as_it_was(manifest: Manifest) -> None:
    assert decode_manifest(canonical.encode(manifest)) == manifest


def test_a_signed_manifest_comes_back_as_it_was(hospital: Hospital, ada: Doctor) -> None:
    signed = hospital.signed_manifest(ada, b"content")
    assert decode_signed_manifest(canonical.encode(signed)) == signed


@pytest.mark.parametrize("field", Manifest.__struct_fields__[1:])
def test_a_manifest_without_one_of_its_fields_is_refused(hospital: Hospital, ada: Doctor, field: str) -> None:
    fields: dict[str, Any] = msgspec.to_builtins(hospital.manifest(ada, b""))
    del fields[field]
    with pytest.raises(Malformed):
        decode_manifest(msgspec.json.encode(fields))


def test_another_type_is_refused(hospital: Hospital, ada: Doctor) -> None:
    data = canonical.encode(hospital.manifest(ada, b"")).replace(b"vaultq/record/v1", b"vaultq/grant/v1")
    with pytest.raises(Malformed):
        decode_manifest(data)


@pytest.mark.parametrize("length", [0, 3308, 3310])
def test_a_signature_of_another_length_is_refused(hospital: Hospital, ada: Doctor, length: int) -> None:
    signed = hospital.signed_manifest(ada, b"content")
    signatures = msgspec.structs.replace(signed.signatures, mldsa65=bytes(length))
    with pytest.raises(Malformed):
        decode_signed_manifest(canonical.encode(msgspec.structs.replace(signed, signatures=signatures)))


def test_bounds_hold_before_parsing() -> None:
    with pytest.raises(LimitExceeded):
        decode_manifest(bytes(MANIFEST_BYTES + 1))
    with pytest.raises(LimitExceeded):
        decode_signed_manifest(bytes(SIGNED_MANIFEST_BYTES + 1))
