"""Who is calling: the verified client certificate that the TLS layer put into the scope. No header is ever asked."""

from __future__ import annotations

from typing import Any

from litestar import Request

from vaultq_core.errors import NotAuthenticated

AnyRequest = Request[Any, Any, Any]


def client_certificate(request: AnyRequest) -> str:
    """Return SHA-256 (hex) of the client certificate's DER. Raises NotAuthenticated without one.

    The second layer: a listener with mutual TLS aborts such a connection before any request is read.
    """
    tls = request.scope.get("extensions", {}).get("tls", {})  # type: ignore[union-attr]
    digest = tls.get("client_cert_sha256")
    if not isinstance(digest, str):
        raise NotAuthenticated("this listener serves only those who show a client certificate")
    return digest
