"""The JSON of create, status and list replies, with the fields that each report's document shows and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sei_provider.sandbox.clock import timestamp
from sei_provider.sandbox.faults import OTHER_HOST

if TYPE_CHECKING:
    from sei_provider.sandbox.create_body import ExportRequest
    from sei_provider.sandbox.exports import Export

Json = dict[str, object]


def create_reply(export: Export, *, reused: bool) -> Json:
    """The answer to a create call: 202's document, or 200's if an older export is reused."""
    reply: Json = {"exportId": export.id, "createdAt": timestamp(export.created_at)}
    request = export.request
    match request.document.report:
        case "sprint":  # 000
            groups = {"metricGroups": list(request.metric_groups)} if request.metric_groups else {}
            return reply | {
                "createdBy": CREATOR,
                "metadata": {"scope": _scope(request), **_date_range(request), **groups, **_options(request)},
                "message": "Export created successfully",
            }
        case "business_alignment":  # 003
            return {
                "exportId": export.id,
                "status": "QUEUED",
                "createdAt": timestamp(export.created_at),
                "message": "Export job created successfully",
            }
        case _:  # 001 and 002
            message = "Using existing export with identical parameters" if reused else "Export created successfully"
            return reply | {"message": message}


def status_reply(export: Export, now: float) -> Json:
    """The answer to a status call. Makes the export's file if it is done: some replies tell its name and size."""
    status = export.status(now)
    document = export.request.document
    reply: Json = {
        "exportId": export.id,
        "status": status.upper() if document.upper_case_status else status,
        "createdAt": timestamp(export.created_at),
    }
    if status == "completed":
        reply["completedAt"] = timestamp(export.finished_at)
    if document.report == "sprint":
        reply |= {
            "createdBy": CREATOR,
            "scope": _scope(export.request),
            "metadata": {**_date_range(export.request), **_options(export.request)},
        }
    if status == "completed":
        reply |= _link(export)
    if status == "failed":
        error: Json = {"code": export.fault.error_code, "message": export.fault.error}
        reply["error"] = error if document.error_is_object else export.fault.error
    return reply


def list_entry(export: Export, now: float) -> Json:
    """One export in a list (CONTRACT, "The list's reply"): what is not there yet is null."""
    status, document, request = export.status(now), export.request.document, export.request
    completed = status == "completed"
    groups = {"metricGroups": list(request.metric_groups)} if request.metric_groups else {}
    return {
        "exportId": export.id,
        "status": status.upper() if document.upper_case_in_list else status,
        "createdAt": timestamp(export.created_at),
        "completedAt": timestamp(export.finished_at) if completed else None,
        "createdBy": CREATOR,
        "scope": _scope(request),
        "metadata": {**_date_range(request), **groups, **_options(request)},
        "downloadUrl": _download_url(export) if completed else None,
    }


CREATOR: Json = {"userId": "user_sandbox", "name": "Sandbox User", "email": "sandbox.user@example.com"}


def _link(export: Export) -> Json:
    """Where to download: relative to the base URL with its path, and in another place per report (rows 4, 5)."""
    url = _download_url(export)
    if url is None:
        return {}
    match export.request.document.report:
        case "sprint":
            sprint: Json = {
                "url": url,
                "filename": export.filename,
                "sizeBytes": len(export.file()),
                "contentType": "text/csv",
                "compression": "gzip",
            }
            return {"download": sprint}
        case "business_alignment":
            return {"downloadUrl": url}
        case _:
            # No `compression` in 001 and 002, be the file compressed or not (row 16).
            return {"download": {"url": url, "filename": export.filename, "contentType": "text/csv"}}


def _download_url(export: Export) -> str | None:
    path = f"{export.request.document.path}/{export.id}/download"
    match export.fault.link:
        case "missing":
            return None
        case "to_other_host":
            return OTHER_HOST + path
        case "with_dots":
            return f"/v2/../../elsewhere{path}"
        case "right":
            return path


def _scope(request: ExportRequest) -> Json:
    scope: Json = {**request.scope}
    return scope | {"teamName": request.team.name} if "teamId" in scope else scope


def _date_range(request: ExportRequest) -> Json:
    return {"dateRange": {"start": request.start.isoformat(), "end": request.end.isoformat()}}


def _options(request: ExportRequest) -> Json:
    # Only where it is certain: productivity's is compressed when large, and says so nowhere (row 16).
    compression = {"compression": "gzip"} if request.document.always_gzip else {}
    return {"options": {**request.options, "metricLevel": request.level, "format": "csv", **compression}}
