"""The admin listener: provision, issue, reject, revoke, and see what happened. No route opens a record."""

from __future__ import annotations

from typing import Annotated

from litestar import Litestar, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from vaultq_core.server.composition import Services
from vaultq_core.server.problems import exception_handlers
from vaultq_core.server.routes.body import json_answer, read_json
from vaultq_core.server.routes.caller import AnyRequest, client_certificate
from vaultq_core.wire import paths
from vaultq_core.wire.api import DoctorIssue, DoctorNew, DoctorRevoke
from vaultq_core.wire.ids import DoctorId, parse
from vaultq_core.wire.limits import PAGE_ITEMS

PageSize = Annotated[int, Parameter(ge=1, le=PAGE_ITEMS)]
Index = Annotated[int, Parameter(ge=0, le=2**53 - 1)]


def admin_app(services: Services) -> Litestar:
    """Return the application of the admin listener."""
    return Litestar(
        [*_views(services), *_changes(services)],
        exception_handlers=exception_handlers(),
        openapi_config=None,
        logging_config=None,
    )


def _views(services: Services) -> list[HTTPRouteHandler]:
    short, doctors = services.pools.short, services.doctors

    @get(paths.DOCTORS)
    async def list_doctors(request: AnyRequest, after: str = "", limit: PageSize = 100) -> Response[bytes]:
        await _administrator(services, request)
        return json_answer(await short.run(doctors.page, after, limit))

    @get(paths.PENDING)
    async def pending_doctors(request: AnyRequest) -> Response[bytes]:
        await _administrator(services, request)
        return json_answer(await short.run(doctors.pending))

    @get(paths.LOG_ENTRIES)
    async def log_entries(request: AnyRequest, after: Index = 0, limit: PageSize = 100) -> Response[bytes]:
        await _administrator(services, request)
        return json_answer(await short.run(services.log.entries, after, limit))

    @get(paths.STATUS)
    async def status(request: AnyRequest) -> Response[bytes]:
        await _administrator(services, request)
        return json_answer(await short.run(services.status))

    return [list_doctors, pending_doctors, log_entries, status]


def _changes(services: Services) -> list[HTTPRouteHandler]:
    short, limit, doctors = services.pools.short, services.limits.api_body_bytes, services.doctors

    @post(paths.DOCTORS, status_code=201)
    async def add_doctor(request: AnyRequest) -> Response[bytes]:
        who, new = await _administrator(services, request), await read_json(request, DoctorNew, limit)
        return json_answer(await short.run(doctors.provision, who, new), 201)

    @post(f"{paths.DOCTORS}/{{doctor:str}}/issue", status_code=200)
    async def issue(request: AnyRequest, doctor: str) -> Response[bytes]:
        who, body = await _administrator(services, request), await read_json(request, DoctorIssue, limit)
        return json_answer(await short.run(doctors.issue, who, parse(doctor, DoctorId, "doctor's id"), body))

    @post(f"{paths.DOCTORS}/{{doctor:str}}/reject", status_code=200)
    async def reject(request: AnyRequest, doctor: str) -> Response[bytes]:
        who = await _administrator(services, request)
        return json_answer(await short.run(doctors.reject, who, parse(doctor, DoctorId, "doctor's id")))

    @post(f"{paths.DOCTORS}/{{doctor:str}}/revoke", status_code=200)
    async def revoke(request: AnyRequest, doctor: str) -> Response[bytes]:
        who, body = await _administrator(services, request), await read_json(request, DoctorRevoke, limit)
        return json_answer(await short.run(doctors.revoke, who, parse(doctor, DoctorId, "doctor's id"), body))

    @post(paths.RENEWAL, status_code=200)
    async def renew(request: AnyRequest) -> Response[bytes]:
        return json_answer(await short.run(services.renewals.administrator, client_certificate(request)))

    return [add_doctor, issue, reject, revoke, renew]


async def _administrator(services: Services, request: AnyRequest) -> str:
    return await services.pools.short.run(services.access.administrator, client_certificate(request))
