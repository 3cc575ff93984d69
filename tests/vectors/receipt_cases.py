"""Receipts and checkpoints: docs/spec/log.md and docs/spec/receipt.md."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import msgspec

from tests.fixtures.hospital import TinyLog, record_stored, seed
from tests.vectors.cast import POSIX, Cast
from tests.vectors.certificate_cases import refused
from tests.vectors.files import Case, b64, unb64
from tests.vectors.signed_cases import CONTENT
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.wire import canonical
from vaultq_core.wire.entries import RecordStored, VaultCreated
from vaultq_core.wire.manifest import Manifest
from vaultq_core.wire.proof import LoggedEntry, Receipt, encode_receipt

RECORD_HASH = sha256_hex(b"a stored object")
OTHERS = 6
INDEX = 3


class Scene:
    """A log of seven entries, the record's among them."""

    def __init__(self, cast: Cast) -> None:
        self.cast = cast
        self.manifest = cast.hospital.manifest(cast.ada, CONTENT)
        self.data = canonical.encode(self.manifest)
        self.entry = record_stored(self.manifest, self.data, record_hash=RECORD_HASH, time=POSIX)
        self.receipt = self.of(self.entry)

    def of(self, entry: RecordStored | VaultCreated | bytes, *, others: int = OTHERS, time: int = POSIX + 9) -> Receipt:
        log, place = TinyLog(self.cast.keys.log), min(INDEX, others)
        for number in range(others + 1):
            if number == place:
                log.add(self.entry if isinstance(entry, bytes) else entry)
                if isinstance(entry, bytes):
                    log.entries[-1] = LoggedEntry(entry=entry, salt=log.entries[-1].salt)
            else:
                log.add(VaultCreated(vault=self.cast.hospital.vault, time=POSIX, administrator="ad-0000000000"))
        return log.receipt(place, time=time)


def receipt_cases(cast: Cast) -> Iterator[Case]:
    scene = Scene(cast)
    yield case("good", scene.receipt) | {"expect": "ok", "index": INDEX, "time": POSIX}
    single = scene.of(scene.entry, others=0)
    yield case("good-alone-in-the-log", single) | {"expect": "ok", "index": 0, "time": POSIX}
    yield from _other_text(scene)
    yield from _checkpoints(scene)
    yield from _proofs(scene)
    yield from _entries(scene)


def _other_text(scene: Scene) -> Iterator[Case]:
    text = encode_receipt(scene.receipt)
    for name, other in (
        ("without-extra", re.sub("extra .*\n", "", text)),
        ("another-magic", text.replace("@v1", "@v2", 1)),
        ("index-with-zero", text.replace("index 3", "index 03")),
        ("index-negative", text.replace("index 3", "index -3")),
        ("hash-too-short", text.replace("\n\n", "\nAAAA\n\n", 1)),
        ("hash-not-canonical", re.sub("=\n\n", "\n\n", text, count=1)),
        ("carriage-return", text.replace("\n", "\r\n")),
        ("without-checkpoint", text.split("\n\n", maxsplit=1)[0] + "\n"),
        ("salt-of-31-bytes", _extra(text, '"salt":"', 44, "A" * 42 + "==")),
        ("entry-with-unknown-field", _extra(text, "{", 0, '"x":1,')),
    ):
        yield spelled(name, other) | refused(None, "malformed")
    yield (
        spelled("too-long", text + "\n" * 64 * 1024)
        | refused(None, "limit-exceeded")
        | {
            "receipt": text,
            "append": ["\n", 64 * 1024],
        }
    )


def _checkpoints(scene: Scene) -> Iterator[Case]:
    text = encode_receipt(scene.receipt)
    lines = text.splitlines(keepends=True)
    classic, quantum, head = lines[-2], lines[-1], "".join(lines[:-2])
    other = encode_receipt(_signed_by_another_log(scene)).splitlines(keepends=True)
    stamped = _restamped(quantum)
    for name, changed in (
        ("without-ed25519", head + quantum),
        ("without-mldsa44", head + classic),
        ("without-signatures", head),
        ("ed25519-twice", head + classic + classic + quantum),
        ("mldsa44-twice", head + classic + quantum + quantum),
        ("ed25519-by-another-log", head + other[-2] + quantum),
        ("mldsa44-by-another-log", head + classic + other[-1]),
        ("time-altered", head + classic + stamped),
        ("extension-line", text.replace("\n\n—", "\nextension\n\n—")),
        ("another-size", text.replace("\n7\n", "\n8\n")),
        ("another-origin", text.replace(scene.cast.keys.log.origin, scene.cast.other_keys.log.origin)),
    ):
        yield spelled(name, changed) | refused(1)
    yield spelled("good-signatures-exchanged", head + quantum + classic) | _ok()
    witness = "— witness.example " + b64(b"\x01\x02\x03\x04" + bytes(64)) + "\n"
    yield spelled("good-with-a-witness", text + witness) | _ok()
    newer_log = dataclasses.replace(scene.receipt, checkpoint=scene.of(scene.entry, others=7).checkpoint)
    yield case("checkpoint-of-another-tree", newer_log) | refused(2)


def _proofs(scene: Scene) -> Iterator[Case]:
    good = scene.receipt
    replace = dataclasses.replace
    for name, receipt in (
        ("wrong-index", replace(good, index=4)),
        ("index-outside", replace(good, index=7)),
        ("path-shorter", replace(good, path=good.path[:-1])),
        ("path-longer", replace(good, path=(*good.path, bytes(32)))),
        ("path-empty", replace(good, path=())),
        ("path-reordered", replace(good, path=good.path[::-1])),
        ("path-flipped", replace(good, path=(bytes(32), *good.path[1:]))),
        ("another-salt", replace(good, logged=LoggedEntry(entry=good.logged.entry, salt=seed("salt")))),
        ("entry-changed", replace(good, logged=_counted(scene, 2))),
    ):
        yield case(name, receipt) | refused(2)


def _entries(scene: Scene) -> Iterator[Case]:
    entry, other = scene.entry, sha256_hex(b"other")
    yield case("entry-of-an-unknown-kind", scene.of(b'{"kind":"coffee-made"}')) | refused(3)
    yield case("entry-not-canonical", scene.of(canonical.encode(entry) + b" ")) | refused(3)
    younger = msgspec.structs.replace(entry, time=POSIX + 10)
    yield case("entry-younger-than-its-checkpoint", scene.of(younger)) | refused(3)
    for name, field, value in (
        ("another-vault", "vault", scene.cast.other.vault),
        ("another-record", "record", scene.manifest.patient),
        ("another-patient", "patient", scene.manifest.record),
        ("another-author", "author", scene.cast.grace.id),
        ("another-manifest", "manifest", other),
        ("another-record-hash", "record_hash", other),
    ):
        changed = msgspec.structs.replace(entry, **{field: value})
        yield case(f"proof-for-{name}", scene.of(changed)) | refused(4)
    created = VaultCreated(vault=scene.manifest.vault, time=POSIX, administrator="ad-0000000000")
    yield case("proof-for-another-event", scene.of(created)) | refused(4)
    unknown = scene.of(msgspec.structs.replace(entry, record_hash=other))
    yield case("record-hash-not-asked", unknown) | {"record_hash": None} | _ok()


def case(name: str, receipt: Receipt) -> Case:
    return spelled(name, encode_receipt(receipt))


def spelled(name: str, text: str) -> Case:
    return {"name": name, "receipt": text, "manifest": "the record's", "record_hash": RECORD_HASH}


def manifest_of(cast: Cast) -> tuple[Manifest, bytes]:
    scene = Scene(cast)
    return scene.manifest, scene.data


def _ok() -> Case:
    return {"expect": "ok", "index": INDEX, "time": POSIX}


def _counted(scene: Scene, counter: int) -> LoggedEntry:
    changed = msgspec.structs.replace(scene.entry, counter=counter)
    return LoggedEntry(entry=canonical.encode(changed), salt=scene.receipt.logged.salt)


def _signed_by_another_log(scene: Scene) -> Receipt:
    signer = dataclasses.replace(
        scene.cast.keys.log, ed25519=scene.cast.other_keys.log.ed25519, mldsa44=scene.cast.other_keys.log.mldsa44
    )
    log = TinyLog(signer)
    log.add(scene.entry)
    return log.receipt(0)


def _restamped(line: str) -> str:
    """The cosignature with a timestamp one second later."""
    start, _, text = line.rstrip("\n").rpartition(" ")
    data = bytearray(unb64(text))
    data[11] += 1
    return f"{start} {b64(bytes(data))}\n"


def _extra(text: str, behind: str, delete: int, insert: str) -> str:
    """The receipt with another extra line: something inserted behind a string, or in place of what follows it."""
    line = text.split("\n")[1].removeprefix("extra ")
    extra = unb64(line).decode()
    place = extra.index(behind) + len(behind)
    changed = extra[:place] + insert + extra[place + delete :]
    return text.replace(line, b64(changed.encode()))
