"""The sandbox as one web application: its routes, its middleware, and its errors as HTTP."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response

from sei_provider.sandbox.clock import SandboxClock
from sei_provider.sandbox.data.dialect import parse_dialect, speak
from sei_provider.sandbox.data.organisation import Organisation
from sei_provider.sandbox.data.spec import EXPORT_SPECS
from sei_provider.sandbox.exports import ExportStore
from sei_provider.sandbox.faults.injection import FaultMiddleware
from sei_provider.sandbox.faults.rules import FaultPlan
from sei_provider.sandbox.http.admin_routes import TEAM_PAGE, admin_routes, way_in
from sei_provider.sandbox.http.auth import Auth, SlidingWindow
from sei_provider.sandbox.http.developer_routes import developer_route
from sei_provider.sandbox.http.errors import ApiError
from sei_provider.sandbox.http.export_routes import ExportRoutes
from sei_provider.sandbox.http.legacy_routes import legacy_route
from sei_provider.sandbox.http.request_log import PREFIX, RequestLog, RequestLogMiddleware
from sei_provider.sandbox.http.same_site import SameSiteMiddleware
from sei_provider.sandbox.http.tree_routes import TreeRoutes

if TYPE_CHECKING:
    from starlette.requests import Request

    from sei_provider.sandbox.options import SandboxOptions


def create_app(options: SandboxOptions) -> Starlette:
    """Return the SEI API for one organisation, with a log of all that was sent under `/_sandbox`."""
    clock = SandboxClock(options.clock, speed=options.clock_speed)
    organisation = Organisation(options.teams)
    faults = FaultPlan(fault_rate=options.fault_rate, seed=options.seed)
    store = ExportStore(options, clock, faults)
    log = RequestLog(clock)
    auth = Auth(options.key, SlidingWindow(options.requests_per_minute, clock))
    specs = [speak(spec, parse_dialect(options.dialect)) for spec in EXPORT_SPECS.values()]
    prefix = options.base_path.rstrip("/")
    exports = [ExportRoutes(spec, auth, store, faults, organisation, clock) for spec in specs]
    app = Starlette(
        routes=[
            *(route for routes in exports for route in routes.routes(prefix)),
            legacy_route(prefix, auth, organisation, faults, log),
            *TreeRoutes(auth, organisation, faults).routes(prefix),
            developer_route(prefix, auth, organisation),
            admin_routes(log, store, faults, organisation),
            *(way_in(path) for path in ("/", PREFIX, TEAM_PAGE)),
        ],
        middleware=[
            Middleware(SameSiteMiddleware, hosts=options.allowed_hosts),
            Middleware(RequestLogMiddleware, log=log),
            Middleware(FaultMiddleware, clock=clock),
        ],
        exception_handlers={ApiError: _api_error, HTTPException: _no_route},
    )
    # Otherwise a call with a slash too many would be redirected, and work.
    app.router.redirect_slashes = False
    return app


def _api_error(_request: Request, error: Exception) -> Response:
    """Return an error of the API itself, in one of the shapes of CONTRACT row 25."""
    assert isinstance(error, ApiError)  # noqa: S101 - Starlette hands over only what this handler is registered for
    body = {"status": "ERROR", "code": error.code, "message": error.message, "correlationId": str(uuid.uuid4())}
    return JSONResponse(body, error.status)


def _no_route(request: Request, error: Exception) -> Response:
    """Return an error of a call that never reaches the API, in the other shape of row 25."""
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    message = f"No {request.method} on {request.url.path}"
    body = {"status": error.status_code, "error": error.detail, "message": message}
    return JSONResponse(body, error.status_code, headers=error.headers)
