"""The records listener: uploads, sealed requests, the vault's statement and its log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, cast

from litestar import Litestar, Response, get, post
from litestar.enums import MediaType
from litestar.params import Parameter
from litestar.types import ASGIApp

from vaultq_core.server.asgi import Receive, Scope
from vaultq_core.server.bridge import start_download, upload
from vaultq_core.server.composition import Services
from vaultq_core.server.problems import exception_handlers
from vaultq_core.server.routes.body import json_answer, read_body
from vaultq_core.server.routes.caller import AnyRequest, client_certificate
from vaultq_core.wire import paths
from vaultq_core.wire.limits import REQUEST_BYTES

FRAME_OVERHEAD = 4 * 1024 * 1024  # head and tags of the largest content that [limits] allows, generously
TreeSize = Annotated[int, Parameter(ge=0, le=2**53 - 1)]


def records_app(services: Services) -> Litestar:
    """Return the application of the records listener."""
    limit = services.limits.content_bytes + services.limits.content_bytes // 512 + FRAME_OVERHEAD

    @post(paths.RECORDS, status_code=201, request_max_body_size=None)
    async def put_record(request: AnyRequest) -> Response[str]:
        certificate = client_certificate(request)

        def work(body: Iterator[bytes]) -> str:
            return services.deposit(services.access.doctor(certificate), body)

        with services.upload_slots.hold(certificate):
            scope, receive = cast("Scope", request.scope), cast("Receive", request.receive)
            receipt = await upload(services.pools.stream, scope, receive, limit=limit, work=work)
        return Response(receipt, media_type=paths.RECEIPT_TYPE)

    @post(paths.REQUESTS, status_code=200, request_max_body_size=None)
    async def answer_request(request: AnyRequest) -> ASGIApp:
        certificate = client_certificate(request)
        body = await read_body(request, REQUEST_BYTES)
        opened = await services.pools.short.run(services.requests.open, certificate, body)
        pool = services.pools.stream if opened.streams else services.pools.short
        download = await start_download(pool, opened.answer)
        return cast("ASGIApp", download.answer({"content-type": paths.ANSWER_TYPE}))

    @get(paths.VAULT)
    async def vault(request: AnyRequest) -> Response[bytes]:
        await services.pools.short.run(services.access.doctor, client_certificate(request))
        return json_answer(await services.pools.short.run(services.vault_info))

    @get(paths.CHECKPOINT, media_type=MediaType.TEXT)
    async def checkpoint(request: AnyRequest) -> str:
        await services.pools.short.run(services.access.doctor, client_certificate(request))
        return await services.pools.short.run(services.log.checkpoint)

    @get(paths.CONSISTENCY)
    async def consistency(request: AnyRequest, first: TreeSize, second: TreeSize) -> Response[bytes]:
        await services.pools.short.run(services.access.doctor, client_certificate(request))
        return json_answer(await services.pools.short.run(services.log.consistency, first, second))

    return Litestar(
        [put_record, answer_request, vault, checkpoint, consistency],
        exception_handlers=exception_handlers(),
        openapi_config=None,
        logging_config=None,
    )
