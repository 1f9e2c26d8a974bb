"""Responses of the API: the JSON of create, status and list calls, with exactly the documented fields, and files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from sei_provider.sandbox.clock import timestamp
from sei_provider.sandbox.faults.table import OTHER_HOST

if TYPE_CHECKING:
    from sei_provider.sandbox.data.request import ExportRequest
    from sei_provider.sandbox.exports import Export

Json = dict[str, object]


def create_response(export: Export, now: float, *, reused: bool) -> Json:
    """Return the response to a create call, of a new export or of an older one that is reused."""
    request = export.request
    message = "Using existing export with identical parameters" if reused else "Export created successfully"
    response: Json = {"exportId": export.id, "createdAt": timestamp(export.created_at), "message": message}
    if request.spec.report == "sprint":  # 000
        return response | {"createdBy": CREATOR, "metadata": {"scope": _scope(request), **_metadata(request)}}
    if request.spec.report == "time_in_status":  # CONTRACT 1a
        message = DUPLICATE if reused else "Export job created successfully"
        return response | {"status": export.status(now).upper() if reused else "QUEUED", "message": message}
    if request.spec.report == "efficiency":  # CONTRACT 1a: reused without a status
        return response if reused else response | {"status": "QUEUED", "message": "Export job created successfully"}
    if request.spec.report == "business_alignment":  # 003
        # The wording of a reused one is documented nowhere, and so differs from productivity's here.
        message = "An identical export job exists already" if reused else "Export job created successfully"
        status = export.status(now).upper() if reused else "QUEUED"
        return response | {"status": status, "message": message}
    return response  # 001 and 002


def status_response(export: Export, now: float) -> Json:
    """Return the response to a status call; it may make the file of a finished export, to tell its name and size."""
    status = export.status(now)
    spec = export.request.spec
    response: Json = {
        "exportId": export.id,
        "status": status.upper() if spec.upper_case_status else status,
        "createdAt": timestamp(export.created_at),
    }
    if status == "completed" and spec.has_link:
        response["completedAt"] = timestamp(export.finished_at)
    if spec.report == "time_in_status":
        response |= {"createdBy": CREATOR, "message": DUPLICATE}
    if spec.report == "sprint":
        metadata = {name: value for name, value in _metadata(export.request).items() if name != "metricGroups"}
        response |= {"createdBy": CREATOR, "scope": _scope(export.request), "metadata": metadata}
    if status == "completed":
        response |= _link(export)
    if status == "failed":
        error: Json = {"code": export.fault.error_code, "message": export.fault.error}
        response["error"] = error if spec.error_is_object else export.fault.error
    return response


def list_entry(export: Export, now: float) -> Json:
    """Return one export of a list (CONTRACT, "The list's reply"); fields without a value yet are null."""
    status, spec, request = export.status(now), export.request.spec, export.request
    completed = status == "completed"
    return {
        "exportId": export.id,
        "status": status.upper() if spec.upper_case_in_list else status,
        "createdAt": timestamp(export.created_at),
        "completedAt": timestamp(export.finished_at) if completed else None,
        "createdBy": CREATOR,
        "scope": _scope(request),
        "metadata": _metadata(request),
        "downloadUrl": _download_url(export) if completed else None,
    }


def file_response(content_type: str, body: bytes, filename: str) -> Response:
    """Return a file as SEI sends it."""
    headers = {"content-disposition": f'attachment; filename="{filename}"'}
    # The media type is a header here, because Starlette adds a charset to `media_type="text/csv"`.
    return Response(body, headers={**headers, "content-type": content_type})


DUPLICATE = "Duplicate request - returning existing export"
"""Message of time in status, about one that is new too."""
CREATOR: Json = {"userId": "user_sandbox", "name": "Sandbox User", "email": "sandbox.user@example.com"}


def _link(export: Export) -> Json:
    """Return the link: relative to the base URL with its path, and in another place per report (rows 4, 5)."""
    url = _download_url(export)
    if url is None or not export.request.spec.has_link:
        return {}
    if export.request.spec.report in {"business_alignment", "efficiency"}:
        return {"downloadUrl": url}
    download: Json = {"url": url, "filename": export.filename, "contentType": "text/csv"}
    # 001 and 002 have no `compression`, whether the file is compressed or not (row 16).
    if export.request.spec.report == "sprint":
        download |= {"sizeBytes": len(export.file()), "compression": "gzip"}
    return {"download": download}


def _download_url(export: Export) -> str | None:
    path = f"{export.request.spec.path}/{export.id}/download"
    links = {"to_other_host": OTHER_HOST + path, "with_dots": f"/v2/../../elsewhere{path}", "missing": None}
    return links.get(export.fault.link, path)


def _scope(request: ExportRequest) -> Json:
    scope: Json = {**request.scope}
    return scope | {"teamName": request.team.name} if "teamId" in scope else scope


def _metadata(request: ExportRequest) -> Json:
    groups = {"metricGroups": list(request.metric_groups)} if request.metric_groups else {}
    # Only where it is certain: productivity's file is compressed when large, and no field says so (row 16).
    compression = {"compression": "gzip"} if request.spec.always_gzip else {}
    options = {**request.options, "metricLevel": request.level, "format": "csv", **compression}
    dates = {"start": request.start.isoformat(), "end": request.end.isoformat()}
    return {"dateRange": dates, **groups, "options": options}
