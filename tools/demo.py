"""`make demo`: a record's whole way through a real vault, with the real commands, over mutual TLS.

Ends with the line `demo: ok`, or says which step failed. What it made stays in demo-data/.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_args

from tools.samples import Sample, sample_files
from tools.throwaway_vault import KeystoreName, ServerFailed, ThrowawayVault, command, write_secret
from vaultq_core.crypto.fingerprints import WORDS

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "demo-data"
WORDS_SECONDS = 60.0
_PASSPHRASE = "a passphrase for the demo's doctors"  # noqa: S105 - protects what `make demo` leaves behind

_PLACES: dict[KeystoreName, str] = {"file": "a file under a passphrase", "pkcs11": "a SoftHSM token"}

Json = Any


class DemoFailed(Exception):
    """A step did not show what it should."""


class Person:
    """Somebody at a command line: every call is one process of the real command."""

    def __init__(self, name: str, program: str, home: Path, passphrase_file: Path) -> None:
        self.name = name
        self.home = home
        self.id = ""
        self._start = (command(program), "--home", str(home), "--passphrase-file", str(passphrase_file))

    def asks(self, *arguments: str) -> Json:
        """Run a command and return its JSON. Raises DemoFailed with what it said."""
        done = self.tries(*arguments)
        if done.returncode:
            raise DemoFailed(f"`{arguments[0]}` ended with status {done.returncode}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def tries(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command and return how it ended."""
        return subprocess.run(
            self._line(*arguments), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )

    def starts(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command and return its process."""
        return subprocess.Popen(
            self._line(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _line(self, *arguments: str) -> tuple[str, ...]:
        return (*self._start, *arguments, "--json")


class Demo:
    """The story, told step by step."""

    def __init__(self, data: Path, file: Path | None, keystore: KeystoreName) -> None:
        self._data = data
        self._file = file
        self._vault = ThrowawayVault.create(_private(data / "vault"), keystore=keystore)
        self._number = 0
        self._patient = ""
        self._stored: list[tuple[Sample, str]] = []
        passphrase = write_secret(data / "doctors-passphrase", _PASSPHRASE)
        self._ada, self._robert = (
            Person(name, "vaultq", data / home, passphrase)
            for name, home in (("Dr. Ada Lovelace", "ada"), ("Dr. Robert Koch", "robert"))
        )
        self._admin = Person(
            "the administrator", "vaultq-admin", self._vault.admin_home, self._vault.admin_passphrase_file
        )

    def run(self) -> None:
        """Tell it; the server ends with it, however it ends."""
        with ExitStack() as stack:
            stack.callback(self._vault.stop)
            steps: tuple[Callable[[], None], ...] = (
                self._serve, self._enrol, self._add_patient, self._put, self._list, self._read_back, self._grant,
                self._verify_offline, self._damage, self._revoke,
            )  # fmt: skip
            for step in steps:
                step()

    # --- the steps --------------------------------------------------------------------------------

    def _serve(self) -> None:
        self._step(f"A vault: two roots, its keys in {_PLACES[self._vault.keystore]}, and a server with two workers")
        server = self._vault.start()
        for line in server.lines[:-1]:
            self._say(line)

    def _enrol(self) -> None:
        self._step("Two doctors enrol: keys made at their place, words compared by phone, certificates issued")
        for doctor in (self._ada, self._robert):
            words = self._enrol_one(doctor)
            self._say(f"{doctor.name} ({doctor.id}): {' '.join(words)}")

    def _enrol_one(self, doctor: Person) -> list[str]:
        given = self._admin.asks("doctors", "add", doctor.name)
        doctor.id = given["doctor"]
        password = write_secret(self._data / f"{doctor.home.name}-one-time-password", given["password"])
        waiting = doctor.starts(
            *("enroll", given["enrolment_address"], doctor.id, "--records", given["records_address"]),
            *("--hospital-root", given["hospital_root_sha256"], "--pq-root", given["pq_root_sha256"]),
            *("--password-file", str(password)),
        )
        try:
            said = _words_read_out(waiting)
            (row,) = (each for each in self._admin.asks("doctors", "pending") if each["doctor"] == doctor.id)
            self._require(row["words"] == said, "the administrator sees other words than the doctor")
            self._admin.asks("doctors", "issue", doctor.id, "--words", " ".join(said))
            _, errors = waiting.communicate(timeout=WORDS_SECONDS)
        finally:
            waiting.kill()
        self._require(waiting.returncode == 0, f"the enrolment failed: {errors}")
        return said

    def _add_patient(self) -> None:
        self._step("Ada adds a patient; name and record number travel sealed, and lie encrypted")
        added = self._ada.asks(
            "patient", "add", "--name", "Jonas Müller", "--birth-date", "1970-01-31", "--number", "4711"
        )
        self._patient = added["patient"]
        self._say(f"patient {self._patient}, entry {added['index']} of the log")

    def _put(self) -> None:
        self._step("Ada signs each file twice (ML-DSA-65 and ECDSA P-256), seals it to the vault and stores it")
        for sample in self._samples():
            stored = self._ada.asks(
                *("put", str(sample.path), "--patient", self._patient, "--title", sample.title),
                *("--kind", sample.kind, "--media-type", sample.media_type),
            )
            self._stored.append((sample, stored["record"]))
            size = f"{sample.path.stat().st_size:,} bytes"
            self._say(f"{sample.title}: {size}, record {stored['record']}, receipt proven, entry {stored['index']}")

    def _list(self) -> None:
        self._step("Ada lists the records; every signature is verified, and a missing row would be noticed")
        rows = self._ada.asks("ls", self._patient)
        self._require([row["record"] for row in rows] == [record for _, record in self._stored], "the list differs")
        for row in rows:
            self._say(f"{row['counter']}  {row['title']}  {row['media_type']}  by {row['author_name']}")

    def _read_back(self) -> None:
        self._step("Ada reads them back, bit for bit")
        for sample, record in self._stored:
            self._say(f"{sample.title}: SHA-256 {self._fetch(self._ada, sample, record)[:16]}… as stored")

    def _grant(self) -> None:
        self._step("Robert may not read them until Ada grants it, and then reads the same bits")
        sample, record = self._stored[0]
        refused = self._refused(self._robert, "get", record, "-o", str(self._data / "too-early"))
        self._say(f"before: refused, {refused['code']}")
        self._ada.asks("grant", self._patient, self._robert.id, "--role", "read")
        for sample, record in self._stored:
            self._fetch(self._robert, sample, record, "--bundle", str(self._bundle(sample)))
        self._say(f"after: {len(self._stored)} read, each with a bundle of its evidence")

    def _verify_offline(self) -> None:
        self._step("With the server stopped, anybody proves author, content and time from the bundle and two roots")
        self._vault.stop()
        sample, _ = self._stored[0]
        verdict = self._verify(sample)
        self._require(verdict["result"] == "verified", f"the bundle is {verdict['result']}")
        author, index, count = (verdict[name] for name in ("author_name", "index", "second_verifier_signatures"))
        self._say(f"{sample.title}: by {author}, entry {index} of the log")
        self._say(f"{count} ML-DSA signatures hold, for OpenSSL and for dilithium-py alike")
        self._vault.start()

    def _damage(self) -> None:
        self._step("A bit flips on the server's disk: the record is refused, and no file appears")
        _, record = self._stored[-1]
        (stored,) = self._vault.objects.rglob(f"{record}.*.vqr")
        original = stored.read_bytes()
        _overwrite(stored, original[:-1] + bytes([original[-1] ^ 1]))
        destination = self._data / "damaged"
        problem = self._refused(self._ada, "get", record, "-o", str(destination))
        self._require(problem["code"] == "record-damaged", f"refused as {problem['code']} instead")
        self._require(not destination.exists(), "there is a file at the destination")
        self._say(f"{problem['code']}: {problem['detail']}")
        _overwrite(stored, original)
        self._ada.asks("get", record, "-o", str(destination))
        self._say("Put back as from a backup, the record reads again")

    def _revoke(self) -> None:
        self._step("The administrator revokes Robert; the handshake refuses him")
        self._admin.asks("doctors", "revoke", self._robert.id, "--reason", "left the hospital", "--yes")
        problem = self._until_refused_in_handshake()
        self._say(f"{problem['code']}: {problem['detail']}")
        self._require(self._verify(self._stored[0][0])["result"] == "verified", "an older bundle does not verify")
        self._say("What he could read before stays proven: his bundle still verifies.")

    # --- what the steps share ---------------------------------------------------------------------

    def _samples(self) -> list[Sample]:
        if self._file is None:
            return sample_files(_private(self._data / "files"))
        return [Sample(self._file, self._file.name[:100], "document", "application/octet-stream")]

    def _fetch(self, reader: Person, sample: Sample, record: str, *more: str) -> str:
        destination = self._copy(reader, sample)
        reader.asks("get", record, "-o", str(destination), *more)
        digest = _sha256(destination)
        self._require(digest == _sha256(sample.path), f"{destination} is not what was stored")
        return digest

    def _copy(self, reader: Person, sample: Sample) -> Path:
        directory = self._data / f"read-by-{reader.home.name}"
        directory.mkdir(exist_ok=True)
        return directory / sample.path.name

    def _bundle(self, sample: Sample) -> Path:
        return self._copy(self._robert, sample).with_name(sample.path.name + ".vaultq")

    def _verify(self, sample: Sample) -> Json:
        content, bundle = self._copy(self._robert, sample), self._bundle(sample)
        roots = str(self._vault.directory / "data")
        return self._robert.asks("verify", str(content), "--bundle", str(bundle), "--roots", roots)

    def _refused(self, person: Person, *arguments: str) -> Json:
        done = person.tries(*arguments)
        self._require(done.returncode != 0, f"`{arguments[0]}` worked, though it should be refused")
        return json.loads(done.stderr)

    def _until_refused_in_handshake(self) -> Json:
        # Every worker follows the registry's revocations within a second; until then the request is refused.
        deadline = time.monotonic() + WORDS_SECONDS
        while time.monotonic() < deadline:
            problem = self._refused(self._robert, "ls", self._patient)
            if problem["code"] == "cannot-connect":
                return problem
            self._require(problem["code"] == "not-authenticated", f"refused as {problem['code']} instead")
        raise DemoFailed("the handshake still lets a revoked doctor in")

    def _step(self, what: str) -> None:
        self._number += 1
        print(f"\n{self._number}. {what}", flush=True)

    def _say(self, what: str) -> None:
        print(f"   {what}", flush=True)

    @staticmethod
    def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - a condition
        if not holds:
            raise DemoFailed(otherwise)


def main() -> int:
    """Run the demo; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, prog="make demo")
    parser.add_argument("--file", type=Path, help="a file of your own, in the place of the three samples")
    parser.add_argument("--keystore", choices=get_args(KeystoreName), default="file", help="where the keys are kept")
    given = parser.parse_args()
    file: Path | None = given.file
    if file is not None and not file.is_file():
        print(f"demo: failed: there is no file {file}", file=sys.stderr)
        return 1
    if DATA.exists():
        shutil.rmtree(DATA)
    try:
        Demo(_private(DATA), file and file.resolve(), given.keystore).run()
    except (DemoFailed, ServerFailed) as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        return _failed("interrupted")
    _explain(given.keystore)
    print("\ndemo: ok")
    return 0


def _words_read_out(waiting: subprocess.Popen[str]) -> list[str]:
    said: list[str] = []
    for line in waiting.stderr or ():
        said.append(line)
        if line.startswith("  ") and len(line.split()) == WORDS:
            return line.split()
    raise DemoFailed(f"the enrolment ended before it showed its words: {''.join(said)}")


def _explain(keystore: KeystoreName) -> None:
    shown = DATA.relative_to(Path.cwd()) if DATA.is_relative_to(Path.cwd()) else DATA
    print(f"\nEverything lies in {shown}/:")
    keys, variables = "keystore", ""
    if keystore == "pkcs11":
        keys, variables = "token/", f"SOFTHSM2_CONF={shown}/vault/token/softhsm2.conf "
    print(f"   vault/            the vault: vaultq.toml, {keys}, registry.db, objects/, server.log")
    print("   vault/data/admin  the administrator's home;  ada/, robert/  the doctors' homes")
    print("   read-by-robert/   what was read, with its evidence (*.vaultq)")
    print("\nTo look further:")
    print(f"   {variables}vaultq-server serve --config {shown}/vault/vaultq.toml")
    print(f"   vaultq --home {shown}/ada --passphrase-file {shown}/doctors-passphrase patient ls")
    admin = f"vaultq-admin --home {shown}/vault/data/admin --passphrase-file {shown}/vault/admin-passphrase"
    print(f"   {admin} log")
    print("   (the commands are in .venv/bin)")


def _overwrite(stored: Path, data: bytes) -> None:
    mode = stored.stat().st_mode
    stored.chmod(0o600)
    stored.write_bytes(data)
    stored.chmod(mode)


def _failed(why: str) -> int:
    print(f"\ndemo: failed: {why}", file=sys.stderr)
    print(f"   The server's log: {DATA / 'vault' / 'server.log'}", file=sys.stderr)
    return 1


def _private(directory: Path) -> Path:
    directory.mkdir(mode=0o700)
    return directory


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
