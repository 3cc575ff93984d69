"""Small bodies: read up to a named limit, decoded strictly, and answered as JSON."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from litestar import Response

from vaultq_core.errors import LimitExceeded, Malformed
from vaultq_core.server.routes.caller import AnyRequest

T = TypeVar("T", bound=msgspec.Struct)

JSON = "application/json"


async def read_body(request: AnyRequest, limit: int) -> bytes:
    """Return the body. Raises LimitExceeded once more than `limit` bytes have come."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise LimitExceeded(f"the body has more than {limit} bytes")
    return bytes(body)


async def read_json(request: AnyRequest, kind: type[T], limit: int) -> T:
    """Return the body as a strict `kind`. Raises LimitExceeded or Malformed."""
    try:
        return msgspec.json.decode(await read_body(request, limit), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"the body is not what this address takes: {error}") from None


def json_answer(value: msgspec.Struct, status: int = 200) -> Response[bytes]:
    """Return `value` as a JSON answer."""
    return Response(msgspec.json.encode(value), status_code=status, media_type=JSON)
