from __future__ import annotations

from typing import Any

import pytest

from vaultq_core.errors import Malformed
from vaultq_core.wire import ids
from vaultq_core.wire.manifest import FileName, Kind, MediaType, file_name
from vaultq_core.wire.statements import Origin

GOOD = {
    "record": (ids.RecordId, "00000000-0000-4000-8000-000000000000"),
    "doctor": (ids.DoctorId, "dr-0123456789"),
    "admin": (ids.AdminId, "ad-zzzzzzzzzz"),
    "hash": (ids.Sha256, "0123456789abcdef" * 4),
    "suite": (ids.SuiteId, "VQ-65"),
    "month": (ids.KemKeyId, "kem/2026-12"),
    "line": (ids.Line, "Frau Müller, 東京"),
    "media type": (MediaType, "application/dicom"),
    "file name": (FileName, "befund 1.txt"),
    "kind": (Kind, "discharge-letter"),
    "origin": (Origin, "vaultq/0123456789abcdef"),
}
BAD_IDS = {
    "record": ["", "00000000-0000-1000-8000-000000000000", "00000000-0000-4000-c000-000000000000",
               "00000000-0000-4000-8000-00000000000A", "../../etc/passwd", "{00000000-0000-4000-8000-000000000000}"],
    "doctor": ["dr-012345678", "dr-012345678i", "dr-012345678l", "dr-012345678O", "DR-0123456789", "ad-0123456789"],
    "admin": ["dr-zzzzzzzzzz", "ad-zzzzzzzzzu"],
    "hash": ["0" * 63, "0" * 65, "A" * 64, "g" * 64],
    "suite": ["VQ-6", "VQ-655", "vq-65", "VQ-٦٥"],
    "month": ["kem/2026-13", "kem/2026-00", "kem/2026-1", "kem/../1-01", "KEM/2026-12"],
    "media type": ["text", "text/", "/plain", "text/plain; charset=utf-8", "Text/Plain", "a/" + "b" * 126],
    "kind": ["", "-a", "1a", "A", "a_b", "a" * 41],
    "origin": ["vaultq/0123456789abcde", "evil/0123456789abcdef", "vaultq/0123456789ABCDEF"],
    "line": ["", "x" * 201],
    "file name": ["", "a/b", "a\\b", "/etc/passwd", "..\\x", "x" * 201],
}  # fmt: skip
UNSAFE = [*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A)]


@pytest.mark.parametrize("what", GOOD)
def test_a_name_of_its_kind_passes(what: str) -> None:
    kind, text = GOOD[what]
    assert ids.parse(text, kind, what) == text


@pytest.mark.parametrize("what", GOOD)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\0", "\u2028"], ids=ascii)
def test_no_pattern_lets_a_final_newline_through(what: str, end: str) -> None:
    kind, text = GOOD[what]
    with pytest.raises(Malformed, match=f"this is not a {what}"):
        ids.parse(text + end, kind, what)


@pytest.mark.parametrize(("what", "text"), [(what, text) for what, texts in BAD_IDS.items() for text in texts])
def test_a_name_of_another_kind_is_refused(what: str, text: str) -> None:
    with pytest.raises(Malformed):
        ids.parse(text, GOOD[what][0], what)


@pytest.mark.parametrize("kind", [ids.Line, FileName], ids=["line", "file name"])
@pytest.mark.parametrize("point", UNSAFE, ids=hex)
def test_nothing_that_disguises_a_line_passes(kind: Any, point: int) -> None:
    with pytest.raises(Malformed):
        ids.parse(f"a{chr(point)}b", kind, "line")


@pytest.mark.parametrize("name", [".", "..", "", "a/b", "../x", "x\x9b", "x" * 201, "a\n"], ids=ascii)
def test_a_file_name_is_never_a_path(name: str) -> None:
    with pytest.raises(Malformed):
        file_name(name)


@pytest.mark.parametrize("name", ["...", ".hidden", "Röntgen links.dcm", "x" * 200])
def test_a_file_name_may_be_what_people_use(name: str) -> None:
    assert file_name(name) == name
