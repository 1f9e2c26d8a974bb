"""The table of every fault. Data, and no code.

`rules` chooses the calls that get a fault. Faults of exports are carried out by `exports`, `files` and
`http.responses`, faults of single calls by `injection`, faults of lists and org trees by their routes.
"""

from __future__ import annotations

import bz2
import codecs
import lzma
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

from sei_provider.sandbox.data.spec import EXPORT_SPECS, LEGACY_SPECS
from sei_provider.sandbox.faults import files

Call = Literal["create", "status", "list", "download", "trees", "report"]
"""The calls that can get a fault, by their kind in the log; `trees` are org trees, `report` is a legacy report."""

CALLS: tuple[Call, ...] = get_args(Call)

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
    content: Callable[[str], bytes] = str.encode
    """Returns the content of the file from the text of the documented CSV."""
    pack: Callable[[bytes], bytes] | None = None
    """Returns the packed file; None packs it as documented."""
    send: Callable[[bytes], bytes] = bytes
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
_FILE: tuple[Call, ...] = ("download", "report")

_export = partial(ExportFault, calls=_EXPORT_CALLS, reports=EXPORTS)
_LINKED = tuple(name for name, spec in EXPORT_SPECS.items() if spec.has_link)
_link = partial(ExportFault, calls=("status", "list"), reports=_LINKED)
_file = partial(ExportFault, calls=_FILE)
_valid = partial(_file, file="valid")
_broken = partial(_file, file="broken")
# A legacy report has no status: where an export would not end completed, it gets HTTP 500.
_end = partial(ExportFault, calls=(*_EXPORT_CALLS, "report"))

TIMED_OUT = _end(name="time_out", final_status="failed", error_code="EXPORT_TIMED_OUT", error="Export timed out")

_EXPORT_FAULTS = (
    _end(name="fail", final_status="failed"),
    _end(name="cancel", final_status="cancelled"),
    _end(name="unknown_status", final_status="archived"),
    _end(name="never", final_status="processing"),
    TIMED_OUT,
    # Valid and without rows, although there are some: a client cannot tell.
    _valid(name="header_only", content=files.header_only),
    _broken(name="html", send=lambda _: files.LOGIN_PAGE, content_type="text/html; charset=utf-8"),
    _file(name="zero_bytes", send=lambda _: b""),
    _broken(name="truncated_gzip", pack=files.gzip_file, send=lambda file: file[: len(file) // 2]),
    _broken(name="gzip_trailing_garbage", pack=files.gzip_with_garbage),
    # Valid gzip (RFC 1952, section 2.2), although few servers send it.
    _valid(name="two_gzip_members", pack=files.gzip_of_two_members, transient=True),
    _file(name="gzip_bomb", pack=files.gzip_bomb),
    *(
        _valid(name=f"header_{length}_{packing}", content=files.header_of(length), pack=pack, transient=True)
        for length in (512, 600, 5_000, 100_000)
        for packing, pack in (("plain", bytes), ("gzip", files.gzip_file))
    ),
    _valid(name="crlf_in_cells", content=files.crlf_every_512_bytes, transient=True),
    _broken(name="stray_opening_quotes", content=files.stray_opening_quotes),
    _broken(name="backslash_before_quote", content=files.raw_cell(r'"say \"hi\" now"')),
    _broken(name="bare_quote_in_quoted_cell", content=files.raw_cell('"say "hi" now"')),
    _broken(name="nul_in_header", content=files.nul_in_header),
    _broken(name="utf_16", content=lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le")),
    _broken(name="utf_16_without_bom", content=lambda text: text.encode("utf-16-le")),
    # Not of legacy reports: some of their headings are no metric's name, so a client may read them as text.
    _broken(
        name="digits_and_a_letter",
        calls=("download",),
        reports=EXPORTS,
        content=files.raw_cell("9" * 40_000 + "x", is_metric=True),
    ),
    # The line that tells spreadsheets how cells are separated.
    _broken(name="separator_line", content=lambda text: f"sep=,\n{text}".encode()),
    _broken(name="zip", pack=files.zip_file),
    _broken(name="bz2", pack=bz2.compress),
    _broken(name="xz", pack=lzma.compress),
    _broken(name="gzip_in_gzip", pack=lambda content: files.gzip_file(files.gzip_file(content))),
    _export(name="status_goes_back", goes_back=True, transient=True),
    _export(name="vanishes", vanishes=True),
    _export(name="download_404_once", calls=("download",), first_download_missing=True, transient=True),
    # With no link the path is built from the id (CONTRACT row 4); the others are refused (row 6).
    _link(name="link_missing", link="missing", transient=True),
    _link(name="link_to_other_host", link="to_other_host"),
    _link(name="link_with_dots", link="with_dots"),
)

_call = partial(CallFault, calls=CALLS, transient=True)
_instead = partial(_call, before_work=True)
_json = partial(CallFault, calls=("create", "status", "list", "trees"), reports=EXPORTS)

_CALL_FAULTS = (
    _call(name="reset_unseen", before_work=True, delivery="none"),
    _call(name="reset_before_answer", delivery="none"),
    _call(name="reset_in_body", delivery="half"),
    _call(name="slow_body", delivery="slow"),
    _call(name="wrong_content_length", delivery="short"),
    _instead(name="429", status=429, body="code"),
    _instead(name="429_seconds", status=429, body="code", retry_after="seconds"),
    _instead(name="429_date", status=429, body="code", retry_after="date"),
    _instead(name="503_seconds", status=503, retry_after="seconds"),
    _instead(name="503_date", status=503, retry_after="date"),
    _instead(name="500", status=500, body="error"),
    _instead(name="502_html", status=502, body="gateway_page"),
    _instead(name="504", status=504),
    _call(name="500_after_work", status=500, body="error"),
    _call(name="504_after_work", status=504),
    # A login page means a key that is not valid (CONTRACT row 24), and a retry does not help.
    _instead(name="redirect_to_login", status=302, body="login_page", transient=False),
    _instead(name="login_page", status=200, body="login_page", transient=False),
    _json(name="json_cut_short", damage="cut_short", transient=True),
    # JSON of another shape means another version of the API, or another API.
    _json(name="json_of_another_shape", damage="of_another_shape"),
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
