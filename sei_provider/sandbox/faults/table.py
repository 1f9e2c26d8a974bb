"""The table of every fault. Data, and no code.

`rules` chooses the calls that get a fault. Faults of exports are carried out by `exports`, `files` and
`http.responses`, faults of single calls by `injection`, faults of lists and org trees by their routes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from sei_provider.sandbox.data.spec import EXPORT_SPECS, LEGACY_SPECS
from sei_provider.sandbox.faults import files

Call = Literal["create", "status", "list", "download", "trees", "report"]
"""The calls that can get a fault, by their kind in the log; `trees` are org trees, `report` is a legacy report."""

CALLS: tuple[Call, ...] = ("create", "status", "list", "download", "trees", "report")
_JSON_CALLS: tuple[Call, ...] = ("create", "status", "list", "trees")

EXPORTS = tuple(EXPORT_SPECS)
_LEGACY = tuple(LEGACY_SPECS)
REPORTS = (*EXPORTS, *_LEGACY)

REPORTS_OF: Mapping[Call, tuple[str, ...]] = {
    "create": EXPORTS,
    "status": EXPORTS,
    "list": tuple(name for name, spec in EXPORT_SPECS.items() if spec.has_list),
    "download": EXPORTS,
    "trees": (),
    "report": _LEGACY,
}
"""The reports that a call can ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: its name, and the calls and reports that it can affect."""

    name: str = ""
    calls: tuple[Call, ...] = ()
    """Calls whose responses show it."""
    reports: tuple[str, ...] = REPORTS
    """Reports whose calls it can affect; org trees belong to no report."""
    transient: bool = False
    """True if a client gets what it asked for in the end: by the same call made again, or with nothing to do at all."""
    of_team: bool = True
    """True if a rule can limit it to one team."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFault(Fault):
    """A fault of one export from its creation on, or of a legacy report: its end, its links or its file."""

    final_status: Literal["completed", "failed", "cancelled", "archived", "processing"] = "completed"
    """The status in which an export ends: `archived` is in no document, `processing` never ends."""
    content: Callable[[str], bytes] = files.utf_8
    """Returns the content of the file from the text of the documented CSV."""
    pack: Callable[[bytes], bytes] | None = None
    """Returns the packed file; None packs it as documented."""
    send: Callable[[bytes], bytes] = files.whole
    """Returns what is sent of the file."""
    content_type: str = "text/csv"
    file: Literal["valid", "broken"] | None = None
    """`valid` for an unusual file that lands, `broken` for one that must be refused, None for a file as documented.
    None also if the reader decides: zero bytes are an empty legacy report, and a bomb is valid where there is room."""
    link: Literal["right", "missing", "to_other_host", "with_dots"] = "right"
    """The link in status and list responses."""
    goes_back: bool = False
    """True if its status is completed at the first read, and then processing again for some reads."""
    vanishes: bool = False
    """True if it is unknown as soon as it was created."""
    first_download_missing: bool = False
    """True if the first download gets 404."""
    error_code: str = "EXPORT_FAILED"
    error: str = "Metrics could not be computed"
    """SEI's message about an export that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFault(Fault):
    """A fault of a single call: another response in its place, or a damaged delivery."""

    before_work: bool = False
    """True if the call fails before it does anything; otherwise it is done, and only its response suffers."""
    status: int | None = None
    """The HTTP status of the response in its place; None keeps the response."""
    body: Literal["code", "error", "text", "gateway_page", "login_page"] = "text"
    """The body that goes with `status`: an error in one of the shapes of CONTRACT row 25, or a login page."""
    retry_after: Literal["seconds", "date"] | None = None
    damage: Literal["none", "cut_short", "of_another_shape"] = "none"
    """Damage to the JSON of a response."""
    delivery: Literal["whole", "none", "half", "slow", "short"] = "whole"
    """Part of the response that arrives; after `none` and `half` the connection is reset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFault(Fault):
    """A fault of a read, carried out by the call's own route."""


NO_FAULT = ExportFault()

OTHER_HOST = "https://elsewhere.example"
"""Target of links and redirects that leave the API; the name exists nowhere (RFC 2606)."""

_EXPORT_CALLS: tuple[Call, ...] = ("status", "list", "download")
_END: tuple[Call, ...] = (*_EXPORT_CALLS, "report")
_FILE: tuple[Call, ...] = ("download", "report")
_LINK: tuple[Call, ...] = ("status", "list")

TIMED_OUT = ExportFault(
    name="time_out", calls=_END, final_status="failed", error_code="EXPORT_TIMED_OUT", error="Export timed out"
)

# A legacy report has no status: where an export would not end completed, it gets HTTP 500.
_EXPORT_FAULTS = (
    ExportFault(name="fail", calls=_END, final_status="failed"),
    ExportFault(name="cancel", calls=_END, final_status="cancelled"),
    ExportFault(name="unknown_status", calls=_END, final_status="archived"),
    ExportFault(name="never", calls=_END, final_status="processing"),
    TIMED_OUT,
    # Valid and without rows, although there are some: a client cannot tell.
    ExportFault(name="header_only", calls=_FILE, file="valid", content=files.header_only),
    ExportFault(
        name="html", calls=_FILE, file="broken", send=files.login_page, content_type="text/html; charset=utf-8"
    ),
    ExportFault(name="zero_bytes", calls=_FILE, send=files.nothing),
    ExportFault(name="truncated_gzip", calls=_FILE, file="broken", pack=files.gzip_file, send=files.half),
    ExportFault(name="gzip_trailing_garbage", calls=_FILE, file="broken", pack=files.gzip_with_garbage),
    # Valid gzip (RFC 1952, section 2.2), although few servers send it.
    ExportFault(name="two_gzip_members", calls=_FILE, file="valid", pack=files.gzip_of_two_members, transient=True),
    ExportFault(name="gzip_bomb", calls=_FILE, pack=files.gzip_bomb),
    *(
        ExportFault(
            name=f"header_{length}_{packing}",
            calls=_FILE,
            file="valid",
            content=files.header_of(length),
            pack=pack,
            transient=True,
        )
        for length in (512, 600, 5_000, 100_000)
        for packing, pack in (("plain", files.plain_file), ("gzip", files.gzip_file))
    ),
    ExportFault(name="crlf_in_cells", calls=_FILE, file="valid", content=files.crlf_every_512_bytes, transient=True),
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
    # Not of legacy reports: some of their headings are no metric's name, so a client may read them as text.
    ExportFault(
        name="digits_and_a_letter",
        calls=("download",),
        reports=EXPORTS,
        file="broken",
        content=files.digits_and_a_letter,
    ),
    ExportFault(name="separator_line", calls=_FILE, file="broken", content=files.separator_line),
    ExportFault(name="zip", calls=_FILE, file="broken", pack=files.zip_file),
    ExportFault(name="bz2", calls=_FILE, file="broken", pack=files.bz2_file),
    ExportFault(name="xz", calls=_FILE, file="broken", pack=files.xz_file),
    ExportFault(name="gzip_in_gzip", calls=_FILE, file="broken", pack=files.gzip_in_gzip),
    ExportFault(name="status_goes_back", calls=_EXPORT_CALLS, reports=EXPORTS, goes_back=True, transient=True),
    ExportFault(name="vanishes", calls=_EXPORT_CALLS, reports=EXPORTS, vanishes=True),
    ExportFault(
        name="download_404_once", calls=("download",), reports=EXPORTS, first_download_missing=True, transient=True
    ),
    # With no link the path is built from the id (CONTRACT row 4); the others are refused (row 6).
    ExportFault(name="link_missing", calls=_LINK, reports=EXPORTS, link="missing", transient=True),
    ExportFault(name="link_to_other_host", calls=_LINK, reports=EXPORTS, link="to_other_host"),
    ExportFault(name="link_with_dots", calls=_LINK, reports=EXPORTS, link="with_dots"),
)

_CALL_FAULTS = (
    CallFault(name="reset_unseen", calls=CALLS, before_work=True, delivery="none", transient=True),
    CallFault(name="reset_before_answer", calls=CALLS, delivery="none", transient=True),
    CallFault(name="reset_in_body", calls=CALLS, delivery="half", transient=True),
    CallFault(name="slow_body", calls=CALLS, delivery="slow", transient=True),
    CallFault(name="wrong_content_length", calls=CALLS, delivery="short", transient=True),
    CallFault(name="429", calls=CALLS, before_work=True, status=429, body="code", transient=True),
    CallFault(
        name="429_seconds",
        calls=CALLS,
        before_work=True,
        status=429,
        body="code",
        retry_after="seconds",
        transient=True,
    ),
    CallFault(
        name="429_date", calls=CALLS, before_work=True, status=429, body="code", retry_after="date", transient=True
    ),
    CallFault(
        name="503_seconds",
        calls=CALLS,
        before_work=True,
        status=503,
        body="text",
        retry_after="seconds",
        transient=True,
    ),
    CallFault(
        name="503_date", calls=CALLS, before_work=True, status=503, body="text", retry_after="date", transient=True
    ),
    CallFault(name="500", calls=CALLS, before_work=True, status=500, body="error", transient=True),
    CallFault(name="502_html", calls=CALLS, before_work=True, status=502, body="gateway_page", transient=True),
    CallFault(name="504", calls=CALLS, before_work=True, status=504, body="text", transient=True),
    CallFault(name="500_after_work", calls=CALLS, status=500, body="error", transient=True),
    CallFault(name="504_after_work", calls=CALLS, status=504, body="text", transient=True),
    # A login page means a key that is not valid (CONTRACT row 24), and a retry does not help.
    CallFault(name="redirect_to_login", calls=CALLS, before_work=True, status=302, body="login_page"),
    CallFault(name="login_page", calls=CALLS, before_work=True, status=200, body="login_page"),
    CallFault(name="json_cut_short", calls=_JSON_CALLS, reports=EXPORTS, damage="cut_short", transient=True),
    # JSON of another shape means another version of the API, or another API.
    CallFault(name="json_of_another_shape", calls=_JSON_CALLS, reports=EXPORTS, damage="of_another_shape"),
)

_READ_FAULTS = (
    # Every page says that another follows.
    ReadFault(name="endless_pages", calls=("list", "trees"), reports=REPORTS_OF["list"], of_team=False),
    # A tree that the key may not read; the `team` of org trees is a tree's name.
    ReadFault(name="forbidden", calls=("trees",), reports=()),
    # A tree whose first leaf has the root as its child.
    ReadFault(name="cycle", calls=("trees",), reports=()),
)

EVERY_FAULT: Mapping[str, Fault] = {fault.name: fault for fault in (*_EXPORT_FAULTS, *_CALL_FAULTS, *_READ_FAULTS)}
"""All faults by name. An `ExportFault` is chosen when an export is created, the others when a call is made."""

VALID_FILES = tuple(fault.name for fault in _EXPORT_FAULTS if fault.file == "valid")
"""Faults whose download is an unusual file that is valid: it must land cell for cell."""

BROKEN_FILES = tuple(fault.name for fault in _EXPORT_FAULTS if fault.file == "broken")
"""Faults whose download is a file that must be refused."""

TRANSIENT_FAULTS = tuple(fault.name for fault in _CALL_FAULTS if fault.transient and fault.name != "slow_body")
"""Faults of single calls that `fault_rate` chooses from; `slow_body` is not one, since a list would take it hours."""
