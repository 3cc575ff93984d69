"""The plain sink that VaultQ's uploads are measured beside: the same edge, no cryptography of records, no registry.

Litestar, the Hypercorn edge, the supervisor with two workers and mutual TLS are `vaultq_core.server`'s own. A body is
written to a file of its own, and file and directory are synced, before the answer leaves.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import secrets
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from litestar import Litestar, Response, post

from vaultq_core.crypto.authorities import issue_issuing_ca, issue_root
from vaultq_core.crypto.issuing import Issuer, issue_server
from vaultq_core.crypto.keys import generate_p256
from vaultq_core.crypto.revocation import load_crl
from vaultq_core.crypto.x509_profile import load_certificate
from vaultq_core.server.asgi import App, Receive, Scope
from vaultq_core.server.bridge import upload
from vaultq_core.server.config import Address
from vaultq_core.server.listeners import Listener, Patience, address_of, bind_listener, serve_listeners
from vaultq_core.server.logs import configure_logs
from vaultq_core.server.pools import Pools
from vaultq_core.server.routes.caller import AnyRequest
from vaultq_core.server.supervisor import Crew, supervise
from vaultq_core.server.tls import ClientTrust, LiveContext, ServerIdentity
from vaultq_core.server.worker import Worker
from vaultq_core.wire import paths
from vaultq_core.wire.limits import GIB, Limits

WORKERS = 2
DRAIN_SECONDS = 5.0
LIMIT = 4 * GIB


def store(directory: Path, body: Iterator[bytes]) -> int:
    """Write a body to a new file, durable on return; return its length in bytes."""
    length = 0
    with (directory / secrets.token_hex(16)).open("xb", buffering=0) as file:
        for chunk in body:
            length += file.write(chunk)
        os.fsync(file.fileno())
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return length


def sink_app(pools: Pools, directory: Path) -> Litestar:
    """Return the application: the path and the answer's status are those of an upload."""

    @post(paths.RECORDS, status_code=201, request_max_body_size=None)
    async def put_body(request: AnyRequest) -> Response[str]:
        scope, receive = cast("Scope", request.scope), cast("Receive", request.receive)
        length = await upload(pools.stream, scope, receive, limit=LIMIT, work=lambda body: store(directory, body))
        return Response(str(length), media_type=paths.RECEIPT_TYPE)

    return Litestar([put_body], openapi_config=None)


def fresh_identity() -> tuple[ServerIdentity, x509.Certificate]:
    """Return a server's identity under a root of its own, as long a chain as a vault's, and the root."""
    now = dt.datetime.now(dt.UTC)
    root_key, ca_key, key = (
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP384R1()),
        generate_p256(),
    )
    root = issue_root("sink root CA", root_key, now)
    servers = Issuer(issue_issuing_ca("sink servers CA", ca_key.public_key(), root, root_key, now), ca_key)
    leaf = issue_server(["localhost"], ["127.0.0.1"], key.public_key(), servers, now)
    return ServerIdentity((leaf, servers.certificate), key), root


def serve(listening: socket.socket, identity: ServerIdentity, trust: ClientTrust, directory: Path) -> int:
    """Serve until SIGTERM; return the exit status."""

    async def run_worker(worker: Worker) -> None:
        pools = Pools(Limits())
        app = cast("App", sink_app(pools, directory))
        listener = Listener("records", listening, app, LiveContext(identity, trust))
        await serve_listeners(
            [listener],
            limits=Limits(),
            patience=Patience(DRAIN_SECONDS, DRAIN_SECONDS),
            retire=worker.retire,
            stop=worker.stop,
            ready=worker.ready,
        )
        pools.close()

    def ready() -> None:
        print(f"records https://{address_of(listening)}\nready", flush=True)

    crew = Crew(run_worker, WORKERS, DRAIN_SECONDS)
    return supervise(crew, renew=lambda: crew, ready=ready)


def main() -> int:
    """Serve a sink for the doctors of a vault: their CA and its CRL, DER, are read from files."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("directory", "doctors-ca", "crl", "root-out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    configure_logs("warning")
    identity, root = fresh_identity()
    given.root_out.write_bytes(root.public_bytes(Encoding.DER))
    trust = ClientTrust(load_certificate(given.doctors_ca.read_bytes()), load_crl(given.crl.read_bytes()))
    return serve(bind_listener("records", Address("127.0.0.1", 0)), identity, trust, given.directory)


if __name__ == "__main__":
    sys.exit(main())
