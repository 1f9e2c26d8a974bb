"""The documented calls over HTTP: which request is answered with what status. No knowledge of figures or rows."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, NoReturn

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sei_provider.sandbox.create_body import read_create_body
from sei_provider.sandbox.documents import DOCUMENTS
from sei_provider.sandbox.exports import ExportStore
from sei_provider.sandbox.organisation import Organisation
from sei_provider.sandbox.recording import Recorder, RecordRequests, recording_routes
from sei_provider.sandbox.refusal import Refusal
from sei_provider.sandbox.replies import create_reply, status_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from sei_provider.sandbox.documents import Document
    from sei_provider.sandbox.exports import Export


def create_app(
    organisation: Organisation | None = None,
    *,
    seconds: float = 3.0,
    clock: Callable[[], float] | None = None,
    key: str = "sandbox",
    base_path: str = "/",
) -> Starlette:
    """The SEI API for one organisation (40 teams by default), with all that was sent kept under `/_sandbox`.

    `seconds` is how long an export takes, `clock` gives seconds since 1970 and defaults to the machine's, `key` is
    the API key that is accepted, and `base_path` stands before every documented path but in no link (row 5).
    """
    store = ExportStore(seconds, clock) if clock else ExportStore(seconds)
    recorder = Recorder()
    api = _Api(organisation or Organisation(), store, key)
    prefix = base_path.rstrip("/")
    routes = [route for document in DOCUMENTS.values() for route in api.routes(document, prefix)]
    app = Starlette(
        routes=[*routes, *recording_routes(recorder, store)],
        middleware=[Middleware(RecordRequests, recorder=recorder, store=store)],
        exception_handlers={Refusal: _refused, HTTPException: _not_routed},
    )
    # Else a call with a slash too many would be redirected, and work.
    app.router.redirect_slashes = False
    return app


class _Api:
    """The endpoints of all reports over one store."""

    def __init__(self, organisation: Organisation, store: ExportStore, key: str) -> None:
        self._organisation = organisation
        self._store = store
        self._key = key

    def routes(self, document: Document, prefix: str) -> list[Route]:
        """The three calls of one report."""

        async def create(request: Request) -> Response:
            _name_call(request, "create", document)
            project, org = self._check(request)
            raw = await request.body()
            asked = read_create_body(document, raw, project=project, org=org, organisation=self._organisation)
            export, reused = self._store.create(asked, json.loads(raw))
            request.state.export_id = export.id
            return JSONResponse(create_reply(export, reused=reused), 200 if reused else 202)

        async def status(request: Request) -> Response:
            _name_call(request, "status", document)
            self._check(request)
            export = self._find(request, document)
            # In a thread, since it may have to make the file, and many exports are followed at once.
            return JSONResponse(await run_in_threadpool(status_reply, export, self._store.now()))

        async def download(request: Request) -> Response:
            _name_call(request, "download", document)
            self._check(request, needs_content_type=document.download_names_content_type)
            export = self._find(request, document)
            if export.status(self._store.now()) != "completed":
                _not_found(f"Export not completed: {export.id}")
            content_type, body = await run_in_threadpool(export.download)
            export.sent = body
            headers = {"content-disposition": f'attachment; filename="{export.filename}"'}
            # The media type goes in as a header, for Starlette adds a charset to `media_type="text/csv"`.
            return Response(body, headers={**headers, "content-type": content_type})

        by_id = f"{prefix}{document.path}/{{export_id}}"
        return [
            Route(f"{prefix}{document.create_path}", create, methods=["POST"]),
            Route(by_id, status, methods=["GET"]),
            Route(f"{by_id}/download", download, methods=["GET"]),
        ]

    def _check(self, request: Request, *, needs_content_type: bool = True) -> tuple[str, str]:
        """What the documents ask of every call; gives project and organisation."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        # The scheme in any case: the download curls of 001 and 002 send `Apikey` (row 29).
        if scheme.lower() != "apikey" or key != self._key:
            message = "The header `authorization: ApiKey <key>` is missing or its key is not valid"
            raise Refusal(401, "UNAUTHORIZED", message)
        identifiers = [request.query_params.get(name, "") for name in ("projectIdentifier", "orgIdentifier")]
        for name, value in zip(("projectIdentifier", "orgIdentifier"), identifiers, strict=True):
            if not value:
                raise Refusal(400, "INVALID_REQUEST", f"The query parameter {name} is required on every call")
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if needs_content_type and media_type != "application/json":
            message = f"The header Content-Type must be application/json on every call, not {media_type!r}"
            raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", message)
        project, org = identifiers
        return project, org

    def _find(self, request: Request, document: Document) -> Export:
        export_id: str = request.path_params["export_id"]
        request.state.export_id = export_id
        export = self._store.get(export_id, document.report)
        if export is None:
            _not_found(f"Export not found: {export_id}")
        return export


def _name_call(request: Request, kind: str, document: Document) -> None:
    request.state.kind = kind
    request.state.report = document.report


def _not_found(message: str) -> NoReturn:
    raise Refusal(404, "RESOURCE_NOT_FOUND", message)


def _refused(_request: Request, refusal: Exception) -> Response:
    """The errors of the API itself, in one of the shapes of CONTRACT row 25."""
    assert isinstance(refusal, Refusal)  # noqa: S101 - Starlette hands over only what this handler is registered for
    error = {"status": "ERROR", "code": refusal.code, "message": refusal.message, "correlationId": str(uuid.uuid4())}
    return JSONResponse(error, refusal.status)


def _not_routed(request: Request, error: Exception) -> Response:
    """What never reaches the API comes in the other shape of row 25."""
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    message = f"No {request.method} on {request.url.path}"
    body = {"status": error.status_code, "error": error.detail, "message": message}
    return JSONResponse(body, error.status_code, headers=error.headers)
