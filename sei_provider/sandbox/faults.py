"""What can go wrong on purpose: one table of every fault. Data, and no code.

Which call gets a fault is `fault_plan`'s to say; what a fault does is done by `exports`, `files` and `replies` (to
exports), by `weather` (to single calls), and by the calls themselves (lists and org trees).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sei_provider.sandbox.documents import DOCUMENTS
from sei_provider.sandbox.legacy_body import LEGACY_DOCUMENTS

Call = Literal["create", "status", "list", "download", "trees", "report"]
"""The calls that can go wrong, as they are recorded; `trees` are org trees, `report` is a legacy report."""

CALLS: tuple[Call, ...] = ("create", "status", "list", "download", "trees", "report")
_JSON_CALLS: tuple[Call, ...] = ("create", "status", "list", "trees")

EXPORTS = tuple(DOCUMENTS)
_LEGACY = tuple(LEGACY_DOCUMENTS)
_REPORTS = (*EXPORTS, *_LEGACY)

REPORTS_OF: Mapping[Call, tuple[str, ...]] = {
    "create": EXPORTS,
    "status": EXPORTS,
    "list": tuple(name for name, document in DOCUMENTS.items() if document.has_list),
    "download": EXPORTS,
    "trees": (),
    "report": _LEGACY,
}
"""The reports that a call can ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of trouble: its name, and where it can occur."""

    name: str = ""
    calls: tuple[Call, ...] = ()
    """Calls in whose answers it shows."""
    reports: tuple[str, ...] = _REPORTS
    """Reports whose calls it can befall; org trees belong to no report."""
    passes: bool = False
    """Whether patience is enough: ordered once, the same call made again gets what was asked for, and a client ought
    to make it again (or has nothing to do at all)."""
    of_team: bool = True
    """Whether it can be ordered for one team."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFault(Fault):
    """Befalls an export for good when it is created, or a legacy report: how it ends, or what its download holds."""

    final_status: Literal["completed", "failed", "cancelled", "archived", "processing"] = "completed"
    """Where an export ends up: `archived` is in no document, `processing` is never left."""
    download: Literal[
        "whole",
        "header_only",
        "html",
        "zero_bytes",
        "truncated_gzip",
        "gzip_trailing_garbage",
        "two_gzip_members",
        "gzip_bomb",
    ] = "whole"
    """What is sent: a file without rows, another page or nothing in its place, a part, or an oddly compressed one."""
    link: Literal["right", "missing", "to_other_host", "with_dots"] = "right"
    """Where replies say that the file is."""
    goes_back: bool = False
    """Whether it is completed when first read, and then processing again for some reads."""
    vanishes: bool = False
    """Whether nobody knows of it once it was created."""
    first_download_missing: bool = False
    """Whether the first download is answered 404."""
    error_code: str = "EXPORT_FAILED"
    error: str = "Metrics could not be computed"
    """What SEI says of an export that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFault(Fault):
    """Befalls a single call: what is answered instead, and how the answer travels."""

    before_work: bool = False
    """Whether the call fails before it does anything; else it is done, and only its answer suffers."""
    status: int | None = None
    """The HTTP status in the place of the answer; None for the answer itself."""
    says: Literal["code", "error", "text", "gateway_page", "login_page"] = "text"
    """The body that goes with `status`: an error in one of the shapes of CONTRACT row 25, or a login page."""
    retry_after: Literal["seconds", "date"] | None = None
    reply: Literal["whole", "cut_short", "of_another_shape"] = "whole"
    """What becomes of the JSON of an answer."""
    travels: Literal["whole", "not", "half", "slowly", "short_of_its_length"] = "whole"
    """How much of the answer arrives; after `not` and `half` the connection is reset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFault(Fault):
    """Befalls a call that makes nothing, which itself knows what it then answers."""


NO_FAULT = ExportFault()

OTHER_HOST = "https://elsewhere.example"
"""Where links and redirects lead that leave the API; the name exists nowhere (RFC 2606)."""

_EXPORT_CALLS: tuple[Call, ...] = ("status", "list", "download")
_END: tuple[Call, ...] = (*_EXPORT_CALLS, "report")
_FILE: tuple[Call, ...] = ("download", "report")
_LINK: tuple[Call, ...] = ("status", "list")

# A legacy report has no status: where an export would end otherwise than completed, it is answered HTTP 500.
_EXPORT_FAULTS = (
    ExportFault(name="fail", calls=_END, final_status="failed"),
    ExportFault(name="cancel", calls=_END, final_status="cancelled"),
    ExportFault(name="unknown_status", calls=_END, final_status="archived"),
    ExportFault(name="never", calls=_END, final_status="processing"),
    ExportFault(
        name="time_out", calls=_END, final_status="failed", error_code="EXPORT_TIMED_OUT", error="Export timed out"
    ),
    # The data of nobody: an answer that is valid, and not what there is.
    ExportFault(name="header_only", calls=_FILE, download="header_only"),
    ExportFault(name="html", calls=_FILE, download="html"),
    ExportFault(name="zero_bytes", calls=_FILE, download="zero_bytes"),
    ExportFault(name="truncated_gzip", calls=_FILE, download="truncated_gzip"),
    ExportFault(name="gzip_trailing_garbage", calls=_FILE, download="gzip_trailing_garbage"),
    # Valid gzip (RFC 1952, section 2.2), although few servers send it.
    ExportFault(name="two_gzip_members", calls=_FILE, download="two_gzip_members", passes=True),
    ExportFault(name="gzip_bomb", calls=_FILE, download="gzip_bomb"),
    ExportFault(name="status_goes_back", calls=_EXPORT_CALLS, reports=EXPORTS, goes_back=True, passes=True),
    ExportFault(name="vanishes", calls=_EXPORT_CALLS, reports=EXPORTS, vanishes=True),
    ExportFault(
        name="download_404_once", calls=("download",), reports=EXPORTS, first_download_missing=True, passes=True
    ),
    # With no link the path is built from the id (CONTRACT row 4); the others are refused (row 6).
    ExportFault(name="link_missing", calls=_LINK, reports=EXPORTS, link="missing", passes=True),
    ExportFault(name="link_to_other_host", calls=_LINK, reports=EXPORTS, link="to_other_host"),
    ExportFault(name="link_with_dots", calls=_LINK, reports=EXPORTS, link="with_dots"),
)

_CALL_FAULTS = (
    CallFault(name="reset_unseen", calls=CALLS, before_work=True, travels="not", passes=True),
    CallFault(name="reset_before_answer", calls=CALLS, travels="not", passes=True),
    CallFault(name="reset_in_body", calls=CALLS, travels="half", passes=True),
    CallFault(name="slow_body", calls=CALLS, travels="slowly", passes=True),
    CallFault(name="wrong_content_length", calls=CALLS, travels="short_of_its_length", passes=True),
    CallFault(name="429", calls=CALLS, before_work=True, status=429, says="code", passes=True),
    CallFault(
        name="429_seconds", calls=CALLS, before_work=True, status=429, says="code", retry_after="seconds", passes=True
    ),
    CallFault(name="429_date", calls=CALLS, before_work=True, status=429, says="code", retry_after="date", passes=True),
    CallFault(
        name="503_seconds", calls=CALLS, before_work=True, status=503, says="text", retry_after="seconds", passes=True
    ),
    CallFault(name="503_date", calls=CALLS, before_work=True, status=503, says="text", retry_after="date", passes=True),
    CallFault(name="500", calls=CALLS, before_work=True, status=500, says="error", passes=True),
    CallFault(name="502_html", calls=CALLS, before_work=True, status=502, says="gateway_page", passes=True),
    CallFault(name="504", calls=CALLS, before_work=True, status=504, says="text", passes=True),
    CallFault(name="500_after_work", calls=CALLS, status=500, says="error", passes=True),
    CallFault(name="504_after_work", calls=CALLS, status=504, says="text", passes=True),
    # A login page stands for a key that is not valid (CONTRACT row 24), which no second call mends.
    CallFault(name="redirect_to_login", calls=CALLS, before_work=True, status=302, says="login_page"),
    CallFault(name="login_page", calls=CALLS, before_work=True, status=200, says="login_page"),
    CallFault(name="json_cut_short", calls=_JSON_CALLS, reports=EXPORTS, reply="cut_short", passes=True),
    # An API that answers otherwise than documented is another version of it, or another API.
    CallFault(name="json_of_another_shape", calls=_JSON_CALLS, reports=EXPORTS, reply="of_another_shape"),
)

_READ_FAULTS = (
    # One more page for ever.
    ReadFault(name="endless_pages", calls=("list", "trees"), reports=REPORTS_OF["list"], of_team=False),
    # An org tree that nobody may read; the `team` of org trees is a tree's name.
    ReadFault(name="forbidden", calls=("trees",), reports=()),
    # An org tree whose first leaf has the root for its child.
    ReadFault(name="cycle", calls=("trees",), reports=()),
)

EVERY_FAULT: Mapping[str, Fault] = {fault.name: fault for fault in (*_EXPORT_FAULTS, *_CALL_FAULTS, *_READ_FAULTS)}
"""All faults by name. An `ExportFault` is chosen when an export is created, the others when a call is made."""

WEATHER = tuple(fault.name for fault in _CALL_FAULTS if fault.passes and fault.name != "slow_body")
"""What passes and may befall any call: a `slow_body` may not, for a page of a list would take it hours."""
