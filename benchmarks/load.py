"""The load: uploads that were signed and sealed beforehand, sent over mutual TLS connections that stay open."""

from __future__ import annotations

import hashlib
import http.client
import os
import queue
import secrets
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from cryptography import x509

from vaultq_client.client import Client
from vaultq_client.manifests import RecordDetails, build_manifest
from vaultq_client.source_file import SourceFile
from vaultq_client.tls import client_context
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.frames import seal_content, seal_frame_head
from vaultq_core.crypto.payload import DEK_BYTES
from vaultq_core.crypto.receipts import verify_record_receipt
from vaultq_core.crypto.records import sign_manifest
from vaultq_core.wire import paths
from vaultq_core.wire.manifest import Manifest
from vaultq_core.wire.proof import decode_receipt

MIB = 2**20
BLOCK_BYTES = 2**18
TIMEOUT = 300.0  # seconds
CREATED = 201


class WrongAnswer(Exception):
    """A server answered something else than 201."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One frame, in memory or in a file, with what its receipt is checked against."""

    client: Client = field(repr=False)
    manifest: Manifest = field(repr=False)
    signed: bytes = field(repr=False)
    frame: bytes | Path = field(repr=False)

    def verify(self, receipt: str) -> None:
        """Prove the receipt. Raises NotVerified."""
        log = self.client.session.view.statement.log
        verify_record_receipt(decode_receipt(receipt), self.manifest, self.signed, log)


def prepare(client: Client, patient: str, size: int, place: Path | None = None) -> Upload:
    """Sign and seal `size` bytes; the frame is kept in memory, or in the file `place`."""
    block = os.urandom(min(size, MIB))
    digest = hashlib.sha256()
    for chunk in _blocks(block, size):
        digest.update(chunk)
    source = SourceFile(Path(f"/bench/{uuid.uuid4()}.bin"), size, 0, digest.hexdigest())
    manifest = build_manifest(client.identity, source, RecordDetails(patient), created=int(time.time()), seen=None)
    signed = sign_manifest(manifest, client.identity.keys.signing, client.identity.certificates)
    dek = secrets.token_bytes(DEK_BYTES)
    head = seal_frame_head(signed, client.session.view.statement, dek)
    sealed = seal_content(dek, manifest.suite, sha256_hex(signed.manifest), _blocks(block, size))
    if place is None:
        return Upload(client, manifest, signed.manifest, b"".join((head, *sealed)))
    with place.open("wb") as file:
        file.write(head)
        file.writelines(sealed)
    return Upload(client, manifest, signed.manifest, place)


class Sender:
    """One doctor's open connection."""

    def __init__(self, address: str, root: x509.Certificate, client: Client) -> None:
        """Connect, with the handshake done."""
        self.doctor = client.identity.doctor
        host, _, port = address.rpartition(":")
        context = client_context(root, client.identity.tls())
        self._http = http.client.HTTPSConnection(
            host, int(port), timeout=TIMEOUT, context=context, blocksize=BLOCK_BYTES
        )
        self._http.connect()

    def send(self, upload: Upload) -> str:
        """Send one frame and return the answer's body. Raises WrongAnswer."""
        if isinstance(upload.frame, bytes):
            return self._post(upload.frame, len(upload.frame))
        with upload.frame.open("rb") as file:
            return self._post(file, upload.frame.stat().st_size)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _post(self, body: bytes | BinaryIO, length: int) -> str:
        headers = {"content-type": paths.FRAME_TYPE, "content-length": str(length)}
        self._http.request("POST", paths.RECORDS, body, headers)
        response = self._http.getresponse()
        answer = response.read().decode()
        if response.status != CREATED:
            raise WrongAnswer(f"{response.status}: {answer}")
        return answer


def send_all(senders: Sequence[Sender], uploads: Sequence[Upload]) -> tuple[float, list[tuple[Upload, str]]]:
    """Send every upload over its doctor's connections, all at once; return the seconds it took, and the answers."""
    waiting: dict[str, queue.SimpleQueue[Upload]] = {sender.doctor: queue.SimpleQueue() for sender in senders}
    for upload in uploads:
        waiting[upload.client.identity.doctor].put(upload)
    answers: list[tuple[Upload, str]] = []
    failures: list[Exception] = []
    start = threading.Barrier(len(senders) + 1)

    def work(sender: Sender) -> None:
        start.wait()
        try:
            while True:
                upload = waiting[sender.doctor].get_nowait()
                answers.append((upload, sender.send(upload)))
        except queue.Empty:
            pass
        except Exception as error:  # noqa: BLE001 - raised below, in the thread that measures
            failures.append(error)

    threads = [threading.Thread(target=work, args=(sender,)) for sender in senders]
    for thread in threads:
        thread.start()
    start.wait()
    before = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - before
    if failures:
        raise failures[0]
    return seconds, answers


def _blocks(block: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, size, len(block)):
        yield block[: size - start]
