"""What can go wrong on purpose: one table of every fault. Data, and no code.

Which call gets a fault is `fault_plan`'s to say; what a fault does is done by `exports`, `files` and `replies` (to
exports), by `weather` (to single calls), and by the calls themselves (lists and org trees).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from sei_provider.sandbox import files
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
    content: Callable[[str], bytes] = files.utf_8
    """What the file holds, from the text of the right CSV."""
    pack: Callable[[bytes], bytes] | None = None
    """How the file is packed; None for as documented."""
    send: Callable[[bytes], bytes] = files.whole
    """What is sent of the file."""
    content_type: str = "text/csv"
    file: Literal["valid", "broken"] | None = None
    """`valid` for an unusual file that lands, `broken` for one that must be refused, None for a file as documented.
    None also if the reader decides: zero bytes are an empty legacy report, and a bomb is valid where there is room."""
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
    ExportFault(name="header_only", calls=_FILE, file="valid", content=files.header_only),
    ExportFault(
        name="html", calls=_FILE, file="broken", send=files.login_page, content_type="text/html; charset=utf-8"
    ),
    ExportFault(name="zero_bytes", calls=_FILE, send=files.nothing),
    ExportFault(name="truncated_gzip", calls=_FILE, file="broken", pack=files.gzip_file, send=files.half),
    ExportFault(name="gzip_trailing_garbage", calls=_FILE, file="broken", pack=files.gzip_with_garbage),
    # Valid gzip (RFC 1952, section 2.2), although few servers send it.
    ExportFault(name="two_gzip_members", calls=_FILE, file="valid", pack=files.gzip_of_two_members, passes=True),
    ExportFault(name="gzip_bomb", calls=_FILE, pack=files.gzip_bomb),
    *(
        ExportFault(
            name=f"header_{length}_{packing}",
            calls=_FILE,
            file="valid",
            content=files.header_of(length),
            pack=pack,
            passes=True,
        )
        for length in (512, 600, 5_000, 100_000)
        for packing, pack in (("plain", files.plain_file), ("gzip", files.gzip_file))
    ),
    ExportFault(name="crlf_in_cells", calls=_FILE, file="valid", content=files.crlf_every_512_bytes, passes=True),
    ExportFault(name="stray_opening_quotes", calls=_FILE, file="broken", content=files.stray_opening_quotes),
    ExportFault(
        name="backslash_before_quote",
        calls=_FILE,
        file="broken",
        content=files.team_written(r'"say \"hi\" now"'),
    ),
    ExportFault(
        name="bare_quote_in_quoted_cell", calls=_FILE, file="broken", content=files.team_written('"say "hi" now"')
    ),
    ExportFault(name="nul_in_header", calls=_FILE, file="broken", content=files.nul_in_header),
    ExportFault(name="utf_16", calls=_FILE, file="broken", content=files.utf_16),
    ExportFault(name="utf_16_without_bom", calls=_FILE, file="broken", content=files.utf_16_without_bom),
    ExportFault(name="digits_and_a_letter", calls=_FILE, file="broken", content=files.digits_and_a_letter),
    ExportFault(name="separator_line", calls=_FILE, file="broken", content=files.separator_line),
    ExportFault(name="zip", calls=_FILE, file="broken", pack=files.zip_file),
    ExportFault(name="bz2", calls=_FILE, file="broken", pack=files.bz2_file),
    ExportFault(name="xz", calls=_FILE, file="broken", pack=files.xz_file),
    ExportFault(name="gzip_in_gzip", calls=_FILE, file="broken", pack=files.gzip_in_gzip),
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

VALID_FILES = tuple(fault.name for fault in _EXPORT_FAULTS if fault.file == "valid")
"""What makes a download an unusual file that is valid: it lands cell for cell."""

BROKEN_FILES = tuple(fault.name for fault in _EXPORT_FAULTS if fault.file == "broken")
"""What makes a download a file that must be refused."""

WEATHER = tuple(fault.name for fault in _CALL_FAULTS if fault.passes and fault.name != "slow_body")
"""What passes and may befall any call: a `slow_body` may not, for a page of a list would take it hours."""
