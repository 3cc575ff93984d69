"""The enrolment listener: no client certificate; a one-time password first, then a 256-bit secret."""

from __future__ import annotations

from string import hexdigits

from litestar import Litestar, Response, get, post, put

from vaultq_core.errors import NotAuthenticated
from vaultq_core.server.composition import Services
from vaultq_core.server.problems import exception_handlers
from vaultq_core.server.routes.body import json_answer, read_json
from vaultq_core.server.routes.caller import AnyRequest
from vaultq_core.wire import paths
from vaultq_core.wire.api import EnrolmentOpening
from vaultq_core.wire.ids import DoctorId, parse
from vaultq_core.wire.statements import EnrolmentRequest

SECRET_DIGITS = 64


def enrolment_app(services: Services) -> Litestar:
    """Return the application of the enrolment listener."""
    short, limit = services.pools.short, services.limits.api_body_bytes

    @get(paths.VAULT)
    async def vault() -> Response[bytes]:
        return json_answer(await short.run(services.vault_info))

    @post(paths.ENROLMENTS, status_code=201)
    async def open_enrolment(request: AnyRequest) -> Response[bytes]:
        opening = await read_json(request, EnrolmentOpening, limit)
        opened = await services.password_pool.run(services.enrolments.open, opening)
        return json_answer(opened, 201)

    @put(f"{paths.ENROLMENTS}/{{doctor:str}}")
    async def submit_enrolment(request: AnyRequest, doctor: str) -> Response[bytes]:
        secret, owner = _secret(request), parse(doctor, DoctorId, "doctor's id")
        enrolment = await read_json(request, EnrolmentRequest, limit)
        return json_answer(await short.run(services.enrolments.submit, owner, secret, enrolment))

    @get(f"{paths.ENROLMENTS}/{{doctor:str}}")
    async def enrolment_state(request: AnyRequest, doctor: str) -> Response[bytes]:
        secret, owner = _secret(request), parse(doctor, DoctorId, "doctor's id")
        return json_answer(await short.run(services.enrolments.state, owner, secret))

    return Litestar(
        [vault, open_enrolment, submit_enrolment, enrolment_state],
        exception_handlers=exception_handlers(),
        openapi_config=None,
        logging_config=None,
    )


def _secret(request: AnyRequest) -> bytes:
    """Return the secret of `Authorization: Bearer <64 hex digits>` (RFC 6750, 2.1). Raises NotAuthenticated."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or len(token) != SECRET_DIGITS or not set(token) <= set(hexdigits):
        raise NotAuthenticated("this address needs the enrolment's secret")
    return bytes.fromhex(token)
