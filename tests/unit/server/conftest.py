"""The hospital's test PKI, and listeners that serve toy apps over it."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import structlog

from tests.fixtures.edge_pki import EdgePki
from tests.fixtures.edge_server import EdgeServer, whoami
from vaultq_core.server.asgi import App
from vaultq_core.server.logs import configure_logs
from vaultq_core.server.tls import LiveContext
from vaultq_core.wire.limits import Limits

Serve = Callable[..., EdgeServer]


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> EdgePki:
    return EdgePki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def serve(pki: EdgePki) -> Iterator[Serve]:
    with ExitStack() as running:

        def serve(app: App = whoami, *, tls: LiveContext | None = None, limits: Limits | None = None) -> EdgeServer:
            server = EdgeServer(pki, app, tls or pki.records_tls(), limits or Limits())
            return running.enter_context(server.running())

        yield serve


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What this process logs, as the server's settings make it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logs("info", stream)
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
